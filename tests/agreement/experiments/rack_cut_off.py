"""The active controller and the partition's leader share a rack that is cut off from everything else."""
import time
from run import active_controller, experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, producer={"acks": "all"})
def main(k, r):
    time.sleep(3)
    leader, controller = k.leader("orders"), active_controller(k)
    k.isolate(leader, controller)
    k.isolate(controller, leader)
    time.sleep(25)
