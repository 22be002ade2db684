"""Records of the ledger in a real PostgreSQL: each of them exactly once, from several nodes,
also when the shipper is killed.

SPDX-License-Identifier: MIT
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from shoal_harness import ROOT, SLOW, Server
from test_ledger import books  # noqa: F401
from waiting import holds

pytestmark = pytest.mark.long

SHIP = ROOT / "scripts/ship-postgres"


def find_programs():
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)


@pytest.fixture(scope="module")
def database():
    """A server of its own, on a unix socket in a temporary directory."""
    initdb = find_programs()
    psycopg = pytest.importorskip("psycopg", reason="python3-psycopg is not installed")
    if initdb is None:
        pytest.skip("postgresql is not installed")
    with tempfile.TemporaryDirectory(prefix="shoal-pg-") as name:
        run = []
        if os.geteuid() == 0:
            shutil.chown(name, "postgres", "postgres")
            run = ["runuser", "-u", "postgres", "--"]
        data = Path(name, "data")
        subprocess.run([*run, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N"],
                       check=True, capture_output=True, cwd=name)
        ctl = [*run, initdb.with_name("pg_ctl"), "-D", data, "-w", "-l", Path(name, "log")]
        subprocess.run([*ctl, "-o", f"-k {name} -c listen_addresses=''", "start"], check=True,
                       capture_output=True, cwd=name)
        pid = int(Path(data, "postmaster.pid").read_text().split()[0])
        Server.running.add(pid)  # it belongs to these tests
        try:
            info = f"host={name} user=postgres dbname=postgres"
            yield lambda: psycopg.connect(info, autocommit=True), info
        finally:
            subprocess.run([*ctl, "-m", "immediate", "stop"], check=True,
                           capture_output=True, cwd=name)
            Server.running.discard(pid)


@pytest.fixture
def tables(database):
    connect, info = database
    with connect() as db:
        db.execute("DROP TABLE IF EXISTS shoal_record, shoal_usage, shoal_position")
    return connect, info


def ship(b, info, *options):
    out = subprocess.run([sys.executable, SHIP, "--socket", b.socket, "--database", info,
                          *options], capture_output=True, text=True, check=False,
                         timeout=60 * SLOW)
    assert out.returncode == 0, out.stderr
    return int(out.stdout.split()[0])


def totals(connect):
    with connect() as db:
        return [int(v) for v in db.execute(
            "SELECT coalesce(sum(requests), 0), coalesce(sum(out_head + out_body), 0) "
            "FROM shoal_usage WHERE account LIKE 'account-%'").fetchone()]


def test_each_once(books, tables):  # noqa: F811
    connect, info = tables
    b = books()
    sums = b.writer(1, rounds=100).end()
    b.call("accounting.flush")
    assert ship(b, info) >= 20
    assert totals(connect) == sums
    assert ship(b, info) == 0
    assert ship(b, info, "--from-start", "--page", "7") == 0
    assert totals(connect) == sums
    more = b.writer(2, rounds=10).end()
    b.call("accounting.adjust", account="account-1", column="requests", delta=-3, reason="x")
    b.call("accounting.flush")
    assert ship(b, info) >= 21
    assert totals(connect) == [sums[0] + more[0] - 3, sums[1] + more[1]]


def test_killed_and_doubled(books, tables):  # noqa: F811
    connect, info = tables
    rng = random.Random(11)
    b = books()
    sums = b.writer(1, names=1500, rounds=3).end()
    b.call("accounting.flush")
    kills = 0
    for _ in range(12):
        both = [subprocess.Popen([sys.executable, SHIP, "--socket", b.socket, "--database",
                                  info, "--page", "5", "--from-start"],
                                 stdout=subprocess.DEVNULL) for _ in range(2)]
        holds(lambda: True, rng.uniform(0.2, 0.6))
        for one in both:
            kills += one.poll() is None
            one.kill()
            one.wait()
    assert kills > 0
    ship(b, info, "--from-start")
    assert totals(connect) == sums


def test_two_nodes(books, tables, tmp_path):  # noqa: F811
    connect, info = tables
    all_sums = [0, 0]
    for node in ("one", "two"):
        where = tmp_path / node
        where.mkdir()
        b = books("--ledger-node", node, where=where)
        all_sums = [x + y for x, y in
                    zip(all_sums, b.writer(1, rounds=50).end(), strict=True)]
        b.call("accounting.flush")
        ship(b, info)
    assert totals(connect) == all_sums
    with connect() as db:
        assert {row[0] for row in db.execute("SELECT node FROM shoal_position")} == {
            "one", "two"}


def test_no_outbox(books, tables):  # noqa: F811
    _, info = tables
    b = books("--ledger-keep-outbox", "0")
    out = subprocess.run([sys.executable, SHIP, "--socket", b.socket, "--database", info],
                         capture_output=True, text=True, check=False, timeout=60)
    assert out.returncode == 1 and "keeps no outbox" in out.stderr
