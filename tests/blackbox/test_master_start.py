"""What the master is, what it says when it starts, and what it hands to a worker.

SPDX-License-Identifier: MIT
"""

import os
import pty
import re
import subprocess
from pathlib import Path

import procfs
import pytest
from master_harness import PYTHON, Master, python_tag
from shoal_harness import BINARY, SANITIZED
from waiting import wait_for


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime links what it likes")
def test_links_neither_python_nor_threads():
    shown = subprocess.run(
        ["readelf", "--dynamic", "--dyn-syms", "--wide", BINARY],
        check=True, capture_output=True, text=True,
    ).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", shown)
    assert needed and not [lib for lib in needed if re.search("python|pthread", lib)]
    assert not re.search(r"\b(pthread_create|thrd_create|Py_\w+)\b", shown)


def test_one_thread_however_busy():
    with Master("-w", 3) as m:
        assert os.listdir(f"/proc/{m.pid}/task") == [str(m.pid)]


def test_a_line_per_listener_and_worker():
    with Master("-w", 2, "-b", "127.0.0.1:0", "-b", "[::1]:0") as m:
        assert re.search(r"\[INFO\] master: listening address=127\.0\.0\.1:\d+$", m.log, re.M)
        assert re.search(r"\[INFO\] master: listening address=\[::1\]:\d+$", m.log, re.M)
        ready = re.findall(r"master: worker ready slot=(\d) pid=(\d+) ", m.log)
        assert sorted(slot for slot, _ in ready) == ["0", "1"]
        assert {int(pid) for _, pid in ready} == set(m.workers())
        assert "\033" not in m.log


@pytest.mark.parametrize("no_color, coloured", [("", True), ("1", False)])
def test_colours_on_a_terminal_only(no_color, coloured):
    m = Master(env={"NO_COLOR": no_color})
    ours, theirs = pty.openpty()
    try:
        m.process = subprocess.Popen(
            m.args, env=m.env, cwd=m.dir, stdin=theirs, stdout=theirs, stderr=theirs
        )
        seen = b""
        while b"worker ready" not in seen:
            seen += os.read(ours, 65536)
        assert m.stop() == 0
        assert (b"\033[33m[" in seen) == coloured, seen
    finally:
        m.finish()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("options, title", [
    (["--name", "shop"], "shoal: master [shop]"),
    ([], "shoal: master [shop:app]"),
])
def test_the_title_ps_shows(options, title):
    with Master(*options) as m:
        assert wait_for(lambda: procfs.command(m.pid)).rstrip() == title
        assert Path(f"/proc/{m.pid}/comm").read_text() == "shoal\n"


def test_what_a_worker_inherits():
    with Master("-w", 2, "-b", "127.0.0.1:0", "-b", "127.0.0.2:0") as m:
        first, second = m.facts(0), m.facts(1)
        assert [f["slot"] for f in (first, second)] == [0, 1]
        assert first["epoch"] == 1 and first["workers"] == 2
        assert len(first["listeners"]) == 2 and first["listeners"][0].startswith("127.0.0.1:")
        assert first["python"] == PYTHON
        assert first["plugin"] == str(m.plugins / f"shoal-cp{python_tag()}.so")


def test_descriptors_of_a_worker_are_exactly_the_heritage():
    extra = os.open("/dev/null", os.O_RDONLY)
    try:
        with Master("-b", "127.0.0.1:0", "-b", "127.0.0.2:0", pass_fds=[extra]) as m:
            fds = procfs.descriptors(m.workers()[0])
            assert sorted(fds) == list(range(14)), fds
            assert fds[3].startswith("socket:") and "shoal-heritage" in fds[4]
            assert "shoal-seg" in fds[5] and fds[6] == "/dev/null"
            assert fds[7] == fds[2] == str(m.stderr)
            assert "shoal-board" in fds[8]
            assert "shoal-trace" in fds[9]
            assert "shoal-accounts" in fds[10] and fds[11] == "/dev/null"
            assert fds[12].startswith("socket:") and fds[13].startswith("socket:")
    finally:
        os.close(extra)


def test_the_masters_standard_descriptors_are_never_something_else():
    m = Master()
    try:
        m.launch(["sh", "-c", 'exec "$@" 0<&- 1>&-', "sh", *m.args])
        m.wait_log("worker ready")
        fds = procfs.descriptors(m.workers()[0])
        assert fds[0] == fds[1] == "/dev/null", fds
        assert m.stop() == 0
    finally:
        m.finish()


def test_signals_and_rights_of_a_worker_are_fresh():
    with Master() as m:
        status = m.status(m.workers()[0])
        assert int(status["SigBlk"], 16) == 0
        assert int(status["SigIgn"], 16) == 0
        assert status["NoNewPrivs"] == "1"


def test_environment_of_a_worker(tmp_path):
    env = {
        "NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1",
        "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x", "LD_BIND_NOW": "1",
        "LISTENING": "stays", "COLOUR": "red",
    }
    with Master("-e", "COLOUR=blue", "--env", "LD_LIBRARY_PATH=/there", env=env) as m:
        raw = Path(f"/proc/{m.workers()[0]}/environ").read_bytes().decode().split("\0")
        got = dict(item.split("=", 1) for item in raw if item)
        assert not set(got) & (set(env) - {"LISTENING", "COLOUR"}), got
        assert got["COLOUR"] == "blue" and got["LISTENING"] == "stays"
        assert got["LD_LIBRARY_PATH"] == "/there"
        assert raw.count("COLOUR=red") == 0


@pytest.mark.parametrize("options, umask", [([], 0o027), (["-m", "077"], 0o077)])
def test_umask_changes_when_asked_only(options, umask):
    with Master(*options, umask=0o027) as m:
        assert m.facts()["umask"] == umask


def test_check_config_loads_the_application_and_binds_nothing(tmp_path):
    m = Master("--check-config", "-w", "3", "--pid", tmp_path / "pid", "-b", "127.0.0.1:1")
    assert m.run() == 0, m.log
    assert "fine" in m.log and "listening" not in m.log
    assert m.log.count("worker ready") == 1 and not (tmp_path / "pid").exists()
    assert Master("--check-config", env={"FAKE_WORKER": "fail"}).run() == 3


def test_a_missing_worker_binary_is_named():
    m = Master()
    (m.shoal.parent / "shoal-worker").unlink()
    assert m.run() == 2
    assert "bin/shoal-worker, which belongs beside shoal: No such file" in m.log


@pytest.mark.parametrize("option", ["--user", "--group"])
def test_unknown_user_and_group(option):
    m = Master(option, "nobody-at-all")
    assert m.run() == 2
    assert f"{option} nobody-at-all: there is no such {option[2:]}" in m.log
