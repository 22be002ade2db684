"""What the client acknowledged, against what the client's own kernel received.

SPDX-License-Identifier: MIT
"""

import itertools
import json
import signal
import socket

import pytest
from leaver import WAYS, leave, take, tcp_received, visit, visit_and_be_killed
from raw_client import request
from shoal_harness import SLOW, client_tls
from waiting import holds, wait_for

SIZES = (100, 65536, 1 << 20, 8 << 20)
RCVBUF = 262144
# The client's receive buffer is twice what was asked for; it may fill while it leaves.
LEAVING = 4 * RCVBUF


@pytest.fixture(params=["plain", "tls"])
def delivering(request, server, record, certificates):
    options = ["--keep-alive", "30s"]
    if request.param == "tls":
        options += ["--certfile", certificates / "server.pem"]
        options += ["--keyfile", certificates / "server.key"]
    srv = server("delivery:application", *options, env={"RECORD": str(record)})
    srv.allow_log("tls: |on purpose|post hook failed|failed|shorter|Content-Length")
    srv.record = record
    srv.ca = certificates / "ca.pem" if request.param == "tls" else None
    srv.tls = client_tls(srv.ca) if srv.ca else None
    return srv


def all_facts(srv):
    """What all hooks were told; a line that is still being written is none yet."""
    return [json.loads(x) for x in srv.record.read_text().rpartition("\n")[0].splitlines()]


def facts(srv, event, ident, timeout=10):
    """What the hook of this request was told; it must have been called once."""

    def found():
        return [x for x in all_facts(srv) if x["event"] == event and x["id"] == ident]

    wait_for(found, timeout * SLOW, f"{event} hook of {ident}")
    assert len(found()) == 1, found()
    return found()[0]


def counts(srv):
    return sorted((x["id"], x["event"]) for x in all_facts(srv))


def connect(srv):
    sock = srv.socket(RCVBUF, 10 * SLOW)
    return srv.tls.wrap_socket(sock, server_hostname="localhost") if srv.tls else sock


def go(srv, way, target, size, before):
    if way == "killed":
        return visit_and_be_killed(srv.address, srv.ca, way, target, size, size // 2, before)
    with connect(srv) as sock:
        got = visit(sock, way, target, size, size // 2, before)
        leave(sock, way)
    return got


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_leave(delivering, way):
    """acked <= what the client's kernel received <= sent, and the hook runs once."""
    srv = delivering
    wanted = []
    for size, kind, kept in itertools.product(SIZES, ("list", "chunked"), (False, True)):
        ident = f"{size}-{kind}-{kept}"
        before = f"/?id=first-{ident}" if kept else None
        got = go(srv, way, f"/?id={ident}&size={size}&kind={kind}", size, before)
        told = facts(srv, "delivered", ident)
        slack = LEAVING if way in ("unread", "reset") else 0
        where = f"{ident}: {got}, hook {told}"
        assert told["sent"] == sum(told[x] for x in ("head", "body", "framing", "tls"))
        assert told["acked"] <= told["sent"], where
        assert told["acked"] <= got["received"] + slack, where
        # With TLS, tickets may come along that are no part of the answer; a FIN counts.
        assert got["received"] <= told["sent"] + (1024 if srv.tls else 1), where
        # A reset may overtake the last acknowledgements.
        assert told["acked"] + RCVBUF >= got["read"], where
        if size > 1 << 20 and way in ("late", "pause"):
            assert told["acked"] < told["sent"], where
        wanted += [(ident, "delivered"), (ident, "post")]
        if kept:
            first = facts(srv, "delivered", f"first-{ident}")
            assert first["acked"] == first["sent"] and first["outcome"] == "sent"
            wanted += [(f"first-{ident}", "delivered"), (f"first-{ident}", "post")]
    assert counts(srv) == sorted(wanted)


@pytest.mark.parametrize("kind", ["list", "chunked", "late", "fails", "short"])
@pytest.mark.parametrize("size", [100, 3 << 20])
def test_taken_whole(delivering, kind, size):
    srv = delivering
    with connect(srv) as sock:
        got = visit(sock, "pause", f"/?id=a&size={size}&kind={kind}", size, 1 << 30)
    told = facts(srv, "delivered", "a")
    assert told["acked"] == told["sent"] > size
    assert told["outcome"] == ("app-failed" if kind == "short" else "sent")
    assert told["aborted"] == (kind == "short")
    if not srv.tls:
        assert told["sent"] == got["read"]


def test_after_an_exception(delivering):
    srv = delivering
    assert srv.connect(tls=srv.tls).ask("/?id=a&kind=raise").status == 500
    told = facts(srv, "delivered", "a")
    assert told["status"] == 500 and told["acked"] == told["sent"] > 0


def test_a_silent_connection(delivering):
    """It stays open and says nothing: the server asks by itself."""
    srv = delivering
    with srv.connect(tls=srv.tls) as conn:
        conn.ask("/?id=a")
        told = facts(srv, "delivered", "a", timeout=3)
        assert told["acked"] == told["sent"] > 0
        conn.ask("/?id=b")


def test_post_hooks_do_not_wait(delivering):
    """The client has not taken all of it: post hooks run, delivered hooks do not yet."""
    srv = delivering
    with srv.socket(4096, 10) as raw:
        sock = srv.tls.wrap_socket(raw, server_hostname="localhost") if srv.tls else raw
        sock.sendall(request("/?id=a&size=100000"))
        told = facts(srv, "post", "a")
        assert told["acked"] is None
        assert holds(lambda: ("a", "delivered") not in counts(srv), 0.5)
        take(sock, told["head"] + told["body"])
        told = facts(srv, "delivered", "a")
        assert told["acked"] == told["sent"] > 100000
        sock.close()


def test_worker_stops(server, record):
    """Hooks that wait for a client when the graceful time is over."""
    options = ("--graceful-timeout", "1s", "--linger-timeout", "20s")
    srv = server("delivery:application", *options, env={"RECORD": str(record)})
    srv.record = record
    with srv.socket(4096) as middle, srv.socket(4096) as after:
        middle.sendall(request("/?id=a&size=9000000"))
        after.sendall(request("/?id=b&size=100000"))
        facts(srv, "post", "b")
        srv.signal(signal.SIGTERM)
        srv.wait_exit()
        low = tcp_received(middle), tcp_received(after)
    first, second = facts(srv, "delivered", "a"), facts(srv, "delivered", "b")
    assert first["outcome"] == "stopped" and second["outcome"] == "sent"
    assert first["acked"] <= low[0] < first["sent"]
    assert second["acked"] <= low[1] < second["sent"]
    srv.check_after_exit()


def test_unix_socket(server, record):
    """Read as a whole: exact. Otherwise a lower bound of what was read."""
    srv = server("delivery:application", bind="unix", env={"RECORD": str(record)})
    srv.record = record
    with srv.connect() as conn:
        assert len(conn.ask("/?id=whole&size=3000000").body) == 3000000
        told = facts(srv, "delivered", "whole")
        assert told["acked"] == told["sent"] > 3000000
    for read in (0, 100000, 2000000):
        with srv.socket() as sock:
            sock.sendall(request(f"/?id={read}&size=9000000"))
            got = 0
            while got < read:
                got += len(sock.recv(65536))
        told = facts(srv, "delivered", str(read))
        assert told["acked"] <= got and told["outcome"] == "client-gone"
        # A lower bound: what was read before the last look at the open socket.
    for read in (0, 300):
        with srv.socket() as sock:
            sock.sendall(request(f"/?id=small{read}", headers=[("Connection", "close")]))
            facts(srv, "post", f"small{read}")
            if read:
                assert sock.recv(65536)
        told = facts(srv, "delivered", f"small{read}")
        assert told["acked"] == (told["sent"] if read else 0)


def test_vanished_client(server, record):
    """It reads no more and says no more; --write-timeout ends it."""
    options = ("--write-timeout", "1s")
    srv = server("delivery:application", *options, env={"RECORD": str(record)})
    srv.record = record
    with srv.socket(RCVBUF) as sock:
        got = visit(sock, "pause", "/?id=a&size=9000000", 9000000, 500000, "/?id=b")
        told = facts(srv, "delivered", "a")
        received = tcp_received(sock) - got["start"]
        assert told["outcome"] == "timed-out" and told["abort_reason"] == "timeout"
        assert 500000 <= told["acked"] <= received < told["sent"]


def test_access_log_waits_for_the_number(server, record, tmp_path):
    path = tmp_path / "access.log"
    options = ("--access-logfile", path, "--access-logformat", "json-acked")
    srv = server("delivery:application", *options, env={"RECORD": str(record)})
    srv.record = record
    with srv.connect() as conn:
        conn.ask("/?id=a&size=1000")
        conn.send(b"NONSENSE\r\n\r\n").read_all()
    with srv.socket(RCVBUF) as sock:
        visit(sock, "pause", "/?id=b&size=9000000", 9000000, 500000)
        leave(sock, "reset")

    def lines():
        return path.exists() and len(path.read_text().splitlines()) == 3

    wait_for(lines, 5 * SLOW, "three records")
    whole, refused, gone = by_query(path)
    assert whole["acked"] == whole["sent"] == whole["head"] + whole["body"]
    assert refused["status"] == 400 and refused["acked"] == refused["sent"] > 0
    assert refused["outcome"] == "refused"
    told = facts(srv, "delivered", "b")
    assert gone["outcome"] == "client-gone" and gone["reason"] != "-"
    assert gone["acked"] == told["acked"] < gone["sent"] == told["sent"]


def by_query(path):
    records = [json.loads(x) for x in path.read_text().splitlines()]
    return [
        next(x for x in records if x["query"].partition("&")[0] == query)
        for query in ("id=a", "", "id=b")
    ]


def test_half_closed_client(server, record):
    """It asked, said that it asks no more, and takes its time."""
    srv = server("delivery:application", env={"RECORD": str(record)})
    srv.record = record
    with srv.socket(4096) as sock:
        sock.sendall(request("/?id=a&size=100000"))
        sock.shutdown(socket.SHUT_WR)
        facts(srv, "post", "a")
        got = 0
        while piece := sock.recv(65536):
            got += len(piece)
    told = facts(srv, "delivered", "a")
    assert told["acked"] == told["sent"] == got
