"""Durations, sizes and the inner life of workers in /metrics, each moved by a known amount.

What moves them happens at once, between two scrapes; the tests look at the difference.
SPDX-License-Identifier: MIT
"""

import os
import platform
import signal
import sys
import time

import pytest
from control_client import call
from raw_client import request
from scraping import Scraped, free_port
from shoal_harness import SLOW, client_tls
from waiting import holds, wait_for

THREADS = 2
# What something may take longer on a busy machine.
SLACK = 10 * SLOW
STAGES = ("call", "iterate", "close", "posthook")


class Timed(Scraped):
    def __init__(self, start, folder, *options):
        port = free_port()
        super().__init__(port)
        self.path = folder / "c.sock"
        self.server = start(
            "timed:application", "--control-socket", self.path,
            "--gateway", f"127.0.0.1:{port}", "--keep-alive", "30s", *options)

    def ask(self, target):
        return self.server.ask(target, timeout=20)

    def call(self, method, **params):
        return call(self.path, method, **params)

    def durations(self, name):
        return self.call("metrics.durations")["durations"][name]["count"]

    def together(self, target, count):
        conns = [self.server.connect(timeout=10) for _ in range(count)]
        for conn in conns:
            conn.send(request(target))
        for conn in conns:
            assert conn.response().status == 200

    # ---- what moves them ----

    def queue(self):
        """One more than there are threads: the last waits for as long as the others take."""
        self.together("/sleep?0.4", THREADS + 1)

    def read(self):
        """From the first byte to the body's last, in which the client takes its time."""
        conn = self.server.connect()
        conn.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nab")
        assert conn.quiet(0.3)
        conn.send(b"c")
        assert conn.response().body == b""

    def deliver(self):
        """Known when the client has read what it was sent, a while after it was sent."""
        conn = self.server.connect(rcvbuf=4096)
        conn.send(request("/delivered?3000000"))
        assert holds(lambda: self.durations("delivery") == 0, 0.4)
        assert len(conn.response(timeout=10).body) == 3000000

    def fail(self):
        for stage in STAGES[:3]:
            for _ in range(3):
                self.server.exchange(request(f"/{stage}"))

    def hook(self):
        assert self.ask("/hooks?0.25").status == 200

    def collect(self):
        for target in ("/collect?5000", "/young", "/fork"):
            assert self.ask(target).status == 200

    def fight(self):
        """A thread that keeps the GIL lets the other wait that was woken for a request."""
        holder = self.server.connect(timeout=20)
        holder.send(request("/hold?0.5"))
        wait_for(lambda: self.call("requests.inflight")["total"] == 1, 5 * SLOW)
        for _ in range(3):
            assert self.ask("/").status == 200
        assert holder.response().status == 200

    def stand_still(self):
        """The worker, so that its loop is late once."""
        pid = self.call("workers.get", slot=0)["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            assert holds(lambda: True, 0.6)
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def timed(module_server, tmp_path_factory):
    one = Timed(module_server, tmp_path_factory.mktemp("timed"), "--threads", THREADS)
    one.server.allow_log("on purpose|failed")
    return one


class Moved:
    """Differences of two scrapes."""

    def __init__(self, timed):
        self.before = timed.scrape()
        self.began = time.monotonic()
        for move in (timed.queue, timed.read, timed.deliver, timed.fail, timed.hook,
                     timed.collect, timed.fight, timed.stand_still):
            move()
        wait_for(lambda: timed.durations("delivery") == 1 and timed.durations("posthook") == 4,
                 10 * SLOW)
        timed.scrape()
        self.after = timed.scrape()  # a second later: every tick has come
        self.took = time.monotonic() - self.began

    def by(self, name, labels=""):
        name = f"shoal_{name}{{{labels}}}" if labels else f"shoal_{name}"
        return self.after[name] - self.before[name]

    def histogram(self, name, count, at_least):
        """So many records, that long together."""
        assert self.by(f"{name}_seconds_count") == count
        assert at_least <= self.by(f"{name}_seconds_sum") <= at_least + SLACK


@pytest.fixture(scope="module")
def moved(timed):
    return Moved(timed)


# Requests that the application answered: queue, read, deliver, fail, hook, collect, fight.
REQUESTS = 3 + 1 + 1 + 9 + 1 + 3 + 4


def test_queue(moved):
    moved.histogram("http_queue_duration", REQUESTS, 0.38)


def test_read(moved):
    """All others came as a whole, and took no time."""
    moved.histogram("http_request_read_duration", REQUESTS, 0.29)
    first = moved.by("http_request_read_duration_seconds_bucket", 'le="0.005"')
    assert first == REQUESTS - 1


def test_delivery(moved):
    moved.histogram("http_delivery_duration", 1, 0.39)


def test_posthooks(moved):
    moved.histogram("posthook_duration", 4, 0.24)  # the one at delivery, too


def test_loop_lag(moved):
    """A tick each 200 ms, but for the time it stood still."""
    assert 0.35 <= moved.by("worker_loop_lag_seconds_sum") <= 0.6 + SLACK
    ticks = moved.by("worker_loop_lag_seconds_count")
    assert 2 <= ticks <= 5 * (moved.took + 2)


def test_exceptions_by_stage(moved):
    found = {x: moved.by("app_exceptions_total", f'stage="{x}"') for x in STAGES}
    assert found == {"call": 3, "iterate": 3, "close": 3, "posthook": 1}


def test_collector(moved):
    """Two runs over everything, the second of which finds so many cycles; and none of those
    that a child of the application made."""
    assert moved.by("python_gc_collections_total", 'generation="0"') == 1
    assert moved.by("python_gc_collections_total", 'generation="1"') == 0
    assert moved.by("python_gc_collections_total", 'generation="2"') == 2
    assert moved.by("python_gc_pause_seconds_count", 'generation="2"') == 2
    assert 0 < moved.by("python_gc_pause_seconds_sum", 'generation="2"') < SLACK
    assert 5000 <= moved.by("python_gc_collected_objects_total", 'generation="2"') < 6000


def test_sizes_add_up(moved):
    """To the bytes that were counted by kind."""
    for side, kinds in (("request", "received"), ("response", "sent")):
        assert moved.by(f"http_{side}_size_bytes_count") == REQUESTS
        assert moved.by(f"http_{side}_size_bytes_sum") == sum(
            moved.by(f"http_{kinds}_bytes_total", f'kind="{x}"')
            for x in ("head", "body", "framing"))
    large = [moved.by("http_response_size_bytes_bucket", f'le="{x}"') for x in (1 << 20, 1 << 22)]
    assert large == [REQUESTS - 1, REQUESTS]


def test_sizes(timed):
    """Exactly the bytes that went over the wire, in the right class."""
    def sizes():
        found = timed.call("metrics.durations")["sizes"]
        return {x: (found[x]["sum_bytes"], found[x]["classic"]["counts"]) for x in found}

    before, sent, received = sizes(), 0, 0
    for size in (0, 70000):
        message = (b"POST /body?%d HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                   b"Content-Length: %d\r\n\r\n" % (size, size)) + bytes(size)
        conn = timed.server.connect().send(message)
        sent, received = sent + len(message), received + len(conn.read_all())
    total = {"request": sent, "response": received}
    after = wait_for(
        lambda: (now := sizes()) and all(
            now[x][0] - before[x][0] == total[x] for x in total) and now, 5 * SLOW)
    for side in total:
        grown = [b - a for a, b in zip(before[side][1], after[side][1], strict=True)]
        assert grown == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], side


def test_busy_and_idle(moved):
    """All the time of all threads; that the application sleeps is no idleness."""
    busy, idle, gil = (moved.by(f"worker_{x}_seconds_total", 'worker="0"')
                       for x in ("busy", "idle", "gil_wait"))
    # Queue: three times 0.4 s; a hook of 0.25 s; half a second of the processor.
    assert 1.9 <= busy <= 1.9 + SLACK
    assert idle > 0.5
    # A scrape may be a second old, what a worker says of itself a fifth of one.
    assert THREADS * (moved.took - 2) <= busy + idle <= THREADS * (moved.took + 2)
    # Three requests found the GIL taken for a while each.
    assert 0.005 <= gil < busy


def test_threads_and_their_queue(timed):
    queue, threads = (f'shoal_worker_{x}{{worker="0"}}'
                      for x in ("thread_queue_length", "threads"))
    conns = [timed.server.connect(timeout=10) for _ in range(THREADS + 3)]
    for conn in conns:
        conn.send(request("/sleep?1.3"))
    found = wait_for(lambda: (now := timed.scrape())[queue] == 3 and now, 10 * SLOW)
    assert found[threads] == THREADS
    for conn in conns:
        conn.close()
    wait_for(lambda: timed.call("requests.inflight")["total"] == 0, 10 * SLOW)


def test_python_info(moved):
    python = os.environ.get("SHOAL_TEST_PYTHON")
    labels = [k for k in moved.after if k.startswith("shoal_python_info")]
    assert len(labels) == 1 and 'implementation="CPython"' in labels[0]
    if python in (None, sys.executable):
        assert f'version="{platform.python_version()}"' in labels[0]


def test_every_duration_has_its_buckets(timed):
    """Those of stats.histogram are the same numbers."""
    found = timed.call("metrics.durations")["durations"]
    for name in ("read", "delivery", "posthook", "gc_2"):
        one = timed.call("stats.histogram", name=name)
        assert one["count"] == found[name]["count"] == sum(one["native"]["counts"])


def test_handshakes(module_server, tmp_path_factory, certificates):
    timed = Timed(module_server, tmp_path_factory.mktemp("tls"),
                  "--certfile", certificates / "server.pem",
                  "--keyfile", certificates / "server.key")
    context = client_tls(certificates / "ca.pem")
    with timed.server.socket() as slow:  # begins late
        assert holds(lambda: True, 0.3)
        with context.wrap_socket(slow, server_hostname="localhost"):
            pass
    assert timed.server.connect(tls=context).ask("/").status == 200
    found = timed.scrape()
    assert found["shoal_tls_handshake_duration_seconds_count"] == 2
    assert 0.29 <= found["shoal_tls_handshake_duration_seconds_sum"] <= 0.3 + SLACK


def test_green_threads(server, green_library, tmp_path):
    """The hub sleeps where nobody sees it: busy is the processor time of its thread."""
    path = tmp_path / "c.sock"
    srv = server("timed:application", "-k", green_library("gevent"), "--control-socket", path)

    def totals():
        return call(path, "stats.get")["totals"]

    assert srv.ask("/hold?0.4", timeout=30).status == 200
    assert srv.ask("/collect?100", timeout=10).status == 200
    wait_for(lambda: totals()["busy_us"] >= 390_000 and totals()["gc_collected_2"] >= 100,
             5 * SLOW)
    before = totals()
    assert srv.ask("/sleep?0.5").status == 200
    wait_for(lambda: totals()["idle_us"] >= before["idle_us"] + 300_000, 5 * SLOW)
    assert totals()["busy_us"] < before["busy_us"] + 300_000 * SLOW
    assert totals()["threads"] == 1 and totals()["gil_wait_us"] == 0
