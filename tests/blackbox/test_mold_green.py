"""Green workers from a mold: each has a hub of its own, made after the fork.

SPDX-License-Identifier: MIT
"""

import itertools
import os
import signal
import struct

import procfs
import pytest
from deploy import Deployment
from load import Load, explain
from shoal_harness import SLOW
from waiting import wait_for

# Its views wait on a timer and on a socket, so that the hub has both in hand. Some hubs are
# made by the import already: the one of the mold must not be the workers'.
APP = """
import os, socket, threading
{touch}
loaded_by = os.getpid()

def wait_for_socket():
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"x" * 10)
        got = here.recv(10)
        here.settimeout(0.01)
        try:
            here.recv(1)
        except TimeoutError:
            return len(got)

def app(environ, start_response):
    threading.Event().wait(0.02)
    body = b"%d %d %d" % (os.getpid(), loaded_by, wait_for_socket())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
TOUCH = {
    "gevent": "import gevent; gevent.get_hub()",
    "eventlet": "import eventlet.hubs; eventlet.hubs.get_hub()",
}


@pytest.fixture(params=["eventlet", "gevent"])
def library(request, green_library):
    return green_library(request.param)


@pytest.fixture
def green_mold(mold, library, tmp_path):
    (tmp_path / "green_app.py").write_text(APP.format(touch=TOUCH[library]))
    master = mold("green_app:app", "-k", library, "--preload=on", launch="exec")
    assert master.mold.expect("MOLDED") == b"", "it was asked for"
    return master


def ask_together(master, count):
    """{pid: answers} of so many requests that are there at the same time."""
    connections = [master.begin() for _ in range(count)]
    answers = {}
    for connection in connections:
        status, body = master.end(connection)
        pid, importer, got = map(int, body.split())
        assert (status, importer, got) == (200, master.mold.pid, 10)
        answers[pid] = answers.get(pid, 0) + 1
    return answers


def test_workers_wait_beside_each_other(green_mold):
    """On a set of descriptors shared with the mold each would see, and miss, the other's."""
    workers = {green_mold.fork(slot).pid for slot in range(2)}
    seen = set()
    wait_for(lambda: seen.update(ask_together(green_mold, 20)) or seen == workers, 20 * SLOW)
    for _ in range(5):
        assert set(ask_together(green_mold, 40)) <= workers


def test_a_worker_ends_while_the_other_goes_on(green_mold):
    first, second = green_mold.fork(0), green_mold.fork(1)
    ask_together(green_mold, 20)
    first.send("DRAIN", struct.pack("=3I", 5000, 100, 0))
    assert first.expect("DRAINED") == b""
    assert first.wait() == 0
    assert ask_together(green_mold, 20) == {second.pid: 20}
    os.kill(second.pid, signal.SIGTERM)
    assert second.wait() == 0
    third = green_mold.fork(0, epoch=2)
    assert ask_together(green_mold, 20) == {third.pid: 20}


def test_a_worker_is_parked_and_comes_back(green_mold):
    worker = green_mold.fork(0, parked=1)
    connection = green_mold.begin()
    worker.send("CHECK", b"/")
    assert struct.unpack_from("=I", worker.expect("CHECKED"))[0] == 200
    assert not green_mold.accepting()
    worker.send("RESUME")
    assert green_mold.end(connection)[0] == 200
    worker.send("PARK", struct.pack("=I", 1))
    wait_for(lambda: not green_mold.accepting(), 5 * SLOW, "it accepts no more")
    worker.send("RESUME")
    assert ask_together(green_mold, 20) == {worker.pid: 20}


def test_nobody_waits_on_the_molds_hub(green_mold):
    """A set made before the fork is one set for all: each would be woken for the others."""
    pids = [green_mold.fork(slot).pid for slot in range(2)]
    seen = set()
    wait_for(lambda: seen.update(ask_together(green_mold, 20)) or len(seen) == 2, 20 * SLOW)
    pids.append(green_mold.mold.pid)
    sets = [(pid, fd) for pid in pids for fd in procfs.poll_sets(pid)]
    assert len(sets) >= 4, "in each worker the hub's, and the one of the thread for the clients"
    for one, other in itertools.combinations(sets, 2):
        assert not procfs.is_same_file(*one, *other), (one, other)


def under_reload(d):
    """A good reload with clients; its end is the new code for all of them."""
    with Load(d.address, 8) as load:
        wait_for(lambda: load.report()["requests"] > 100, 10 * SLOW)
        version = d.site.good()
        outcome = d.reload()
        load.phase("after")
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 10 * SLOW)
        report = load.stop()
    assert outcome.code == 0, outcome.text
    assert not report["failures"], explain(report)
    assert report["phases"]["after"]["versions"].keys() == {version}


def test_reload_of_forked_workers(server, tmp_path, library):
    under_reload(Deployment(server, tmp_path, "-k", library, "--preload=on"))


def test_auto_lets_each_worker_import(server, tmp_path, green_library):
    """A hub belongs to the process that made it, so nothing is forked unless it is asked for."""
    d = Deployment(server, tmp_path, "-k", green_library("gevent"))
    d.server.wait_log("import the application themselves.*gevent")
    assert procfs.children(d.server.pid) == d.server.worker_pids(), "nobody loads it for that"
    under_reload(d)
    d.server.wait_log("import the application themselves.*gevent", count=2)


def test_auto_tries_the_warm_up_before_anybody_serves(server, tmp_path, green_library):
    d = Deployment(server, tmp_path, "-k", green_library("gevent"), "--warm-up", "/")
    d.server.wait_log("import the application themselves.*gevent")
    d.server.allow_log("reload failed|application not loaded")
    d.site.good(inside="raise RuntimeError('not today')")
    outcome = d.reload()
    assert outcome.code == 1 and "not today" in outcome.text, outcome.text
    assert d.version() == "v1"
    under_reload(d)
