"""The only controller dies, then the partition's leader: the cluster waits for the controller to come back."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all"}, controllers=1)
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    k.kill("c1")
    time.sleep(6)
    k.kill(leader)
    time.sleep(14)
    k.start("c1")
    time.sleep(18)
