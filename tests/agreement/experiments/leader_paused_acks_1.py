"""acks=1: the leader stands still until another is elected, and wakes up with requests in its connections."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "1"}, rate=60, producer={"acks": "1", "enable.idempotence": "false"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    k.pause(leader)
    time.sleep(16)
    k.resume(leader)
    time.sleep(14)
