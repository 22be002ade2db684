"""What a worker leaves behind that a fatal signal ends: the place it was at.

SPDX-License-Identifier: MIT
"""

import os
import re
from pathlib import Path

import pytest
from control_client import Control, call
from master_harness import Master
from shoal_harness import APPS, SANITIZED, SLOW
from waiting import wait_for

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

    def start(*options, app="zoo:application", **named):
        path = tmp_path / "control.sock"
        srv = server(app, "--control-socket", path, *options, **named)
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
