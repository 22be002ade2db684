"""Workers that are killed again and again: what is lost is what they had in hand, no more.

SPDX-License-Identifier: MIT
"""

import os
import signal

import procfs
import pytest
from deploy import Deployment
from exercises import grown, kill_workers, master_size, unexplained
from load import Load, explain
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

SECONDS = 4 if SANITIZED else 6


def deploy(server, tmp_path, *options, workers=4):
    d = Deployment(server, tmp_path, *options, workers=workers)
    d.server.expect_log("worker died").allow_log("request lost")
    return d


def test_a_random_worker_every_tenth_of_a_second(server, tmp_path):
    d = deploy(server, tmp_path)
    with Load(d.address, 8) as load:
        wait_for(lambda: load.report()["requests"] > 100, 10 * SLOW)
        before = master_size(d.server.pid)
        result = kill_workers(d, SECONDS, 4)
        load.phase("after")
        d.wait_strength(4)
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 20 * SLOW)
        report = load.stop()
    killed, sizes = result["killed"], result["sizes"]
    assert len(killed) >= SECONDS * 2, "a kill is no test when nobody is there to be killed"
    assert not unexplained(report, killed), explain(report)
    assert report["failures"] <= 8 * len(killed)
    wait_for(lambda: master_size(d.server.pid)["fds"] <= before["fds"], 5 * SLOW, "descriptors")
    assert not grown(before, sizes, master_size(d.server.pid))


def test_keep_alive_clients_of_the_other_worker_notice_nothing(server, tmp_path):
    """Two workers; only one is ever killed, and the clients of the other ask on."""
    d = deploy(server, tmp_path, workers=2)
    with Load(d.address, 8) as load:
        wait_for(lambda: len(load.report()["pids"]) == 2, 10 * SLOW, "answers of both")
        survivor = d.workers()[1]
        for number in range(3):
            victim = d.wait_strength(2)[0]
            load.phase(f"kill {number}")
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda v=victim: d.workers().get(0, v) != v, 10 * SLOW, "the next in slot 0")
        report = load.stop()
    assert d.workers()[1] == survivor
    assert not [f for f in report["failed"] if f["pid"] == survivor], explain(report)
    assert report["pids"][str(survivor)] > 100
    assert set(report["kinds"]) <= {"EOF", "ECONNRESET", "short answer", "send EPIPE",
                                    "send ECONNRESET"}, explain(report)


@pytest.mark.long
def test_a_mold_that_hangs_is_not_waited_for(server, tmp_path):
    d = deploy(server, tmp_path, workers=2)
    d.server.expect_log("the mold hangs").allow_log("mold died|not loaded|while it loaded")
    [mold] = [p for p in procfs.children(d.server.pid) if "mold" in procfs.command(p)]
    os.kill(mold, signal.SIGSTOP)
    os.kill(d.workers()[0], signal.SIGKILL)
    wait_for(lambda: mold not in procfs.children(d.server.pid), 40 * SLOW)
    d.wait_strength(2)
