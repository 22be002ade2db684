"""The parts of scripts/soak: each starts its own server and load, and judges what it saw.

SPDX-License-Identifier: MIT
"""

import contextlib
from dataclasses import dataclass

import audited
import exercises
from deploy import Deployment
from load import Load, explain
from shoal_harness import Server

CLIENTS = 8
RINGS_FULL = 500


@dataclass
class Found:
    """One line of the table."""

    what: str
    count: int
    failed: str
    load: dict  # the report of the load
    wrong: list  # why the promise was not held


@contextlib.contextmanager
def deployed(folder, *options, workers=2):
    """A server that is gone at the end, however that comes."""
    servers = []

    def start(app, *options, **named):
        servers.append(Server(app, *options, tmp=folder, **named))
        servers[-1].allow_log(".")  # troubles are meant to be in the log
        return servers[-1].start()

    try:
        deployment = Deployment(start, folder, *options, workers=workers)
        yield deployment
        deployment.server.stop(60)
    finally:
        for server in servers:
            server.kill()


def no_failure(what, result, report):
    wrong = list(result["wrong"])
    if report["failures"]:
        wrong.append(explain(report, 20))
    return Found(what, result["count"], str(report["failures"]), report, wrong)


def reloads(folder, seconds):
    with deployed(folder) as d:
        with Load(d.address, CLIENTS) as load:
            result = exercises.reloads(d, load, exercises.turns(1000, seconds))
            report = load.stop()
        result["wrong"] += crept(result["sizes"])
        return no_failure("reload", result, report)


def crept(sizes):
    """The rings of events and jobs are full after some 430 reloads; then nothing may grow."""
    if len(sizes) < 2 * RINGS_FULL:
        return []
    then, now = sizes[RINGS_FULL]["rss"], sizes[-1]["rss"]
    return [f"resident memory of the master: {then}, {now}"] if now - then > 2 << 20 else []


def broken(folder, seconds):
    with deployed(folder, "--check-url", "/", "--load-timeout", "2") as d:
        with Load(d.address, CLIENTS) as load:
            result = exercises.broken_reloads(d, load, exercises.turns(200, seconds))
            report = load.stop()
        return no_failure("broken reload", result, report)


def recycles(folder, seconds):
    with deployed(folder, "--max-requests", 500, "--max-requests-jitter", 100) as d:
        with Load(d.address, CLIENTS) as load:
            result = exercises.recycles(d, 1000, seconds or 600, short=seconds is not None)
            report = load.stop()
        return no_failure("recycle by --max-requests", result, report)


def kill(folder, seconds):
    with deployed(folder, workers=4) as d:
        before = exercises.master_size(d.server.pid)
        with Load(d.address, CLIENTS) as load:
            result = exercises.kill_workers(d, seconds or 60, 4)
            d.wait_strength(4, 30)
            report = load.stop()
        killed = result["killed"]
        wrong = [str(failure) for failure in exercises.unexplained(report, killed)]
        wrong += exercises.grown(before, result["sizes"], exercises.master_size(d.server.pid))
    failed = f"{report['failures']}, all in killed workers" if not wrong else report["failures"]
    return Found("kill -9 of a random worker", len(killed), str(failed), report, wrong)


def upgrades(folder, seconds):
    with deployed(folder) as d:
        with Load(d.address, CLIENTS) as load:
            result = exercises.upgrades(d, exercises.turns(100, seconds))
            report = load.stop()
        return no_failure("upgrade in place", result, report)


def accounting(folder, seconds):
    killed, report, wrong = audited.survive(folder, seconds or 300)
    cut = sum(book["cut"] for book in report["accounts"].values())
    pieces = ", ".join(f"{count} {name}s" for name, count in killed.items())
    what = f"kill -9 of {pieces}: the ledger against clients' books"
    return Found(what, sum(killed.values()), f"{cut}, cut by kills or left", report, wrong)


PARTS = {
    "reloads": reloads, "broken": broken, "recycles": recycles, "kill": kill, "upgrades": upgrades,
    "accounting": accounting,
}
