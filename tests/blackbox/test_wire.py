"""The strict HTTP/1.1 rules as a client of the running server meets them.

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import time

import pytest
from raw_client import request, responses_until_eof

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
def echo(module_server):
    return module_server("echo:application")


@pytest.fixture(scope="module")
def zoo(module_server):
    return module_server("zoo:application")


def line(text):
    return text.encode("latin-1") + b"\r\nHost: t\r\n\r\n"


def field(text):
    return b"GET / HTTP/1.1\r\nHost: t\r\n" + text.encode("latin-1") + b"\r\n\r\n"


def host(text):
    return b"GET / HTTP/1.1\r\n" + text.encode("latin-1") + b"\r\n\r\n"


def body(fields, data="0\r\n\r\n"):
    head = f"POST / HTTP/1.1\r\nHost: t\r\n{fields}\r\n\r\n"
    return head.encode("latin-1") + data.encode("latin-1")


def chunked(data):
    return body("Transfer-Encoding: chunked", data)


REFUSED = {
    # request line
    "bare-lf-line": (b"GET / HTTP/1.1\nHost: t\n\n", 400),
    "bare-lf-field": (b"GET / HTTP/1.1\r\nHost: t\nX: 1\r\n\r\n", 400),
    "bare-cr": (b"GET / HTTP/1.1\r\nHost: t\rX: 1\r\n\r\n", 400),
    "two-spaces": (line("GET  / HTTP/1.1"), 400),
    "tab": (line("GET\t/ HTTP/1.1"), 400),
    "trailing-space": (line("GET / HTTP/1.1 "), 400),
    "leading-space": (line(" GET / HTTP/1.1"), 400),
    "method-not-token": (line("G(T / HTTP/1.1"), 400),
    "method-too-long": (line("M" * 65 + " / HTTP/1.1"), 501),
    "version-2.0": (line("GET / HTTP/2.0"), 505),
    "version-0.9": (line("GET / HTTP/0.9"), 505),
    "version-lower-case": (line("GET / http/1.1"), 400),
    "version-1.10": (line("GET / HTTP/1.10"), 400),
    "version-missing": (line("GET /"), 400),
    "h2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "line-too-long": (line("GET /" + "a" * 8300 + " HTTP/1.1"), 414),
    # target
    "userinfo": (line("GET http://u:p@t/ HTTP/1.1"), 400),
    "authority-form": (line("GET t:80 HTTP/1.1"), 400),
    "connect": (line("CONNECT t:80 HTTP/1.1"), 501),
    "asterisk-get": (line("GET * HTTP/1.1"), 400),
    "relative": (line("GET a/b HTTP/1.1"), 400),
    "target-8bit": (line("GET /\xe9 HTTP/1.1"), 400),
    "target-nul": (line("GET /\0 HTTP/1.1"), 400),
    "target-del": (line("GET /\x7f HTTP/1.1"), 400),
    "fragment": (line("GET /#f HTTP/1.1"), 400),
    "percent-00": (line("GET /%00 HTTP/1.1"), 400),
    "percent-zz": (line("GET /%zz HTTP/1.1"), 400),
    "percent-cut": (line("GET /% HTTP/1.1"), 400),
    # Host
    "host-missing": (host("X: 1"), 400),
    "host-twice": (host("Host: t\r\nHost: t"), 400),
    "host-empty": (host("Host:"), 400),
    "host-space": (host("Host: a b"), 400),
    "host-slash": (host("Host: a/b"), 400),
    "host-query": (host("Host: a?b"), 400),
    "host-hash": (host("Host: a#b"), 400),
    "host-at": (host("Host: u@a"), 400),
    "host-list": (host("Host: a,b"), 400),
    "host-backslash": (host("Host: a\\b"), 400),
    "host-bracket": (host("Host: [::1"), 400),
    "host-port": (host("Host: a:65536"), 400),
    # fields
    "name-empty": (field(": v"), 400),
    "no-colon": (field("Name"), 400),
    "space-before-colon": (field("Name : v"), 400),
    "tab-before-colon": (field("Name\t: v"), 400),
    "leading-space-field": (host(" Host: t"), 400),
    "obs-fold": (field("A: b\r\n c"), 400),
    "value-nul": (field("A: b\0"), 400),
    "value-bell": (field("A: b\x07"), 400),
    "value-del": (field("A: b\x7f"), 400),
    "content-type-twice": (field("Content-Type: a/b\r\nContent-Type: a/b"), 400),
    "too-many-fields": (field("\r\n".join(f"X{i}: 1" for i in range(150))), 431),
    "head-too-big": (
        field("\r\n".join(f"X{i}: {'v' * 2000}" for i in range(60))),
        431,
    ),
    "field-too-big": (field("X: " + "v" * 9000), 431),
    # body framing
    "cl-and-te": (body("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
    "te-and-cl": (body("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
    "te-in-1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "te-gzip-chunked": (body("Transfer-Encoding: gzip, chunked"), 501),
    "te-unknown": (body("Transfer-Encoding: chunked, gzip"), 400),
    "te-twice": (body("Transfer-Encoding: chunked, chunked"), 400),
    "te-two-fields": (
        body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        400,
    ),
    "te-identity": (body("Transfer-Encoding: identity"), 400),
    "te-empty": (body("Transfer-Encoding:"), 400),
    "te-empty-member": (body("Transfer-Encoding: ,chunked"), 400),
    "te-quoted": (body('Transfer-Encoding: "chunked"'), 400),
    "te-parameter": (body("Transfer-Encoding: chunked;a=b"), 400),
    "te-nbsp": (body("Transfer-Encoding: \xa0chunked\xa0"), 400),
    "te-vt": (body("Transfer-Encoding: \x0bchunked"), 400),
    "cl-sign": (body("Content-Length: +5", "hello"), 400),
    "cl-negative": (body("Content-Length: -5", "hello"), 400),
    "cl-underscore": (body("Content-Length: 1_0", "hello"), 400),
    "cl-empty": (body("Content-Length:", ""), 400),
    "cl-overflow": (body("Content-Length: 9223372036854775808", ""), 400),
    "cl-list": (body("Content-Length: 5, 5", "hello"), 400),
    "cl-twice": (body("Content-Length: 5\r\nContent-Length: 5", "hello"), 400),
    "chunk-0x": (chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk-sign": (chunked("+5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk-underscore": (chunked("0_5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk-blank": (chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk-empty": (chunked("\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk-overflow": (chunked("fffffffffffffffff\r\nhello\r\n"), 400),
    "chunk-lf": (chunked("5\nhello\r\n0\r\n\r\n"), 400),
    "chunk-data-lf": (chunked("5\r\nhello\n0\r\n\r\n"), 400),
    "chunk-data-long": (chunked("5\r\nhellooo\r\n0\r\n\r\n"), 400),
    "ext-nul": (chunked("5;a=\0\r\nhello\r\n0\r\n\r\n"), 400),
    "ext-lf": (chunked("5;a=b\nc\r\nhello\r\n0\r\n\r\n"), 400),
    "ext-huge": (chunked("5;a=" + "b" * 5000 + "\r\nhello\r\n0\r\n\r\n"), 400),
    "trailer-bad": (chunked("0\r\nbad trailer\r\n\r\n"), 400),
    "trailer-te": (chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
    # expectations
    "expect-other": (field("Expect: 200-maybe"), 417),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_status_and_close(echo, name):
    """The status, `Connection: close`, an orderly end, and nothing parsed after it."""
    data, status = REFUSED[name]
    with echo.connect() as conn:
        conn.send(data + GET)
        answers = responses_until_eof(conn, ["GET", "GET"])
    assert [a.status for a in answers] == [status]
    assert answers[0].closes
    assert answers[0].get("Content-Length") == str(len(answers[0].body))
    assert b"Traceback" not in answers[0].body


def test_refusal_is_the_same_byte_by_byte(echo):
    for name in ("bare-cr", "te-twice", "cl-and-te", "obs-fold", "version-2.0"):
        data, status = REFUSED[name]
        with echo.connect() as conn:
            # It may be refused before the end of what we had to say.
            with contextlib.suppress(ConnectionError):
                conn.send_pieces(data, range(len(data)))
            assert conn.response().status == status, name


def seen(echo, data, method="GET"):
    with echo.connect() as conn:
        answer = conn.send(data).response(method)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_one_empty_line_before_the_request_is_skipped(echo):
    assert seen(echo, b"\r\n" + line("GET /a HTTP/1.1"))["path"] == "/a"


def test_many_empty_lines_end_the_connection(echo):
    with echo.connect() as conn:
        conn.send(b"\r\n" * 64 + GET)
        answers = responses_until_eof(conn, ["GET"])
    assert all(a.status == 400 for a in answers)


def test_http_1_2_is_served_as_1_1(echo):
    with echo.connect() as conn:
        for _ in range(2):
            conn.send(line("GET / HTTP/1.2"))
            assert conn.response().status == 200


def test_unknown_method_reaches_the_application_unchanged(echo):
    assert seen(echo, line("bReW /pot HTTP/1.1"))["method"] == "bReW"


def test_request_line_of_8000_bytes(echo):
    path = "/" + "a" * (8000 - len("GET / HTTP/1.1"))
    assert seen(echo, line(f"GET {path} HTTP/1.1"))["path"] == path


def test_absolute_form_wins_over_host(echo):
    saw = seen(echo, line("GET http://other:81/p?q HTTP/1.1"))
    assert saw["headers"]["host"] == "other:81"
    assert (saw["path"], saw["query"]) == ("/p", "q")


def test_asterisk_form_of_options(echo):
    assert seen(echo, line("OPTIONS * HTTP/1.1"))["path"] == "*"


def test_target_is_decoded_into_path_info_only(echo):
    saw = seen(echo, line("GET //a%2Fb/%C3%A9?x=%20 HTTP/1.1"))
    assert saw["path"] == "//a/b/\u00c3\u00a9"
    assert saw["query"] == "x=%20"
    assert saw["environ"]["RAW_URI"] == "//a%2Fb/%C3%A9?x=%20"


def test_1_0_needs_no_host(echo):
    assert seen(echo, b"GET /p HTTP/1.0\r\n\r\n")["protocol"] == "HTTP/1.0"


def test_underscore_and_proxy_fields_do_not_reach_the_application(echo):
    saw = seen(
        echo,
        field("Content_Length: 7\r\nX_A: 1\r\nProxy: http://evil\r\nX-A: 2"),
    )
    assert "HTTP_PROXY" not in saw["environ"]
    assert "HTTP_CONTENT_LENGTH" not in saw["environ"]
    assert saw["environ"].get("CONTENT_LENGTH", "") == ""
    assert saw["headers"]["x-a"] == "2"


def test_duplicates_are_joined(echo):
    saw = seen(echo, field("A: 1\r\nCookie: a=1\r\na: 2\r\nCookie: b=2"))
    assert saw["headers"]["a"].replace(", ", ",") == "1,2"
    assert saw["headers"]["cookie"] == "a=1; b=2"


def test_only_blanks_are_trimmed_from_values(echo):
    saw = seen(echo, field("A: \t\x85v\xa0\t "))
    assert saw["headers"]["a"] == "\x85v\xa0"


def test_leading_zeros_of_content_length_are_decimal(echo):
    data = body("Content-Length: 010", "0123456789")
    assert seen(echo, data, "POST")["body"] == "0123456789"


def test_chunk_extensions_are_ignored(echo):
    data = chunked('5;a;b=c;d="e f"\r\nhello\r\n0;x\r\n\r\n')
    assert seen(echo, data, "POST")["body"] == "hello"


def test_trailers_are_discarded(echo):
    with echo.connect() as conn:
        conn.send(chunked("5\r\nhello\r\n0\r\nX-Trailer: 1\r\nVary: *\r\n\r\n"))
        saw = json.loads(conn.response("POST").body)
        assert saw["body"] == "hello"
        assert not {"x-trailer", "vary"} & set(saw["headers"])
        assert conn.ask("/hello").status == 200


# ---- connection ----


def test_two_requests_in_one_segment_are_both_answered(zoo):
    with zoo.connect() as conn:
        conn.send(request("/hello") + request("/pid"))
        assert conn.response().body == b"hello"
        assert conn.response().body == str(zoo.worker).encode()


def test_pipelined_requests_are_answered_in_order(echo):
    with echo.connect() as conn:
        conn.send(b"".join(request(f"/{i}", "POST", body=b"x" * i) for i in range(50)))
        for i in range(50):
            saw = json.loads(conn.response("POST").body)
            assert (saw["path"], len(saw["body"])) == (f"/{i}", i)


def test_pipelined_request_behind_a_slow_one_waits(zoo):
    with zoo.connect() as conn:
        conn.send(request("/wait?ms=100") + request("/hello"))
        assert conn.response().body == b"waited"
        assert conn.response().body == b"hello"


def test_nothing_runs_after_close(echo):
    with echo.connect() as conn:
        conn.send(request("/1", headers=[("Connection", "x, Close")]) + request("/2"))
        answers = responses_until_eof(conn, ["GET", "GET"])
    assert [a.status for a in answers] == [200]
    assert answers[0].closes


def test_close_with_unread_requests_is_no_reset(zoo):
    """The application closes with a megabyte of further requests still on its way."""
    with zoo.connect() as conn:
        conn.send(request("/close_header?ms=50"))
        with contextlib.suppress(ConnectionError, TimeoutError):
            conn.send(request("/hello") * 3000)
        assert conn.response().body == b"bye"
        conn.send_eof()
        assert conn.at_eof()


def test_1_0_closes_unless_asked(zoo):
    with zoo.connect() as conn:
        answer = conn.send(b"GET /hello HTTP/1.0\r\n\r\n").response()
        assert answer.body == b"hello"
        assert conn.at_eof()


def test_1_0_keep_alive_is_echoed(zoo):
    with zoo.connect() as conn:
        for _ in range(3):
            conn.send(b"GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = conn.response()
            assert answer.get("Connection").lower() == "keep-alive"
            assert answer.body == b"hello"


def test_unknown_length_is_chunked_for_1_1_and_closed_for_1_0(zoo):
    target = "/big?kind=gen&size=100000"
    with zoo.connect() as conn:
        answer = conn.ask(target)
        assert (answer.framing, len(answer.body)) == ("chunked", 100000)
        assert conn.ask("/hello").body == b"hello"
    with zoo.connect() as conn:
        answer = conn.send(f"GET {target} HTTP/1.0\r\n\r\n").response()
        assert (answer.framing, len(answer.body)) == ("close", 100000)


@pytest.mark.parametrize(
    "method,status", [("HEAD", "200_OK"), ("GET", "204_No"), ("GET", "304_Not")]
)
def test_no_body_bytes(zoo, method, status):
    with zoo.connect() as conn:
        answer = conn.ask(f"/status?s={status}", method)
        assert answer.body == b""
        assert conn.ask("/hello").body == b"hello"
        assert conn.quiet(0.05)


def test_half_close_still_gets_the_answer(zoo):
    with zoo.connect() as conn:
        conn.send(request("/wait?ms=50")).send_eof()
        assert conn.response().body == b"waited"
        assert conn.at_eof()


def test_end_inside_the_head_reaches_no_application(zoo, record):
    answer = zoo.exchange(b"GET /hello HTTP/1.1\r\nHost: t\r\nX")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_end_inside_the_body_is_no_success(zoo):
    head = "POST /sink HTTP/1.1\r\nHost: t\r\n"
    for data in (
        head + "Content-Length: 10\r\n\r\nhello",
        head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ):
        answer = zoo.exchange(data)
        assert not answer.startswith(b"HTTP/1.1 2"), answer[:80]
    assert zoo.ask("/hello").status == 200


def test_answer_is_not_destroyed_by_reset(echo):
    """Refused in the head while the client still sends: the answer arrives whole."""
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 600000\r\nBad Name: 1\r\n\r\n"
    with echo.connect() as conn:
        conn.send(head)
        for _ in range(30):
            try:
                conn.send(b"x" * 20000)
            except ConnectionError:
                break
        answer = conn.response("POST")
        assert answer.status == 400 and answer.closes
        conn.send_eof()
        assert conn.at_eof()


def test_unread_body_is_never_run_as_a_request(zoo):
    inner = request("/hello")
    with zoo.connect() as conn:
        conn.send(request("/noread", "POST", body=inner) + request("/pid"))
        assert conn.response("POST").body == b"not read"
        answers = responses_until_eof(conn, ["GET"], 0.5) if conn.eof else []
        for answer in answers:
            assert answer.body != b"hello"
    with zoo.connect() as conn:
        big = inner * 20000
        with contextlib.suppress(ConnectionError):
            conn.send(request("/noread", "POST", body=big))
        assert conn.response("POST").body == b"not read"
        conn.send_eof()
        left = conn.read_all()
        assert left == b"" or left.count(b"HTTP/1.1") == 0


def test_upgrade_is_ignored(zoo):
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    with zoo.connect() as conn:
        assert conn.ask("/hello", headers=headers).status == 200
        headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]
        assert conn.ask("/hello", headers=headers).status == 200


def test_tls_hello_on_a_plain_port(zoo):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200))
    start = time.monotonic()
    with zoo.connect() as conn:
        data = conn.send(hello).read_all()
    assert data == b"" or data.startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - start < 3
    assert zoo.ask("/hello").body == b"hello"
