"""The followers are cut from their leader alone, three times: the ISR shrinks to it, and what waits for replicas waits."""
import time
from run import experiment, followers_of


def cut_followers(k):
    time.sleep(3)
    leader = k.leader("orders")
    followers = followers_of(k, leader)
    for _ in range(3):
        for follower in followers:
            k.cut(leader, follower)
        time.sleep(9)
        for follower in followers:
            k.mend(leader, follower)
        time.sleep(7)


@experiment(topic={"min.insync.replicas": "2"}, rate=50, broker={"replica.lag.time.max.ms": "4000"},
            producer={"acks": "all", "enable.idempotence": "false"})
def main(k, r):
    cut_followers(k)
