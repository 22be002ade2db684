"""Clients, hosts and user agents by requests: top.list.

SPDX-License-Identifier: MIT
"""

import json
import os
import signal
import socket

import pytest
from control_client import Control, Failed, call
from raw_client import Conn
from shoalctl_harness import run
from waiting import wait_for

LONGEST_HOST, LONGEST_AGENT, ENTRIES = 96, 160, 512


class Top:
    """A server and what top.list says of it."""

    def __init__(self, server, tmp_path, *options, **more):
        self.path = tmp_path / "c.sock"
        self.server = server(
            "statuses:application", "--control-socket", self.path, *options, **more
        )
        self.asked = 0

    def list(self, by, **more):
        return call(self.path, "top.list", by=by, **more)

    def entries(self, by):
        return {e["key"]: e for e in self.settled(by)["entries"]}

    def requests(self, by):
        return {key: e["requests"] for key, e in self.entries(by).items()}

    def settled(self, by, **more):
        """When everything that was asked is counted, which is just after the answer."""
        return wait_for(
            lambda: (got := self.list(by, **more))["requests"] >= self.asked and got
        )

    def connect(self, address="127.0.0.1"):
        sock = socket.create_connection(
            ("127.0.0.1", self.server.port), 10, source_address=(address, 0)
        )
        conn = Conn(sock, 10)
        self.server.conns.append(conn)
        return conn

    def send(self, conn, *heads, path="/"):
        """A request with each of these fields, one after the other; bytes of the answers."""
        before = conn.received
        for head in heads:
            fields = b"".join(b"%s: %s\r\n" % f for f in head)
            conn.send(b"GET %s HTTP/1.1\r\n%s\r\n" % (path.encode(), fields))
        answers = [conn.response() for _ in heads]
        self.asked += len(heads)
        return answers, conn.received - before


def host(name):
    return [(b"Host", name)]


def agent(name):
    return [(b"Host", b"t"), (b"User-Agent", name)]


@pytest.fixture
def top(server, tmp_path):
    return lambda *options, **kw: Top(server, tmp_path, *options, **kw)


def test_three_clients_with_known_counts(top):
    one = top(workers=2)
    assert one.list("client")["entries"] == []
    sent = {}
    for address, names in (
        ("127.0.0.2", [b"acme.test", b"ACME.test:8080", b"acme.test:", b"beta.test", b"acme.test"]),
        ("127.0.0.3", [b"beta.test", b"[::1]:80", b"[::1]"]),
        ("127.0.0.4", [b"acme.test"]),
    ):
        conn = one.connect(address)
        sent[address] = one.send(conn, *map(host, names))[1]
        # Another connection of the same client.
        sent[address] += one.send(one.connect(address), agent(b"two"), path="/404")[1]
    sent["127.0.0.4"] += one.send(one.connect("127.0.0.4"), agent(b"x"), path="/503")[1]

    clients = one.settled("client")
    assert clients["by"] == "client"
    assert (clients["total"], clients["requests"], clients["unseen"]) == (3, 13, 0)
    assert [tuple(e.values()) for e in clients["entries"]] == [
        ("127.0.0.2", 6, sent["127.0.0.2"], 0, 0),
        ("127.0.0.3", 4, sent["127.0.0.3"], 0, 0),
        ("127.0.0.4", 3, sent["127.0.0.4"], 1, 0),
    ]
    assert list(clients["entries"][0]) == ["key", "requests", "sent_bytes", "errors", "error"]
    assert one.requests("host") == {"acme.test": 5, "t": 4, "[::1]": 2, "beta.test": 2}
    assert one.requests("agent") == {"-": 9, "two": 3, "x": 1}
    assert one.entries("agent")["x"]["errors"] == 1
    assert [e["key"] for e in one.list("host", limit=2)["entries"]] == ["acme.test", "t"]

    names, *rows = run("-s", one.path, "busiest", "client").stdout.splitlines()
    assert names.split("\t")[:2] == ["key", "requests"]
    assert [r.split("\t")[:2] for r in rows] == [
        ["127.0.0.2", "6"], ["127.0.0.3", "4"], ["127.0.0.4", "3"]]  # fmt: skip
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(one.path))
    with Conn(sock, 10) as conn:
        conn.send(b"GET /v1/top?by=host&limit=1 HTTP/1.1\r\nHost: shoal\r\n\r\n")
        assert json.loads(conn.response().body)["entries"][0]["key"] == "acme.test"


def test_refused_heads_and_the_version_without_hosts(top):
    one = top()
    one.server.exchange(b"GET / HTTP/1.0\r\n\r\n")
    one.server.exchange(b"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent:\r\nConnection: close\r\n\r\n")
    one.server.exchange(b"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: a\x01b\r\n\r\n")
    one.server.exchange(b"")  # nothing was asked
    one.asked = 3
    # The client is known also where its head was not understood.
    assert one.requests("client") == {"127.0.0.1": 3}
    one.asked = 2
    assert one.requests("host") == {"-": 1, "t": 1}
    assert one.requests("agent") == {"-": 2}


def test_over_other_sockets(top):
    one = top(bind="unix")
    one.server.ask()
    one.asked = 1
    assert one.requests("client") == {"unix": 1}


def test_over_ipv6(top):
    one = top(bind="tcp6")
    one.server.ask()
    one.asked = 1
    assert one.requests("client") == {"::1": 1}


def test_hostile_names_come_back_as_json(top):
    one = top()
    conn = one.connect()
    hostile = [b'"}]}\\', b"</script><script>alert(1)</script>", b"tab\there", b"a\x80\xffb",
               "\u2028\u202e\u00e9".encode(), b"\xc2\x9b31m", b"y" * 159 + "\u00e9".encode(),
               b"z" * 159 + "\U0001f41f".encode() + b"zz", b"w" * 161]  # fmt: skip
    one.send(conn, *map(agent, hostile))
    one.send(conn, host(b"h" * 255), host(b"%0A"))
    assert one.settled("agent")
    with Control(one.path) as control:
        control.send_json({"jsonrpc": "2.0", "id": 1, "method": "top.list",
                           "params": {"by": "agent"}})  # fmt: skip
        line = control.sock.recv(1 << 20)
    assert line.endswith(b"\n") and not any(byte < 0x20 for byte in line[:-1])
    line.decode()
    assert one.requests("agent") == {
        '"}]}\\': 1, "</script><script>alert(1)</script>": 1, "tab\there": 1, "a??b": 1,
        "\u2028\u202e\u00e9": 1, "\x9b31m": 1, "y" * 159: 1, "z" * 159: 1,
        "w" * LONGEST_AGENT: 1, "-": 2,
    }  # fmt: skip
    assert one.requests("host") == {"t": 9, "h" * LONGEST_HOST: 1, "%0a": 1}
    shown = run("-s", one.path, "busiest", "agent").stdout
    assert len(shown.splitlines()) == 11
    assert not any(c < " " and c not in "\n\t" or c == "\x9b" for c in shown)


def test_a_thousand_hosts_do_not_push_out_the_heavy_one(top):
    one = top()
    conn = one.connect()
    for n in range(50):
        one.send(conn, *[host(b"heavy.test")] * 6)
        one.send(conn, *[host(b"h%d.test" % (20 * n + i)) for i in range(20)])
    got = one.settled("host", limit=ENTRIES)
    heavy, *others = got["entries"]
    assert (got["requests"], got["total"]) == (1300, ENTRIES)
    assert heavy["key"] == "heavy.test"
    assert (heavy["requests"], heavy["error"]) == (300, 0)
    assert 1 <= got["unseen"] <= 1300 / ENTRIES
    assert sum(e["requests"] for e in others) == 1000
    for e in others:
        assert e["requests"] - e["error"] <= 1 <= e["requests"]
    # Of the connection's last hosts the entries were given to others meanwhile.
    assert others[0]["requests"] <= 3


def test_counts_stay_when_workers_go(top):
    one = top(workers=2)
    one.server.expect_log("worker died")
    one.server.more_descriptors = 1  # the generation before is kept
    for n in range(6):
        one.send(one.connect("127.0.0.5"), agent(b"a"), agent(b"a"), agent(b"b%d" % n))
    before = {by: one.entries(by) for by in ("client", "host", "agent")}
    assert one.requests("agent")["a"] == 12
    ready = one.server.log.count("worker ready")
    os.kill(one.server.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: one.server.log.count("worker ready") > ready, 20)
    assert {by: one.entries(by) for by in before} == before
    job = call(one.path, "reload.start")["job"]
    assert call(one.path, "jobs.wait", job=job)["state"] == "done"
    wait_for(lambda: len(one.server.worker_pids()) == 2, 20)
    assert {by: one.entries(by) for by in before} == before
    one.server.signal(signal.SIGUSR2)
    one.server.wait_log("reload done job=u-", 20)
    assert {by: one.entries(by) for by in before} == before
    one.send(one.connect("127.0.0.5"), agent(b"a"))
    assert one.requests("agent")["a"] == 13


def test_addresses_are_for_operators(top):
    one = top()
    with Control(one.path) as control:
        control.call("session.lower", role="observer")
        with pytest.raises(Failed) as e:
            control.call("top.list", by="client")
        assert e.value.kind == "permission_denied"
