"""Who is billed, and that every byte is counted once, whatever ends.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import signal
import socket
import threading

import procfs
import pytest
from control_client import call
from waiting import holds, wait_for


class Accounts:
    """A server and what accounts.list says of it."""

    def __init__(self, server, tmp_path, *options, app="billed:application", **more):
        self.path = tmp_path / "c.sock"
        self.server = server(app, "--control-socket", self.path, *options, **more)

    def list(self):
        listed = call(self.path, "accounts.list", limit=10000)
        return {a["account"]: a for a in listed["accounts"]}

    def requests(self):
        return {name: a["requests"] for name, a in self.list().items()}

    def sum(self, column):
        return sum(a[column] for a in self.list().values())

    def ask(self, *targets, headers=()):
        return [self.server.ask(t, headers=headers) for t in targets]


@pytest.fixture
def accounts(server, tmp_path):
    return lambda *options, **kw: Accounts(server, tmp_path, *options, **kw)


def test_the_application_says(accounts):
    one = accounts("--account-key", "header:X-Tenant")
    one.server.allow_log("on purpose|Exception on /error|app: wsgi.errors")
    got = one.ask("/environ/acme", "/header/globex", "/both", "/none", "/error/acme")
    assert [g.status for g in got] == [200, 200, 200, 200, 500]
    assert not any(b"account" in name.lower() for g in got for name, _ in g.headers)
    one.ask("/none", headers=[("X-Tenant", "t-1")])
    wait_for(lambda: one.sum("requests") == 6)
    assert one.requests() == {"acme": 2, "globex": 1, "environ": 1, "~none": 1, "t-1": 1}
    acme = one.list()["acme"]
    assert (acme["err5xx"], acme["aborted"]) == (1, 0)
    assert one.list()["globex"]["out_body"] == 1000
    assert acme["in_head"] > 0 and acme["out_head"] > 0 and acme["wall_us"] > 0


def test_an_application_that_fails_is_billed(accounts):
    one = accounts()
    one.server.expect_log("application failed").allow_log("RuntimeError")
    assert one.ask("/crash")[0].status == 500
    wait_for(lambda: one.requests() == {"crashed": 1})


def test_mistakes_are_told(accounts):
    one = accounts()
    one.server.expect_log("shoal.account is no account's name")
    one.server.expect_log("shoal.account changed too late")
    one.ask("/wrong", "/late")
    wait_for(lambda: one.requests() == {"~none": 1, "first": 1})
    assert one.list()["first"]["out_body"] == 1000
    wait_for(lambda: call(one.path, "stats.get")["totals"]["late_accounts"] == 1)


def test_any_bytes_make_a_name(accounts):
    one = accounts("--account-key", "path_prefix:1")
    one.server.ask("/~none/x")
    one.server.ask("/" + "y" * 100)
    one.server.exchange(b"GET /\xff HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    wait_for(lambda: one.sum("requests") >= 2)
    names = set(one.requests())
    assert "/~none" in names
    assert any(len(n) == 64 and n.startswith("/" + "y" * 46 + "~") for n in names)


def test_what_is_refused_is_billed_as_received(accounts):
    one = accounts("--account-key", "host")
    garbage = b"GET / HTTP/1.1\r\nHost: t\r\nwrong line\r\n\r\n"
    long = b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n"
    for sent in (garbage, long):
        assert one.server.exchange(sent).startswith(b"HTTP/1.1 4")
    wait_for(lambda: one.sum("requests") == 2)
    assert one.list()["~none"]["in_head"] == len(garbage) + len(long)
    assert one.sum("in_head") == call(one.path, "stats.get")["totals"]["in_head"]


def test_more_hosts_than_rows(accounts):
    """Nothing is lost: the row of all others has the rest, and one event says so."""
    one = accounts("--account-key", "host", "--accounts-max", "16", app="hello:application")
    conn = one.server.connect()
    for n in range(1000):
        conn.send(b"GET / HTTP/1.1\r\nHost: h%d.example\r\n\r\n" % n)
        assert conn.response().status == 200
    wait_for(lambda: one.sum("requests") == 1000)
    totals = call(one.path, "stats.get")["totals"]
    assert one.sum("out_body") == totals["out_body"]
    assert one.sum("in_head") == totals["in_head"]
    rows = 16 - 3 - 2  # without the three that always exist and those kept for quotas
    assert one.requests()["~overflow"] == 1000 - rows
    assert call(one.path, "accounts.list")["overflowed"] == 1000 - rows

    def told():
        return call(one.path, "events.history", types=["accounting.overflow"])["events"]

    wait_for(told)
    assert holds(lambda: len(told()) == 1, 2)


def test_nobody_escapes_a_quota_by_filling_the_table(accounts, tmp_path):
    one = accounts("--account-key", "header:X-Tenant", "--accounts-max", "16", "--ledger",
                   tmp_path / "ledger.db", "--ledger-flush", "0.1", app="hello:application")
    wait_for(lambda: call(one.path, "accounting.status")["ledger"] == "ok", 10)
    call(one.path, "quota.set", account="vip", limit_bytes=1, action="deny")
    for n in range(40):
        one.ask("/", headers=[("X-Tenant", f"crowd-{n}")])
    wait_for(lambda: one.requests().get("~overflow", 0) > 0, 10)

    def denied():
        return one.ask("/", headers=[("X-Tenant", "vip")])[0].status == 429

    wait_for(denied, 10, "the quota")
    assert "vip" in one.requests()


def ask_until(address, stop, got):
    """Whole answers, one connection after the other, in any weather."""
    while not stop.is_set():
        try:
            with socket.create_connection(address, 5) as s:
                s.sendall(b"GET /environ/acme HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                answer = b""
                while more := s.recv(65536):
                    answer += more
        except OSError:
            continue
        body = answer.partition(b"\r\n\r\n")[2]
        got.append((len(body) == 1000, len(body)))


def test_what_was_never_acknowledged_is_counted_by_server_and_account(accounts):
    one = accounts("--account-key", "header:X-Tenant", app="tenants:application")
    sock = socket.create_connection(one.server.address)
    sock.sendall(b"GET /whole/8388608?acme HTTP/1.1\r\nHost: a\r\n\r\n")
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()  # a reset: what is under way is lost
    one.server.allow_log("reset|Broken pipe|left")

    def total():
        return call(one.path, "stats.get", select=["totals"])["totals"]["out_undelivered"]

    wait_for(lambda: total() > 0 and one.sum("out_undelivered") == total(), 10, "bytes lost")


def test_killed_workers_lose_nothing_that_was_answered(accounts):
    """Counted is at least what clients have, and what was not known is bounded."""
    one = accounts(workers=2)
    one.server.expect_log("worker died").allow_log("request lost")
    stop, got, clients = threading.Event(), [], []
    address = ("127.0.0.1", one.server.port)
    for _ in range(4):
        clients.append(threading.Thread(target=ask_until, args=(address, stop, got)))
        clients[-1].start()
    last, kills = 0, 12
    for n in range(kills):
        wait_for(lambda n=n: len(got) > 40 * (n + 1), 20)
        os.kill(one.server.worker_pids()[0], signal.SIGKILL)
        now = one.list()["acme"]["out_body"]
        assert now >= last, "a total went backwards"
        last = now
        wait_for(lambda: len(one.server.worker_pids()) == 2, 20)
    stop.set()
    for c in clients:
        c.join()
    received = sum(n for _, n in got)
    acme = one.list()["acme"]
    wait_for(lambda: one.sum("out_body") + one.sum("uncertain") >= received)
    acme = one.list()["acme"]
    # What a client did not get whole may be counted: at most what was in hand at a kill.
    whole = sum(ok for ok, _ in got)
    assert whole <= acme["requests"] + kills
    assert acme["out_body"] <= received + 1000 * 4 * kills
    assert acme["uncertain"] <= 262144 * kills


def booked(path):
    """Requests by account, as the ledger has them after a flush."""
    call(path, "accounting.flush")
    rows = call(path, "accounting.query", columns=["requests", "out_body"], include_open=True)
    return {account: counts for _, account, *counts in rows["rows"]}


def with_ledger(accounts, tmp_path):
    one = accounts("--ledger", tmp_path / "ledger.db", "--name", "booked",
                   env={"RUNTIME_DIRECTORY": str(tmp_path)})
    one.server.more_descriptors = 5
    return one


def test_the_ledger_has_what_workers_counted(accounts, tmp_path):
    one = with_ledger(accounts, tmp_path)
    one.server.expect_log("worker died").allow_log("request lost")
    one.ask("/environ/acme", "/environ/acme", "/none")
    wait_for(lambda: one.sum("requests") == 3)
    os.kill(one.server.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: one.server.log.count("worker ready") == 2)
    one.ask("/environ/acme")
    wait_for(lambda: one.sum("requests") == 4)
    listed = {n: [a["requests"], a["out_body"]] for n, a in one.list().items()}
    assert listed == {"acme": [3, 3000], "~none": [1, 1000]}
    wait_for(lambda: booked(one.path) == listed)


def test_a_killed_master_leaves_its_counts(accounts, tmp_path):
    """Everything is killed at once; who starts next finds the tables and books them."""
    one = with_ledger(accounts, tmp_path)
    one.ask(*["/environ/acme"] * 5)
    wait_for(lambda: one.sum("requests") == 5)
    for pid in [one.server.pid, *procfs.of_session(one.server.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    one.server.wait_exit()
    one.server.check_after_exit()
    tables = tmp_path / "accounts"
    assert list(tables.glob("seg-*")), "there is nothing to be found"
    two = with_ledger(accounts, tmp_path)
    two.ask("/environ/acme")
    wait_for(lambda: booked(two.path) == {"acme": [6, 6000]})
    wait_for(lambda: len(list(tables.glob("seg-*"))) == 1, what="the old table gone")
    assert two.requests()["acme"] >= 1
