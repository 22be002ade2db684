"""Accounts, quotas and the ledger in /metrics: each sample moves by what was done, and none
goes backwards when the ledger or the master begins anew.

SPDX-License-Identifier: MIT
"""

import os
import signal
import sqlite3
import struct
import tempfile
from contextlib import closing
from pathlib import Path

import procfs
import pytest
from control_client import Failed, call
from scraping import Scraped, free_port, get, gone_back, types
from shoal_harness import SLOW
from test_ledger import children, is_ledger
from waiting import wait_for

INTENT_AT = 760  # of struct acct_head
ROWS = 16
TAKEN = 3 + 2  # rows that always exist, and an eighth kept for accounts with a quota
FLUSHES = "shoal_accounting_flushes_total"


class Booked(Scraped):
    """An instance with a ledger that writes when it is told to."""

    def __init__(self, make, path, *options, **named):
        port = free_port()
        self.dir = path
        self.database = path / "ledger.db"
        self.path = path / "c.sock"
        self.server = make("tenants:application", "--control-socket", self.path,
                           "--gateway", f"127.0.0.1:{port}", "--account-key", "header:X-Tenant",
                           "--metrics-account", "acme", "--accounts-max", ROWS, "--ledger",
                           self.database, "--ledger-flush", "3600", *options,
                           env={"RUNTIME_DIRECTORY": str(path)}, **named)
        self.server.more_descriptors = 5
        super().__init__(port)

    def call(self, method, /, **params):
        return call(self.path, method, **params)

    def ask(self, *tenants):
        """The bytes of all answers."""
        size = 0
        for tenant in tenants:
            headers = [("X-Tenant", tenant)] if tenant else []
            answer = self.server.ask("/whole/1000", headers=headers)
            assert answer.status == 200
            size += answer.size
        return size

    def ledger_pid(self):
        return next((p for p in children(self.server.pid) if is_ledger(p)), None)


@pytest.fixture(scope="module")
def booked(module_server):
    with tempfile.TemporaryDirectory(prefix="shoal-booked-") as name:
        yield Booked(module_server, Path(name))


def billable(found, account):
    return found.get(f'shoal_account_billable_bytes_total{{account="{account}"}}', 0)


def grown(before, after, name, labels=""):
    key = f"{name}{{{labels}}}" if labels else name
    return after[key] - before.get(key, 0)


def test_every_byte_is_some_accounts(booked):
    """Of one that was named, of all others, of nobody, of those without a row."""
    before = booked.scrape()
    named = booked.ask("acme", "acme", "acme")
    nobody = booked.ask("")
    room = ROWS - TAKEN - 1
    others = booked.ask(*(f"t-{n}" for n in range(room)))
    too_many = booked.ask("t-a", "t-b")
    booked.call("accounting.flush")
    after = wait_for(
        lambda: billable(now := booked.scrape(), "~overflow") >= too_many and now, 10 * SLOW)
    assert [billable(after, a) - billable(before, a)
            for a in ("acme", "~none", "~other", "~overflow")] == [
        named, nobody, others, too_many]
    assert grown(before, after, "shoal_account_requests_total", 'account="~overflow"') == 2
    assert grown(before, after, "shoal_accounting_overflow_bytes_total") == too_many
    assert grown(before, after, "shoal_accounting_rows", 'worker="0"') == room + 1
    assert after['shoal_accounting_rows_limit{worker="0"}'] == ROWS
    # One record per row: acme, ~none, ~overflow and the others.
    assert grown(before, after, "shoal_accounting_outbox_records") == room + 3
    assert grown(before, after, FLUSHES, 'result="ok"') == 1
    assert grown(before, after, "shoal_accounting_flush_duration_seconds_count") == 1
    assert grown(before, after, "shoal_accounting_flush_duration_seconds_sum") > 0
    assert 0 <= after["shoal_accounting_lag_seconds"] < 60
    assert after["shoal_accounting_database_bytes"] >= 4096
    assert after["shoal_accounting_disk_free_bytes"] > 0
    assert types(get(booked.url)[1])["shoal_quota_used_ratio"] == "gauge"


def test_quotas(booked):
    before = booked.scrape()
    for account, action, rate in (("acme", "log", {}), ("slow", "throttle", {"rate_bytes": 9}),
                                  ("shut", "deny", {}), ("half", "deny", {})):
        booked.call("quota.set", account=account, limit_bytes=100000, action=action, **rate)
        booked.call("accounting.adjust", account=account, column="out_body", reason="test",
                    delta=50000 if account == "half" else 150000)
    booked.call("accounting.flush")
    after = booked.scrape()
    for action in ("log", "throttle", "deny"):
        assert grown(before, after, "shoal_quota_actions_total", f'action="{action}"') == 1
    used = {a: booked.call("quota.get", account=a)["used"] / 100000
            for a in ("acme", "slow", "shut", "half")}
    assert used["half"] == 0.5 and used["acme"] > 1.5
    # Who was not named is not told by name.
    assert {k: v for k, v in after.items() if k.startswith("shoal_quota_used_ratio")} == {
        'shoal_quota_used_ratio{account="acme"}': pytest.approx(used.pop("acme")),
        'shoal_quota_used_ratio{account="~other"}': pytest.approx(max(used.values()))}
    for account in ("acme", "slow", "shut", "half"):
        booked.call("quota.unset", account=account)
    assert not [k for k in booked.scrape() if k.startswith("shoal_quota_used_ratio")]


def test_a_database_that_somebody_holds(booked):
    before = booked.scrape()
    booked.server.expect_log("flush failed .*locked")
    booked.ask("acme")
    with closing(sqlite3.connect(booked.database)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failed) as e:
            booked.call("accounting.flush")
        assert e.value.kind == "failed_precondition"
    booked.call("accounting.flush")
    after = booked.scrape()
    assert grown(before, after, FLUSHES, 'result="busy"') == 1
    assert grown(before, after, FLUSHES, 'result="ok"') == 1


def test_what_a_killed_worker_had_in_hand(booked):
    """A send that was begun, and whose end nobody saw."""
    before = booked.scrape()
    booked.server.expect_log("worker died .*SIGKILL")
    table, = (booked.dir / "accounts").glob("seg-*")
    with table.open("r+b") as f:
        f.seek(INTENT_AT)
        f.write(struct.pack("<QQ", 1, 4096))
    os.kill(booked.server.worker_pids()[0], signal.SIGKILL)
    after = wait_for(lambda: grown(
        before, now := booked.scrape(), "shoal_accounting_uncertain_bytes_total") and now)
    assert grown(before, after, "shoal_accounting_uncertain_bytes_total") == 4096


def test_counters_outlive_the_ledger_and_the_master(booked):
    booked.server.expect_log("helper ended").allow_log("upgraded")
    booked.ask("acme", "t-1", "")
    booked.call("accounting.flush")
    before, kinds = booked.scrape(), types(get(booked.url)[1])
    ledger = booked.ledger_pid()
    os.kill(ledger, signal.SIGKILL)
    wait_for(lambda: booked.ledger_pid() not in (None, ledger), 10 * SLOW)
    again = wait_for(lambda: (
        now := booked.scrape())[f'{FLUSHES}{{result="ok"}}'] > 0 and now, 10 * SLOW)
    assert not gone_back(before, again, kinds)
    job = booked.call("server.upgrade")["job"]
    wait_for(lambda: f"reload done job={job}" in booked.server.log, 20 * SLOW)
    booked.call("accounting.flush")
    after = booked.scrape()
    assert not gone_back(again, after, kinds)
    assert billable(after, "acme") == billable(before, "acme")
    assert billable(after, "~other") == billable(before, "~other")


def test_a_database_that_cannot_be_opened(server, tmp_path):
    """Each try counts; the age of the last good look grows meanwhile."""
    (tmp_path / "ledger.db-wal").mkdir()
    one = Booked(server, tmp_path)
    one.server.expect_log("flush failed")
    with pytest.raises(Failed):
        one.call("accounting.flush")
    found = one.scrape()
    assert found[f'{FLUSHES}{{result="io"}}'] == 2
    assert found[f'{FLUSHES}{{result="ok"}}'] == 0
    assert 0 <= found["shoal_accounting_lag_seconds"] < 60
    (tmp_path / "ledger.db-wal").rmdir()
    one.call("accounting.flush")


def test_what_was_found_late(server, tmp_path):
    """Everything is killed with something in hand; somebody looks a long time later."""
    one = Booked(server, tmp_path)
    one.call("accounting.flush")
    size = one.ask("acme", "beta")
    os.kill(one.ledger_pid(), signal.SIGSTOP)  # it would flush once more
    for pid in [one.server.pid, *procfs.of_session(one.server.pid)]:
        os.kill(pid, signal.SIGKILL)
    one.server.wait_exit()
    one.server.check_after_exit()
    with closing(sqlite3.connect(one.database)) as db, db:
        db.execute("UPDATE meta SET v=1000000000 WHERE k='last_flush'")
    two = Booked(server, tmp_path)
    two.server.more_descriptors = 5
    assert wait_for(lambda: two.scrape()["shoal_accounting_late_bytes_total"]) == size
