"""acks=0: the leader stands still for two seconds and dies. What was written to its connection counts as acknowledged."""
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=80, producer={"acks": "0", "enable.idempotence": "false"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    k.pause(leader)
    time.sleep(2)
    k.kill(leader)
    time.sleep(15)
    k.start(leader)
    time.sleep(6)
