"""The ledger against the books of clients, on disks and by clocks that cannot be relied on:
nobody waits, one event says what is wrong, and in the end the sums are right.

SPDX-License-Identifier: MIT
"""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest
from audited import ACCOUNTS, Service, compare, goes_on, kinds, wait_event
from control_client import Failed
from raw_client import Conn
from shoal_harness import BINARY, SANITIZED, SLOW
from tally import Tally
from waiting import holds, wait_for

SHIM = Path(BINARY).with_name("ledger_shim.so")


class Shim:
    """What the ledger's disk and clock do."""

    def __init__(self, folder):
        if SANITIZED:
            pytest.skip("nothing can be preloaded before a sanitizer's own library")
        self.dir = folder / "shim"
        self.dir.mkdir()
        os.mkfifo(self.dir / "clock")
        self.env = {"LD_PRELOAD": str(SHIM), "LEDGER_SHIM": str(self.dir)}

    def set(self, name, value):
        (self.dir / ".new").write_text(str(value))
        (self.dir / ".new").rename(self.dir / name)

    def set_clock(self, seconds):
        """A step, of which the kernel tells those that asked for it."""
        self.set("clock_s", seconds)
        fd = os.open(self.dir / "clock", os.O_RDWR | os.O_NONBLOCK)
        os.write(fd, b"x")
        return fd  # what was written is gone when nobody has the other end


@pytest.fixture
def shim(tmp_path):
    return Shim(tmp_path)


def audit(service, tally, killed_workers=0):
    received = tally.stop()
    service.wait_old_ones()
    wrong = service.stop() + compare(received, service.booked(), killed_workers)
    wrong += service.check_file()
    assert not wrong, "\n".join([*wrong, service.log[-4000:]])
    return received


def slowest(service):
    """0: it is just waiting for its disk, and who asks is told so."""
    try:
        return service.call("accounting.status")["slowest_flush_ms"]
    except Failed as e:
        assert e.kind in ("timeout", "overloaded")
        return 0


def test_slow_fsync(tmp_path, shim):
    with Service(tmp_path, env=shim.env) as service, Tally(service.address, ACCOUNTS) as tally:
        goes_on(service)
        shim.set("sync_ms", 1500)
        wait_event(service, "accounting.slow_disk")
        goes_on(service)
        wait_for(lambda: slowest(service) > 1500, 20 * SLOW)
        assert kinds(service) == ["accounting.slow_disk"]
        shim.set("sync_ms", 0)
        received = audit(service, tally)
    assert received["p100_us"] < 1500000, "a client waited for the disk"


def test_a_master_killed_while_the_disk_is_slow(tmp_path, shim):
    """Its ledger still writes; the next master serves at once and books later."""
    with Service(tmp_path, env=shim.env) as service, Tally(service.address, ACCOUNTS) as tally:
        goes_on(service)
        old = service.find("ledger")[0]
        shim.set("sync_ms", 6000)
        wait_for(lambda: os.readlink(f"/proc/{old}/cwd") and asleep(old), 10 * SLOW)
        service.kill_master()
        service.start()
        wait_for(lambda: len(service.find("worker")) == 2, 5 * SLOW, service.log[-2000:])
        goes_on(service)
        assert Path(f"/proc/{old}").exists(), "the disk was not slow enough"
        shim.set("sync_ms", 0)
        wait_for(lambda: service.find("ledger"), 30 * SLOW, step=0.05)
        audit(service, tally)


def asleep(pid):
    """In the nap that stands for an fsync."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("35", "230", "101", "115")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EIO, errno.ENOSPC])
def test_a_disk_that_refuses(tmp_path, shim, code):
    """Every write fails, for the ledger that runs and for those started meanwhile."""
    with Service(tmp_path, env=shim.env) as service, Tally(service.address, ACCOUNTS) as tally:
        goes_on(service)
        shim.set("errno", code)
        wait_event(service, "accounting.disk_full")
        goes_on(service)
        os.kill(service.find("worker")[0], signal.SIGKILL)
        goes_on(service)
        assert service.call("accounting.status")["ledger"] == "failing"
        assert kinds(service) == ["accounting.disk_full"]
        os.kill(service.find("ledger")[0], signal.SIGKILL)
        wait_event(service, "accounting.disk_full", 2)  # the next ledger's own
        goes_on(service)
        shim.set("errno", 0)
        wait_event(service, "accounting.recovered")
        audit(service, tally, 1)


def test_clock_steps(tmp_path, shim):
    steps, fds = (3600, -86400, 10 * 365 * 86400, 0), []
    with Service(tmp_path, env=shim.env) as service, Tally(service.address, ACCOUNTS) as tally:
        for number, step in enumerate(steps, 1):
            goes_on(service)
            fds.append(shim.set_clock(step))
            wait_event(service, "accounting.clock_jump", number)
        goes_on(service)
        assert set(kinds(service)) == {"accounting.clock_jump"}
        audit(service, tally)
    for fd in fds:
        os.close(fd)


def test_ten_thousand_tenants(tmp_path):
    """In tables of 4096 rows: their sum is what was received, to the byte."""
    size, count = 0, 10000
    with Service(tmp_path, workers=1) as service:
        with Conn(service.connect(), 30 * SLOW) as conn:
            for number in range(count):
                conn.send(b"GET /whole/100 HTTP/1.1\r\nHost: t\r\nX-Tenant: t-%d\r\n\r\n" % number)
                answer = conn.response()
                assert answer.status == 200
                size += answer.size
        wait_event(service, "accounting.overflow")
        wrong = service.stop() + service.check_file()
        assert not wrong, "\n".join(wrong)
        booked = service.booked()
    assert "~overflow" in booked and len(booked) > 3500
    assert sum(row["requests"] for row in booked.values()) == count
    assert sum(row["sent"] for row in booked.values()) == size
    assert service.log.count("accounts share the row ~overflow") == 1


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "ledger", where],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_full_disk(tmp_path, small_disk):
    """Full while workers and the ledger are killed; then there is room again."""
    filler = small_disk / "filler"
    with Service(tmp_path, "--ledger", small_disk / "ledger.db") as service:
        service.database = small_disk / "ledger.db"
        with Tally(service.address, ACCOUNTS) as tally:
            goes_on(service)
            with pytest.raises(OSError), filler.open("wb", buffering=0) as f:
                while True:
                    f.write(bytes(4096))
            wait_event(service, "accounting.disk_full")
            assert holds(lambda: kinds(service) == ["accounting.disk_full"], 1, 0.1)
            for what in ("worker", "ledger", "worker"):
                os.kill(service.find(what)[0], signal.SIGKILL)
                goes_on(service)
            service.kill_master()
            service.start().wait_strength()
            goes_on(service)
            filler.unlink()
            wait_for(lambda: service.call("accounting.status")["ledger"] == "ok", 30 * SLOW)
            audit(service, tally, 2)
