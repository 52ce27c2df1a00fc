"""Responses vanish for longer than producer.id.expiration.ms: the broker forgets the sequence numbers it was told."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all", "request.timeout.ms": "4000"},
            broker={"producer.id.expiration.ms": "1000", "producer.id.expiration.check.interval.ms": "500"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    for _ in range(3):
        k.cut(leader, "client", one_way=True)
        time.sleep(6)
        k.mend(leader, "client")
        time.sleep(5)
