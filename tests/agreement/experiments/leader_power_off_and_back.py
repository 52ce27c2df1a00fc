"""The leader loses its power and is started again at once: it comes back without what it had not flushed."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=80, producer={"acks": "all"})
def main(k, r):
    time.sleep(5)
    leader = k.leader("orders")
    k.power_off(leader)
    k.start(leader, wait=False)
    time.sleep(25)
