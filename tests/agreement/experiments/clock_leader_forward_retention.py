"""retention.ms is a minute; the leader's wall clock jumps two minutes ahead: fresh records are old at once."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2", "retention.ms": "60000"}, rate=50, producer={"acks": "all"},
            broker={"log.retention.check.interval.ms": "2000", "log.initial.task.delay.ms": "1000"})
def main(k, r):
    time.sleep(5)
    leader = k.leader("orders")
    k.skew(leader, 120)
    time.sleep(12)
    k.skew(leader, 0)
    time.sleep(10)
    k.kill(leader)
    time.sleep(14)
