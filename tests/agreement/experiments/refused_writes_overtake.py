"""The same cuts, and requests that time out: tried again without idempotence, five in flight, later ones overtake."""
from followers_cut_from_leader import cut_followers
from run import experiment


@experiment(topic={"min.insync.replicas": "2"}, rate=50, broker={"replica.lag.time.max.ms": "4000"},
            producer={"acks": "all", "enable.idempotence": "false", "request.timeout.ms": "2000"})
def main(k, r):
    cut_followers(k)
