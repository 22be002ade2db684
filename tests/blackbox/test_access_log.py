"""The access log against what a raw client sent and received.

SPDX-License-Identifier: MIT
"""

import json
import re
import signal

import pytest
from raw_client import request
from waiting import holds, wait_for

COMBINED = re.compile(
    r'^(?P<host>\S+) - (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<line>(?:[^"\\]|\\.)*)" '
    r'(?P<status>\d+) (?P<bytes>\d+|-) "(?P<ref>(?:[^"\\]|\\.)*)" '
    r'"(?P<agent>(?:[^"\\]|\\.)*)"$'
)


class Log:
    """An access log that is read as it grows."""

    def __init__(self, path):
        self.path = path

    def lines(self, n=1, timeout=5):
        wait_for(
            lambda: self.path.exists() and self.path.read_bytes().count(b"\n") >= n,
            timeout,
            f"{n} records in {self.path.name}",
        )
        return self.path.read_bytes().decode("ascii").splitlines()


@pytest.fixture
def logged(server, tmp_path):
    """logged(format): a server of the zoo, and its log."""

    def start(spec=None, *options):
        path = tmp_path / "access.log"
        named = ["--access-logformat", spec] if spec else []
        srv = server("zoo:application", "--access-logfile", path, *named, *options)
        return srv, Log(path)

    return start


def test_combined_is_the_default(logged):
    srv, log = logged()
    headers = [("User-Agent", "test/1"), ("Referer", "http://r/")]
    srv.ask("/hello?a=1", headers=headers)
    match = COMBINED.match(log.lines()[0])
    assert match, log.lines()
    assert match["host"] == "127.0.0.1"
    assert match["line"] == "GET /hello?a=1 HTTP/1.1"
    assert match["status"] == "200"
    assert (match["ref"], match["agent"]) == ("http://r/", "test/1")
    assert re.match(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$", match["time"])


def test_one_record_for_each_request(logged):
    """Answered, refused by the parser, cut by the client: each exactly one."""
    srv, log = logged()
    with srv.connect() as conn:
        conn.send(request("/hello") * 5)
        for _ in range(5):
            conn.response()
    srv.connect().send(b"BAD LINE\r\n\r\n").response()
    srv.connect().send(b"GET /a HTTP/7.1\r\n\r\n").response()
    cut = srv.connect(rcvbuf=4096).send(request("/big?size=20000000"))
    cut.read_exact(1000)
    cut.reset()
    log.lines(8)
    assert holds(lambda: len(log.lines(8)) == 8, 0.1)
    statuses = sorted(COMBINED.match(line)["status"] for line in log.lines(8))
    assert statuses == ["200"] * 6 + ["400", "505"]


def test_no_record_without_a_request(logged):
    srv, log = logged()
    srv.connect().close()
    srv.connect().send(b"").reset()
    srv.ask("/hello")
    assert holds(lambda: len(log.lines()) == 1, 0.1)


def test_everything_from_outside_is_escaped(logged):
    srv, log = logged()
    agent = b'a"b\\c\x80\xff\td'
    data = b"GET /hello HTTP/1.1\r\nHost: t\r\nUser-Agent: " + agent + b"\r\n\r\n"
    srv.connect().send(data).response()
    srv.connect().send(b"GET /\x1b[2J\x07\xe9 HTTP/1.1\r\n\r\n").response()
    raw = "\n".join(log.lines(2))
    assert all(c == "\n" or 0x20 <= ord(c) < 0x7F for c in raw)
    first, second = log.lines(2)
    assert COMBINED.match(first), first
    assert re.search(r'a(\\"|\\x22)b(\\\\|\\x5c)c\\x80\\xff', first)
    assert r"\x1b[2J" in second


@pytest.mark.parametrize(
    "target", ["/hello", "/big?size=100000", "/big?kind=gen&size=70000", "/status?s=204_No"]
)
def test_bytes_are_what_the_client_received(logged, target):
    """%(B)s is the body; the transfer as a whole is the counters' business."""
    srv, log = logged("%(s)s %(B)s")
    answer = srv.ask(target)
    status, size = log.lines()[0].split()
    assert int(status) == answer.status
    assert int(size) == len(answer.body)


def test_json(logged):
    srv, log = logged("json")
    answer = srv.ask("/big?size=1234", headers=[("User-Agent", 'q"\\\x80')])
    record = json.loads(log.lines()[0])
    assert record["status"] == 200
    assert record["method"] == "GET"
    assert 1234 in record.values() or answer.size in record.values()
    srv.connect().send(b"\x00\xff\r\n\r\n").response()
    assert json.loads(log.lines(2)[1])["status"] == 400


def test_gunicorn_atoms(logged):
    spec = (
        '%(h)s|%(l)s|%(u)s|%(r)s|%(s)s|%(m)s|%(U)s|%(q)s|%(H)s|%(b)s|%(B)s|%(f)s|'
        '%(a)s|%(T)s|%(D)s|%(L)s|%(p)s|%({x-mine}i)s'
    )
    srv, log = logged(spec)
    srv.ask("/hello?q=1", headers=[("X-Mine", "here"), ("User-Agent", "ua")])
    line = log.lines()[0].split("|")
    assert line[:3] == ["127.0.0.1", "-", "-"]
    assert line[3:11] == [
        "GET /hello?q=1 HTTP/1.1", "200", "GET", "/hello", "q=1", "HTTP/1.1", "5", "5",
    ]  # fmt: skip
    assert line[11:13] == ["-", "ua"]
    assert line[13].isdigit() and line[14].isdigit()
    assert float(line[15]) < 5
    assert line[16].strip("<>").isdigit()
    assert line[17] == "here"


def test_eventlet_format(logged):
    srv, log = logged(
        '%(client_ip)s - - [%(date_time)s] "%(request_line)s" %(status_code)s '
        "%(body_length)s %(wall_seconds).6f"
    )
    srv.ask("/hello")
    assert re.match(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] '
        r'"GET /hello HTTP/1\.1" 200 \d+ \d+\.\d{6}$',
        log.lines()[0],
    ), log.lines()


def test_eventlet_by_name(logged):
    srv, log = logged("eventlet")
    srv.ask("/hello")
    assert '"GET /hello HTTP/1.1" 200 ' in log.lines()[0]


def test_usr1_reopens(logged, tmp_path):
    srv, log = logged()
    srv.ask("/hello?before")
    log.lines()
    moved = log.path.rename(tmp_path / "access.log.1")
    srv.signal(signal.SIGUSR1)
    wait_for(log.path.exists, 5, "a new file after USR1")

    def written():
        srv.ask("/hello?after")
        return "after" in log.path.read_text()

    wait_for(written, 5, "records in the new file")
    assert "before" in moved.read_text()
    assert "before" not in log.path.read_text()


def test_standard_output(server):
    srv = server("zoo:application", "--access-logfile", "-")
    srv.ask("/hello?to-stdout")
    srv.wait_log("GET /hello.to-stdout HTTP/1.1")


def test_record_comes_after_the_hooks(server, tmp_path):
    """close(), then hooks, then the record."""
    path = tmp_path / "both"
    srv = server(
        *("zoo:application", "--access-logfile", path), env={"RECORD": str(path)}
    )
    srv.ask("/hooked?id=x")
    lines = Log(path).lines(4)
    assert [line.split()[0] for line in lines[:3]] == ["app", "close", "hook"]
    assert "GET /hooked" in lines[3]


def test_forwarded_for(logged):
    srv, log = logged(None, "--log-x-forwarded-for")
    srv.ask("/hello", headers=[("X-Forwarded-For", '10.0.0.1 "\x80')])
    assert "10.0.0.1" in log.lines()[0]
    assert COMBINED.match(log.lines()[0]) or '\\"' in log.lines()[0]


def test_no_log_without_the_option(server, tmp_path):
    srv = server("zoo:application")
    srv.ask("/hello?quiet")
    assert "quiet" not in srv.log
