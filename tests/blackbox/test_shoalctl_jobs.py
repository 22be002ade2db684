"""shoalctl follows a job to its end, whatever happens to the connection meanwhile.

SPDX-License-Identifier: MIT
"""

import json
import re
import signal
import subprocess
import threading

import pytest
from fake_ctl import Refused
from shoal_harness import SLOW
from shoalctl_harness import FAILED, JOB, OK, RUNNING, SHOALCTL

TRACE = "Traceback (most recent call last):\n  File \"shop.py\", line 3\nImportError: no\033[2J x\n"


class Reload:
    """reload.start, jobs.wait and what happens between them."""

    def __init__(self, end, steps=(), job="r-18"):
        self.end = {**JOB, "job": job, **end}
        self.steps = steps
        self.tokens = []

    def methods(self):
        return {
            "events.subscribe": {"sub": 1, "seq": 0, "state": {}},
            "reload.start": self.start,
            "jobs.wait": self.wait,
            "jobs.get": lambda session, params: {**self.end, "state": "booting"},
        }

    def start(self, session, params):
        self.tokens.append(params.get("token"))
        return {**JOB, "state": "queued"}

    def wait(self, session, params):
        for seq, step in enumerate(self.steps, 1):
            if "slot" in step:
                session.event(seq, "worker.ready", step)
            else:
                session.event(seq, "reload.step", {**JOB, **step})
        return self.end


STEPS = [
    {"state": "queued"},
    {"state": "preflight", "progress": {"done": 0, "total": 2}},
    {"slot": 0, "pid": 9123, "generation": 43},
    {"state": "booting", "progress": {"done": 1, "total": 2}},
    {"state": "booting", "progress": {"done": 1, "total": 2}},
    {"job": "r-99", "state": "soaking"},
    {"state": "draining"},
]
DONE = {"state": "done", "started": 100.0, "ended": 106.1}
BROKEN = {"state": "failed", "stage": "import", "why": "no x", "traceback": TRACE}


def test_reload(fake):
    server = fake(Reload(DONE, STEPS).methods())
    done = server.run("reload")
    assert done.returncode == OK, done.stderr
    lines = [re.sub(r"^ +[0-9.]+s  ", "", line).strip() for line in done.stdout.splitlines()]
    assert lines == [
        "reload r-18: generation 42 -> 43",
        "preflight",
        "worker 0 ready: pid 9123, generation 43",
        "booting 1/2",
        "draining",
        "done in 6.1s: generation 43 serves",
    ]


def test_reload_fails(fake):
    server = fake(Reload(BROKEN, STEPS[:1]).methods())
    done = server.run("reload")
    assert done.returncode == FAILED
    assert "reload r-18: failed at import: no x" in done.stderr
    assert 'File "shop.py", line 3\nImportError: no\\x1b[2J x\n' in done.stderr
    assert "generation 42 serves on" in done.stderr


def test_reload_is_rolled_back(fake):
    end = {"state": "rolled_back", "stage": "soak", "why": "12 of 100 answers were errors"}
    done = fake(Reload(end).methods()).run("--quiet", "reload")
    assert done.returncode == FAILED
    assert done.stdout == ""
    assert "rolled_back at soak: 12 of 100" in done.stderr


def test_reload_as_json(fake):
    server = fake(Reload(BROKEN, STEPS).methods())
    done = server.run("--json", "reload")
    assert done.returncode == FAILED
    assert json.loads(done.stdout)["traceback"] == TRACE
    done = server.run("--jsonl", "reload")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("seq") for line in lines] == [1, 2, 3, 4, 5, 7, None]
    assert lines[-1]["state"] == "failed"


def test_request_is_repeated_with_its_token(fake):
    """The connection breaks before the answer: the same token makes it the same job."""
    reload = Reload(DONE)
    server = fake({})

    def start_once(session, params):
        if len(reload.tokens) == 0:
            reload.start(session, params)
            server.drop()
            return None
        return reload.start(session, params)

    server.methods |= reload.methods() | {"reload.start": start_once}
    done = server.run("reload")
    assert done.returncode == OK, done.stderr
    assert len(reload.tokens) == 2
    assert reload.tokens[0] == reload.tokens[1]
    assert len(reload.tokens[0]) == 32


def test_master_is_away_for_a_moment(fake):
    """As when it upgrades itself in place: the socket goes, and comes back."""
    reload = Reload(DONE, STEPS)
    server = fake({})
    waits = []

    def wait(session, params):
        waits.append(params)
        if len(waits) > 1:
            return reload.wait(session, params)
        for seq, step in enumerate(STEPS[:2] + STEPS[3:4], 1):
            session.event(seq, "reload.step", {**JOB, **step})
        server.close()
        server.open()
        return None

    server.methods |= reload.methods() | {
        "server.upgrade": reload.start,
        "jobs.wait": wait,
    }
    done = server.run("upgrade")
    assert done.returncode == OK, done.stderr
    assert len(waits) == 2
    assert server.called("events.subscribe")[1]["since_seq"] == 3
    # What was seen before is not printed twice.
    assert done.stdout.count("preflight") == 1
    assert done.stdout.count("draining") == 1


def test_job_is_not_over_in_time(fake):
    reload = Reload(DONE)
    server = fake(reload.methods() | {"jobs.wait": lambda session, params: None})
    done = server.run("--timeout", "0.4", "reload")
    assert done.returncode == RUNNING
    assert "shoalctl wait r-18" in done.stderr


def test_wait_is_asked_again(fake):
    waits = []

    def wait(session, params):
        waits.append(params)
        if len(waits) < 3:
            raise Refused(-32004, "timeout", "not yet", job="r-18")
        return {**JOB, **DONE}

    server = fake(Reload(DONE).methods() | {"jobs.wait": wait})
    assert server.run("wait", "r-18").returncode == OK
    assert len(waits) == 3


def test_stop_is_over_when_nobody_listens(fake):
    server = fake({})

    def wait(session, params):
        server.close()

    server.methods |= {
        "events.subscribe": {"sub": 1, "seq": 0, "state": {}},
        "server.stop": {"job": "x-1", "kind": "stop", "state": "draining"},
        "jobs.wait": wait,
    }
    done = server.run("stop")
    assert done.returncode == OK, done.stderr
    assert done.stdout.splitlines()[-1] == "stopped"


@pytest.mark.parametrize("as_job", [False, True])
def test_check(fake, as_job):
    """The answer may be the outcome, or a job that ends with it."""
    outcome = {"ok": False, "stage": "import",
               "exception": {"message": "no x", "traceback": TRACE}}  # fmt: skip
    job = Reload({**BROKEN, "kind": "check"}, job="k-3")
    answer = {"job": "k-3", "kind": "check", "state": "preflight"} if as_job else outcome
    done = fake(job.methods() | {"reload.check": answer}).run("reload", "--check")
    assert done.returncode == FAILED
    assert "import: no x" in done.stderr
    assert "ImportError: no\\x1b[2J x" in done.stderr
    good = {"reload.check": {"ok": True}}
    assert fake(good).run("reload", "--check").returncode == OK


def test_interrupted(fake):
    waiting = threading.Event()

    def wait(session, params):
        waiting.set()

    server = fake(Reload(DONE).methods() | {"jobs.wait": wait})
    client = subprocess.Popen(
        [SHOALCTL, "-s", server.path, "reload"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.wait(10 * SLOW)
    client.send_signal(signal.SIGINT)
    _, stderr = client.communicate(timeout=10 * SLOW)
    assert client.returncode == RUNNING
    assert "the job goes on: shoalctl wait r-18" in stderr
