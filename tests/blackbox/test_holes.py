"""Holes that other servers had, each tried here.

SPDX-License-Identifier: MIT
"""

import json
import time

import pytest
from raw_client import Closed, request, responses_until_eof
from shoal_harness import SLOW

INNER = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"
HEAD = "POST /first HTTP/1.1\r\nHost: t\r\n"
TE = HEAD + "Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def echo(module_server):
    return module_server("echo:application")


SMUGGLING = {
    "CVE-2024-1135 CL.TE": HEAD
    + f"Content-Length: {len(INNER) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + INNER,
    "CVE-2024-6827 TE.CL": HEAD
    + "Transfer-Encoding: chunked, gzip\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
    + INNER,
    "TE with nbsp": HEAD + "Transfer-Encoding: \xa0chunked\xa0\r\n\r\n0\r\n\r\n" + INNER,
    "CVE-2025-58068 trailer as request": TE
    + "\r\n0\r\nbad\r\n\r\n"
    + INNER,
    "bytes after a bad chunk": TE + "\r\nzz\r\n" + INNER,
    "NUL in a chunk extension": TE + "\r\n5;\0\r\nhello\r\n0\r\n\r\n" + INNER,
    "LF in a chunk extension": TE + "\r\n5;a\nb\r\nhello\r\n0\r\n\r\n" + INNER,
    "CVE-2024-49768 request after a refused one": "BAD\r\n\r\n" + INNER,
    "chunk data longer than said": TE + "\r\n3\r\nhello\r\n0\r\n\r\n" + INNER,
    "two lengths": HEAD + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + INNER,
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_nothing_is_smuggled(echo, name):
    with echo.connect() as conn:
        conn.send(SMUGGLING[name])
        answers = responses_until_eof(conn, ["POST", "GET"])
    assert len(answers) == 1
    assert answers[0].status in (400, 501)
    assert answers[0].closes


def test_trailers_never_become_headers(echo):
    """CVE-2023-41419, CVE-2025-58068."""
    with echo.connect() as conn:
        conn.send(
            TE + "\r\n5\r\nhello\r\n0\r\nX-Admin: 1\r\nX-Real-Ip: ::\r\n\r\n" + INNER
        )
        first = json.loads(conn.response("POST").body)
        second = json.loads(conn.response().body)
    assert first["body"] == "hello"
    for saw in (first, second):
        assert not {"x-admin", "x-real-ip"} & set(saw["headers"])
    assert second["path"] == "/smuggled"


def test_underscore_is_not_merged_into_content_length(echo):
    with echo.connect() as conn:
        conn.send(
            HEAD + "Content_Length: 99\r\nContent-Length: 5\r\nContent_Type: x/y\r\n\r\nhello"
        )
        saw = json.loads(conn.response("POST").body)
    assert saw["body"] == "hello"
    assert saw["environ"]["CONTENT_LENGTH"] == "5"
    assert saw["environ"].get("CONTENT_TYPE", "") == ""


def test_peer_that_is_gone_before_it_is_looked_at(echo):
    """CVE-2024-49769: reset right after connecting; no busy loop, no lost worker."""
    for _ in range(200):
        echo.connect().reset()
    assert echo.ask("/").status == 200


@pytest.mark.parametrize("byte", [b"a", b" ", b"\t", b":", b",", b";", b"\r", b"\n",
                                  b"\0", b"\x80", b"\xff", b'"', b"\\", b"%", b"/"])  # fmt: skip
def test_long_hostile_lines_take_no_time(echo, byte):
    """64 KiB of one byte in the line, a name, a value, and a chunk line."""
    run = byte * 65536
    start = time.monotonic()
    for data in (
        run,
        b"GET /" + run,
        b"GET / HTTP/1.1\r\nHost: t\r\n" + run,
        b"GET / HTTP/1.1\r\nHost: t\r\nX: " + run,
        TE.encode() + b"\r\n" + run,
        TE.encode() + b"\r\n5;" + run,
    ):
        with echo.connect() as conn:
            try:
                conn.send(data).send_eof()
                answers = responses_until_eof(conn, ["GET", "GET"])
            except (ConnectionError, Closed):
                continue
            assert all(a.status >= 400 for a in answers)
    assert time.monotonic() - start < 0.5 * SLOW


def test_many_small_hostile_pieces_take_no_time(echo):
    """A 60 KB head in 3,000 segments is read in linear time."""
    head = "GET / HTTP/1.1\r\nHost: t\r\n" + "".join(
        f"X{i}: {'v' * 600}\r\n" for i in range(95)
    )
    data = (head + "\r\n").encode()
    start = time.monotonic()
    with echo.connect() as conn:
        conn.send_pieces(data, range(0, len(data), 20))
        assert conn.response().status == 200
    assert time.monotonic() - start < 2 * SLOW


def test_injection_of_the_application_reaches_no_wire(server):
    """`200 OK\\r\\nX: 1` and its like (CVE-2026-42545): 500, and the worker lives."""
    srv = server("wrong:application")
    srv.expect_log("status").allow_log(".*")
    worker = srv.worker
    for path in ("/status_injection", "/value_crlf", "/name_crlf", "/value_nul"):
        answer = srv.ask(path)
        assert answer.status == 500 and not answer.all("X-Injected")
    assert srv.worker == worker


def test_one_connection_cannot_take_all_turns(server):
    """CVE-2021-29509: greedy keep-alive clients; new ones are answered all the same."""
    srv = server("zoo:application", "--threads", "2")
    greedy = [srv.connect().send(request("/wait?ms=5") * 100) for _ in range(10)]
    times = []
    for _ in range(5):
        start = time.monotonic()
        assert srv.ask("/hello").body == b"hello"
        times.append(time.monotonic() - start)
    assert max(times) < 1 * SLOW, times
    for conn in greedy:
        assert conn.response(timeout=10 * SLOW).status == 200
