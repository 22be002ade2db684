"""Figures of workers and processes: why workers come and go, and counters by place that no
death makes smaller.

SPDX-License-Identifier: MIT
"""

import os
import re
import signal
from collections import Counter

import procfs
import pytest
from control_client import call
from scraping import free_port, get, samples
from shoal_harness import SLOW
from waiting import wait_for

MAX_REQUESTS = 40
COUNTERS = ("requests", "busy_s", "idle_s", "gil_wait_s")


class Instance:
    def __init__(self, server, path, port):
        self.server, self.path, self.port = server, path, port
        self.last = None

    def call(self, method, **params):
        return call(self.path, method, **params)

    def pid(self, slot):
        return self.call("workers.get", slot=slot)["pid"]

    def settle(self, workers=2):
        """Everybody who was to go is gone, everybody who was to come serves."""
        def settled():
            now = self.look()
            quiet = now["states"]["idle"] + now["states"]["busy"] == sum(now["states"].values())
            return quiet and sum(now["states"].values()) == workers and now
        return wait_for(settled, 15 * SLOW, f"{workers} workers and nobody else", step=0.02)

    def look(self):
        """The answer for a scrape; compared with the one before."""
        now = self.call("metrics.workers")
        assert sum(now["spawns"].values()) - sum(e["count"] for e in now["exits"]) \
            == sum(now["states"].values())
        for name, value in counters(self.last or now).items():
            assert counters(now)[name] >= value, name
        self.last = now
        return now


def counters(now):
    found = {("cpu", row["role"], row["worker"], row["mode"]): row["seconds"]
             for row in now["cpu"]}
    found |= {(name, slot["worker"]): slot[name] for slot in now["slots"] for name in COUNTERS}
    found |= {("spawns", reason): n for reason, n in now["spawns"].items()}
    return found | {("exits", *key): n for key, n in exits(now).items()}


def exits(now):
    return {(e["reason"], e["signal"]): e["count"] for e in now["exits"]}


def moved(before, after):
    """What has grown: {reason of a start: n}, {(reason of an end, signal): n}."""
    return (dict(Counter(after["spawns"]) - Counter(before["spawns"])),
            dict(Counter(exits(after)) - Counter(exits(before))))


@pytest.fixture(scope="module")
def instance(module_server, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("workers")
    port = free_port()
    one = module_server(
        "overdue:application", "--control-socket", tmp / "c.sock", "--gateway",
        f"127.0.0.1:{port}", "--ledger", tmp / "ledger.db", "--reload-keep", "0", "--timeout",
        "0.4", "--stuck-grace", "0.3", "--threads", "1", "--max-requests", MAX_REQUESTS,
        workers=2, env={"RECORD": str(tmp / "record")})
    one.allow_log("worker died|request lost|timed out|is stuck|signal sent|worker stuck")
    yield Instance(one, tmp / "c.sock", port)


def job(instance, method, **params):
    started = instance.call(method, **params)
    return instance.call("jobs.wait", job=started["job"], timeout_s=30)


def kill_unasked(instance):
    os.kill(instance.pid(0), signal.SIGKILL)
    wait_for(lambda: instance.look()["spawns"]["crash"] == 1, 10 * SLOW, step=0.02)


def kill_by_hand(instance):
    instance.call("workers.kill", slot=1, signal="KILL")
    wait_for(lambda: instance.look()["spawns"]["manual"] == 1, 10 * SLOW, step=0.02)


def hang(instance):
    assert instance.server.ask("/stubborn?s=1", timeout=10).status == 504
    wait_for(lambda: instance.look()["spawns"]["timeout"] == 1, 10 * SLOW, step=0.02)


def ask_too_often(instance):
    with instance.server.connect() as conn:
        for _ in range(MAX_REQUESTS):
            conn.ask("/quick")
        wait_for(lambda: conn.ask("/quick").closes, 10 * SLOW, step=0.02)


STEPS = [
    (kill_unasked, {"crash": 1}, {("crashed", "SIGKILL"): 1}),
    (kill_by_hand, {"manual": 1}, {("killed", "SIGKILL"): 1}),
    (lambda i: job(i, "reload.start"), {"reload": 2}, {("reloaded", "none"): 2}),
    (lambda i: job(i, "workers.recycle", slots=[1]), {"manual": 1}, {("recycled", "none"): 1}),
    (lambda i: (job(i, "workers.scale", target=3), job(i, "workers.scale", target=2)),
     {"scale": 1}, {("scaled_down", "none"): 1}),
    (hang, {"timeout": 1}, {("stuck", "none"): 1}),
    (ask_too_often, {"max_requests": 1}, {("max_requests", "none"): 1}),
]


def test_every_start_and_end_has_its_reason(instance):
    """And no counter of a place shrinks meanwhile."""
    start = instance.settle()
    assert moved({"spawns": {}, "exits": []}, start) == ({"start": 2}, {})
    # Work, so that there is something to lose.
    assert {instance.server.ask("/spin", timeout=10).status for _ in range(2)} == {504}
    for step, spawns, ends in STEPS:
        before = instance.settle()
        step(instance)
        assert moved(before, instance.settle()) == (spawns, ends)
    now = instance.settle()
    cpu = [row["seconds"] for row in now["cpu"] if row["role"] == "worker"]
    assert len(cpu) == 6 and sum(cpu) > 0.1, cpu
    # The place that was scaled away is told on with what it counted, and as nothing else.
    assert [slot["worker"] for slot in now["slots"]] == [0, 1, 2]
    assert [slot["up"] for slot in now["slots"]] == [1, 1, None]
    assert "generation" not in now["slots"][2]
    requests = sum(slot["requests"] for slot in now["slots"])
    assert requests == instance.call("stats.get")["totals"]["requests"] > MAX_REQUESTS
    assert now["slots"][1]["generation"] == 2 and now["target"] == 2


def test_an_upgrade_keeps_them(instance):
    instance.server.ask("/quick")
    before = instance.settle()
    started = instance.call("server.status")["started"]
    instance.call("server.upgrade")
    wait_for(lambda: instance.server.log.count("reload done job=u-") == 1, 20 * SLOW)
    after = instance.settle()
    assert moved(before, after) == ({"reload": 2}, {("reloaded", "none"): 2})
    assert instance.call("server.status")["started"] == started
    assert counters(after).keys() >= counters(before).keys()


def scrape(instance):
    return samples(get(f"http://127.0.0.1:{instance.port}/metrics")[1])


def of_process(found, what, role, worker=""):
    return found.get(f'shoal_process_{what}{{role="{role}",worker="{worker}"}}')


def test_processes(instance):
    """Every process is told, with what the kernel says about it."""
    who = [("master", ""), ("gateway", ""), ("shoal-ledger", ""), ("mold", ""),
           ("worker", "0"), ("worker", "1")]
    instance.settle()
    found = wait_for(
        lambda: all(of_process(now := scrape(instance), "unique_memory_bytes", *one)
                    for one in who) and now, 20 * SLOW, "memory of all", step=0.1)
    for one in who:
        own, fair, resident, virtual = (
            of_process(found, f"{kind}_memory_bytes", *one)
            for kind in ("unique", "proportional", "resident", "virtual"))
        assert 0 < own <= fair and fair < resident * 1.5 and resident < virtual, one
        assert 3 <= of_process(found, "open_fds", *one) <= of_process(found, "max_fds", *one)
    pid = instance.pid(0)
    assert abs(of_process(found, "resident_memory_bytes", "worker", "0")
               - procfs.memory(pid)) < 4 << 20
    row = instance.call("workers.get", slot=0)
    assert 0 < row["uss_bytes"] <= row["pss_bytes"]
    assert abs(of_process(found, "open_fds", "master")
               - len(procfs.descriptors(instance.server.pid))) <= 8
    modes = re.compile(r'shoal_process_cpu_seconds_total\{role="(.*)",worker="(.*)",mode="(.*)"\}')
    told = {match.groups() for name in found if (match := modes.match(name))}
    assert {(*one, mode) for one in who for mode in ("user", "system")} <= told


def test_the_rest_by_its_name(instance):
    found = scrape(instance)
    assert found["shoal_workers_target"] == found['shoal_workers{state="idle"}'] == 2
    assert found['shoal_worker_up{worker="0"}'] == 1
    assert 'shoal_worker_up{worker="2"}' not in found
    assert found['shoal_worker_requests_total{worker="2"}'] >= 0
    assert found['shoal_worker_spawns_total{reason="lifetime"}'] == 0
    assert found['shoal_worker_exits_total{reason="crashed",signal="SIGKILL"}'] == 1
    assert found["shoal_generation"] == found['shoal_worker_generation{worker="1"}'] >= 3
    begun = found["shoal_start_timestamp_seconds"]
    assert begun < found['shoal_worker_start_timestamp_seconds{worker="0"}'] < begun + 600
