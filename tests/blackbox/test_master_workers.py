"""How workers are loaded, watched, replaced and stopped, and what every signal does.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import procfs
import pytest
from master_harness import Master
from waiting import wait_for

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "app.py", line 1, in <module>\n'
    "ImportError: no such thing\n"
)


def fake(words, **more):
    """The environment that makes workers behave so."""
    return {"FAKE_WORKER": words, **more}


# ---- the first start ----


def test_load_failure_ends_with_its_traceback_and_leaves_nothing(tmp_path):
    sock, pid, log = tmp_path / "s", tmp_path / "pid", tmp_path / "log"
    m = Master("-w", 3, "-b", f"unix:{sock}", "-p", pid, env=fake("fail"))
    assert m.run() == 3
    assert "\n" + TRACEBACK in "\n" + m.log and m.log.count("Traceback") == 1
    assert not sock.exists() and not pid.exists()
    m = Master("--error-logfile", log, env=fake("fail"))
    assert m.run() == 3
    assert m.log.endswith(TRACEBACK) and TRACEBACK in log.read_text()


@pytest.mark.parametrize("words, options, reason", [
    ("exit", [], "worker 0 ended while it loaded the application: status=7"),
    ("abort", [], "worker 0 ended while it loaded the application: signal=SIGABRT"),
    ("hang", ["--load-timeout", "0.2"], "did not load the application within --load-timeout"),
])
def test_workers_that_never_get_ready(words, options, reason):
    m = Master(*options, env=fake(words))
    assert m.run() == 3
    assert reason in m.log


def test_one_failure_stops_workers_that_still_load():
    m = Master("-w", 3, env=fake("hang stubborn", FAKE_WORKER_1="fail"))
    began = time.monotonic()
    assert m.run() == 3
    assert time.monotonic() - began < 8


def test_a_failure_beside_a_ready_worker_is_no_end():
    with Master("-w", 1, env=fake("", FAKE_WORKER_1="fail")) as m:
        m.kill(signal.SIGTTIN)
        m.wait_log("application not loaded")
        assert "ImportError: no such thing" in m.log
        m.wait_log("worker stopped slot=1", count=2)
        assert len(m.workers()) == 1


# ---- replacement ----


def test_a_killed_worker_is_replaced_and_its_end_explained():
    with Master("-w", 2) as m:
        first, second = m.facts(0)["pid"], m.facts(1)["pid"]
        os.kill(first, signal.SIGKILL)
        line = m.wait_log("worker died")
        assert re.search(rf"ERROR\] master: worker died slot=0 pid={first} signal=SIGKILL ", line)
        m.wait_log("worker ready slot=0", count=2)
        assert m.facts(0, 2)["pid"] in m.workers() and second in m.workers()


def test_requests_of_a_crashed_worker_are_named_and_cannot_forge_lines():
    with Master(env=fake("request longer", FAKE_WORKER_EPOCH_2="")) as m:
        os.kill(m.facts()["pid"], signal.SIGABRT)
        line = m.wait_log("request lost")
        assert "method=GETGETGETGETGETG " in line
        assert r'path="/path\x0a[CRITICAL]\x20forged\x20\x22\x1b[2J" ' in line
        assert "peer=127.0.0.1:4711 " in line and line.endswith("s stage=application")
        assert len(m.lines("request lost")) == 1
        assert not [x for x in m.log.splitlines() if x.startswith("[CRITICAL]")]
        m.wait_log("worker ready", count=2)


def test_workers_that_die_young_come_back_slower_and_slower():
    with Master("-w", 2, env=fake("die", FAKE_WORKER_1="")) as m:
        m.wait_log("worker died slot=0", count=5)
        assert m.facts(1)["pid"] in m.workers()
        epoch5 = (m.facts_dir / "worker-0-5.json").stat().st_mtime
        epoch1 = (m.facts_dir / "worker-0-1.json").stat().st_mtime
        assert 1.4 < epoch5 - epoch1 < 6, "100 + 200 + 400 + 800 ms"


def test_loading_that_fails_later_backs_off_and_spares_the_others():
    with Master("-w", 2, env=fake("", FAKE_WORKER_EPOCH_2="fail")) as m:
        survivor = m.facts(1)["pid"]
        os.kill(m.facts(0)["pid"], signal.SIGKILL)
        m.wait_log("application not loaded")
        m.wait_log("worker ready slot=0", count=2)
        assert survivor in m.workers()
        assert m.facts(0, 3)["epoch"] == 3


def test_what_a_worker_sends_cannot_harm():
    with Master(env=fake("garbage")) as m:
        m.wait_log("malformed message from worker")
        m.wait_log("unexpected message from worker")
        assert len(m.workers()) == 1


def test_a_worker_that_closes_its_channel_is_replaced():
    with Master(env=fake("", FAKE_WORKER_EPOCH_1="close-channel")) as m:
        m.wait_log("worker killed, it did not end in time")
        m.wait_log("worker ready", count=2)


def test_strangers_are_reaped():
    with Master() as m:
        before = set(m.workers())
        # A shell that execs into the master leaves it a child it does not know.
        other = Master()
        other.launch(["sh", "-c", 'true & exec "$@"', "sh", *other.args])
        try:
            other.wait_log("worker ready")
            wait_for(lambda: zombies(other.pid) == [], what="no zombie")
            assert other.stop() == 0
        finally:
            other.finish()
        assert set(m.workers()) == before


def zombies(parent):
    return [p for p in procfs.pids() if procfs.parent(p) == parent and not procfs.alive(p)]


# ---- more and fewer ----


def test_ttin_and_ttou():
    with Master() as m:
        m.kill(signal.SIGTTIN)
        m.wait_log("worker ready slot=1")
        assert m.facts(1)["workers"] == 2
        m.kill(signal.SIGTTOU)
        m.wait_log("worker stopped slot=1")
        assert m.workers() == [m.facts(0)["pid"]]
        m.kill(signal.SIGTTOU)
        m.wait_log("number of workers stays workers=1")
        m.kill(signal.SIGTTIN)
        m.wait_log("worker ready slot=1", count=2)


def test_ttin_while_the_same_slot_drains():
    env = fake("", FAKE_WORKER_1="stubborn")
    with Master("-w", 2, "--graceful-timeout", "0.2", env=env) as m:
        m.kill(signal.SIGTTOU)
        m.wait_log("workers=1")
        m.kill(signal.SIGTTIN)
        m.wait_log("workers=2")
        m.wait_log("worker ready slot=1", count=2)


# ---- the end ----


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop(sig):
    with Master("-w", 2) as m:
        assert m.stop(sig) == 0
        assert len(m.lines("worker stopped")) == 2 and not m.lines("ERROR")
        assert m.log.rstrip().endswith("master: stopped")


def test_quit():
    with Master("-w", 2) as m:
        assert m.stop(signal.SIGQUIT) == 0
        assert "stopping at once" in m.log


def test_workers_that_do_not_drain_are_killed_after_the_graceful_time():
    with Master("--graceful-timeout", "0.3", env=fake("stubborn request")) as m:
        began = time.monotonic()
        assert m.stop() == 0
        assert 1.2 < time.monotonic() - began < 6
        assert "worker killed, it did not end in time" in m.log
        assert "request lost" in m.log


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_second_signal_does_not_wait(second):
    with Master("--graceful-timeout", "600", env=fake("stubborn")) as m:
        m.kill(signal.SIGTERM)
        m.wait_log("stopping graceful")
        assert m.stop(second, timeout=5) == 0


def test_a_crash_while_draining_is_told():
    with Master(env=fake("crash-in-drain request")) as m:
        assert m.stop() == 0
        assert "worker died slot=0" in m.log and "signal=SIGABRT" in m.log
        assert "request lost" in m.log


def test_stop_while_a_worker_waits_for_its_turn_and_another_loads():
    env = fake("", FAKE_WORKER_1="die", FAKE_WORKER_2="hang")
    m = Master("-w", 3, env=env).launch()
    try:
        m.wait_log("worker died slot=1", count=3)
        assert m.stop() == 0
        assert m.processes() == []
    finally:
        m.finish()


def test_hup_replaces_every_worker():
    with Master("-w", 2) as m:
        before = m.workers()
        m.kill(signal.SIGHUP)
        m.wait_log("reload done job=r-1 generation=2")
        assert len(m.workers()) == 2 and not set(m.workers()) & set(before)


def test_sigpipe_is_ignored():
    with Master() as m:
        m.kill(signal.SIGPIPE)
        m.kill(signal.SIGTTIN)
        m.wait_log("worker ready slot=1")


@pytest.mark.parametrize("words", ["", "deaf"])
def test_kill_9_of_the_master_ends_its_workers(words):
    """By the end of the channel, and by a signal where nobody reads it."""
    with Master("-w", 3, env=fake(words)) as m:
        workers, address = m.workers(), m.address()
        m.kill(signal.SIGKILL)
        m.wait()
        wait_for(lambda: not any(procfs.alive(p) for p in workers), what="workers gone")
        with socket.socket() as sock:
            assert sock.connect_ex(address) != 0


# ---- logs ----


def in_file(path, text, count=1):
    return wait_for(lambda: path.exists() and path.read_text().count(text) >= count,
                    what=f"{count} x {text!r} in {path}")


class LoggingToFiles(Master):
    """Its lines are in the error log."""

    def __init__(self, directory, *options):
        self.access, self.error = directory / "access.log", directory / "error.log"
        super().__init__("--access-logfile", self.access, "--error-logfile", self.error, *options)

    @property
    def log(self):
        return self.error.read_text() if self.error.exists() else ""


def test_log_files_are_opened_by_the_master(tmp_path):
    with LoggingToFiles(tmp_path) as m:
        assert stat.S_IMODE(m.error.stat().st_mode) == 0o640
        assert stat.S_IMODE(m.access.stat().st_mode) == 0o640
        fds = procfs.descriptors(m.workers()[0])
        assert fds[6] == str(m.access) and fds[7] == str(m.error)
        flags = Path(f"/proc/{m.workers()[0]}/fdinfo/6").read_text().split()[3]
        assert int(flags, 8) & os.O_APPEND
        assert m.stderr.read_text() == ""


def test_usr1_reopens_every_log(tmp_path):
    with LoggingToFiles(tmp_path, "-w", 2) as m:
        m.access.rename(tmp_path / "access.1")
        m.error.rename(tmp_path / "error.1")
        m.kill(signal.SIGUSR1)
        in_file(m.access, "reopened 0", count=2)
        in_file(m.error, "reopened 1", count=2)
        in_file(m.error, "master: logs reopened")
        before = (tmp_path / "error.1").read_text()
        assert m.stop() == 0
        assert "stopped" in m.error.read_text()
        assert (tmp_path / "error.1").read_text() == before


def test_a_log_that_cannot_be_reopened_stays(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    with LoggingToFiles(logs) as m:
        logs.rename(tmp_path / "moved")
        m.kill(signal.SIGUSR1)
        in_file(tmp_path / "moved" / "error.log", "logs cannot be reopened")
        (tmp_path / "moved").rename(logs)


def test_a_log_that_cannot_be_opened():
    m = Master("--error-logfile", "/no/such/dir/log")
    assert m.run() == 2
    assert "cannot open log file /no/such/dir/log: No such file or directory" in m.log


def test_access_log_to_standard_output_or_nowhere():
    with Master("--access-logfile", "-") as m:
        assert procfs.descriptors(m.workers()[0])[6] == str(m.stderr)


def test_a_log_nobody_reads_does_not_stop_the_master():
    read, write = os.pipe()
    m = Master()
    try:
        m.process = subprocess.Popen(m.args, env=m.env, cwd=m.dir, stderr=write)
        seen = b""
        while b"worker ready" not in seen:
            seen += os.read(read, 65536)
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, b"x" * 4096)
        os.set_blocking(write, True)
        for _ in range(3):
            m.kill(signal.SIGHUP)
        assert m.stop() == 0
    finally:
        m.finish()
        os.close(read)
        os.close(write)
