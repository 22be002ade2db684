"""The ledger from outside: everything counted in shared memory is in the database once,
whatever is killed, full or damaged in between.

SPDX-License-Identifier: MIT
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from control_client import Control, Failed, call
from passable import make_passable
from shoal_harness import BINARY, SLOW
from test_control import ask_as
from waiting import holds, wait_for

WRITER = Path(BINARY).with_name("account_writer")
SHOALCTL = Path(BINARY).with_name("shoalctl")
KILLING_S = 8


class Writer:
    """A process that counts into a table of accounts, as a worker does."""

    def __init__(self, accounts, slot, names=20, rounds=None):
        args = ["run", str(accounts), str(slot), str(names)]
        if rounds is not None:
            args = ["write", *args[1:], str(rounds)]
        self.accounts = accounts
        self.process = subprocess.Popen([WRITER, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.name = self.process.stdout.readline().strip()
        assert self.name.startswith("seg-")
        if rounds is not None:
            assert self.process.stdout.readline() == "done\n"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self):
        """Killed, and its table completed as the master does it: what it counted."""
        self.kill()
        out = subprocess.run([WRITER, "close", self.accounts, self.name],
                             capture_output=True, text=True, check=True)
        return [int(word) for word in out.stdout.split()]

    def end_as_orphan(self):
        """Killed: a master that began later completes the table, its ledger takes it."""
        self.kill()
        wait_for(lambda: not (self.accounts / self.name).exists(), 10 * SLOW, "the fold")


class Books:
    """A server with a ledger, and writers beside it."""

    def __init__(self, make_server, tmp, *options, app="hello:application"):
        self.dir = tmp
        self.accounts = tmp / "accounts"
        self.database = tmp / "ledger.db"
        self.server = make_server(app, "--ledger", self.database,
                                  "--control-socket", tmp / "c.sock", "--ledger-flush",
                                  "0.05", "--name", "books", *options,
                                  env={"RUNTIME_DIRECTORY": str(tmp)})
        self.server.more_descriptors = 4
        self.writers = []

    @property
    def socket(self):
        return self.dir / "c.sock"

    def call(self, method, /, **params):
        return call(self.socket, method, **params)

    def writer(self, *args, **kwargs):
        self.writers.append(Writer(self.accounts, *args, **kwargs))
        return self.writers[-1]

    def ledger_pid(self):
        return next((pid for pid in children(self.server.pid) if is_ledger(pid)), None)

    def totals(self):
        """Requests and bytes in the database, of the writers' accounts only."""
        with closing(sqlite3.connect(self.database, timeout=10)) as db:
            return list(db.execute(
                "SELECT total(requests), total(out_head+out_body) FROM usage "
                "WHERE account LIKE 'account-%'").fetchone())

    def check_whole(self):
        with closing(sqlite3.connect(self.database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_ledger(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "shoal-ledger"
    except OSError:
        return False


@pytest.fixture
def books(server, tmp_path):
    made = []

    def make(*options, where=tmp_path, **more):
        made.append(Books(server, where, *options, **more))
        return made[-1]

    yield make
    for one in made:
        for writer in one.writers:
            if writer.process.poll() is None:
                writer.kill()


def test_totals(books):
    b = books()
    sums = [0, 0]
    for slot in range(3):
        one = b.writer(slot, rounds=500).end()
        sums = [x + y for x, y in zip(sums, one, strict=True)]
    assert sums[0] == 3 * 20 * 500
    b.call("accounting.flush")
    assert b.totals() == sums
    rows = b.call("accounting.query", include_open=True, columns=["requests"],
                  accounts=["account-3", "account-4"])["rows"]
    assert [row[1:] for row in rows] == [["account-3", 1500], ["account-4", 1500]]
    # What ended is folded and gone.
    wait_for(lambda: not [w for w in b.writers if (b.accounts / w.name).exists()])
    status = b.call("accounting.status")
    assert status["ledger"] == "ok" and status["failed_flushes"] == 0
    b.check_whole()


def test_last_flush_at_the_end(books):
    b = books("--ledger-flush", "3600")
    sums = b.writer(1, rounds=50).end()
    b.server.stop()
    assert b.totals() == sums
    assert not b.accounts.exists()


def test_ten_thousand_accounts(books):
    """In a table of 4096: none is lost, those without a row share one."""
    b = books()
    events = Control(b.socket)
    events.call("events.subscribe", types=["accounting.*"])
    requests, _ = b.writer(1, names=10000, rounds=3).end()
    assert requests == 30000
    b.call("accounting.flush")
    with closing(sqlite3.connect(b.database)) as db:
        rows, total = db.execute("SELECT count(*), sum(requests) FROM usage "
                                 "WHERE account != '~none'").fetchone()
        assert db.execute("SELECT sum(requests) FROM usage WHERE account='~overflow'"
                          ).fetchone()[0] > 0
    assert rows > 3500 and total == 30000
    assert events.until_event("accounting.overflow")["data"]["bytes"] > 0
    events.sock.close()


def test_kills(books, tmp_path):
    """Writers and the ledger are killed at random; then the master."""
    b = books()
    b.server.allow_log("ledger: helper ended")
    rng, sums, kills = random.Random(7), [0, 0], 0
    writers = [b.writer(slot) for slot in range(2)]
    end = time.monotonic() + KILLING_S
    while time.monotonic() < end:
        holds(lambda: True, rng.uniform(0.01, 0.15))
        pid = b.ledger_pid()
        if rng.random() < 0.4 and pid:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        else:
            at = rng.randrange(len(writers))
            sums = [x + y for x, y in zip(sums, writers[at].end(), strict=True)]
            writers[at] = b.writer(at)
    assert kills > 3
    # The master at last: its ledger flushes once more, and the next one goes on.
    b.server.process.kill()
    b.server.process.wait()
    b.server.stopped = True
    for writer in writers:
        sums = [x + y for x, y in zip(sums, writer.end(), strict=True)]
    second = books(where=tmp_path)
    second.call("accounting.flush")
    assert second.totals() == sums
    second.check_whole()
    with closing(sqlite3.connect(b.database)) as db:
        assert db.execute("SELECT total(requests) FROM outbox WHERE account LIKE 'account-%'"
                          ).fetchone()[0] == sums[0]


def test_upgrade(books):
    """The ledger ends before another binary takes the master's place, and is there again."""
    b = books()
    before = wait_for(b.ledger_pid)
    writer = b.writer(1, rounds=100)
    b.call("server.upgrade")
    after = wait_for(lambda: b.ledger_pid() not in (None, before) and b.ledger_pid())
    assert not Path(f"/proc/{before}").exists() and after
    sums = writer.end()

    def flushed():
        try:
            return b.call("accounting.flush")
        except Failed as e:
            assert e.kind == "overloaded"
        except AssertionError:
            pass  # closed by the exec

    wait_for(flushed)
    assert b.totals() == sums
    b.server.wait_log("server.upgraded|upgraded")
    b.server.baseline.clear()


def test_second_instance_is_refused(books, tmp_path):
    books()
    other = tmp_path / "other"
    other.mkdir()
    out = subprocess.run(
        [BINARY, "-b", "127.0.0.1:0", "--ledger", tmp_path / "ledger.db", "hello:application"],
        env={**os.environ, "RUNTIME_DIRECTORY": str(other)}, capture_output=True, text=True,
        timeout=30 * SLOW, check=False)
    assert out.returncode == 2
    assert "in use by another instance, master pid" in out.stderr


def test_corrupt(books):
    b = books()
    writer = b.writer(1, rounds=100)
    b.call("accounting.flush")
    first = b.totals()
    b.server.stop()
    b.database.write_bytes(b"this is no database" * 1000)
    second = books()
    second.server.expect_log("database corrupt, a new one was begun")
    third = second.writer(2, rounds=10)
    sums = third.end()
    second.call("accounting.flush")
    # The first writer's counts are in the file that was set aside.
    writer.end_as_orphan()
    second.call("accounting.flush")
    assert first[0] == 2000 and second.totals() == sums
    kept = list(b.dir.glob("ledger.db.corrupt-*"))
    assert len(kept) == 1 and kept[0].read_bytes().startswith(b"this is no")
    history = second.call("events.history", types=["accounting.corrupt"])["events"]
    assert len(history) == 1 and history[0]["data"]["kept_as"] == str(kept[0])


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "ledger", where],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_disk_full(books, tmp_path, small_disk):
    b = books("--ledger", small_disk / "ledger.db")
    b.database = small_disk / "ledger.db"
    b.server.expect_log("flush failed")
    filler = small_disk / "filler"
    sums = b.writer(1, names=50, rounds=10).end()
    b.call("accounting.flush")
    with pytest.raises(OSError), filler.open("wb") as f:
        while True:
            f.write(bytes(4096))
            f.flush()
    writer = b.writer(2, names=2000, rounds=5)
    wait_for(lambda: b.call("accounting.status")["ledger"] == "failing")
    with pytest.raises(Failed) as e:
        b.call("accounting.flush")
    assert e.value.kind == "failed_precondition" and "full" in str(e.value)
    assert b.server.ask("/").status == 200
    filler.unlink()
    sums = [x + y for x, y in zip(sums, writer.end(), strict=True)]
    wait_for(lambda: b.call("accounting.status")["ledger"] == "ok", 20)
    b.call("accounting.flush")
    assert b.totals() == sums
    b.check_whole()
    flushes = b.call("metrics.server")["accounting"]["ledger"]["flushes"]
    assert flushes["full"] == b.call("accounting.status")["failed_flushes"] > 0
    assert flushes["io"] == flushes["busy"] == 0
    events = b.call("events.history", types=["accounting.*"], limit=1000)["events"]
    assert [e["type"] for e in events] == ["accounting.disk_full", "accounting.recovered"]


def test_methods(books):
    b = books()
    for method, params, name in [
        ("accounting.query", {"from": "soon"}, "from"),
        ("accounting.query", {"columns": ["secret"]}, "columns"),
        ("accounting.query", {"step": "1w"}, "step"),
        ("accounting.query", {"form": "2026-11"}, "form"),
        ("accounting.adjust", {"account": "a", "column": "x", "delta": 1, "reason": "y"},
         "column"),
        ("quota.set", {"account": "a", "limit_bytes": 0}, "limit_bytes"),
        ("quota.set", {"account": "a", "limit_bytes": 1, "action": "throttle"}, "rate_bytes"),
    ]:
        with pytest.raises(Failed) as e:
            b.call(method, **params)
        assert e.value.kind == "invalid_params" and e.value.data["param"] == name
    made = b.call("accounting.adjust", account="acme", column="out_body", delta=-5,
                  reason="test")
    assert made["adjustment"] == 1
    b.call("accounting.flush")
    record = b.call("accounting.export")["records"][-1]
    assert record["id"].split("/")[1] == "adjust" and record["out_body"] == -5
    quota = b.call("quota.set", account="acme", limit_bytes=100, action="deny")
    assert quota["used"] == -5 and quota["window"] == "month"
    assert b.call("quota.list")["quotas"] == [b.call("quota.get", account="acme")]
    b.call("quota.unset", account="acme")
    with pytest.raises(Failed) as e:
        b.call("quota.get", account="acme")
    assert e.value.kind == "not_found"


def test_no_ledger(server, tmp_path):
    server("hello:application", "--control-socket", tmp_path / "c.sock")
    with pytest.raises(Failed) as e:
        call(tmp_path / "c.sock", "accounting.status")
    assert e.value.kind == "unsupported" and e.value.data["feature"] == "ledger"


def test_observers_see_their_accounts(books):
    b = books("--control-socket-mode", "0666", "--control-role",
              "user:4242=observer:account-1,account-2", "--control-role", "user:4343=observer",
              "--account-key", "header:X-Tenant", *("--metrics-account=account-" + n for n in "19"))
    make_passable(b.dir)
    b.writer(1, rounds=5).end()
    b.call("accounting.flush")
    query = {"method": "accounting.query", "params": {"include_open": True}}
    own, = ask_as(b.socket, 4242, query)
    assert [row[1] for row in own["result"]["rows"]] == ["account-1", "account-2"]
    query["params"]["accounts"] = ["account-1", "account-9"]
    no, = ask_as(b.socket, 4242, query)
    assert no["error"]["data"]["kind"] == "permission_denied"
    every, adjust = ask_as(b.socket, 4343, query, {"method": "accounting.flush"})
    assert len(every["result"]["rows"]) == 2
    assert adjust["error"]["data"]["kind"] == "permission_denied"
    for name in ("account-1", "account-9"):
        assert b.server.ask("/", headers=[("X-Tenant", name)]).status == 200
        b.call("quota.set", account=name, limit_bytes=10**9, action="log")
    for uid, names in (4242, {"account-1"}), (4343, {"account-1", "account-9"}):
        own, sums = (answer["result"] for answer in ask_as(
            b.socket, uid, {"method": "metrics.server"}, {"method": "metrics.accounts"}))
        assert {q["account"] for q in own["accounting"]["ledger"]["quotas"]} == names
        assert {a["account"] for a in sums["accounts"] if a["account"][0] != "~"} == names


def shoalctl(b, *words):
    return subprocess.run([SHOALCTL, "-s", b.socket, *words], capture_output=True, text=True,
                          check=False, timeout=30 * SLOW)


def test_shoalctl(books):
    b = books()
    b.writer(1, names=3, rounds=1000).end()
    b.call("accounting.flush")
    out = shoalctl(b, "usage", "-a", "account-1,account-2", "--columns",
                   "requests,billable_bytes")
    lines = [line.split("\t") for line in out.stdout.splitlines()]
    assert lines[0] == ["bucket", "account", "requests", "billable_bytes"]
    assert [line[1:] for line in lines[1:]] == [["account-1", "1000", "599500"],
                                                ["account-2", "1000", "599500"]]
    month = time.strftime("%Y-%m", time.gmtime())
    out = shoalctl(b, "usage", "--month", month, "--csv", "--columns", "requests")
    assert out.stdout.splitlines()[0] == "bucket,account,requests"
    assert f"{month}-01T00:00Z,account-1,1000" in out.stdout.splitlines()
    assert json.loads(shoalctl(b, "usage", "--json").stdout)["columns"][0] == "bucket"
    assert shoalctl(b, "usage", "--month", "November").returncode == 2
    assert shoalctl(b, "usage", "--from", "November").returncode == 2
    assert "ok" in shoalctl(b, "accounting", "status").stdout
    adjusted = shoalctl(b, "accounting", "adjust", "account-1", "because", "--column",
                        "out_body", "--delta", "-500")
    assert adjusted.returncode == 0, adjusted.stderr
    shoalctl(b, "accounting", "flush")
    assert "adjust/1" in shoalctl(b, "accounting", "export").stdout
    assert shoalctl(b, "quota", "set", "account-1", "10G", "--window", "day").returncode == 0
    assert "10737418240" in shoalctl(b, "quota", "list", "--json").stdout
    assert shoalctl(b, "quota", "unset", "account-1", "--window", "day").returncode == 0


def test_denied(books):
    """Beyond its quota an account gets 429 and the time of the next window; others do not."""
    b = books("--account-key", "header:X-Tenant", "--health-path", "/healthz")
    for account in ("acme", "beta"):
        b.call("quota.set", account=account, limit_bytes=1000, window="hour", action="deny")
    assert b.server.ask("/", headers=[("X-Tenant", "acme")]).status == 200
    b.call("accounting.adjust", account="acme", column="out_body", delta=5000, reason="test")
    b.call("accounting.flush")
    refused = wait_for(lambda: (a := b.server.ask("/", headers=[("X-Tenant", "acme")])).status
                       == 429 and a)
    left = int(refused.get("retry-after"))
    assert 0 < left <= 3600 and abs(left - (3600 - time.time() % 3600)) < 10
    with_body = b.server.ask("/", method="POST", headers=[("X-Tenant", "acme")],
                             body=b"x" * 100000)
    assert with_body.status == 429
    rejected = {one["reason"]: one["count"] for one in b.call("metrics.http")["rejected"]}
    assert rejected["quota"] == sum(rejected.values()) == 2
    assert b.server.ask("/", headers=[("X-Tenant", "beta")]).status == 200
    assert b.server.ask("/").status == 200
    assert b.server.ask("/healthz", headers=[("X-Tenant", "acme")]).status == 200
    b.call("quota.unset", account="acme", window="hour")
    assert b.server.ask("/", headers=[("X-Tenant", "acme")]).status == 200


def ask_until(b, account, target, count):
    """So many answers on one connection; the bytes of all of them."""
    total = 0
    with b.server.connect() as conn:
        for _ in range(count):
            answer = conn.ask(target, headers=[("X-Tenant", account)])
            assert answer.status == 200
            total += answer.size
    return total


def test_what_clients_got(books):
    """Answers of real workers, of which some are killed: their sums are the ledger's."""
    b = books("--account-key", "header:X-Tenant", "-w", "2")
    b.server.allow_log("worker ")
    sums = {"acme": 0, "beta": 0}
    for turn in range(6):
        for account in sums:
            sums[account] += ask_until(b, account, "/", 50)
        if turn % 2:
            os.kill(b.server.worker_pids()[0], signal.SIGKILL)
            wait_for(lambda: len(b.server.worker_pids()) == 2)
    b.call("accounting.flush")
    rows = b.call("accounting.query", include_open=True, accounts=list(sums),
                  columns=["requests", "billable_bytes"])["rows"]
    assert {row[1]: row[2:] for row in rows} == {
        account: [300, total] for account, total in sums.items()}
    assert b.call("accounting.status")["rejected_rows"] == 0
    b.server.baseline.clear()


def test_throttled(books):
    """Beyond its quota an account's answers go out at its rate; others are as fast as ever."""
    b = books("--account-key", "header:X-Tenant", app="zoo:application")
    b.call("quota.set", account="acme", limit_bytes=1000, action="throttle",
           rate_bytes=2 << 20)
    b.call("accounting.adjust", account="acme", column="out_body", delta=5000, reason="test")
    b.call("accounting.flush")

    def took(account):
        begin = time.monotonic()
        answer = b.server.ask("/big?size=6291456", headers=[("X-Tenant", account)], timeout=30)
        assert answer.status == 200 and len(answer.body) == 6291456
        return time.monotonic() - begin

    took("beta")
    wait_for(lambda: took("acme") > 1, 30)
    # 6 MiB, of which a second's worth goes out at once.
    assert 1.5 < took("acme") < 6 * SLOW
    assert took("beta") < 1 * SLOW
    b.call("accounting.flush")
    rows = b.call("accounting.query", include_open=True, accounts=["acme", "beta"],
                  columns=["throttled"])["rows"]
    counts = {row[1]: row[2] for row in rows}
    assert counts["acme"] >= 1 and counts["beta"] == 0


def test_overshoot(books):
    """What goes out beyond a limit: at most the rate times the time between two flushes."""
    b = books("--account-key", "header:X-Tenant")
    flush_s, limit = 0.05, 300000
    b.call("quota.set", account="acme", limit_bytes=limit, action="deny")
    got, begin = 0, time.monotonic()
    with b.server.connect() as conn:
        while (answer := conn.ask("/", headers=[("X-Tenant", "acme")])).status == 200:
            got += answer.size
            assert time.monotonic() - begin < 30 * SLOW
    assert answer.status == 429
    rate = got / (time.monotonic() - begin)
    slowest = b.call("accounting.status")["slowest_flush_ms"] / 1000
    # Two flushes: the one under way does not see it yet.
    assert limit <= got <= limit + rate * 2 * (flush_s + slowest) + 1000
