"""The leader is the only one left in the ISR and is shut down in order: there is nobody to hand over to."""
import time
from run import experiment, followers_of


@experiment(topic={"min.insync.replicas": "1"}, rate=60, producer={"acks": "all"},
            broker={"replica.lag.time.max.ms": "8000"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    followers = followers_of(k, leader)
    for follower in followers:
        k.kill(follower)
    time.sleep(14)
    k.stop(leader)
    k.start(followers[0])
    time.sleep(5)
    k.start(leader)
    time.sleep(12)
