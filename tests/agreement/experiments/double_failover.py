"""acks=1, two leaders die one after the other with records that nobody else has; both come back to a third."""
import time
from run import experiment, followers_of


@experiment(topic={"min.insync.replicas": "1"}, rate=60, producer={"acks": "1", "enable.idempotence": "false"})
def main(k, r):
    time.sleep(3)
    first = k.leader("orders")
    others = followers_of(k, first)
    for other in others:
        k.pause(other)
    time.sleep(2)
    k.kill(first)
    for other in others:
        k.resume(other)
    time.sleep(13)
    second = k.leader("orders")
    third = next(other for other in others if other != second)
    k.pause(third)
    time.sleep(2)
    k.kill(second)
    k.resume(third)
    time.sleep(13)
    k.start(first, wait=False)
    k.start(second)
    time.sleep(8)
