"""Three nodes that are broker and controller at once: the partition's leader dies, then the active controller."""
import time
from run import active_controller, experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all"}, combined=True)
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    k.kill(leader)
    time.sleep(15)
    k.start(leader)
    time.sleep(6)
    controller = active_controller(k)
    k.kill(controller)
    time.sleep(18)
    k.start(controller)
    time.sleep(8)
