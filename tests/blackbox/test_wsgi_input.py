"""wsgi.input: reads of every kind, whole and cut bodies, 100 Continue.

SPDX-License-Identifier: MIT
"""

import json

import pytest
from waiting import wait_for

BODY = b"first\nsecond line\n\nlast without end"
LINES = ["first\n", "second line\n", "\n", "last without end"]


@pytest.fixture(scope="module", params=["disk", "off"])
def probe(request, executor, module_server, tmp_path_factory):
    record = tmp_path_factory.mktemp("record") / f"record-{request.param}"
    record.write_text("")
    started = module_server(
        "probe", "--request-buffering", request.param, *executor, env={"RECORD": str(record)}
    )
    started.record = record
    return started


def chunked(body, size):
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def run(server, program, body=BODY, chunk=0):
    if not chunk:
        answer = server.ask(f"/reads?{program}", "POST", body=body)
    else:
        headers = [("Transfer-Encoding", "chunked")]
        answer = server.ask(f"/reads?{program}", "POST", headers, chunked(body, chunk))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_reads(probe, chunk):
    text = BODY.decode()
    assert run(probe, "r", chunk=chunk) == [text]
    assert run(probe, "n", chunk=chunk) == [text]
    assert run(probe, "r-1", chunk=chunk) == [text]
    assert run(probe, "r5,r1,r0,r,r", chunk=chunk) == [text[:5], text[5], "", text[6:], ""]
    assert run(probe, "r1000000", chunk=chunk) == [text]
    assert run(probe, "l,l,l,l,l", chunk=chunk) == [*LINES, ""]
    assert run(probe, "l3,l3,l,l0", chunk=chunk) == ["fir", "st\n", LINES[1], ""]
    assert run(probe, "i", chunk=chunk) == ["|".join(LINES)]
    assert run(probe, "R", chunk=chunk) == ["|".join(LINES)]
    assert run(probe, "R7,r", chunk=chunk) == ["|".join(LINES[:2]), "".join(LINES[2:])]
    assert run(probe, "l,r4,l,r", chunk=chunk) == [
        "first\n", "seco", "nd line\n", "\nlast without end",
    ]
    assert run(probe, "l,d,r", chunk=chunk) == ["first\n", "", ""]


def test_no_body(probe):
    answer = probe.ask("/reads?r,l,i,R", "GET")
    assert json.loads(answer.body) == ["", "", "", ""]


def test_never_past_the_length(probe):
    with probe.connect() as conn:
        conn.send(b"POST /reads?r100,l,r HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
                  b"GET /valid/hello HTTP/1.1\r\nHost: t\r\n\r\n")
        assert json.loads(conn.response("POST").body) == ["abc", "", ""]
        assert conn.response("GET").body == b"valid"


def test_large_lines_and_bodies(probe):
    body = b"x" * 100_000 + b"\n" + b"y" * 300_000
    assert [len(part) for part in run(probe, "l,r", body)] == [100_001, 300_000]


def test_another_thread_may_read(probe):
    with probe.connect() as conn:
        conn.send(b"POST /thread_read HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
        conn.quiet(0.05)
        assert conn.send(b"def").response("POST").body == b"6"


def test_reading_after_the_end_is_an_error(probe):
    with probe.connect() as conn:
        conn.ask("/late_read", "POST", body=b"abc")
        assert b"over" in conn.ask("/late_read_now").body


def test_custom_100_continue(probe):
    for path, value in (("hundred", b"mine"), ("hundred_by_read", b"by read")):
        with probe.connect() as conn:
            conn.send(b"POST /%b HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                      b"Content-Length: 4\r\n\r\n" % path.encode())
            assert conn.read_line() == b"HTTP/1.1 100 Continue"
            assert conn.read_line() == b"X-Hundred: " + value
            assert conn.read_line() == b""
            answer = conn.send(b"body").response("POST")
            assert answer.interim == []
            found = json.loads(answer.body)
            assert found == ([True, False, "body"] if path == "hundred" else "body")
            assert conn.ask("/valid/hello").body == b"valid"


def test_short_client_is_an_oserror(probe):
    if "off" not in probe.options:
        pytest.skip("a buffered body that is cut never reaches the application")
    probe.allow_log("application failed")
    broken = [
        (b"Content-Length: 9", b"abc", "OSError"),
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\nzz\r\n", "ValueError"),
    ]
    for framing, rest, error in broken:
        seen = len(probe.record.read_text().splitlines())
        with probe.connect() as conn:
            conn.send(b"POST /broken_read HTTP/1.1\r\nHost: t\r\n" + framing + b"\r\n\r\n")
            wait_for(lambda n=seen: lines_of(probe)[n:] == ["reading"], what="the application")
            conn.send(rest).send_eof()
            wait_for(lambda n=seen: len(lines_of(probe)) == n + 2, what="a failed read")
        assert error in lines_of(probe)[-1]


def lines_of(probe):
    return probe.record.read_text().splitlines()
