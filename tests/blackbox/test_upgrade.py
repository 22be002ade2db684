"""The master becomes another binary, in place: nobody notices but the log.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import re
import signal
import socket
import threading

import procfs
import pytest
from control_client import Control
from deploy import Deployment, Site
from load import Load, explain
from shoal_harness import SANITIZED, SLOW, run_to_end
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


def knock(path, report, until):
    """Connects again and again; counts what came of it."""
    while not until.is_set():
        try:
            with Control(path) as control:
                control.call("server.ping")
            report["answered"] += 1
        except (ConnectionResetError, BrokenPipeError, AssertionError):
            report["ended"] += 1  # the connection's end, which is that of the old image
        except OSError as error:
            report["wrong"].append(repr(error))


def test_the_control_socket_is_always_there(server, tmp_path):
    """No connect is refused, and who connects before the exec is answered after it."""
    d = Deployment(server, tmp_path)
    upgrade(d)
    inode, lock = d.socket.stat().st_ino, d.socket.with_name("control.lock").stat().st_ino
    report, until = {"answered": 0, "ended": 0, "wrong": []}, threading.Event()
    knocking = threading.Thread(target=knock, args=(d.socket, report, until))
    knocking.start()
    try:
        for _ in range(5):
            upgrade(d)
    finally:
        until.set()
        knocking.join()
    assert not report["wrong"], report
    assert report["answered"] > 20 and report["ended"] <= 10, report
    assert d.socket.stat().st_ino == inode
    assert d.socket.with_name("control.lock").stat().st_ino == lock
    # It is still nobody else's.
    other = run_to_end("-b", "127.0.0.1:0", "--control-socket", d.socket, Site.NAME)
    assert other.returncode == 4 and "another instance holds it" in other.stderr
    d.server.stop()
    assert not d.socket.exists() and not d.socket.with_name("control.lock").exists()


def test_what_is_known_stays_known(server, tmp_path):
    """Jobs by their ids, crashes, counts; events are numbered on."""
    d = Deployment(server, tmp_path)
    d.server.expect_log("worker died .*SIGKILL")
    assert d.reload().code == 0
    victim = d.wait_strength(2)[1]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: d.workers().get(1, victim) != victim, 10 * SLOW, "another worker")
    requests = d.call("stats.get")["totals"]["requests"]
    seq = d.call("events.history", limit=1)["seq"]
    ids = {job["job"] for job in d.call("jobs.list")["jobs"]}
    for _ in range(3):
        upgrade(d)
        listed = {job["job"]: job["state"] for job in d.call("jobs.list")["jobs"]}
        assert ids < listed.keys() and set(listed.values()) == {"done"}, listed
        ids = set(listed)
        after = d.call("events.history")
        assert all(e["seq"] > seq for e in after["events"]), (seq, after)
        numbers = [e["seq"] for e in after["events"]]
        assert numbers == sorted(set(numbers)) and after["seq"] > seq
        assert "server.upgraded" in {e["type"] for e in after["events"]}
        seq = after["seq"]
    assert d.call("stats.get")["totals"]["requests"] >= requests
    crashes = d.call("workers.get", slot=1)["crashes"]
    assert [c["pid"] for c in crashes] == [victim] and crashes[0]["cause"] == "signal=SIGKILL"


def test_shoalctl_follows_it(server, tmp_path):
    """Its connection ends with the old image; it finds the new one and the job's end."""
    d = Deployment(server, tmp_path)
    outcome = d.shoalctl("upgrade")
    assert outcome.code == 0 and "done" in outcome.text, outcome.text


class Systemd:
    """Listens where the server was told that systemd does; what it was told, newest last."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(server.env["NOTIFY_SOCKET"])
        self.sock.setblocking(False)
        self.told = []

    def hear(self, pattern):
        """Waits for it, beginning with what has not been waited for yet."""

        def heard():
            try:
                while True:
                    self.told.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                pass
            return next((t for t in self.told if re.search(pattern, t)), None)

        found = wait_for(heard, 15 * SLOW, pattern)
        del self.told[: self.told.index(found) + 1]
        return found


def test_what_systemd_is_told(server, tmp_path):
    """STATUS= with the figures of the moment, also by the image that took over."""
    d = Deployment(server, tmp_path)
    systemd = Systemd(d.server)
    with contextlib.closing(systemd.sock), Load(d.address, 4) as load:
        busy = r"STATUS=2 of 2 workers ready, generation 1, \d+ requests in hand, [1-9]\d* per"
        systemd.hear(busy)
        assert d.reload().code == 0
        systemd.hear("^RELOADING=1\nMONOTONIC_USEC=")
        systemd.hear("^READY=1\nMAINPID=")
        systemd.hear("STATUS=2 of 2 workers ready, generation 2, ")
        upgrade(d)
        systemd.hear("^RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.hear("^READY=1\n") == f"READY=1\nMAINPID={d.server.pid}"
        systemd.hear("STATUS=2 of 2 workers ready, generation 3, ")
        assert not load.stop()["failures"]
        assert d.call("server.drain", timeout_s=1)["job"]
        systemd.hear("STATUS=draining; 2 of 2")


def test_signals_wait_for_the_new_image(server, tmp_path):
    """Between the exec and its handlers, the default of each signal would be the end."""
    d = Deployment(server, tmp_path)
    until = threading.Event()

    def rotate():
        while not until.wait(0.001):
            os.kill(d.server.pid, signal.SIGUSR1)

    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        for _ in range(5):
            upgrade(d)
    finally:
        until.set()
        rotating.join()
    assert d.version() == "v1"


def test_a_binary_that_cannot_is_refused(server, tmp_path):
    """It is asked first; the instance goes on as it was."""
    d = Deployment(server, tmp_path)
    d.server.expect_log("upgrade failed job=u-", count=3)
    for binary, told in (("/nowhere/shoal", "No such file"), ("/bin/false", "status 1"),
                         ("/bin/true", "does not say that it can take over")):
        job = d.call("server.upgrade", binary=binary)["job"]
        ended = d.call("jobs.wait", job=job)
        assert ended["state"] == "failed" and told in ended["why"], ended
    assert d.version() == "v1"
    d.wait_strength(2)
