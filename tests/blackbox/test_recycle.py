"""Workers that have lived long enough are replaced, and nobody notices; one that hangs shows
its stacks and is ended.

SPDX-License-Identifier: MIT
"""

import os
import re
import signal

from deploy import Deployment
from load import Load, explain
from shoal_harness import SLOW
from waiting import wait_for

RECYCLED = re.compile(r"worker is recycled slot=(\d+) pid=(\d+) why=(\w+)")


def recycled(server):
    return [m.groups() for line in list(server.lines) if (m := RECYCLED.search(line))]


def test_max_requests_with_keep_alive_clients(server, tmp_path):
    """Each end of a connection is announced: no client meets a closed one."""
    d = Deployment(server, tmp_path, "--max-requests", 300, workers=2)
    with Load(d.address, 8) as load:
        wait_for(
            lambda: len(gone := recycled(d.server)) >= 20 and len({g[0] for g in gone}) == 2,
            60 * SLOW, "20 recycled workers of both slots",
        )
        report = load.stop()
    assert report["failures"] == 0, explain(report)
    assert report["requests"] >= 20 * 300
    assert {why for _, _, why in recycled(d.server)} == {"max_requests"}
    d.wait_strength(2)


def test_max_age_one_at_a_time(server, tmp_path):
    d = Deployment(server, tmp_path, "--max-age", "1", workers=3)
    wait_for(lambda: len(recycled(d.server)) >= 3, 20 * SLOW, "3 recycled workers")
    assert {slot for slot, _, _ in recycled(d.server)[:3]} == {"0", "1", "2"}
    order = [
        "next" if "worker ready" in line else "begin"
        for line in d.server.lines
        if RECYCLED.search(line) or "worker ready" in line
    ]
    assert all(a != b for a, b in zip(order[3:], order[4:], strict=False)), order


def test_max_rss(server, tmp_path):
    d = Deployment(server, tmp_path, "--max-rss", "1M", workers=1)
    wait_for(lambda: recycled(d.server), 20 * SLOW, "a recycled worker")
    assert recycled(d.server)[0][2] == "max_rss"


def test_replacement_that_does_not_load_leaves_the_old_worker(server, tmp_path):
    d = Deployment(server, tmp_path, "--max-requests", 1, "--preload=off", workers=1)
    d.server.allow_log("application not loaded|request lost|worker died")
    d.site.broken("import error")
    version = d.version()
    d.server.wait_log("application not loaded", 10)
    d.server.wait_log("application not loaded", 10, count=2)
    assert d.version() == version
    # It waits longer and longer between its tries.
    assert len(recycled(d.server)) < 10
    good = d.site.good()
    wait_for(lambda: d.version() == good, 30 * SLOW, "the repaired version")


def test_a_stopped_worker_is_ended_and_replaced(server, tmp_path):
    """The only sure way to stop an I/O thread is to stop its process."""
    d = Deployment(server, tmp_path, workers=2)
    d.server.expect_log("worker hangs").expect_log("stacks of a worker that hangs")
    d.server.expect_log("worker does not answer").allow_log("worker died|request lost")
    victim = d.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    d.server.wait_log("worker hangs", 40)
    wait_for(lambda: d.workers().get(0, victim) != victim, 10 * SLOW, "the next in slot 0")
    d.wait_strength(2)
