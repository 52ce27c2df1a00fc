"""acks=0: the leader is cut off from everybody. The producer goes on until its socket is full, and waits for request.timeout.ms."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=200, producer={"acks": "0", "enable.idempotence": "false"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    k.isolate(leader)
    time.sleep(40)
    for other in [*k.nodes, "client"]:
        if other != leader:
            k.mend(leader, other)
    time.sleep(14)
