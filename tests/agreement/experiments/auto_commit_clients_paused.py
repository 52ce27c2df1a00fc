"""Consumers that commit by themselves every five seconds stand still for longer than their session."""
import time
from more_faults import client_paused
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=60, producer={"acks": "all"}, partitions=2, consumers=2,
            consumer={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"})
def main(k, r):
    time.sleep(9)
    with client_paused(k, r):
        time.sleep(15)
    time.sleep(9)
    with client_paused(k, r):
        time.sleep(4)
    time.sleep(8)
