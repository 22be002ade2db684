"""Recycling under load: many in a row, with clients that pause, by memory that leaks.

SPDX-License-Identifier: MIT
"""

import exercises
import pytest
from deploy import Deployment
from load import Load, explain
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

RECYCLES = 20 if SANITIZED else 100


def under_load(d, condition, timeout=30, clients=8):
    with Load(d.address, clients) as load:
        wait_for(condition, timeout * SLOW, what="replaced workers")
        return load.stop()


def replaced(d):
    """How many workers have come after the first ones."""
    ready = sum("worker ready " in line for line in list(d.server.lines))
    return ready - d.server.workers


@pytest.mark.long
def test_a_hundred_recycles_by_requests(server, tmp_path):
    """Eight keep-alive clients: no end that was not announced, whatever the worker counts."""
    d = Deployment(server, tmp_path, "--max-requests", 200, "--max-requests-jitter", 50)
    with Load(d.address, 8) as load:
        result = exercises.recycles(d, RECYCLES, 40 * SLOW)
        report = load.stop()
    assert not result["wrong"], result
    assert not report["failures"], explain(report)
    assert report["closes"] >= RECYCLES, "clients were told"
    assert len(report["pids"]) >= RECYCLES, "each of them answered"
    d.wait_strength(2)


def test_jitter_parts_the_workers(server, tmp_path):
    """Without it all workers would go at once; each goes between N and N + jitter."""
    d = Deployment(
        server, tmp_path, "--max-requests", 300, "--max-requests-jitter", 300, workers=4
    )
    report = under_load(d, lambda: replaced(d) >= 12)
    assert not report["failures"], explain(report)
    finished = [n for pid, n in report["pids"].items() if int(pid) not in d.workers().values()]
    assert len(finished) >= 8 and max(finished) - min(finished) > 30, finished


def test_by_memory(server, tmp_path):
    """An application that keeps 400 kB of each request; the worker goes before it is large."""
    d = Deployment(server, tmp_path, "--max-rss", "60M", workers=1)
    d.server.allow_log("max-rss|memory")
    d.site.good("kept = []", "kept.append(b'x' * 400_000)")
    assert d.reload().code == 0
    before = replaced(d)
    with Load(d.address, 4, think=0.005) as load:
        wait_for(lambda: replaced(d) > before, 30 * SLOW, what="replaced workers")
        report = load.stop()
    assert not report["failures"], explain(report)


def test_by_requests_with_idle_clients(server, tmp_path):
    """Connections that pause between requests are told as well; none is cut in its pause."""
    d = Deployment(server, tmp_path, "--max-requests", 200)
    with Load(d.address, 40, think=0.05) as load:
        wait_for(lambda: replaced(d) >= 6, 30 * SLOW, what="replaced workers")
        report = load.stop()
    assert not report["failures"], explain(report)
