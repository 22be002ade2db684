"""What the ledger and shoalctl tell people: once, soon, and so that it is read as it is meant.

SPDX-License-Identifier: MIT
"""

import csv
import io
import os
import signal
import time

import pytest
from shoal_harness import SLOW
from test_ledger import Books, shoalctl
from waiting import wait_for


@pytest.fixture(scope="module")
def books_of_all(module_server, tmp_path_factory):
    """Of tests that share an instance."""
    return Books(module_server, tmp_path_factory.mktemp("books"))


def test_a_quota_is_told_once(server, tmp_path):
    """Whoever keeps the books when it is reached, or later."""
    b = Books(server, tmp_path)
    b.server.allow_log("ledger: helper ended")
    b.call("quota.set", account="acme", limit_bytes=1000)

    def adjust(delta):
        b.call("accounting.adjust", account="acme", column="out_body", delta=delta,
               reason="test")
        b.call("accounting.flush")

    def told():
        history = b.call("events.history", types=["quota.*"], limit=100)["events"]
        return [event["type"] for event in history]

    adjust(900)
    assert told() == ["quota.warning"]
    for _ in range(2):
        pid = b.ledger_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: b.ledger_pid() not in (None, pid), 10 * SLOW)
        adjust(200)
        assert told() == ["quota.warning", "quota.exceeded"]


def test_a_stopped_ledger_is_told_soon(server, tmp_path):
    b = Books(server, tmp_path)
    os.kill(b.ledger_pid(), signal.SIGSTOP)
    begin = time.monotonic()
    first = shoalctl(b, "usage")
    took = time.monotonic() - begin
    second = shoalctl(b, "usage")
    after = time.monotonic() - begin
    os.kill(b.ledger_pid(), signal.SIGCONT)
    assert first.returncode != 0 and "no answer from the ledger" in first.stderr
    assert second.returncode != 0 and "the ledger has not answered for" in second.stderr
    assert took < 5 * SLOW and after - took < 1 * SLOW
    wait_for(lambda: shoalctl(b, "usage").returncode == 0, 10 * SLOW)


def test_names_that_look_like_formulas(server, tmp_path):
    b = Books(server, tmp_path, "--account-key", "header:X-Tenant")
    names = ["=1+1", "+x", "-x", "@x", '=a,"b"', "plain"]
    for name in names:
        assert b.server.ask("/", headers=[("X-Tenant", name)]).status == 200
    b.call("accounting.adjust", account="plain", column="out_body", delta=-5000, reason="test")
    b.call("accounting.flush")
    out = shoalctl(b, "usage", "--csv", "--columns", "billable_bytes")
    rows = list(csv.reader(io.StringIO(out.stdout)))[1:]
    assert sorted(row[1] for row in rows) == sorted(
        name if name == "plain" else "'" + name for name in names)
    assert [int(row[2]) < 0 for row in rows if row[1] == "plain"] == [True]


@pytest.mark.parametrize(("text", "size"), [
    ("500", 500), ("1.5kB", 1500), ("10GB", 10**10), ("2mb", 2 * 10**6), ("1TB", 10**12),
    ("10G", 10 << 30), ("10GiB", 10 << 30), ("1.5KiB", 1536), ("3MiB", 3 << 20)])
def test_sizes(books_of_all, text, size):
    b = books_of_all
    assert shoalctl(b, "quota", "set", "acme", text).returncode == 0
    assert b.call("quota.get", account="acme")["limit_bytes"] == size


def test_sizes_that_are_none(books_of_all):
    for text in ("GB", "1PB", "1.2.3MB", "1 MB", "-1MB", "1MBit", "99999999TB"):
        out = shoalctl(books_of_all, "quota", "set", "acme", text)
        assert out.returncode == 2, (text, out)
    told = shoalctl(books_of_all, "quota", "set", "-h").stdout
    assert "powers of 1000" in told and "powers of 1024" in told
