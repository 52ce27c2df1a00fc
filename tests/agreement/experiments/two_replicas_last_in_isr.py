"""Two replicas, min.insync.replicas=1: the follower dies, the leader goes on alone and dies, the follower comes back."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "1"}, rate=50, producer={"acks": "all"}, replicas=2, assignment="1:2",
            broker={"replica.lag.time.max.ms": "8000"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    follower = "b2" if leader == "b1" else "b1"
    k.kill(follower)
    time.sleep(13)
    k.kill(leader)
    k.start(follower)
    time.sleep(14)
    k.start(leader)
    time.sleep(12)
