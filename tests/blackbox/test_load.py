"""The load client itself: every kind of misbehaviour is seen, and good behaviour is not blamed.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import socket
import socketserver
import struct
import threading

import pytest
from load import Load, explain
from waiting import wait_for

BODY = b"%d v1\n" % os.getpid()
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
ANNOUNCED = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

# What is sent for a request, and what the load calls it; None: nothing to complain about.
ANSWERS = {
    "/close": (ANNOUNCED, None),
    "/eof": (b"", "EOF"),
    "/close-without-a-word": (GOOD, "EOF"),
    "/half-head": (GOOD[:20], "short answer"),
    "/half-body": (GOOD[:-3], "short answer"),
    "/busy": (ANNOUNCED.replace(b"200 OK", b"503 No"), "status 503"),
    "/wrong": (ANNOUNCED.replace(b" v1", b"+v1"), "wrong body"),
    "/more": (GOOD + b"x", "more than the answer"),
    "/endless": (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
    "/garbage": (b"hello\r\n\r\n", "no HTTP"),
}


class Misbehaving(socketserver.BaseRequestHandler):
    """One connection: reads requests and does to them what their path asks for."""

    def requests(self):
        data = b""
        with contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in data:
                    piece = self.request.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, data = data.partition(b"\r\n\r\n")
                yield head.split()[1].decode()

    def handle(self):
        for number, path in enumerate(self.requests()):
            if path in ANSWERS:
                self.request.sendall(ANSWERS[path][0])
                return
            if path == "/reset" and number == 3:
                linger = struct.pack("ii", 1, 0)
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.request.close()
                return
            if path == "/idle" and number == 3:
                self.request.sendall(GOOD)
                return
            if path != "/silent":
                self.request.sendall(GOOD)


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def shutdown_request(self, request):
        """Without the shutdown() before: a reset stays one."""
        self.close_request(request)


@pytest.fixture(scope="module")
def address():
    with Threads(("127.0.0.1", 0), Misbehaving) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


def load_until(address, condition, target, **more):
    with Load(address, 4, target, **more) as load:
        wait_for(lambda: condition(load.report()), what=target)
        return load.stop()


@pytest.mark.parametrize("path", ANSWERS)
def test_each_answer_is_called_what_it_is(address, path):
    _, kind = ANSWERS[path]
    report = load_until(address, lambda r: r["requests"] >= 20, path)
    # A server that closes right behind its answer may be caught when the next is sent.
    kinds = set(report["kinds"]) - {"ECONNRESET", "send EPIPE"}
    if path == "/close-without-a-word":
        assert report["failures"] and kinds <= {kind}, explain(report)
    else:
        assert kinds == ({kind} if kind else set()), explain(report)
    if not kind:
        assert not report["failures"] and report["closes"] == report["requests"] >= 20
        assert report["connects"] == report["requests"]


def test_a_reset_is_told_with_what_went_before(address):
    report = load_until(address, lambda r: r["failures"] >= 4, "/reset")
    assert set(report["kinds"]) <= {"ECONNRESET", "send ECONNRESET"}, explain(report)
    first = report["failed"][0]
    assert first["answered"] == 3 and first["pid"] == os.getpid() and first["port"]
    assert report["requests"] - report["failures"] >= 12


def test_silence_is_a_timeout(address):
    report = load_until(address, lambda r: r["failures"], "/silent", timeout=0.3)
    assert set(report["kinds"]) == {"timeout"}, explain(report)


def test_the_end_of_an_idle_connection_is_a_failure(address):
    report = load_until(address, lambda r: r["failures"], "/idle", think=0.2)
    assert set(report["kinds"]) == {"EOF while idle"}, explain(report)


def test_a_refusal_is_a_failure_and_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    report = load_until(address, lambda r: r["failures"] > 20, "/")
    assert set(report["kinds"]) == {"ECONNREFUSED"}, explain(report)


def test_phases_part_the_requests_and_speed_suffices(address, server):
    srv = server("who:application", env={"WHO_VERSION": "v7"})
    with Load(srv.address, 8) as load:
        wait_for(lambda: load.report()["requests"] > 2000, 20)
        load.phase("second")
        before = load.report()["phases"]["start"]["requests"]
        wait_for(lambda: load.report()["phases"]["second"]["requests"] > 100)
        report = load.stop()
    assert not report["failures"], explain(report)
    first, second = report["phases"]["start"], report["phases"]["second"]
    assert 0 <= first["requests"] - before <= 8, "only those in flight at the change"
    assert second["versions"] == {"v7": second["requests"]}
    assert report["pids"] == {str(srv.worker): report["requests"]}
    assert 0 < first["p50_us"] <= first["p99_us"] <= first["p100_us"]
    assert report["requests"] / report["seconds"] > 300, "a load worth the name"
