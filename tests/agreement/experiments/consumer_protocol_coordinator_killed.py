"""group.protocol=consumer: the coordinator of the group dies while its two members commit after every poll."""
import time
from more_faults import coordinator
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=60, producer={"acks": "all"}, partitions=2, consumers=2,
            consumer={"enable.auto.commit": "false", "group.protocol": "consumer"})
def main(k, r):
    time.sleep(6)
    broker = coordinator(k, "__consumer_offsets", "g")
    k.kill(broker)
    time.sleep(16)
    k.start(broker)
    time.sleep(8)
