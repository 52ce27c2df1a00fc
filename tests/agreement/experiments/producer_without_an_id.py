"""An idempotent producer starts while the only controller is down: no broker has producer ids left to give, and until
one has, the producer's sender does nothing else. delivery.timeout.ms ends nothing."""
import time
from kafka_cluster import Cluster
from recording import Recording


def main(history, version, directory):
    topic = {"min.insync.replicas": "2"}
    with Cluster(directory, version=version, brokers=3, controllers=1) as k:
        k.create_topic("orders", 1, 3, topic)
        k.kill("c1")
        r = Recording(k, history, topics={"orders": {"partitions": 1, "replication.factor": 3, **topic}}, rate=20,
                      producer={"acks": "all", "linger.ms": "0", "request.timeout.ms": "2000",
                                "delivery.timeout.ms": "10000"},
                      consumer={"auto.offset.reset": "earliest"})
        time.sleep(45)
        k.start("c1")
        time.sleep(10)
        r.quiesce()
        k.heal()
        time.sleep(5)
        r.finish()
