"""What a statsd server gets to hear: gunicorn's names, and each request once.

SPDX-License-Identifier: MIT
"""

import os
import re
import signal
import socket
import subprocess
from collections import Counter

import pytest
from shoal_harness import APPS, BINARY, SLOW, server_environment
from waiting import wait_for

LINE = re.compile(r"([\w.]+):([\d.e+-]+)\|(c|g|ms)(?:\|@([\d.e-]+))?(?:\|#(.+))?")


class Statsd:
    """Adds up what arrives."""

    def __init__(self, path=None):
        family = socket.AF_UNIX if path else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(str(path) if path else ("127.0.0.1", 0))
        self.counters, self.gauges, self.durations = Counter(), {}, []
        self.tags = set()

    @property
    def address(self):
        return f"127.0.0.1:{self.sock.getsockname()[1]}"

    def read(self):
        try:
            while True:
                data = self.sock.recv(65536)
                assert len(data) <= 1400
                for line in data.decode("ascii").split("\n"):
                    self._take(line)
        except BlockingIOError:
            return self

    def _take(self, line):
        match = LINE.fullmatch(line)
        assert match, line
        name, value, kind, rate, tags = match.groups()
        self.tags.add(tags)
        if kind == "c":
            self.counters[name] += int(value)
        elif kind == "g":
            self.gauges[name] = float(value)
        else:
            self.durations.append((name, float(value), float(rate or 1)))

    def wait(self, name, value):
        wait_for(lambda: self.read().counters[name] >= value, 10 * SLOW, name)
        assert self.counters[name] == value


@pytest.fixture
def statsd():
    one = Statsd()
    yield one
    one.sock.close()


def test_requests(server, statsd):
    one = server("hello:application", "--statsd-host", statsd.address, workers=2)
    for _ in range(20):
        assert one.ask("/").status == 200
    missing = one.exchange(b"GET / HTTP/9.9\r\n\r\n")
    status = int(missing.split()[1])
    statsd.wait("gunicorn.requests", 21)
    assert statsd.counters["gunicorn.request.status.200"] == 20
    assert statsd.counters[f"gunicorn.request.status.{status}"] == 1
    assert statsd.gauges["gunicorn.workers"] == 2
    assert statsd.gauges["gunicorn.backlog"] == 0
    assert {name for name, _, _ in statsd.durations} == {"gunicorn.request.duration"}
    assert 20 <= len(statsd.durations) <= 21
    assert all(0 < ms < 5000 * SLOW and rate == 1 for _, ms, rate in statsd.durations)


def test_nothing_is_told_twice_or_lost(server, statsd):
    """Over kills and a reload; the rest comes with the end."""
    one = server(
        "hello:application", "--statsd-host", statsd.address, "--reload-keep", "0", workers=2
    )
    for _ in range(10):
        assert one.ask("/").status == 200
    statsd.wait("gunicorn.requests", 10)  # what a killed worker has not counted is lost
    one.expect_log("worker died")
    os.kill(one.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: len(one.worker_pids()) == 2, 10 * SLOW, "a new worker")
    one.signal(signal.SIGHUP)
    one.wait_log("reload done")
    for _ in range(5):
        assert one.ask("/").status == 200
    one.stop()
    statsd.wait("gunicorn.requests", 15)
    assert statsd.counters["gunicorn.log.error"] >= 1  # the death


def test_prefix_and_tags(server, statsd):
    one = server(
        "hello:application", "--statsd-host", statsd.address, "--statsd-prefix", "shop..",
        "--dogstatsd-tags", "env:test,team:a",
    )  # fmt: skip
    assert one.ask("/").status == 200
    statsd.wait("shop.gunicorn.requests", 1)
    assert statsd.tags == {"env:test,team:a"}
    assert all(name.startswith("shop.gunicorn.") for name in statsd.gauges)


def test_unix_socket(server, tmp_path):
    path = tmp_path / "statsd.sock"
    one = server("hello:application", "--statsd-host", f"unix://{path}")
    assert one.ask("/").status == 200  # nobody listens yet
    statsd = Statsd(path)
    wait_for(lambda: statsd.read().gauges.get("gunicorn.workers") == 1, 10 * SLOW, "lines")
    statsd.sock.close()


def test_exceptions(server, statsd):
    one = server("wrong:raises_in_app", "--statsd-host", statsd.address)
    one.expect_log("")
    assert one.ask("/").status == 500
    statsd.wait("gunicorn.log.exception", 1)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--statsd-host", "nowhere.invalid:8125"], "the host cannot be resolved"),
        (["--statsd-host", "host:99999"], "expected HOST:PORT"),
        (["--statsd-host", "h:1", "--statsd-prefix", "a|b"], "--statsd-prefix"),
        (["--statsd-host", "h:1", "--dogstatsd-tags", "a b"], "--dogstatsd-tags"),
    ],
)
def test_mistakes(options, words, tmp_path):
    done = subprocess.run(
        [BINARY, "-b", "127.0.0.1:0", *options, "hello:application"], cwd=APPS,
        env=server_environment({"RUNTIME_DIRECTORY": str(tmp_path)}),
        capture_output=True, text=True, timeout=20 * SLOW,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stdout + done.stderr
