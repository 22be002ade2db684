"""Preloading, seen from outside: when workers are forked, when not, and what that gives.

SPDX-License-Identifier: MIT
"""

import json
import re
from statistics import median

import procfs
import pytest
from deploy import Deployment
from shoal_harness import ROOT, SANITIZED, SLOW
from waiting import wait_for

READY = re.compile(r"worker ready slot=\d+ pid=\d+ .*after=(\d+)ms")
SAID = "workers import the application themselves"

# What makes an import unsafe to fork from, and what the line must name.
UNSAFE = {
    "thread": (
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
        "poller",
    ),
    "connected socket": (
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "database = socket.create_connection(listener.getsockname())",
        "127.0.0.1:",
    ),
}
# Who imported the code, and what a process must not share with another.
FACTS = """\
import json, os, random, ssl, uuid
imported_by = os.getpid()
hooks = []
os.register_at_fork(after_in_child=lambda: hooks.append(os.getpid()))
"""
TELL = """\
data = json.dumps([os.getpid(), imported_by, hooks, random.random(), uuid.uuid4().hex])
    start_response('200 OK', [])
    return [data.encode()]
"""


def ask(d, count):
    """{pid: (importer, hooks, random, uuid)} of so many workers."""
    found = {}

    def enough():
        pid, *rest = json.loads(d.server.ask("/").body)
        found.setdefault(pid, rest)
        return len(found) >= count

    wait_for(enough, 20 * SLOW, f"answers of {count} workers")
    return found


@pytest.mark.parametrize("kind", UNSAFE)
def test_auto_does_not_fork_what_is_unsafe_and_says_so(server, tmp_path, kind):
    before, named = UNSAFE[kind]
    d = Deployment(server, tmp_path, workers=2)
    d.site.good(FACTS + before, TELL)
    assert d.reload().code == 0
    for pid, (importer, _, _, _) in ask(d, 2).items():
        assert importer == pid, "imported by itself"
    d.server.wait_log(SAID)
    lines = [line for line in d.server.lines if SAID in line]
    assert len(lines) == 1 and named in lines[0], lines


def test_auto_forks_what_is_safe(server, tmp_path):
    d = Deployment(server, tmp_path, workers=3)
    d.site.good(FACTS, TELL)
    assert d.reload().code == 0
    found = ask(d, 3)
    importers = {importer for importer, _, _, _ in found.values()}
    assert len(importers) == 1 and not importers & set(found)
    for pid, (_, hooks, _, _) in found.items():
        assert pid in hooks, "what the application registered for its forks was called"
    for unique in (2, 3):
        assert len({facts[unique] for facts in found.values()}) == 3, "random numbers differ"
    assert not [line for line in d.server.lines if SAID in line]


def test_off_imports_in_every_worker(server, tmp_path):
    d = Deployment(server, tmp_path, "--preload=off", workers=2)
    d.site.good(FACTS, TELL)
    assert d.reload().code == 0
    assert all(pid == importer for pid, (importer, *_) in ask(d, 2).items())


def test_on_forks_in_spite_of_a_thread_and_warns(server, tmp_path):
    d = Deployment(server, tmp_path, "--preload=on", workers=2)
    d.site.good(FACTS + UNSAFE["thread"][0], TELL)
    assert d.reload().code == 0
    assert not any(pid == importer for pid, (importer, *_) in ask(d, 2).items())
    d.server.wait_log("WARNING.*preloading although.*poller")


@pytest.mark.skipif(SANITIZED, reason="sanitizers have a memory and a pace of their own")
def test_a_django_worker_is_there_at_once_and_shares_its_memory(server):
    """scripts/bench --mold measures it; the bounds here are for a busy machine."""
    pytest.importorskip("django")
    private, ready = {}, {}
    for way in ("off", "on"):
        srv = server(
            "django_app:app", f"--preload={way}", workers=4, cwd=ROOT / "tests" / "bench",
            env={"PYTHONPATH": str(ROOT / "tests" / "bench")},
        )
        for _ in range(200):
            assert srv.ask("/").status == 200
        workers = [p for p in srv.worker_pids() if "worker" in procfs.command(p)]
        assert len(workers) == 4
        private[way] = median(procfs.private_memory(pid) for pid in workers)
        found = [READY.search(line) for line in srv.lines]
        ready[way] = min(int(match[1]) for match in found if match)
        srv.stop()
    assert private["on"] <= private["off"] / 2, private
    assert ready["on"] < ready["off"] / 4, ready
