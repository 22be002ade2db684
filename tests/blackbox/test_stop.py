"""How a server ends, seen from its clients: the five states of a connection.

SPDX-License-Identifier: MIT
"""

import os
import signal
import time

import procfs
import pytest
from raw_client import request
from shoal_harness import SLOW
from waiting import wait_for


@pytest.fixture
def zoo(server, record):
    srv = server("zoo:application", env={"RECORD": str(record)})
    srv.record = record
    return srv


def noted(srv, word):
    wait_for(lambda: word in srv.record.read_text(), what=f"{word} in the record")


def finish(srv, timeout=10):
    assert srv.wait_exit(timeout) == 0
    srv.check_after_exit()


def stopping(srv):
    """The stop has reached the worker: the listening socket is given up or drained."""
    srv.signal(signal.SIGTERM)


def test_idle_connection_is_closed(zoo):
    conn = zoo.connect()
    conn.ask("/hello")
    start = time.monotonic()
    stopping(zoo)
    assert conn.at_eof()
    finish(zoo)
    assert time.monotonic() - start < 3 * SLOW


def test_request_in_hand_is_answered(zoo, tmp_path):
    gate = tmp_path / "gate"
    conn = zoo.connect().send(request(f"/hold?id=a&file={gate}"))
    noted(zoo, "held a")
    stopping(zoo)
    assert conn.quiet(0.3)
    gate.touch()
    answer = conn.response()
    assert answer.body == b"released" and answer.closes
    assert conn.at_eof()
    finish(zoo)


def test_streaming_answer_is_finished(zoo, tmp_path):
    gate = tmp_path / "gate"
    conn = zoo.connect().send(request(f"/stream?id=a&n=1000&file={gate}"))
    noted(zoo, "streaming a")
    stopping(zoo)
    gate.touch()
    answer = conn.response()
    assert answer.body.endswith(b"item 999\n")
    assert conn.at_eof()
    finish(zoo)


def test_large_answer_under_way_is_finished(zoo):
    conn = zoo.connect(rcvbuf=8192).send(request("/big?kind=bytes&size=10000000"))
    head = conn.read_exact(1000)
    stopping(zoo)
    conn.buf[:0] = head
    assert len(conn.response(timeout=20 * SLOW).body) == 10000000
    finish(zoo, 20)


def test_half_received_head_may_finish(zoo):
    conn = zoo.connect().send("GET /hello HTTP/1.1\r\nHo")
    zoo.ask("/hello")
    stopping(zoo)
    assert conn.quiet(0.2)
    answer = conn.send("st: t\r\n\r\n").response()
    assert answer.body == b"hello" and answer.closes
    finish(zoo)


def test_half_received_body_may_finish(zoo):
    conn = zoo.connect()
    conn.send("POST /sink HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello")
    zoo.ask("/hello")
    stopping(zoo)
    assert conn.quiet(0.2)
    answer = conn.send("world").response("POST")
    assert answer.body.startswith(b"10 ") and answer.closes
    finish(zoo)


def test_connections_in_the_accept_queue_are_served(zoo, tmp_path):
    """The worker is busy and accepts no more; those who wait are not reset."""
    gate = tmp_path / "gate"
    busy = zoo.connect().send(request(f"/hold?id=a&file={gate}"))
    noted(zoo, "held a")
    waiting = [zoo.connect().send(request("/hello")) for _ in range(30)]
    stopping(zoo)
    assert busy.quiet(0.1)
    gate.touch()
    assert busy.response().body == b"released"
    for conn in waiting:
        assert conn.response().body == b"hello"
    finish(zoo)


def test_new_connections_are_refused_once_it_is_over(zoo):
    stopping(zoo)
    finish(zoo)
    with pytest.raises(ConnectionRefusedError):
        zoo.socket()


def test_graceful_time_bounds_the_wait(server, record, tmp_path):
    srv = server(
        *("zoo:application", "--graceful-timeout", "0.5"), env={"RECORD": str(record)}
    )
    srv.allow_log("graceful|stop|/hold|kill|died|lost")
    srv.record = record
    conn = srv.connect().send(request(f"/hold?id=a&file={tmp_path}/never"))
    noted(srv, "held a")
    start = time.monotonic()
    stopping(srv)
    assert conn.gone()
    srv.wait_exit(10)
    assert 0.4 <= time.monotonic() - start < 5 * SLOW
    srv.check_after_exit()


def test_int_is_graceful_as_well(zoo, tmp_path):
    gate = tmp_path / "gate"
    conn = zoo.connect().send(request(f"/hold?id=a&file={gate}"))
    noted(zoo, "held a")
    zoo.signal(signal.SIGINT)
    assert conn.quiet(0.1)
    gate.touch()
    assert conn.response().body == b"released"
    finish(zoo)


def test_quit_is_at_once(zoo, tmp_path):
    conn = zoo.connect().send(request(f"/hold?id=a&file={tmp_path}/never"))
    noted(zoo, "held a")
    start = time.monotonic()
    zoo.signal(signal.SIGQUIT)
    zoo.allow_log("quit|QUIT|/hold")
    finish(zoo)
    assert time.monotonic() - start < 2 * SLOW
    assert conn.gone()


def test_kill_9_of_the_master_ends_the_workers(server):
    srv = server("zoo:application", workers=2)
    workers = srv.worker_pids()
    assert len(workers) == 2
    os.kill(srv.pid, signal.SIGKILL)
    srv.process.wait(5)
    wait_for(
        lambda: not any(procfs.alive(p) for p in workers), 10 * SLOW, "end of workers"
    )
    srv.stopped = True
    with pytest.raises(ConnectionRefusedError):
        srv.socket()


def test_posthooks_run_before_the_end(zoo, tmp_path):
    gate = tmp_path / "gate"
    conn = zoo.connect().send(request(f"/hooked?id=last&file={gate}"))
    noted(zoo, "app last")
    stopping(zoo)
    gate.touch()
    assert conn.response().status == 200
    finish(zoo)
    assert "hook last" in zoo.record.read_text()


def test_stop_under_load_resets_nothing(server):
    """Clients that ask until the end: whole answers, then an orderly end or refusal."""
    srv = server("zoo:application", workers=2)
    conns = [srv.connect() for _ in range(40)]
    answered = 0
    for conn in conns:
        conn.send(request("/hello"))
    srv.signal(signal.SIGTERM)
    for conn in conns:
        assert conn.response().body == b"hello"
        answered += 1
        assert conn.at_eof()
    assert answered == 40
    finish(srv)
