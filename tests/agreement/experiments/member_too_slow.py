"""Polls take longer than max.poll.interval.ms: members are put out of the group, cannot commit and read again."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=60, producer={"acks": "all"}, partitions=2, consumers=2,
            process_ms=80, consumer={"enable.auto.commit": "false", "session.timeout.ms": "6000",
                                     "heartbeat.interval.ms": "1000", "max.poll.interval.ms": "5000",
                                     "max.poll.records": "80"})
def main(k, r):
    time.sleep(40)
