"""The leader is cut from the clients alone for longer than delivery.timeout.ms: nobody else may take over."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50,
            producer={"acks": "all", "request.timeout.ms": "2000", "delivery.timeout.ms": "6000"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    for _ in range(2):
        k.cut(leader, "client")
        time.sleep(12)
        k.mend(leader, "client")
        time.sleep(8)
