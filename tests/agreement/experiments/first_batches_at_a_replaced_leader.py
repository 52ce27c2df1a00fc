"""An idempotent producer's first batches wait at a leader that is replaced, and it learns of the next one before they
end. The new leader has no state of the producer and takes what comes behind them, whatever its sequence number is."""
import time
from run import experiment


# The first batch leaves when it has lingered, after the cut. Who leads is said, because asking takes seconds.
@experiment(topic={"min.insync.replicas": "2"}, assignment="1:2:3", rate=50,
            producer={"acks": "all", "linger.ms": "2000", "metadata.max.age.ms": "2000",
                      "delivery.timeout.ms": "40000"})
def main(k, r):
    time.sleep(1.5)
    k.isolate("b1", "client")
    time.sleep(20)
    for other in k.nodes:
        if other != "b1":
            k.mend("b1", other)
    time.sleep(40)
