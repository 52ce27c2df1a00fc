"""The last replica in the ISR dies; an operator elects an old one, and the other comes back with more records."""
import time
from run import experiment, followers_of


@experiment(topic={"min.insync.replicas": "1"}, rate=60, producer={"acks": "all"},
            broker={"replica.lag.time.max.ms": "8000"})
def main(k, r):
    time.sleep(3)
    leader = k.leader("orders")
    followers = followers_of(k, leader)
    for follower in followers:
        k.kill(follower)
    time.sleep(15)
    k.kill(leader)
    k.start(followers[0])
    time.sleep(12)
    k._note("elect_unclean", "orders-0")
    k.tool("org.apache.kafka.tools.LeaderElectionCommand", "--bootstrap-server", k.bootstrap,
           "--election-type", "unclean", "--topic", "orders", "--partition", 0)
    time.sleep(2)
    k.start(leader)
    time.sleep(12)
