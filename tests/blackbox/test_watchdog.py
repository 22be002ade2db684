"""Requests past their deadline: answered, reported with their stack, interrupted; and stack
dumps on the master's signal.

SPDX-License-Identifier: MIT
"""

import os
import re
import signal
import threading
import time

import pytest
from raw_client import Closed, request
from shoal_harness import SLOW
from waiting import holds, wait_for

TRACE_SIGNAL = signal.SIGRTMIN + 4


@pytest.fixture
def overdue(server, record):
    def start(*options, timeout="0.5", grace="60", **named):
        srv = server(
            "overdue:application",
            *("--timeout", timeout, "--stuck-grace", grace, *options),
            env={"RECORD": str(record)},
            **named,
        )
        srv.record = record
        srv.allow_log("request timed out|request is stuck")
        return srv

    return start


def notes(srv, word):
    return [x for x in srv.record.read_text().splitlines() if x.split(" ")[0] == word]


def late_answer(srv, target, deadline=0.5):
    start = time.monotonic()
    answer = srv.ask(target, timeout=10)
    took = time.monotonic() - start
    assert answer.status == 504 and answer.closes
    assert deadline * 0.9 <= took <= (deadline + 1) * SLOW, f"after {took:.2f} s"
    return answer


def entry(srv, target):
    """The log entry of an overdue request: its lines."""

    def whole():
        lines = list(srv.lines)
        for i, line in enumerate(lines):
            if line == f"GET {target}" and "request timed out" in lines[i - 1]:
                end = next((j for j in range(i, len(lines)) if lines[j].startswith("[")), None)
                rest = lines[i : end or i + 40]
                return rest if any("in application" in x for x in rest) else None
        return None

    return wait_for(whole, 5 * SLOW, f"log entry of {target}")


class Neighbours:
    """Keeps asking for a quick page; remembers the slowest answer."""

    def __init__(self, srv):
        self.srv, self.stop, self.worst, self.count = srv, threading.Event(), 0.0, 0
        self.failed = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.stop.is_set():
                start = time.monotonic()
                assert self.srv.ask("/quick").body == b"done"
                self.worst = max(self.worst, time.monotonic() - start)
                self.count += 1
        except Exception as error:
            self.failed = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join(20)
        assert self.failed is None, self.failed
        assert self.count > 0


ONE, FOUR = ("--threads", "1"), ("--threads", "4")


@pytest.mark.parametrize(
    ("threads", "way", "function"),
    [
        (ONE, "spin", "spin_for_ever"),
        (ONE, "sleep", "sleep_long"),
        (ONE, "lock", "wait_for_lock"),
        (ONE, "socket", "read_socket"),
        (ONE, "select", "wait_in_select"),
        (ONE, "regex?n=40", "match_regex"),
        (FOUR, "spin", "spin_for_ever"),
        (FOUR, "catch", "spin_for_ever"),
    ],
)
def test_the_thread_serves_again(overdue, threads, way, function):
    """504 in time, the stack in the log, and as many requests as threads afterwards."""
    srv = overdue(*threads)
    sep = "&" if "?" in way else "?"
    n = int(threads[1])
    targets = [f"/{way}{sep}hook=1&id={i}" for i in range(n)]
    conns = [srv.connect() for _ in targets]
    for conn, target in zip(conns, targets, strict=True):
        conn.send(request(target))
    for conn in conns:
        assert conn.response().status == 504
    for target in targets:
        text = entry(srv, target)
        assert any(function in x for x in text[2:]), text
        assert re.match(r"after \d+\.\d s, in application thread \d, most recent", text[1])
    assert srv.ask("/quick", timeout=5 * SLOW).body == b"done"
    wait_for(lambda: len(notes(srv, "hook")) == n, what="post hooks")
    assert sorted(notes(srv, "hook")) == [f"hook {i} 504 timeout" for i in range(n)]
    assert notes(srv, "swallowed") == []
    assert "stuck" not in srv.log


def test_neighbours_do_not_notice(overdue):
    srv = overdue("--threads", "4")
    with Neighbours(srv) as neighbours:
        late_answer(srv, "/spin?id=a")
        late_answer(srv, "/spin?id=b")
    assert neighbours.worst < 0.5 * SLOW
    assert "spin_for_ever" in entry(srv, "/spin?id=a")[2]


def test_finally_runs_and_the_hook_sees_the_outcome(overdue):
    srv = overdue("--threads", "2")
    late_answer(srv, "/polite?id=p&hook=1")
    wait_for(lambda: notes(srv, "hook") == ["hook p 504 timeout"], what="hook")
    assert notes(srv, "cleaned") == ["cleaned p"]


def test_gil_held_by_c_code(overdue):
    """Nobody can run Python meanwhile; the answer and the stack come all the same."""
    srv = overdue("--threads", "4")
    srv.allow_log("timed out")
    late_answer(srv, "/gil?s=2")
    assert "hold_gil" in entry(srv, "/gil?s=2")[2]
    wait_for(lambda: srv.ask("/quick").status == 200, 9 * SLOW, "an answer")


@pytest.mark.parametrize("way", ["sleep", "lock"])
def test_what_cannot_be_interrupted_is_stuck(overdue, way):
    """A pool thread in a system call ends when the call does. The worker goes on."""
    srv = overdue("--threads", "2", grace="0.5")
    conns = [srv.connect() for _ in range(2)]
    for conn in conns:
        conn.send(request(f"/{way}?s=2.5"))
    for conn in conns:
        assert conn.response().status == 504
    # Thread 0, the main thread, is interrupted; the other one is not.
    srv.wait_log(r"request is stuck request=.GET /" + way)
    assert srv.ask("/quick").body == b"done"
    assert sum("request is stuck" in x for x in srv.lines) == 1


def test_an_exception_may_be_caught(overdue):
    """RequestTimeout is raised once; then the grace decides."""
    srv = overdue("--threads", "1", grace="0.4")
    late_answer(srv, "/stubborn?s=2")
    srv.wait_log("request is stuck")
    wait_for(lambda: srv.ask("/quick").status == 200, 9 * SLOW, "an answer")
    assert notes(srv, "caught") == ["caught RequestTimeout"]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_streams(overdue, threads):
    """After the head the connection is cut; close() and hooks run once."""
    srv = overdue("--threads", threads)
    conn = srv.connect()
    conn.send(request("/stream?way=spin&id=s&hook=1"))
    data = conn.read_all(timeout=5)
    assert b"item\n" in data and not data.endswith(b"0\r\n\r\n")
    wait_for(lambda: notes(srv, "hook") == ["hook s 200 timeout"], what="hook")
    assert notes(srv, "close") == ["close s"]
    assert srv.ask("/quick").body == b"done"


def test_close_that_hangs(overdue):
    srv = overdue("--threads", "2")
    srv.exchange(request("/stream?way=regex&n=1&slowclose=1&id=c&hook=1"))
    wait_for(lambda: notes(srv, "hook"), what="hook")
    assert notes(srv, "close") == ["close c"]


def test_a_stream_that_shows_signs_of_life_goes_on(overdue):
    srv = overdue("--threads", "1")
    assert srv.ask("/drip?every=0.2&items=8").body == b"drop\n" * 8


def test_deadline_bounds_a_stream(overdue):
    srv = overdue("--threads", "1")
    conn = srv.connect()
    start = time.monotonic()
    conn.send(request("/drip?every=0.2&items=100&deadline=1"))
    data = conn.read_all(timeout=10)
    assert data.count(b"drop\n") <= 9 * SLOW
    assert 0.9 < time.monotonic() - start < 2 * SLOW


def test_deadline_shortens_and_lengthens(overdue):
    srv = overdue("--threads", "2", timeout="1")
    late_answer(srv, "/spin?deadline=0.2", deadline=0.2)
    assert srv.ask("/sleep?s=1.6&deadline=5").body == b"done"
    assert srv.ask("/sleep?s=1.6&deadline=0").body == b"done"
    late_answer(srv, "/spin?id=default", deadline=1)


def test_deadline_without_a_timeout(overdue):
    srv = overdue("--threads", "1", timeout="0")
    late_answer(srv, "/spin?deadline=0.3", deadline=0.3)


def test_deadline_checks_its_argument(overdue):
    srv = overdue("--threads", "1")
    answer = srv.ask("/errors").body.decode().split()
    assert answer == [
        *("ValueError", "ValueError", "TypeError", "ok", "ok", "TypeError", "TypeError"),
        "OverflowError",
    ]
    assert srv.ask("/kept").body == b"done"
    assert srv.ask("/late").body == b"the request is over"


def test_client_that_left_does_not_keep_the_thread_busy(overdue):
    srv = overdue("--threads", "1")
    conn = srv.connect()
    conn.send(request("/spin?id=gone&hook=1&began=1"))
    wait_for(lambda: notes(srv, "began"), what="start of the request")
    conn.reset()
    entry(srv, "/spin?id=gone&hook=1&began=1")
    assert srv.ask("/quick").body == b"done"
    assert notes(srv, "hook") == ["hook gone 0 client_gone"]


def test_request_that_never_began(overdue):
    """All threads are taken: it is answered, and the application never sees it."""
    srv = overdue("--threads", "1", "--worker-connections", "10", timeout="0.6")
    first, second = srv.connect(), srv.connect()
    first.send(request("/stubborn?s=1.6"))
    second.send(request("/quick?id=second&hook=1"))
    assert first.response().status == 504
    assert second.response().status == 504
    srv.wait_log("waiting for an application thread")
    wait_for(lambda: srv.ask("/quick").status == 200, 9 * SLOW, "an answer")
    assert notes(srv, "hook") == []


def status(srv, target):
    """None: the application had begun to answer when its time was over."""
    try:
        return srv.ask(target, timeout=10).status
    except Closed:
        return None


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_next_request_is_never_hit(overdue, threads):
    """Requests that end about when they are interrupted, each followed by others."""
    srv = overdue("--threads", threads, timeout="30")
    answers = []

    def stress(k):
        for i in range(50):
            # The server looks five times a second.
            seconds = 0.02 + (i * 7 + k) % 40 * 0.005
            answers.append(status(srv, f"/edge?s={seconds}&deadline=0.01&id={k}.{i}"))
            answers.append(status(srv, "/victim?s=0.003"))

    runs = [threading.Thread(target=stress, args=(k,)) for k in range(2 * int(threads))]
    for t in runs:
        t.start()
    for t in runs:
        t.join(120 * SLOW)
    assert len(answers) == 200 * int(threads)
    assert set(answers) <= {200, 504, None}
    assert answers.count(504) > 20 > answers.count(None)
    assert notes(srv, "stray") == []
    assert notes(srv, "edge")


# ---- Green threads ----


@pytest.fixture(params=["eventlet", "gevent"])
def library(request, green_library):
    return green_library(request.param)


def test_greenlets_that_wait(overdue, library):
    srv = overdue("-k", library)
    conns = [srv.connect() for _ in range(50)]
    for i, conn in enumerate(conns):
        conn.send(request(f"/{('sleep', 'lock')[i % 2]}?id={i}&hook=1"))
    for conn in conns:
        assert conn.response().status == 504
    wait_for(lambda: len(notes(srv, "hook")) == 50, 10 * SLOW, "hooks")
    assert set(x.split(" ", 2)[2] for x in notes(srv, "hook")) == {"504 timeout"}
    assert any("sleep_long" in x for x in entry(srv, "/sleep?id=0&hook=1"))
    assert srv.ask("/quick").body == b"done"
    assert "stuck" not in srv.log


def test_greenlet_that_blocks_the_hub(overdue, library):
    srv = overdue("-k", library)
    waiting = srv.connect()
    waiting.send(request("/sleep?s=1.2&deadline=9"))
    late_answer(srv, "/spin?hook=1&id=x")
    assert "spin_for_ever" in entry(srv, "/spin?hook=1&id=x")[2]
    assert waiting.response().body == b"done"
    assert notes(srv, "hook") == ["hook x 504 timeout"]


def test_greenlets_never_hit_another(overdue, library):
    srv = overdue("-k", library, timeout="30")
    conns = []
    for i in range(200):
        conn = srv.connect()
        target = "/edge?s=0.002&deadline=0.05" if i % 2 else "/victim?s=0.002"
        conns.append(conn.send(request(target)))
    assert {conn.response(timeout=20).status for conn in conns} <= {200, 504}
    assert notes(srv, "stray") == []


# ---- Stack dumps for the master ----


def trace(pid):
    """What the master does: truncate, signal, wait until the dump is complete."""
    path = f"/proc/{pid}/fd/9"
    os.truncate(path, 0)
    os.kill(pid, TRACE_SIGNAL)

    def complete():
        with open(path, encoding="utf-8") as f:
            text = f.read()
        return text if "(most recent call first)" in text else None

    return wait_for(complete, 5 * SLOW, "stack dump")


@pytest.mark.parametrize(
    ("way", "function"),
    [("spin", "spin_for_ever"), ("sleep", "sleep_long"), ("regex", "match_regex")],
)
def test_trace_signal(overdue, way, function):
    srv = overdue("--threads", "3", timeout="0")
    conn = srv.connect()
    conn.send(request(f"/{way}?s=2&n=25&deadline=3"))

    def all_threads():
        text = trace(srv.worker)
        return function in text and text.count("most recent call first") >= 3

    wait_for(all_threads, 3 * SLOW, f"{function} in a dump of all threads")
    assert conn.response(timeout=9).status in (200, 504)


def test_many_traces_under_load(overdue):
    """Reading the stacks of threads that run could crash the worker."""
    srv = overdue("--threads", "4", timeout="30")
    pid = srv.worker
    with Neighbours(srv), Neighbours(srv), Neighbours(srv):

        def ask():
            os.kill(pid, TRACE_SIGNAL)
            return False

        assert holds(lambda: not ask(), 3)
    assert srv.worker == pid


def test_threads_that_take_the_trace_signal(overdue):
    """Only the server's own threads block it."""
    srv = overdue("--threads", "3")
    bit = 1 << (TRACE_SIGNAL - 1)
    for task in os.listdir(f"/proc/{srv.worker}/task"):
        with open(f"/proc/{srv.worker}/task/{task}/status", encoding="utf-8") as f:
            status = f.read()
        name = re.search(r"Name:\s*(\S+)", status)[1]
        blocked = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16) & bit
        assert bool(blocked) == (name in ("shoal-io", "shoal-log", "shoal-gil", "shoal-watchdog"))
