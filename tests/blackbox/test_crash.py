"""What a worker leaves behind that a fatal signal ends: the place it was at.

SPDX-License-Identifier: MIT
"""

import contextlib
import ctypes
import os
import re
from pathlib import Path

import pytest
from control_client import Control, call
from master_harness import Master
from shoal_harness import APPS, SANITIZED, SLOW, server_environment
from waiting import wait_for

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000

# A sanitizer's runtime has to be first in the process, which exec of python rules out.
LAUNCHES = ["embed"] if SANITIZED else ["embed", "exec"]


def line_of(text, name="zoo.py"):
    lines = (Path(APPS) / name).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.strip() == text)


DEATHS = {
    "segv": ("SIGSEGV", "ctypes.string_at(0)"),
    "abort": ("SIGABRT", "os.abort()"),
}


@pytest.fixture
def mortal(server, tmp_path):
    """A server whose workers may die, and its control socket."""

    def start(*options, app="zoo:application", env=None, **named):
        path = tmp_path / "control.sock"
        if SANITIZED:
            # Its handler, to which faulthandler passes the signal on, would exit(1).
            asan = server_environment()["ASAN_OPTIONS"] + ":handle_segv=0"
            env = {"ASAN_OPTIONS": asan} | (env or {})
        srv = server(app, "--control-socket", path, *options, env=env, **named)
        srv.expect_log("worker died").allow_log("request lost")
        srv.crashes = True
        srv.control = path
        return srv

    return start


def kill_by(srv, target):
    with srv.connect() as conn:
        conn.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n")
        assert conn.gone()


def crashes(srv, n=1):
    def enough():
        found = call(srv.control, "workers.get", slot=0)["crashes"]
        return found if len(found) >= n else None

    return wait_for(enough, 10 * SLOW, "a crash record")


def exits(srv):
    with Control(srv.control) as control:
        events = control.call("events.history", types=["worker.exit"])["events"]
    return [x["data"] for x in events]


def places(stack):
    return [(os.path.basename(x["file"]), x["line"], x["function"]) for x in stack]


@pytest.mark.parametrize("launch", LAUNCHES)
@pytest.mark.parametrize("preload", ["on", "off"])
@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_fatal_signal_leaves_its_place(mortal, record, launch, preload, how, threads):
    signal, statement = DEATHS[how]
    here = ("zoo.py", line_of(statement), "die")
    srv = mortal("--python-launch", launch, f"--preload={preload}", "--threads", threads,
                 env={"RECORD": str(record)})
    kill_by(srv, f"/die?how={how}")
    crash = crashes(srv)[0]
    assert crash["cause"].split()[0] == f"signal={signal}"
    assert crash["requests"][0]["path"] == "/die"
    assert crash["threads"][0]["current"] is True
    assert here in places(crash["threads"][0]["stack"])
    (event,) = exits(srv)
    assert here in places(event["stack"]) and "threads" not in event
    srv.wait_log("worker died with this Python stack")
    srv.wait_log(rf'zoo.py", line {here[1]} in die')
    at = next(i for i, x in enumerate(srv.lines) if "worker died with this Python stack" in x)
    assert srv.lines[at + 1] == f"slot=0 pid={crash['pid']} {crash['cause']}"
    text = "\n".join(srv.lines[at + 2 :])
    assert re.search(rf'zoo.py", line {here[1]} in die$', text, re.M), text
    # The next one of the same mold has a place of its own to write to.
    wait_for(lambda: srv.ask("/hello").body == b"hello", 10 * SLOW, "the next worker")
    kill_by(srv, f"/die?how={how}")
    again = crashes(srv, 2)
    assert [x["pid"] for x in again] == [again[0]["pid"], crash["pid"]]
    for x in again:
        assert here in places(x["threads"][0]["stack"])


def test_an_application_may_keep_its_stacks(mortal, record):
    """faulthandler turned on by the operator writes where it always did."""
    srv = mortal("--preload=off", env={"RECORD": str(record), "PYTHONFAULTHANDLER": "1"})
    kill_by(srv, "/die?how=abort")
    assert crashes(srv)[0]["threads"] == []
    assert "stack" not in exits(srv)[0]
    srv.wait_log(r"^Fatal Python error: Aborted")


def test_children_of_the_application_are_not_the_worker(server, record):
    srv = server("zoo:application", env={"RECORD": str(record)})
    srv.crashes = True
    assert srv.ask("/die?how=child").body != b"0"
    assert os.stat(f"/proc/{srv.worker}/fd/9").st_size == 0


def test_a_kill_leaves_no_place(mortal):
    srv = mortal()
    os.kill(srv.worker, 9)
    assert crashes(srv)[0]["threads"] == []
    assert "Python stack" not in srv.log


def test_any_bytes_of_an_overdue_request_are_in_the_event(tmp_path):
    """Half a character at the end of a cut text is no reason to say nothing."""
    path = tmp_path / "c.sock"
    env = {"FAKE_WORKER": "overdue"}
    with Master("--control-socket", path, env=env), Control(path) as control:
        control.call("events.subscribe", types=["worker.overdue"], since_seq=0)
        data = control.until_event("worker.overdue")["data"]
    assert data["slot"] == 0
    assert data["text"] == 'GET /caf\\xe9?\\xff\\x1b[2J\nin "here"\n\tline'


def thread_named(pid, name):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"no thread {name}")


@contextlib.contextmanager
def held(tid):
    """One thread stands still as if the kernel did not let it go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, tid, None, None) < 0:
            pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


def test_stacks_come_although_the_io_thread_hangs(server, tmp_path, record):
    path = tmp_path / "c.sock"
    srv = server("overdue:application", "--control-socket", path, "--timeout", "0",
                 env={"RECORD": str(record)})
    with srv.connect() as conn:
        conn.send(b"GET /sleep?s=4 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for(lambda: call(path, "requests.inflight")["requests"], what="the request")
        with held(thread_named(srv.worker, "shoal-io")):
            threads = call(path, "workers.trace", slot=0)["threads"]
        functions = [x["function"] for thread in threads for x in thread["stack"]]
        assert "sleep_long" in functions
        assert conn.response(timeout=10 * SLOW).status == 200


def test_only_deaths_nobody_asked_for_are_crashes(mortal):
    """A recycled worker ends without a record; one that dies again and again is told of."""
    srv = mortal()
    first = srv.worker
    call(srv.control, "workers.recycle", slots=[0])
    (event,) = wait_for(lambda: exits(srv), 20 * SLOW, "the exit")
    assert (event["pid"], event["expected"], event["cause"]) == (first, True, "status=0")
    assert "requests" not in event
    assert call(srv.control, "workers.get", slot=0)["crashes"] == []
    os.kill(call(srv.control, "workers.get", slot=0)["pid"], 9)
    (crash,) = crashes(srv)
    assert crash["cause"] == "signal=SIGKILL"
    assert [(x["pid"], x["expected"]) for x in exits(srv)][1:] == [(crash["pid"], False)]
