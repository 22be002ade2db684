"""Tables of accounts where the runtime directory has no room for them: they are in memory alone,
the ledger misses nothing, whoever is killed, and nobody dies of a page that cannot be had.

SPDX-License-Identifier: MIT
"""

import errno
import os
import re
import signal
import subprocess
import threading
from contextlib import contextmanager

import pytest
from audited import ACCOUNTS, SENDS_MAX, Service, compare, events, goes_on, kinds, wait_event
from raw_client import Conn
from shoal_harness import SANITIZED, SLOW
from tally import Tally
from waiting import holds, wait_for

SMALL = "1400k"  # no table fits beside that of quotas
LARGE = "64m"


class Room:
    """A tmpfs whose size a test sets."""

    def __init__(self, where):
        self.where, self.accounts = where, where / "accounts"

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.where], check=True)

    @contextmanager
    def filled(self):
        """Whatever room there is, somebody takes it."""
        done = threading.Event()

        def fill():
            with (self.where / "filler").open("wb", buffering=0) as file:
                while not done.wait(0.002):
                    try:
                        while True:
                            file.write(bytes(65536))
                    except OSError as e:
                        assert e.errno == errno.ENOSPC

        thread = threading.Thread(target=fill)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def tables(self):
        return sorted(p.name for p in self.accounts.glob("seg-*"))

    def reserved(self):
        return len(list(self.accounts.glob("spare-*")))


@contextmanager
def mounted(where, options):
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", where],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


@pytest.fixture
def room(tmp_path):
    with mounted(tmp_path / "run", f"size={SMALL}") as where:
        yield Room(where)


@pytest.fixture
def disk(tmp_path):
    """With no file left that could be made."""
    with mounted(tmp_path / "disk", "nr_inodes=1") as where:
        yield where


def service_in(tmp_path, room, *options, **more):
    service = Service(tmp_path, *options, env={"RUNTIME_DIRECTORY": str(room.where)}, **more)
    service.accounts = room.accounts
    return service


def kill(service, *which):
    """At once; how many were workers."""
    victims = [(what, pid) for what in which for pid in service.find(what)[:which.count(what)]]
    for _, pid in dict.fromkeys(victims):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not {pid for _, pid in victims} &
             {*service.find("worker"), *service.find("ledger")}, 5 * SLOW)
    service.wait_strength()
    return len({pid for what, pid in victims if what == "worker"})


def ask(service, tenant):
    with Conn(service.connect(), 10 * SLOW) as conn:
        conn.send(b"GET /whole/100 HTTP/1.1\r\nHost: t\r\nX-Tenant: %s\r\n\r\n"
                  % tenant.encode())
        return conn.response().status


def carry_out(service, method):
    """A job, to its end."""
    number = service.call(method)["job"]

    def done():
        try:
            return service.call("jobs.get", job=number)["state"] in ("done", "failed")
        except (OSError, AssertionError):
            return False

    wait_for(done, 30 * SLOW, step=0.02)
    assert service.call("jobs.get", job=number)["state"] == "done"


def audit(service, tally, killed_workers):
    received = tally.stop()
    service.wait_old_ones()
    wrong = service.stop() + compare(received, service.booked(), killed_workers)
    wrong += service.check_file()
    ends = set(re.findall(r"signal=(SIG\w+)", service.log)) - {"SIGKILL"}
    wrong += [f"a process died of {ends}"] if ends else []
    assert not wrong, "\n".join([*wrong, service.log[-4000:]])
    return received


def test_no_room_and_room_again(tmp_path, room):
    with service_in(tmp_path, room) as service, Tally(service.address, ACCOUNTS) as tally:
        wait_event(service, "accounting.memory_only")
        data = events(service)[0]["data"]
        assert data["directory"] == str(room.accounts)
        assert data["free_bytes"] < data["needed_bytes"] and "RUNTIME_DIRECTORY" in data["advice"]
        goes_on(service)
        killed = kill(service, "worker")
        goes_on(service)
        kill(service, "ledger")
        killed += kill(service, "worker", "worker", "ledger")
        goes_on(service)
        carry_out(service, "reload.start")
        goes_on(service)
        assert room.tables() == [] and room.reserved() == 0
        assert kinds(service) == ["accounting.memory_only"]
        room.resize(LARGE)
        wait_event(service, "accounting.memory_only_ended")
        killed += kill(service, "worker", "worker")
        assert len(room.tables()) == service.workers
        goes_on(service)
        with room.filled():
            killed += use_up(service, room)
            goes_on(service)
        audit(service, tally, killed)
    assert not room.accounts.exists(), "left behind"


def use_up(service, room):
    """Files, those reserved then, memory in the end; how many workers were killed."""
    killed = 0
    while kinds(service).count("accounting.memory_only") < 2:
        killed += kill(service, "worker", "worker")
        assert killed < 50, "there is always room"
    assert room.reserved() == 0
    return killed


def test_a_killed_master(tmp_path, room):
    """Its ledger has the tables, and sees their workers to the end; the next one serves."""
    with service_in(tmp_path, room) as service, Tally(service.address, ACCOUNTS) as tally:
        wait_event(service, "accounting.memory_only")
        for _ in range(2):
            goes_on(service)
            service.kill_master()
            service.start()
            wait_for(lambda: len(service.find("worker")) == 2, 10 * SLOW, service.log[-2000:])
            goes_on(service)
        wait_for(lambda: service.find("ledger"), 30 * SLOW, step=0.05)
        audit(service, tally, 0)


def test_a_worker_killed_behind_a_killed_master(tmp_path, room):
    """What it had not finished is uncertain, and all it had counted is there."""
    with service_in(tmp_path, room, "--ledger-flush", "3600") as service:
        wait_event(service, "accounting.memory_only")
        with Tally(service.address, ACCOUNTS) as tally:
            goes_on(service)
            workers = service.find("worker")
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            service.kill_master()
            assert not service.booked()
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            service.start().wait_strength()
            audit(service, tally, len(workers))
        booked = service.booked()
        assert sum(row["uncertain"] for row in booked.values()) <= len(workers) * SENDS_MAX


@pytest.mark.skipif(SANITIZED, reason="its processes take seconds each to start")
def test_an_upgrade(tmp_path, room):
    """Another binary takes the tables over, also those of workers that have ended."""
    with service_in(tmp_path, room) as service, Tally(service.address, ACCOUNTS) as tally:
        wait_event(service, "accounting.memory_only")
        goes_on(service)
        killed = kill(service, "worker")
        carry_out(service, "server.upgrade")
        goes_on(service)
        killed += kill(service, "worker")
        goes_on(service)
        assert kinds(service).count("accounting.memory_only") == 0
        audit(service, tally, killed)


def test_no_directory_at_all(tmp_path):
    """/dev/shm cannot be written to, and nobody named another place."""
    service = Service(tmp_path, env={"RUNTIME_DIRECTORY": ""})
    script = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        service.close()
        pytest.skip(f"no file system of one's own: {tried.stderr.strip()}")
    service.args = [*prefix, *service.args]
    with service, Tally(service.address, ACCOUNTS) as tally:
        wait_event(service, "accounting.memory_only")
        assert "/dev/shm/shoal-" in events(service)[0]["data"]["directory"]
        goes_on(service)
        service.call("quota.set", account="small", limit_bytes=1, window="hour", action="deny")
        wait_for(lambda: ask(service, "small") == 429, 10 * SLOW, step=0.05)
        killed = kill(service, "worker", "ledger")
        goes_on(service)
        assert holds(lambda: kinds(service) == ["accounting.memory_only"], 0.5, 0.1)
        audit(service, tally, killed)


def test_no_ledger_without_its_lock(tmp_path, disk):
    """The lock's file cannot be made: counting goes on, and the ledger comes when it can."""
    service = Service(tmp_path, "--ledger", disk / "ledger.db")
    service.database = disk / "ledger.db"
    service.start()
    try:
        wait_for(lambda: len(service.find("worker")) == service.workers, 30 * SLOW)
        with Tally(service.address, ACCOUNTS) as tally:
            goes_on(service)
            killed = kill_worker(service)
            goes_on(service)
            assert kinds(service) == ["accounting.disk_full"] and not service.find("ledger")
            subprocess.run(["mount", "-o", "remount,nr_inodes=100", disk], check=True)
            wait_event(service, "accounting.recovered")
            goes_on(service)
            audit(service, tally, killed)
    finally:
        service.close()


def kill_worker(service):
    os.kill(service.find("worker")[0], signal.SIGKILL)
    return 1
