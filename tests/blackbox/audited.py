"""A service with a ledger under load of clients that keep books of their own, killed piece by
piece; and the comparison of the two books.

SPDX-License-Identifier: MIT
"""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import procfs
from control_client import Control
from exercises import kill_child
from shoal_harness import APPS, BINARY, SANITIZER, SLOW, server_environment
from tally import Tally
from waiting import holds, wait_for

ACCOUNTS = [f"tenant-{n}" for n in range(5)] + [f"env-{n}" for n in range(5)]
SENDS_MAX = 262144  # bytes of one send(): what a killed worker leaves uncertain at most
# Who is killed how often; the master least, since it takes all others with it.
VICTIMS = ("worker",) * 6 + ("ledger",) * 2 + ("gateway",) + ("master",)
NAMES = {"worker": "shoal: worker", "ledger": "ledger", "gateway": "gateway"}


def bound_socket():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


class Service:
    """A unit as systemd runs one: it keeps the socket and the directories, and starts the
    same command again whenever the master dies."""

    def __init__(self, folder, *options, workers=2, app="tenants:application", env=None):
        self.dir = Path(folder)
        self.accounts, self.database = self.dir / "accounts", self.dir / "ledger.db"
        self.socket, self.log_path = self.dir / "c.sock", self.dir / "log"
        self.listener = bound_socket()
        self.listener.listen(4096)
        self.address = self.listener.getsockname()
        with closing(bound_socket()) as probe:
            gateway = probe.getsockname()[1]
        fd = self.listener.fileno()
        self.args = [
            BINARY, "-b", f"fd://{fd}", "-w", str(workers), "--control-socket", self.socket,
            "--ledger", self.database, "--ledger-flush", "0.2", "--name", "audited",
            "--gateway", f"127.0.0.1:{gateway}", "--account-key", "header:X-Tenant",
            *map(str, options), app,
        ]
        self.env = server_environment({"RUNTIME_DIRECTORY": str(self.dir), **(env or {})})
        self.workers, self.masters, self.process = workers, [], None

    def start(self):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.args, cwd=APPS, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, pass_fds=[self.listener.fileno()],
            )
        self.masters.append(self.process)
        return self

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def find(self, what):
        """Pids of the master's children of this kind."""
        return [pid for pid in procfs.children(self.process.pid)
                if NAMES[what] in procfs.command(pid)]

    def wait_strength(self, timeout=30):
        wait_for(lambda: len(self.find("worker")) == self.workers and self.find("ledger"),
                 timeout * SLOW, f"full strength\n{self.log[-3000:]}", step=0.05)
        return self

    def connect(self):
        return socket.create_connection(self.address)

    def call(self, method, /, **params):
        with Control(self.socket) as control:
            return control.call(method, **params)

    def kill_master(self):
        self.process.kill()
        self.process.wait()

    def kill_one(self, what, chance):
        """Whether somebody was killed."""
        if what == "master":
            self.kill_master()
            self.start()
            return True
        victims = self.find(what)
        return bool(victims) and kill_child(self.process.pid, chance.choice(victims))

    def wait_old_ones(self, timeout=60):
        """What masters before left to finish its work has ended."""
        for master in self.masters[:-1]:
            wait_for(lambda m=master: not procfs.of_session(m.pid), timeout * SLOW,
                     "the end of a killed master's workers", step=0.05)

    def stop(self, timeout=30):
        """TERM; what was wrong with the end."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout * SLOW)
        wrong = [f"exit code {code}"] if code else []
        # The gateway is killed last, and nobody is left to wait for it.
        holds(lambda: procfs.of_session(self.process.pid), 2 * SLOW)
        if left := procfs.of_session(self.process.pid):
            wrong.append(f"still there: {[procfs.command(pid) for pid in left]}")
        return wrong

    def close(self):
        for master in self.masters:
            for pid in procfs.of_session(master.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            master.wait()
        self.listener.close()

    def __enter__(self):
        return self.start().wait_strength()

    def __exit__(self, *_exc):
        self.close()

    # ---- the ledger's file ----

    def booked(self):
        """{account: {column: sum}}, from the file itself."""
        with closing(sqlite3.connect(self.database, timeout=10)) as db:
            db.row_factory = sqlite3.Row
            return {row["account"]: dict(row) for row in db.execute(
                "SELECT account, sum(requests) requests, sum(in_body) in_body, "
                "sum(out_head+out_body+out_framing) sent, sum(out_undelivered) undelivered, "
                "sum(uncertain) uncertain FROM usage GROUP BY account")}

    def check_file(self):
        """Whole, with nothing left over; complaints."""
        wrong = [f"left over: {p.name}" for p in self.accounts.glob("seg-*")]
        with closing(sqlite3.connect(self.database)) as db:
            said = db.execute("PRAGMA integrity_check").fetchone()[0]
            sums = [db.execute(f"SELECT total(requests), total(out_body), total(in_head) "
                               f"FROM {table}").fetchone() for table in ("usage", "outbox")]
            marks = db.execute("SELECT count(*) FROM applied").fetchone()[0]
        if said != "ok":
            wrong.append(f"integrity_check: {said}")
        if sums[0] != sums[1]:
            wrong.append(f"usage {sums[0]} but outbox {sums[1]}")
        if marks and not wrong:
            wrong.append(f"{marks} watermarks of tables that are gone")
        if SANITIZER.search(self.log):
            wrong.append(self.log)
        return wrong


def kill_pieces(service, seconds, seed):
    """SIGKILL to a random piece again and again; how often to which."""
    chance, killed = random.Random(seed), dict.fromkeys((*NAMES, "master"), 0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        holds(lambda: True, chance.uniform(0.02, 0.4), 0.4)
        what = chance.choice(VICTIMS)
        killed[what] += service.kill_one(what, chance)
    return killed


def compare(received, booked, killed_workers):
    """Complaints: the ledger below what clients have, or above what they can have had."""
    wrong, missing, uncertain = [], 0, 0
    for account, got in received["accounts"].items():
        have = booked.get(account)
        if have is None:
            wrong.append(f"{account} is not in the ledger")
            continue
        billed, slack = have["sent"] - have["undelivered"], have["uncertain"]
        missing += max(got["whole"] - have["requests"], 0)
        uncertain += slack
        bounds = {
            "requests": (0, have["requests"], got["whole"] + got["cut"]),
            "bytes sent": (got["bytes"] - slack, have["sent"], got["bytes"] + got["room"]),
            "bytes billed": (got["whole_bytes"] - slack, billed, have["sent"]),
        }
        wrong += [f"{account}: {name} {value}, not in [{low}, {high}]"
                  for name, (low, value, high) in bounds.items() if not low <= value <= high]
    if missing > killed_workers:
        wrong.append(f"{missing} requests are missing, {killed_workers} workers were killed")
    if uncertain > killed_workers * SENDS_MAX:
        wrong.append(f"{uncertain} uncertain bytes of {killed_workers} killed workers")
    return wrong + [f"strange answer: {line}" for line in received["strange"]]


def survive(folder, seconds, seed=1, **more):
    """Everything at once; (what was killed how often, the clients' report, complaints)."""
    with Service(folder, **more) as service:
        with Tally(service.address, ACCOUNTS, seed=seed) as tally:
            killed = kill_pieces(service, seconds, seed)
            service.wait_strength()
            received = tally.stop()
        service.wait_old_ones()
        wrong = service.stop()
        wrong += compare(received, service.booked(), killed["worker"])
        wrong += service.check_file()
        if wrong:
            wrong.append(service.log[-4000:])
    return killed, received, wrong


def events(service):
    """What was told of accounting, but for the ends of ledgers that a test killed."""
    told = service.call("events.history", types=["accounting.*"], limit=1000)["events"]
    return [event for event in told if event["type"] != "accounting.ledger_down"]


def kinds(service):
    return [event["type"] for event in events(service)]


def wait_event(service, kind, count=1):
    wait_for(lambda: kinds(service).count(kind) == count, 20 * SLOW,
             f"{count} x {kind}\n{service.log[-2000:]}", step=0.05)


def answered(service):
    return sum(a["requests"] for a in service.call("accounts.list")["accounts"])


def goes_on(service, count=200):
    """Serving does, whatever the disk does."""
    before = answered(service)
    wait_for(lambda: answered(service) > before + count, 10 * SLOW, "answers", step=0.05)
