"""The master becomes another binary, in place: nobody notices but the log.

SPDX-License-Identifier: MIT
"""

import os
import signal

import procfs
import pytest
from deploy import Deployment
from load import Load, explain
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

UPGRADES = 5 if SANITIZED else 20


def upgrade(d):
    done = d.server.log.count("reload done job=u-")
    os.kill(d.server.pid, signal.SIGUSR2)
    wait_for(lambda: d.server.log.count("reload done job=u-") > done, 20 * SLOW, "the upgrade")


@pytest.mark.parametrize("preload", ["auto", "off"])
def test_upgrades_under_load(server, tmp_path, preload):
    """0 failures, the same process, no descriptor more than after the first one."""
    d = Deployment(server, tmp_path, f"--preload={preload}")
    upgrade(d)
    descriptors = len(procfs.descriptors(d.server.pid))
    upgrades = UPGRADES if preload == "auto" else 3
    with Load(d.address, 8) as load:
        for _ in range(upgrades):
            upgrade(d)
        report = load.stop()
    assert not report["failures"], explain(report)
    assert report["closes"] > 0, "workers of every generation answered"
    assert d.server.log.count("upgraded version=") == upgrades + 1
    assert len(procfs.descriptors(d.server.pid)) <= descriptors + 1
    d.wait_strength(2)


def test_a_worker_dies_around_it(server, tmp_path):
    d = Deployment(server, tmp_path)
    d.server.expect_log("worker died .*SIGKILL")
    os.kill(d.server.worker_pids()[0], signal.SIGKILL)
    upgrade(d)
    d.wait_strength(2)


def test_a_binary_that_cannot_is_refused(server, tmp_path):
    """It is asked first; the instance goes on as it was."""
    d = Deployment(server, tmp_path)
    d.server.expect_log("upgrade failed job=u-", count=2)
    for binary, told in (("/nowhere/shoal", "No such file"), ("/bin/false", "status 1")):
        job = d.call("server.upgrade", binary=binary)["job"]
        ended = d.call("jobs.wait", job=job)
        assert ended["state"] == "failed" and told in ended["why"], ended
    assert d.version() == "v1"
    d.wait_strength(2)
