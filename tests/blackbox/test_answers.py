"""Expect: 100-continue, and what answers look like on the wire.

SPDX-License-Identifier: MIT
"""

import email.utils
import json
import socket
import time

import pytest
from raw_client import BadAnswer, Closed, Conn, request
from waiting import holds


@pytest.fixture(scope="module")
def echo(module_server):
    return module_server("echo:application")


@pytest.fixture(scope="module")
def zoo(module_server):
    return module_server("zoo:application")


# ---- Expect ----

EXPECT = [("Expect", "100-continue")]


def expecting(target, n, version="1.1"):
    return request(
        target, "POST", [*EXPECT, ("Content-Length", n), ("Host", "t")], version=version
    )


def test_100_is_sent_once_and_only_before_the_body(zoo):
    with zoo.connect() as conn:
        conn.send(expecting("/sink", 10))
        assert conn.read_line() == b"HTTP/1.1 100 Continue"
        while conn.read_line():
            pass
        conn.send(b"hello")
        assert conn.quiet(0.05)
        answer = conn.send(b"world").response("POST")
        assert answer.interim == [] and answer.body.startswith(b"10 ")
        assert conn.ask("/hello").body == b"hello"


def test_no_100_when_the_body_is_there_already(zoo):
    with zoo.connect() as conn:
        answer = conn.send(expecting("/sink", 5) + b"hello").response("POST")
        assert answer.interim == [] and answer.body.startswith(b"5 ")


def test_no_100_for_1_0(zoo):
    with zoo.connect() as conn:
        conn.send(expecting("/sink", 5, "1.0"))
        assert conn.quiet(0.1)
        answer = conn.send(b"hello").response("POST")
        assert answer.interim == [] and answer.body.startswith(b"5 ")


def test_no_100_for_an_empty_body(zoo):
    with zoo.connect() as conn:
        answer = conn.send(expecting("/sink", 0)).response("POST")
        assert answer.interim == [] and answer.body.startswith(b"0 ")


def test_no_100_when_the_application_does_not_read(zoo):
    with zoo.connect() as conn:
        answer = conn.send(expecting("/noread", 5)).response("POST")
        assert answer.interim == []
        assert answer.body == b"not read"
        assert answer.closes and conn.at_eof()


# ---- answers ----


def test_date_and_server(zoo):
    answer = zoo.ask("/hello")
    date = answer.get("Date")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 5
    assert date.endswith(" GMT")
    assert answer.get("Server")


def test_own_date_server_and_case_are_kept(zoo):
    answer = zoo.ask("/own_headers")
    assert answer.get("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert answer.get("Server") == "mine"
    assert (b"X-MiXed", b"as is") in answer.headers


def test_sized_result_gets_its_length(zoo):
    answer = zoo.ask("/big?size=1000&kind=list")
    assert (answer.framing, len(answer.body)) == ("length", 1000)


def test_application_can_close(zoo):
    with zoo.connect() as conn:
        assert conn.ask("/close_header").closes
        assert conn.at_eof()


def test_write_callable_mixes_with_iteration(zoo):
    assert zoo.ask("/write").body == b"by write\nby iteration\n"


def test_items_leave_as_they_are_yielded(zoo, tmp_path):
    gate = tmp_path / "gate"
    with zoo.connect() as conn:
        conn.send(request(f"/stream?file={gate}&n=2"))
        head = conn._until(b"\r\n\r\n")
        assert b"chunked" in head.lower()
        assert conn.read_exact(11) == b"6\r\nfirst\n\r\n"
        assert holds(lambda: not conn.buf, 0.02)
        gate.touch()
        conn.buf[:0] = head + b"\r\n\r\n6\r\nfirst\n\r\n"
        assert conn.response().body == b"first\nitem 0\nitem 1\n"


@pytest.mark.parametrize("family", ["unix", "tcp6"])
def test_other_families(server, family):
    srv = server("echo:application", bind=family)
    saw = json.loads(srv.ask("/p").body)
    expected = {"unix": "unix", "tcp6": "::1"}[family]
    assert saw["environ"]["REMOTE_ADDR"] == expected
    assert saw["path"] == "/p"


def test_cut_answers_are_told_apart():
    """The strict reader itself: what it is for must not pass it."""
    bad = (
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
    )
    for data in bad:
        ours, theirs = socket.socketpair()
        theirs.sendall(data)
        theirs.close()
        with Conn(ours) as conn, pytest.raises((BadAnswer, Closed)):
            conn.response()
