"""Hostile clients of the control socket: everybody else is answered in time.

SPDX-License-Identifier: MIT
"""

import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import procfs
import pytest
from control_client import Control
from shoal_harness import SANITIZED, SLOW
from waiting import holds, wait_for

LIMIT_S = 0.005 * SLOW
# What the master holds of the gateway; garbage that begins like HTTP is what starts it.
GATEWAY_FDS = 3


@pytest.fixture
def path(server, tmp_path):
    where = tmp_path / "c.sock"
    one = server("hello:application", "--control-socket", where, "--reload-keep", "0")
    one.more_descriptors = GATEWAY_FDS
    return where


def p99_on(control, n):
    return sorted(control.ping_s() for _ in range(n))[n * 99 // 100]


def p99(path, n=300):
    with Control(path) as control:
        return p99_on(control, n)


def in_background(work, path):
    """In a process of its own: a thread would keep the GIL from who measures."""
    def run():
        while True:
            try:
                work(path)
            except OSError:
                pass

    process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    process.start()
    return process


def spin(path):
    """Takes a processor as an attacker does, and leaves the server alone."""
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        continue


def p99_beside(path, works, n):
    # Connected before them: whoever comes while all places are taken is refused.
    with Control(path) as control:
        processes = [in_background(work, path) for work in works]
        try:
            return p99_on(control, n)
        finally:
            for process in processes:
                process.kill()
                process.join()


def assert_in_time(path, works, tries=12):
    """The machine is shared: what processes cost that only take processors is not counted
    against the loop, and one good try shows what it can do. A sanitizer's time is not the
    server's: there it has to answer at all, and to do nothing undefined."""
    if SANITIZED:
        p99_beside(path, works, 20)
        return
    seen = []
    for _ in range(tries):
        seen.append(p99_beside(path, works, 150))
        if seen[-1] < LIMIT_S:
            return
        machine = p99_beside(path, [spin] * len(works), 150)
        if seen[-1] < LIMIT_S + machine:
            return
    raise AssertionError(f"{min(seen) * 1000:.2f} ms, without the attack {machine * 1000:.2f} ms")


def flood(path):
    with Control(path, timeout=0.2) as c:
        c.send(b'{"id":1,"method":"server.ping"}\n' * 2000)


def long_line(path):
    with Control(path, timeout=0.2) as c:
        c.send(b'{"id":1,"method":"server.ping","params":{"x":"' + b"y" * 262000 + b'"}}\n')
        c.line()


def many_values(path):
    with Control(path, timeout=0.2) as c:
        c.send(b'{"id":1,"method":"server.ping","params":{"x":[' + b"1," * 130000 + b"1]}}\n")
        c.line()


def garbage(path):
    with Control(path, timeout=0.2) as c:
        c.send(os.urandom(4096))


def deep(path):
    with Control(path, timeout=0.2) as c:
        c.send(b'{"id":' + b"[" * 200000 + b"\n")
        c.line()


def drip(path):
    """A byte at a time, on many connections."""
    conns = []
    try:
        for _ in range(40):
            conns.append(Control(path, timeout=0.2))
        for byte in b'{"id":1,"method":"server.ping"':
            for c in conns:
                c.send(bytes([byte]))
    finally:
        for c in conns:
            c.sock.close()


def never_reading(path):
    """Asks for much and takes nothing of it."""
    with Control(path, timeout=0.05) as c:
        for _ in range(300):
            c.send(b'{"id":1,"method":"schema.get"}\n' * 20)


def duplicate_keys(path):
    with Control(path, timeout=0.2) as c:
        c.send(b"{" + b",".join(b'"k%d":1' % (i % 7) for i in range(4000)) + b"}\n")
        c.line()


def big_answers(path):
    with Control(path, timeout=0.5) as c:
        for method in ("config.schema", "schema.get", "stats.history", "stats.get"):
            c.call(method)


def subscribing(path):
    with Control(path, timeout=0.2) as c:
        for _ in range(8):
            c.call("stats.subscribe", interval_ms=100, select=["totals", "workers", "latency"])
        c.line()


def comes_and_goes(path):
    for _ in range(50):
        Control(path, timeout=0.2).sock.close()


ATTACKS = [flood, long_line, many_values, garbage, deep, drip, never_reading, duplicate_keys,
           big_answers, subscribing, comes_and_goes]


@pytest.mark.parametrize("work", ATTACKS)
def test_others_are_answered_in_time(path, work):
    with Control(path) as control:
        pid = control.call("server.hello")["pid"]
    before = procfs.memory(pid)
    assert_in_time(path, [work])
    assert procfs.memory(pid) < before + (24 << 20) * SLOW


def test_a_line_that_is_too_long(path):
    with Control(path) as c:
        c.send(b'{"id":1,"x":"' + b"y" * (256 * 1024))
        error = c.line()["error"]
        assert error["data"] == {"kind": "too_large", "limit": 262144}
        assert c.rest() == b""


def test_a_thousand_connections(path):
    clients = []
    refused = 0
    try:
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            s.settimeout(5)
            clients.append(s)
        for s in clients[64:]:
            data = s.recv(65536)
            refused += b'"overloaded"' in data and b"retry_ms" in data
        assert refused == len(clients) - 64
    finally:
        for s in clients:
            s.close()

    def served():
        try:
            return p99(path, 1) < 1
        except (OSError, AssertionError, KeyError):
            return False

    wait_for(served, 10 * SLOW)


def test_a_subscriber_that_never_reads(path):
    with Control(path) as lazy, Control(path) as busy:
        pid = busy.call("server.hello")["pid"]
        lazy.call("events.subscribe")
        lazy.call("logs.subscribe")
        before = procfs.memory(pid)
        for _ in range(1500):
            busy.call("logs.level", level="info")
        assert procfs.memory(pid) < before + (16 << 20) * SLOW
        assert p99(path) < LIMIT_S * 4
        seen = [lazy.event() for _ in range(50)]
        numbers = [e["seq"] for e in seen if e["sub"] == seen[0]["sub"]]
        assert numbers == sorted(numbers)


def test_all_of_them_at_once(path):
    """The loop itself says how late it was; nothing it owns has grown in the end."""
    with Control(path) as control:
        status = control.call("server.status")["master"]
        before, fds = procfs.memory(status["pid"]), status["fds"]
        assert_in_time(path, [flood, garbage, deep, long_line])

        def settled():
            now = control.call("server.status")["master"]
            # Ours, and the gateway's own.
            return now["connections"] <= 2 and now["fds"] <= fds + GATEWAY_FDS

        wait_for(settled, 10 * SLOW)
    assert procfs.memory(status["pid"]) < before + (24 << 20) * SLOW


def test_a_request_byte_by_byte(path):
    """Slow is not wrong; the others don't notice."""
    with Control(path) as slow, Control(path) as quick:
        for byte in b'{"id":7,"method":"server.ping"}':
            slow.send(bytes([byte]))
            assert quick.ping_s() < 1 * SLOW
        slow.send(b"\n")
        assert slow.line()["id"] == 7


def test_the_first_byte_has_ten_seconds(path):
    """Who is silent is sent away, who has begun is waited for, however slowly it goes on."""
    with Control(path) as silent, Control(path) as begun, Control(path) as blank:
        begin = time.monotonic()
        begun.send(b'{"id":1,')
        blank.send(b"\n")
        silent.sock.settimeout(14 * SLOW)
        # One byte a second, as long as it lasts.
        rest = iter(b'"method":"server.ping"}')
        wait_for(lambda: begun.send(bytes([next(rest)])) or _readable(silent, 1), 14 * SLOW)
        assert 9.5 < time.monotonic() - begin < 13 * SLOW
        assert silent.rest() == b""
        begun.send(bytes(rest) + b"\n")
        assert begun.line()["id"] == 1
        assert blank.call("server.ping")


def _readable(control, seconds):
    control.sock.settimeout(seconds)
    try:
        return control.sock.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize("depth, kind", [(31, "invalid_params"), (32, "parse")])
def test_how_deep_a_request_may_be(path, depth, kind):
    """The request's own object counts: params is the second level."""
    with Control(path) as c:
        nested = b"[" * (depth - 1) + b"]" * (depth - 1)
        c.send(b'{"id":1,"method":"server.ping","params":{"x":' + nested + b"}}\n")
        assert c.line()["error"]["data"]["kind"] == kind
        assert (c.rest() == b"") if kind == "parse" else c.call("server.ping")


@pytest.mark.parametrize("length, kind", [(262144, "invalid_params"), (262145, "too_large")])
def test_how_long_a_line_may_be(path, length, kind):
    begin = b'{"id":1,"method":"server.ping","params":{"x":"'
    line = begin + b"y" * (length - len(begin) - 3) + b'"}}'
    assert len(line) == length
    with Control(path) as c:
        c.send(line + b"\n")
        error = c.line()["error"]
        assert error["data"]["kind"] == kind, error["message"]
        assert len(json.dumps(error)) < 2000, "what was sent is not sent back"


def test_the_reason_arrives_before_the_end(path):
    """What is left unread would turn the end into a reset and hide the reason."""
    for _ in range(20):
        with Control(path) as c:
            c.send(b"{" * 100 + b"\n" + b"x" * 100000)
            answer = c.rest()
        assert answer.endswith(b"\n") and b"reset" not in answer
        assert json.loads(answer)["error"]["data"]["kind"] == "parse"


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /rpc HTTP/1.1\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-OpenSSH_9\r\n", b"[1,2]\n",
    b"x", b'"text"\n', b"\xef\xbb\xbf{}\n", b"\x01", b"\xff" * 5000, b"1\n",
], ids=["GET", "POST", "HEAD", "HTTP2", "TLS", "SSH", "array", "letter", "string", "BOM", "one",
        "high bytes", "number"])
def test_no_dialect_of_ours(path, sent):
    """One whole HTTP answer, whatever it was, and the end; requests get the gateway's."""
    with Control(path) as c:
        c.send(sent)
        c.sock.shutdown(socket.SHUT_WR)
        head, _, body = c.rest().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if sent.startswith((b"GET ", b"HEAD ", b"POST ")):
        assert re.match(rb"HTTP/1\.1 [245]\d\d ", lines[0]), lines
        return
    assert lines[0] == b"HTTP/1.1 501 Not Implemented"
    assert b"Connection: close" in lines and b"Content-Length: %d" % len(body) in lines
    assert body.count(b"\n") == 1 and b"JSON-RPC" in body


def test_a_flood_of_http_leaves_room_for_others(path):
    """Whoever asks the gateway takes no place of the clients that speak JSON-RPC."""
    request = b"GET /v1/status HTTP/1.1\r\nHost: shoal\r\n\r\n"
    crowd = []
    for _ in range(48):
        crowd.append(socket.socket(socket.AF_UNIX))
        crowd[-1].settimeout(10)
        crowd[-1].connect(str(path))
        crowd[-1].sendall(request)
    with Control(path) as c:
        assert c.call("server.ping")
    statuses = {one.recv(65536).split(b" ")[1] for one in crowd}
    assert b"200" in statuses and statuses <= {b"200", b"503"}
    for one in crowd:
        one.close()
    with Control(path) as c:
        wait_for(lambda: c.call("server.status")["master"]["connections"] <= 2, 10 * SLOW)


@pytest.mark.parametrize("frame, answer", [
    (b"\0\0\0\0", "Invalid JSON"),
    (b"\0\0\0\x02{}", "Empty command"),
    (b"\0\0\0\x02[]", "Empty command"),
    (b"\0\0\0\x01\xff", "Invalid JSON"),
    (b"\0\0\0\x10" + b"[" * 16, "Invalid JSON"),
    (b"\0\0\0\x19" + b'{"command":"rm -rf /tmp"}', "Unknown command"),
    (b"\0\x04\0\x01" + b"x" * 100, None),
    (b"\0\xff\xff\xff", None),
])
def test_frames_that_are_wrong(path, frame, answer):
    """gunicorn's client gets a reason where there can be one, and the end."""
    with Control(path) as c:
        c.send(frame)
        c.sock.shutdown(socket.SHUT_WR)
        got = c.rest()
        if answer is None:
            assert got == b""
        else:
            assert int.from_bytes(got[:4], "big") == len(got) - 4
            reply = json.loads(got[4:])
            assert reply["status"] == "error" and answer in reply["error"]
        assert Control(path).call("server.ping")


OTHERS = """
import os, socket, sys
os.setgroups([]); os.setgid(4242); os.setuid(4242)
conns = []
for _ in range(70):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); conns.append(s)
print("connected", flush=True)
refused = 0
for s in conns[56:]:
    s.settimeout(20); refused += b"overloaded" in s.recv(4096)
print(refused, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_eight_places_are_kept_for_the_owner(server):
    """However many others come: 56 get in, root and the server's user still do."""
    with tempfile.TemporaryDirectory(prefix="shoal-ctl-") as name:
        os.chmod(name, 0o755)
        where = Path(name) / "c.sock"
        one = server("hello:application", "--control-socket", where,
                     "--control-socket-mode", "0666", "--reload-keep", "0")
        with subprocess.Popen([sys.executable, "-c", OTHERS, where], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as others:
            assert others.stdout.readline() == "connected\n"
            assert others.stdout.readline() == "14\n"
            mine = [Control(where) for _ in range(8)]
            for control in mine:
                assert control.call("session.whoami")["role"] == "admin"
            with Control(where) as late:
                assert late.line()["error"]["data"]["kind"] == "overloaded"
            for control in mine:
                control.sock.close()
            others.stdin.close()
        wait_for(lambda: _connections(where) == 1, 5 * SLOW)
        one.stop()


def _connections(path):
    with Control(path) as control:
        return control.call("server.status")["master"]["connections"]


def test_who_does_not_read_holds_up_only_itself(path):
    """Its answers wait in a bounded buffer, then its requests stay unread."""
    with Control(path) as lazy, Control(path) as other:
        pid = other.call("server.hello")["pid"]
        before = procfs.memory(pid)
        lazy.sock.settimeout(0.5)
        # Long lines: the kernel's buffers are full before there are many requests.
        request = b'{"id":1,"method":"schema.get"' + b" " * 2000 + b"}\n"
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += lazy.sock.send(request * 50)
        assert procfs.memory(pid) < before + (12 << 20) * SLOW
        assert holds(lambda: other.ping_s() < 1 * SLOW, 0.3)
        # When it reads again, everything it asked for is answered.
        lazy.sock.settimeout(20 * SLOW)
        lazy.sock.shutdown(socket.SHUT_WR)
        answers = lazy.rest().count(b"\n")
        assert answers == sent // len(request) > 8
