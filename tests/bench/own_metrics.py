"""What counting costs an application, in nanoseconds: shoal.metrics beside prometheus_client.

SPDX-License-Identifier: MIT
"""

import dataclasses
import json
import shutil
import urllib.request

import report
from peers import SHOAL, WORK, Server, install
from workloads import WORKLOADS

CLIENT = dataclasses.replace(SHOAL, name="prometheus_client", package="prometheus_client")


def run(say):
    """Prints the table; returns it for the page."""
    versions, missing = install([CLIENT], say)
    if missing:
        raise SystemExit(f"bench: {missing}")
    say("bench: the application's own metrics")
    workload = dataclasses.replace(WORKLOADS[0], module="metrics_app")
    files = WORK / "prometheus"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    with Server(SHOAL, workload, env={"PROMETHEUS_MULTIPROC_DIR": str(files)}) as server:
        if trouble := server.wait_ready():
            raise SystemExit(f"bench: {trouble}")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=60) as answer:
            found = json.load(answer)
    version = versions[CLIENT.name]
    header = ["step", "shoal.metrics ns", f"prometheus_client {version} ns", "ratio"]
    rows = [
        [name, f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.1f}"]
        for name, (ours, theirs) in found.items()
    ]
    intro = "In one thread of a worker, prometheus_client in its mode for several processes."
    print(f"{intro}\n\n{report.text_table(header, rows)}")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"
