"""Slow and large clients, and slow applications, against small limits.

SPDX-License-Identifier: MIT
"""

import time

import pytest
from raw_client import request
from shoal_harness import SLOW
from waiting import wait_for

POST = "POST /sink HTTP/1.1\r\nHost: t\r\n"


def elapsed(call):
    start = time.monotonic()
    value = call()
    return value, time.monotonic() - start


def within(seconds, low, high):
    assert low <= seconds <= high * SLOW, f"after {seconds:.2f} s"


def test_head_timeout_counts_the_whole_head(server):
    """One byte now and then does not prolong it: 408."""
    srv = server("zoo:application", "--head-timeout", "0.5")
    conn = srv.connect()
    start = time.monotonic()
    for byte in "GET /hello HTTP/1.1\r\nHost: t\r\nX: 123456789":
        if time.monotonic() - start > 2 * SLOW or not conn.quiet(0.05):
            break
        conn.send(byte)
    answer = conn.response()
    within(time.monotonic() - start, 0.4, 1.6)
    assert answer.status == 408 and answer.closes
    conn.send_eof()
    assert conn.at_eof()
    assert srv.ask("/hello").body == b"hello"


def test_silent_client_is_dropped_after_the_head_timeout(server):
    srv = server("zoo:application", "--head-timeout", "0.3")
    data, seconds = elapsed(srv.connect().read_all)
    within(seconds, 0.25, 1.5)
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")


def test_body_timeout(server):
    srv = server("zoo:application", "--body-timeout", "0.4")
    srv.allow_log("sink|body|OSError|Traceback")
    for fields in ("Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\n"):
        conn = srv.connect()
        conn.send(POST + fields)
        answer, seconds = elapsed(lambda conn=conn: conn.response("POST"))
        within(seconds, 0.3, 1.6)
        assert answer.status == 408 and answer.closes


def test_body_that_keeps_moving_is_not_timed_out(server):
    srv = server("zoo:application", "--body-timeout", "0.5")
    conn = srv.connect()
    conn.send(POST + "Content-Length: 8\r\n\r\n")
    for _ in range(8):
        assert conn.quiet(0.15)
        conn.send(b"x")
    assert conn.response("POST").body.startswith(b"8 ")


def test_body_minimum_rate(server):
    srv = server("zoo:application", "--body-timeout", "5", "--body-min-rate", "1000")
    srv.allow_log("sink|body|OSError")
    conn = srv.connect()
    conn.send(POST + "Content-Length: 100000\r\n\r\n")
    start = time.monotonic()
    while conn.quiet(0.1) and time.monotonic() - start < 8 * SLOW:
        conn.send(b"x")
    assert conn.response("POST").status == 408
    within(time.monotonic() - start, 0, 7)


def test_idle_keep_alive_is_closed_silently(server):
    srv = server("zoo:application", "--keep-alive", "0.4")
    conn = srv.connect()
    assert conn.ask("/hello").status == 200
    silent, seconds = elapsed(conn.at_eof)
    assert silent
    within(seconds, 0.3, 1.6)


def test_keep_alive_zero_closes_each(server):
    srv = server("zoo:application", "--keep-alive", "0")
    conn = srv.connect()
    assert conn.ask("/hello").closes
    assert conn.at_eof()


def test_client_that_takes_nothing_is_dropped(server, record):
    srv = server(
        "zoo:application", "--write-timeout", "0.5", env={"RECORD": str(record)}
    )
    conn = srv.connect(rcvbuf=4096)
    conn.send(request("/hooked?id=stuck&size=20000000"))
    wait_for(lambda: "hook stuck" in record.read_text(), 6 * SLOW, "hook of the request")
    with pytest.raises((ConnectionError, AssertionError)):
        assert len(conn.read_all()) > 20000000
    assert srv.ask("/hello").body == b"hello"


def test_application_timeout_is_504(server):
    srv = server("zoo:application", "--timeout", "0.5", "--threads", "2")
    srv.allow_log("timeout|timed out|/wait|deadline")
    answer, seconds = elapsed(lambda: srv.ask("/wait?ms=2000"))
    assert answer.status == 504 and answer.closes
    within(seconds, 0.4, 1.6)
    assert srv.ask("/hello").body == b"hello"


# ---- limits ----


def test_body_limit(server):
    srv = server("zoo:application", "--body-max", "1000")
    assert srv.ask("/sink", "POST", body=b"x" * 1000).status == 200
    answer = srv.ask("/sink", "POST", body=b"x" * 1001)
    assert answer.status == 413 and answer.closes
    chunks = POST + "Transfer-Encoding: chunked\r\n\r\n"
    conn = srv.connect()
    conn.send(chunks + "320\r\n" + "x" * 800 + "\r\n320\r\n" + "x" * 800 + "\r\n0\r\n\r\n")
    assert conn.response("POST").status == 413
    conn.send_eof()
    assert conn.at_eof()


def test_100_continue_is_refused_before_the_body(server):
    srv = server("zoo:application", "--body-max", "1000")
    conn = srv.connect()
    conn.send(POST + "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    answer = conn.response("POST")
    assert answer.status == 413 and answer.interim == []


def test_line_and_field_limits(server):
    srv = server(
        "zoo:application",
        *("--limit-request-line", "100", "--limit-request-fields", "5"),
        *("--limit-request-field_size", "200"),
    )
    assert srv.ask("/hello?" + "a" * 70).status == 200
    assert srv.ask("/hello?" + "a" * 100).status == 414
    fields = [(f"X{i}", "1") for i in range(3)]
    assert srv.ask("/hello", headers=fields).status == 200
    assert srv.ask("/hello", headers=[*fields, ("Y", "1")]).status == 431
    assert srv.ask("/hello", headers=[("X", "v" * 150)]).status == 200
    assert srv.ask("/hello", headers=[("X", "v" * 250)]).status == 431


def test_head_limit(server):
    srv = server("zoo:application", "--limit-request-head", "2048")
    fields = [(f"X{i}", "v" * 400) for i in range(6)]
    assert srv.ask("/hello", headers=fields[:3]).status == 200
    assert srv.ask("/hello", headers=fields).status == 431


def test_worker_connections(server):
    """Over the limit clients wait in the listen queue; idle ones do not block it."""
    srv = server("zoo:application", "--worker-connections", "4", "--keep-alive", "60")
    held = [srv.connect() for _ in range(4)]
    for conn in held:
        assert conn.ask("/hello").status == 200
    late = srv.connect()
    late.send(request("/hello"))
    if late.quiet(0.2):
        held[0].close()
    assert late.response(timeout=5 * SLOW).body == b"hello"


def test_max_http_version(server):
    srv = server("zoo:application", "--max-http-version", "1.0")
    conn = srv.connect()
    answer = conn.send(request("/big?kind=gen&size=1000")).response()
    assert answer.framing == "close" and len(answer.body) == 1000
