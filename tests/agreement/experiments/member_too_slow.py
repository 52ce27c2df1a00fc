"""Both members of a group work on a poll for longer than max.poll.interval.ms: they leave in turn and read again."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=60, producer={"acks": "all"}, partitions=2, consumers=2,
            process_ms=25, consumer={"enable.auto.commit": "false", "session.timeout.ms": "6000",
                                     "heartbeat.interval.ms": "1000", "max.poll.interval.ms": "7000"})
def main(k, r):
    time.sleep(30)
