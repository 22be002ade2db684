"""The mold: loads the application once, and forks workers that know who they are.

SPDX-License-Identifier: MIT
"""

import os
import select
import signal
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import procfs
import pytest
import shoal_harness
from mold_driver import channel, made, memfd
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

# A sanitizer's runtime has to be first in the process, which exec of python rules out.
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
        "multiprocess": environ["wsgi.multiprocess"],
        "random": random.random(),
        "frozen": gc.get_freeze_count() > 1000,
        "interval": round(sys.getswitchinterval(), 6),
    }
    return [repr(facts).encode()]
"""

# A master that is killed while somebody else keeps its ends of the channels open.
DYING_MASTER = """
import os, sys
from pathlib import Path
import shoal_harness
from mold_driver import MoldMaster
shoal_harness.become_subreaper()
master = MoldMaster(Path(sys.argv[1]), "facts:app")
master.mold.expect("MOLDED")
worker = master.fork(0)
holder = os.fork()
if holder == 0:
    sys.stdin.read()
    os._exit(0)
print(master.mold.pid, worker.pid, holder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "facts.py").write_text(FACTS)
    return tmp_path


@pytest.fixture
def facts_mold(mold, site):
    master = mold("facts:app")
    assert master.mold.expect("MOLDED") == b""
    return master


def facts_of(master):
    status, body = master.ask("/")
    assert status == 200, body
    return eval(body)


def kinds(pid):
    """What a process has open, without what tells one memfd or socket from another."""
    found = {}
    for fd, target in procfs.descriptors(pid).items():
        found[fd] = target.split(":")[0] if target.startswith(("socket", "pipe")) else target
    return found


def memfds_mapped(pid):
    return sorted(name for name in procfs.mappings(pid) if name.startswith("/memfd:"))


@pytest.mark.parametrize("launch", LAUNCHES)
def test_workers_are_forked_and_know_who_they_are(mold, site, launch):
    master = mold("facts:app", "--threads", "2", launch=launch)
    assert master.mold.expect("MOLDED") == b""
    assert procfs.command(master.mold.pid) == "shoal: mold [facts:app]"
    seen = []
    for slot in (0, 1, 12):
        worker = master.fork(slot, epoch=slot + 5)
        assert procfs.parent(worker.pid) == os.getpid()
        assert procfs.command(worker.pid) == f"shoal: worker {slot} [facts:app]"
        assert worker.seg_pid == worker.pid
        facts = facts_of(master)
        assert facts["pid"] == worker.pid
        assert facts["loaded_by"] == master.mold.pid
        assert facts["worker"] == slot
        assert facts["id"].startswith(f"{worker.pid:x}-{slot + 5:x}-")
        assert facts["frozen"] and facts["multiprocess"]
        assert facts["interval"] == 0.001
        seen.append(facts["random"])
        master.drop(worker)
    assert len(set(seen)) == 3, seen


def test_workers_of_one_mold_serve_beside_each_other(facts_mold):
    workers = {facts_mold.fork(slot).pid for slot in range(3)}
    pids = set()
    wait_for(lambda: pids.add(facts_of(facts_mold)["pid"]) or pids == workers, 20 * SLOW)


def test_a_drained_worker_says_so_and_ends(facts_mold):
    worker = facts_mold.fork(0)
    worker.send("DRAIN", struct.pack("=3I", 5000, 100, 0))
    assert worker.expect("DRAINED") == b""
    assert worker.wait() == 0
    facts_mold.fork(0, epoch=2)
    assert facts_of(facts_mold)["worker"] == 0


def test_a_forked_worker_has_the_descriptors_of_any_worker(facts_mold, mold):
    forked = facts_mold.fork(0)
    alone = mold("facts:app", role="worker")
    alone.mold.expect("READY")
    assert kinds(forked.pid) == kinds(alone.mold.pid)
    assert sorted(os.listdir(f"/proc/{forked.pid}/task")) != []


def test_forks_leave_nothing_in_the_mold(facts_mold):
    pid = facts_mold.mold.pid
    facts_mold.drop(facts_mold.fork(0))
    before, mapped = kinds(pid), memfds_mapped(pid)
    for epoch in range(2, 12):
        facts_mold.drop(facts_mold.fork(0, epoch))
    assert kinds(pid) == before
    assert memfds_mapped(pid) == mapped == ["/memfd:board (deleted)"], "no worker's segment"
    assert procfs.children(pid) == []


def test_a_worker_maps_its_own_segment_alone(facts_mold):
    facts_mold.fork(0)
    second = facts_mold.fork(1)
    own = {f"/memfd:{name} (deleted)": 1 for name in ("board", "seg")}
    own["/memfd:accounts (deleted)"] = 2  # the rows, and what is applied: read-only
    assert Counter(memfds_mapped(second.pid)) == own


def test_a_worker_keeps_the_line_it_was_given(facts_mold):
    """Two of one slot are there at once in every replacement: a line belongs to a process."""
    facts_mold.fork(0, line=7)
    assert facts_mold.accepting() == {7}
    facts_mold.fork(0, epoch=2, line=3)
    assert facts_mold.accepting() == {3, 7}


def is_parked(master, connection):
    """Nobody accepts, although somebody is there who answers the master."""
    master.workers[0].send("CHECK", b"/")
    assert struct.unpack_from("=I", master.workers[0].expect("CHECKED"))[0] == 200
    return not master.accepting() and not select.select([connection.sock], [], [], 0)[0]


def test_a_worker_forked_parked_waits_for_its_turn(facts_mold):
    worker = facts_mold.fork(0, parked=1)
    connection = facts_mold.begin()
    assert is_parked(facts_mold, connection)
    worker.send("RESUME")
    assert facts_mold.end(connection)[0] == 200
    assert facts_mold.accepting() == {0}


def test_a_forked_worker_is_parked_and_comes_back(facts_mold):
    worker = facts_mold.fork(0)
    for announce in (0, 1):
        assert facts_of(facts_mold)["pid"] == worker.pid
        worker.send("PARK", struct.pack("=I", announce))
        wait_for(lambda: not facts_mold.accepting(), 5 * SLOW, "it accepts no more")
        connection = facts_mold.begin()
        assert is_parked(facts_mold, connection)
        worker.send("RESUME")
        assert facts_mold.end(connection)[0] == 200
    worker.send("PARK", struct.pack("=I", 1))
    worker.send("DRAIN", struct.pack("=3I", 5000, 100, 0))
    assert worker.expect("DRAINED") == b""
    assert worker.wait() == 0


def test_a_broken_file_on_disk_harms_no_fork(facts_mold, site):
    (site / "facts.py").write_text("this is no Python\n")
    facts_mold.fork(0)
    assert facts_of(facts_mold)["worker"] == 0


def test_wrong_orders_are_refused_without_harm(facts_mold):
    before = kinds(facts_mold.mold.pid)
    right = facts_mold.order(0, 1)
    ours, theirs = channel()
    seg, trace = memfd("seg", made("seg", 0, 1)), memfd("trace", b"")
    accounts = memfd("accounts", made("accounts", 0, 1))
    fds = (theirs.fileno(), seg, trace, accounts)
    wrong = [
        (right, ()),
        (right, fds[:3]),
        (right, (*fds[:3], trace)),
        (right, (trace, *fds[1:])),
        (right, (theirs.fileno(), trace, seg, accounts)),
        (right[:-1], fds),
        (right + b"\0", fds),
        (b"", fds),
        (struct.pack("=5I", 0, 1, 1 << 20, 3, 0), fds),
        (struct.pack("=5I", 0, 1, 0, 0, 0), fds),
        (struct.pack("=5I", 0, 1, 0, 3, 2), fds),
    ]
    for payload, handed in wrong:
        facts_mold.refused(payload, handed)
    facts_mold.mold.send("REOPEN")
    facts_mold.mold.send("LEVEL", b"\xff\xff\xff\xff")
    facts_mold.mold.send("DRAIN")
    facts_mold.mold.sock.send(b"no message")
    facts_mold.fork(0)
    assert kinds(facts_mold.mold.pid) == before
    assert facts_mold.log.count("order to fork was refused") == len(wrong)
    for fd in (seg, trace, accounts):
        os.close(fd)
    ours.close()
    theirs.close()


def test_reopened_logs_reach_the_workers_that_come(mold, site):
    master = mold("facts:app", "--access-logfile", site / "unused", "--capture-output",
                  "--error-logfile", site / "unused")
    master.mold.expect("MOLDED")
    access, error = site / "access.new", site / "error.new"
    fds = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for path in (access, error)]
    master.mold.send("REOPEN", b"", fds)
    for fd in fds:
        os.close(fd)
    worker = master.fork(0)
    facts_of(master)
    wait_for(lambda: "GET / " in access.read_text(), 5 * SLOW)
    places = procfs.descriptors(worker.pid)
    assert [places[fd] for fd in (1, 2, 6, 7)] == [str(error), str(error), str(access), str(error)]
    assert master.access_path.read_text() == ""


def test_the_level_reaches_the_workers_that_come(facts_mold):
    facts_mold.mold.send("LEVEL", struct.pack("=I", 4))
    facts_mold.refused(b"", ())
    assert "refused" not in facts_mold.log
    facts_mold.mold.send("LEVEL", struct.pack("=I", 0))
    facts_mold.refused(b"", ())
    assert "refused" in facts_mold.log


@pytest.mark.parametrize("way", ["QUIT", "TERM", "end of file"])
def test_a_mold_ends_when_it_is_told_and_workers_stay(facts_mold, way):
    facts_mold.fork(0)
    if way == "QUIT":
        facts_mold.mold.send("QUIT")
    elif way == "TERM":
        os.kill(facts_mold.mold.pid, signal.SIGTERM)
    else:
        facts_mold.mold.sock.close()
    assert facts_mold.mold.wait() == 0
    assert facts_of(facts_mold)["worker"] == 0


def test_an_application_that_takes_term_does_not_keep_the_mold(mold, site):
    (site / "taker.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, lambda *a: None)\n" + FACTS
    )
    master = mold("taker:app")
    master.mold.expect("MOLDED")
    os.kill(master.mold.pid, signal.SIGTERM)
    assert master.mold.wait() == 0


def test_a_mold_that_still_loads_ends_at_once(mold, site):
    (site / "slow.py").write_text(
        "import pathlib, threading\npathlib.Path('begun').touch()\nthreading.Event().wait()\n"
    )
    master = mold("slow:app")
    wait_for((site / "begun").exists, 10 * SLOW)
    os.kill(master.mold.pid, signal.SIGTERM)
    assert master.mold.wait() == 0


def test_a_forked_worker_does_not_outlive_a_killed_master(site):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", DYING_MASTER, site], env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as dying:
        mold, worker, holder = (int(word) for word in dying.stdout.readline().split())
        dying.kill()
        dying.wait()
        wait_for(lambda: not procfs.alive(worker), 10 * SLOW, "end of the worker")
        assert os.waitpid(worker, 0)[1] == 0
        # The test's driver asks for no signal at its death, and the channel is still open.
        assert procfs.alive(mold)
        os.kill(mold, signal.SIGTERM)
        assert os.waitpid(mold, 0)[1] == 0
    os.waitpid(holder, 0)


def test_a_django_worker_is_ready_in_ten_milliseconds(mold):
    pytest.importorskip("django")
    master = mold("django_app:app", cwd=shoal_harness.ROOT / "tests" / "bench")
    assert master.mold.expect("MOLDED") == b""
    times = []
    # The machine is shared: the best of the tries says what a fork takes.
    while len(times) < 10 or (len(times) < 200 and min(times) >= 0.010 * SLOW):
        worker = master.fork(0, len(times))
        assert master.ask("/")[0] == 200
        master.drop(worker)
        times.append(worker.ready_s)
    print("ready after ms:", [round(1000 * t, 1) for t in times])
    assert min(times) < 0.010 * SLOW
