"""A follower loses its disk and is filled again; then the leader loses its own. acks=all, min.insync.replicas=2."""
import time
from run import experiment, followers_of


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    for victim in (followers_of(k, leader)[0], leader):
        k.lose_disk(victim)
        time.sleep(2)
        k.start(victim)
        time.sleep(14)
