"""Runs one experiment of this folder on a real cluster: REAL_KAFKA=HARNESS python3 run.py NAME HISTORY [--version 4.3.1]

REAL_KAFKA names the folder of the harness: kafka_cluster.py, recording.py and its own experiments/run.py, whose
arguments these are.
"""

import importlib.util
import os
import pathlib
import runpy
import sys

harness = pathlib.Path(os.environ.get("REAL_KAFKA") or sys.exit("set REAL_KAFKA to the folder of the harness"))
main = harness / "experiments" / "run.py"
# Experiments say `from run import experiment` and mean the harness's; a module of its own, so that it is imported
# before this folder comes first in the path.
spec = importlib.util.spec_from_file_location("run", main)
sys.modules["run"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["run"])

if __name__ == "__main__":
    runpy.run_path(str(main), run_name="__main__")
