"""The mold: loads the application once, and forks workers that know who they are.

SPDX-License-Identifier: MIT
"""

import os
import signal
import struct

import procfs
import pytest
from mold_driver import MoldMaster
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

LAUNCHES = ["embed"] if SANITIZED else ["embed", "exec"]

FACTS = """
import gc, os, random, sys
loaded_by = os.getpid()
def app(environ, start_response):
    start_response("200 OK", [])
    facts = {
        "pid": os.getpid(),
        "loaded_by": loaded_by,
        "worker": environ["shoal.worker"],
        "id": environ["shoal.request_id"],
        "random": random.random(),
        "frozen": gc.get_freeze_count() > 1000,
        "interval": round(sys.getswitchinterval(), 6),
        "threads": sorted(os.listdir("/proc/self/task")),
    }
    return [repr(facts).encode()]
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "facts.py").write_text(FACTS)
    return tmp_path


@pytest.fixture
def mold(tmp_path):
    """mold(app, *options, launch=): a running mold; how it loaded is not looked at."""
    masters = []

    def start(app, *options, **named):
        masters.append(MoldMaster(tmp_path, app, *options, **named))
        return masters[-1]

    yield start
    for master in masters:
        master.finish()


def facts_of(master):
    status, body = master.ask("/")
    assert status == 200, body
    return eval(body)


def write(path, text):
    path.write_text(text + "\ndef app(e, s):\n    s('200 OK', [])\n    return [b'ok']\n")


@pytest.mark.parametrize("launch", LAUNCHES)
def test_workers_are_forked_and_know_who_they_are(mold, site, launch):
    master = mold("facts:app", "--threads", "2", launch=launch)
    assert master.mold.expect("MOLDED", "FAILED") == b""
    assert procfs.command(master.mold.pid) == "shoal: mold [facts:app]"
    seen = []
    for slot in range(3):
        worker = master.fork(slot, epoch=slot + 5)
        assert procfs.parent(worker.pid) == os.getpid()
        assert procfs.command(worker.pid) == f"shoal: worker {slot} [facts:app]"
        assert worker.seg_pid == worker.pid
        facts = facts_of(master)
        assert facts["pid"] == worker.pid
        assert facts["loaded_by"] == master.mold.pid
        assert facts["worker"] == slot
        assert facts["id"].startswith(f"{worker.pid:x}-{slot + 5:x}-")
        assert facts["frozen"]
        assert facts["interval"] == 0.001
        seen.append(facts["random"])
        master.drop(worker)
    assert len(set(seen)) == 3, seen
