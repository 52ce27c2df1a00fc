"""Four brokers, two replicas: both are moved to the other two while clients work."""
import json
import time
from run import experiment


@experiment(topic={"min.insync.replicas": "1"}, rate=60, producer={"acks": "all"}, brokers=4, replicas=2,
            assignment="1:2")
def main(k, r):
    time.sleep(6)
    plan = k.directory / "reassignment.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": "orders", "partition": 0, "replicas": [3, 4]}]}))
    k._note("reassign", "orders-0 3,4")
    k.tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "--bootstrap-server", k.bootstrap,
           "--reassignment-json-file", plan, "--execute")
    time.sleep(12)
    k.kill("b3")
    time.sleep(14)
    k.start("b3")
    time.sleep(6)
