"""min.insync.replicas=3 of three: one broker that stands still stops all writes with acks=all."""
import time
from run import experiment, followers_of


@experiment(topic={"min.insync.replicas": "3"}, rate=50, producer={"acks": "all", "delivery.timeout.ms": "15000",
            "request.timeout.ms": "5000"}, broker={"replica.lag.time.max.ms": "8000"})
def main(k, r):
    time.sleep(3)
    follower = followers_of(k, k.leader("orders"))[0]
    k.pause(follower)
    time.sleep(25)
    k.resume(follower)
    time.sleep(10)
