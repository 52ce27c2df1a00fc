"""The leader is cut from the controllers alone: replaced, while followers and clients still reach it."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "1"}, rate=50, producer={"acks": "1", "enable.idempotence": "false",
            "metadata.max.age.ms": "300000"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    for controller in ("c1", "c2", "c3"):
        k.cut(leader, controller)
    time.sleep(25)
    for controller in ("c1", "c2", "c3"):
        k.mend(leader, controller)
    time.sleep(10)
