"""Hostile clients of the control socket: everybody else is answered in time.

SPDX-License-Identifier: MIT
"""

import multiprocessing
import os
import socket

import procfs
import pytest
from control_client import Control
from shoal_harness import SLOW
from waiting import wait_for

LIMIT_S = 0.005 * SLOW


@pytest.fixture
def path(server, tmp_path):
    where = tmp_path / "c.sock"
    server("hello:application", "--control-socket", where, "--reload-keep", "0")
    return where


def p99(path, n=300):
    with Control(path) as control:
        return sorted(control.ping_s() for _ in range(n))[n * 99 // 100]


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


@pytest.mark.parametrize("work", [flood, long_line, many_values, garbage, deep])
def test_others_are_answered_in_time(path, work):
    with Control(path) as control:
        pid = control.call("server.hello")["pid"]
    before = procfs.memory(pid)
    attacker = in_background(work, path)
    try:
        # The machine is shared: the best of the tries says what the loop can do.
        tries = []
        wait_for(
            lambda: tries.append(p99(path)) or tries[-1] < LIMIT_S, 20, f"p99 under {LIMIT_S} s"
        )
        assert procfs.memory(pid) < before + (24 << 20) * SLOW
    finally:
        attacker.kill()
        attacker.join()


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
