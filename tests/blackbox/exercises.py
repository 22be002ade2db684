"""What a service lives through, done to a server under load and counted.

The tests run each a bounded number of times, scripts/soak for as long as it is asked to.
Every function returns its figures; none of them judges.

SPDX-License-Identifier: MIT
"""

import itertools
import os
import random
import signal
import time

import procfs
from deploy import BROKEN
from shoal_harness import SANITIZED
from waiting import holds, wait_for

SLOW_KIND = "slow import"  # as slow as --load-timeout allows: one in so many is enough
MIX = tuple(kind for kind in BROKEN if kind != SLOW_KIND) * 3 + (SLOW_KIND,)


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


def turns(count, seconds=None):
    """0, 1, ...: so many, or as many as begin within a time."""
    began = time.monotonic()
    for number in range(count) if seconds is None else itertools.count():
        if seconds is not None and time.monotonic() - began > seconds:
            return
        yield number


def reloads(deployment, load, numbers, how=None):
    """Good reloads, each with a new version; those that did not end well, or not with it."""
    wrong, sizes, number, version = [], [], -1, None
    for number in numbers:
        version = deployment.site.good()
        outcome = (how or deployment.reload)()
        load.phase(version)
        if outcome.code:
            wrong.append(f"reload {number}: exit {outcome.code}: {outcome.text[-2000:]}")
        elif deployment.version() != version:
            wrong.append(f"reload {number}: {version} does not answer")
        sizes.append(master_size(deployment.server.pid))
    return {"count": number + 1, "wrong": wrong, "version": version, "sizes": sizes}


def upgrades(deployment, numbers):
    """The running binary again, in place; those that did not end well, or elsewhere."""
    wrong, number, pid = [], -1, deployment.server.pid
    for number in numbers:
        outcome = deployment.shoalctl("upgrade")
        if outcome.code:
            wrong.append(f"upgrade {number}: exit {outcome.code}: {outcome.text[-2000:]}")
        elif deployment.call("server.status")["master"]["pid"] != pid:
            wrong.append(f"upgrade {number}: another process")
        elif deployment.call("jobs.list")["jobs"][-1]["state"] != "done":
            wrong.append(f"upgrade {number}: its job is not known")
    return {"count": number + 1, "wrong": wrong}


def broken_reloads(deployment, load, numbers, kinds=MIX):
    """Reloads of code that cannot work; those that were not refused, or without a reason."""
    wrong, number = [], -1
    version = deployment.version()
    for number in numbers:
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
    return {"count": number + 1, "wrong": wrong, "version": version}


def kill_child(parent, pid):
    """SIGKILL to this child of the parent; to nobody who may have got its number since."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False  # it was on its way out already
    try:
        if procfs.parent(pid) != parent:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def kill_workers(deployment, seconds, strength, every=0.1, seed=1):
    """SIGKILL to a random worker again and again; who died when, and how large the master was
    half-way, when all workers were there: it maps what each of them counts."""
    server, chance = deployment.server, random.Random(seed)
    killed, sizes = {}, []
    for _ in range(2):
        if killed:
            deployment.wait_strength(strength, 30)
            sizes.append(master_size(server.pid))
        end = time.monotonic() + seconds / 2
        while time.monotonic() < end:
            if workers := list(deployment.workers().values()):
                pid = chance.choice(workers)
                if kill_child(server.pid, pid):
                    killed[pid] = time.time()
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


def grown(before, sizes, after):
    """Complaints about a master that was larger at the end than half-way through."""
    complaints = []
    # AddressSanitizer keeps what was freed for a while. Otherwise: rings of events and crashes
    # fill by some kilobytes a death, and what is known of a worker, 50 kB, comes and goes.
    slack = (4 << 20) if SANITIZED else 768 * 1024
    for key in ("rss", "pss"):
        half = max(size[key] for size in sizes[: len(sizes) // 2 + 1])
        if after[key] > half + slack:
            complaints.append(f"{key} of the master: {before[key]}, {half}, {after[key]}")
    if after["fds"] > before["fds"]:
        complaints.append(f"descriptors of the master: {before['fds']}, {after['fds']}")
    return complaints


def recycles(deployment, count, timeout, short=False):
    """Waits until so many workers have come and gone by themselves, at most for a time."""
    server = deployment.server

    def ready():
        return sum("worker ready " in line for line in list(server.lines))

    before, began = ready(), time.monotonic()
    wrong = []
    try:
        wait_for(lambda: ready() - before >= count, timeout, "recycled workers", step=0.05)
    except AssertionError:
        if not short:
            wrong.append(f"{ready() - before} recycled in {timeout} s")
    return {"count": ready() - before, "seconds": time.monotonic() - began, "wrong": wrong}
