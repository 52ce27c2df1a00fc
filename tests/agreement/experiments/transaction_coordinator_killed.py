"""The coordinator of a transactional producer dies, then the leader of what it writes to."""
import time
from more_faults import coordinator
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all"}, transactional=10,
            consumer={"isolation.level": "read_committed"})
def main(k, r):
    time.sleep(6)
    broker = coordinator(k, "__transaction_state", "t-p1")
    k.kill(broker)
    time.sleep(14)
    k.start(broker)
    time.sleep(8)
    k.kill(k.leader("orders"))
    time.sleep(14)
