"""The coordinator of a group loses its power and is started again at once. Until its session is over it is refused
registration, and it leads what it led, by the metadata that it reads: it loads the group from what is left of its log,
puts out the silent members and writes that down, at an offset and in an epoch where its followers know another record.

The logs in `--directory` show it afterwards: `org.apache.kafka.tools.DumpLogSegments --offsets-decoder` of each broker's
`__consumer_offsets-0`."""
import time
from more_faults import coordinator
from run import experiment


# A flush every ten records, so that something of the log is left.
@experiment(topic={"min.insync.replicas": "2"}, rate=60, producer={"acks": "all"}, partitions=2, consumers=2,
            broker={"broker.session.timeout.ms": "30000", "log.flush.interval.messages": "10",
                    "offsets.topic.num.partitions": "1"},
            consumer={"enable.auto.commit": "false", "session.timeout.ms": "6000"})
def main(k, r):
    time.sleep(8)
    broker = coordinator(k, "__consumer_offsets", "g")
    k.power_off(broker)
    k.start(broker, wait=False)
    time.sleep(60)
