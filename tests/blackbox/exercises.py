"""What a service lives through, done to a server under load and counted.

The tests run each a bounded number of times, scripts/soak for as long as it is asked to.
Every function returns its figures; none of them judges.

SPDX-License-Identifier: MIT
"""

import os
import random
import time

import procfs
from deploy import BROKEN
from waiting import holds, wait_for


def master_size(pid):
    """What of the master could grow: bytes of its own, and descriptors."""
    proportional = 0
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        for line in lines:
            if line.startswith("Pss:"):
                proportional = int(line.split()[1]) * 1024
    return {
        "rss": procfs.memory(pid), "pss": proportional, "fds": len(procfs.descriptors(pid)),
    }


def reloads(deployment, load, count, how=None):
    """Good reloads, each with a new version; those that did not end well, or not with it."""
    wrong = []
    for number in range(count):
        version = deployment.site.good()
        outcome = (how or deployment.reload)()
        load.phase(version)
        if outcome.code:
            wrong.append(f"reload {number}: exit {outcome.code}: {outcome.text[-2000:]}")
        elif deployment.version() != version:
            wrong.append(f"reload {number}: {version} does not answer")
    return {"count": count, "wrong": wrong, "version": version}


def broken_reloads(deployment, load, count, kinds=tuple(BROKEN)):
    """Reloads of code that cannot work; those that were not refused, or without a reason."""
    wrong = []
    version = deployment.version()
    for number in range(count):
        kind = kinds[number % len(kinds)]
        told = deployment.site.broken(kind)
        load.phase(f"{kind} {number}")
        outcome = deployment.reload()
        if outcome.code != 1:
            wrong.append(f"{kind}: exit {outcome.code}: {outcome.text[-2000:]}")
        if not told.search(outcome.text):
            wrong.append(f"{kind}: no reason: {outcome.text[-2000:]}")
        if deployment.version() != version:
            wrong.append(f"{kind}: {version} no longer answers")
    return {"count": count, "wrong": wrong, "version": version}


def kill_workers(deployment, seconds, every=0.1, seed=1):
    """SIGKILL to a random worker again and again; who died when, and what it did to the master."""
    server, chance = deployment.server, random.Random(seed)
    killed, sizes = {}, []
    end, half = time.monotonic() + seconds, time.monotonic() + seconds / 2
    while time.monotonic() < end:
        if workers := list(deployment.workers().values()):
            pid = chance.choice(workers)
            try:
                os.kill(pid, 9)
                killed[pid] = time.time()
            except ProcessLookupError:
                pass  # it was on its way out already
        if time.monotonic() >= half:
            sizes.append(master_size(server.pid))
        holds(lambda: True, every, every)
    return {"killed": killed, "sizes": sizes}


def unexplained(report, killed):
    """Failures of requests that cannot have been in one of the killed workers."""
    strange = []
    for failure in report["failed"]:
        kind, pid = failure["kind"], failure["pid"]
        lost = kind in ("EOF", "ECONNRESET", "short answer", "send EPIPE", "send ECONNRESET",
                        "EOF while idle")
        if pid is not None:
            # The connection belonged to the worker that answered on it before.
            fits = pid in killed and killed[pid] - 0.1 <= failure["clock"]
        else:
            fits = any(abs(failure["clock"] - when) < 1 for when in killed.values())
        if not (lost and fits):
            strange.append(failure)
    return strange


def recycles(deployment, load, count, timeout):
    """Waits until so many workers have come and gone by themselves."""
    server = deployment.server

    def ready():
        return sum("worker ready " in line for line in list(server.lines))

    before = ready()
    began = time.monotonic()
    wait_for(lambda: ready() - before >= count, timeout, f"{count} recycled workers")
    return {"count": ready() - before, "seconds": time.monotonic() - began}
