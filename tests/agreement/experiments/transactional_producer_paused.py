"""A transactional producer stands still for longer than its transaction may last: the coordinator aborts it."""
import time
from more_faults import client_paused
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, transactional=250, consumer={"isolation.level": "read_committed"},
            producer={"acks": "all", "transaction.timeout.ms": "7000"},
            broker={"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"})
def main(k, r):
    time.sleep(6)
    with client_paused(k, r):
        time.sleep(16)
    time.sleep(14)
