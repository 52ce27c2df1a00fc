"""A transactional producer stands still for longer than its transaction may last: the coordinator aborts it."""
import time
from more_faults import client_paused
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, transactional=50, consumer={"isolation.level": "read_committed"},
            producer={"acks": "all", "transaction.timeout.ms": "4000"},
            broker={"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"})
def main(k, r):
    time.sleep(8)
    with client_paused(k, r):
        time.sleep(12)
    time.sleep(10)
