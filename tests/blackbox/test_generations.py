"""Generations: which code answers when, and what becomes of a service whose files are broken.

SPDX-License-Identifier: MIT
"""

import http.client
import json
import os
import signal
import threading
from contextlib import closing

import procfs
import pytest
from deploy import Deployment
from load import Load, explain
from shoal_harness import SLOW
from waiting import holds, wait_for

EXPECTED = (
    r"application not loaded|reload (failed|rolled back)|worker died|Traceback|Error"
    r"|request (lost|failed)|rollback|worker cannot be started"
)

# An import that ends when the test has made the file "go".
UNTIL_TOLD = """\
import threading
while not os.path.exists("go"):
    threading.Event().wait(0.01)
"""

# ---- a broken file beside a running service ----


def test_preloaded_workers_come_back_although_the_file_is_broken(server, tmp_path):
    """From the mold that has proven itself, not from the disk."""
    d = Deployment(server, tmp_path, "--preload=on")
    d.server.allow_log(EXPECTED)
    d.site.broken("syntax error")
    for _ in range(3):
        victims = d.wait_strength(2)
        for pid in victims.values():
            os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda v=victims: len(d.workers()) == 2
            and not set(d.workers().values()) & set(v.values()),
            10 * SLOW, "two new workers",
        )
        assert d.version() == "v1"


def test_without_preload_the_other_workers_go_on(server, tmp_path):
    d = Deployment(server, tmp_path, "--preload=off", workers=2)
    d.server.allow_log(EXPECTED)
    d.site.broken("import error")
    victim, survivor = d.workers()[0], d.workers()[1]
    os.kill(victim, signal.SIGKILL)
    d.server.wait_log("No module named 'no_such_module'")
    with Load(d.address, 4) as load:
        d.server.wait_log("No module named 'no_such_module'", 10, count=2)
        report = load.stop()
    assert not report["failures"], explain(report)
    assert report["pids"].keys() == {str(survivor)}
    version = d.site.good()
    d.wait_strength(2, 35)  # its back-off is at most thirty seconds
    assert version in {d.version() for _ in range(20)}, "mended: it is loaded from the disk"


# ---- the order of things ----


def test_a_reload_brings_the_new_code_everywhere(server, tmp_path):
    d = Deployment(server, tmp_path, workers=3)
    before = d.workers()
    version = d.site.good()
    assert d.version() == "v1", "nothing happens without a reload"
    outcome = d.reload()
    assert outcome.code == 0, outcome.text
    after = d.wait_strength(3)
    assert not set(before.values()) & set(after.values())
    assert {d.version() for _ in range(20)} == {version}


def test_two_reloads_by_signal_the_second_follows(server, tmp_path):
    d = Deployment(server, tmp_path, "--preload=on")
    d.site.good("import threading; threading.Event().wait(0.5)")
    os.kill(d.server.pid, signal.SIGHUP)
    d.server.wait_log("reload started")
    version = d.site.good()
    os.kill(d.server.pid, signal.SIGHUP)
    d.server.wait_log("reload done", 20, count=2)
    assert d.version() == version, "what was on the disk at the second signal"


def test_two_reloads_at_once_the_second_names_the_first(server, tmp_path):
    d = Deployment(server, tmp_path)
    version = d.site.good(UNTIL_TOLD)
    outcomes = []
    first = threading.Thread(target=lambda: outcomes.append(d.reload()))
    first.start()
    d.server.wait_log("reload started")
    second = d.reload()
    (d.site.folder / "go").touch()
    first.join()
    assert outcomes[0].code == 0, outcomes[0].text
    assert second.code == 1 and "r-1" in second.text, second.text
    assert d.version() == version


def test_rollback_brings_the_old_code_back(server, tmp_path):
    d = Deployment(server, tmp_path, "--preload=on")
    version = d.site.good()
    assert d.reload().code == 0
    assert d.version() == version
    d.site.broken("import error")  # the mold of the old code does not mind
    with Load(d.address, 8) as load:
        outcome = d.shoalctl("rollback")
        load.phase("after")
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 10 * SLOW)
        report = load.stop()
    assert outcome.code == 0, outcome.text
    assert not report["failures"], explain(report)
    assert report["phases"]["after"]["versions"].keys() == {"v1"}


def test_nothing_to_roll_back_to(server, tmp_path):
    d = Deployment(server, tmp_path, workers=1)
    outcome = d.shoalctl("rollback")
    assert outcome.code == 1 and "generation" in outcome.text, outcome.text


def test_bluegreen_switches_all_at_once(server, tmp_path):
    d = Deployment(server, tmp_path, workers=3)
    version = d.site.good()
    with Load(d.address, 12) as load:
        outcome = d.reload("--bluegreen")
        load.phase("after")
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 10 * SLOW)
        report = load.stop()
    assert outcome.code == 0, outcome.text
    assert not report["failures"], explain(report)
    assert report["phases"]["after"]["versions"].keys() == {version}


def test_canaries_soak_alone_and_only_they_are_lost(server, tmp_path):
    """One of three workers gets the new code; its errors take it back, the others never had it."""
    d = Deployment(server, tmp_path, workers=3)
    d.server.allow_log(EXPECTED)
    first = d.workers()
    d.site.good(inside="start_response('500 No', [('Content-Length', '0')]); return [b'']")
    with Load(d.address, 12) as load:
        params = {"soak_s": 20, "canaries": 1, "max_error_ratio": 0.1}
        job = d.call("reload.start", **params)["job"]
        done = d.shoalctl("wait", job)
        load.phase("after")
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 10 * SLOW)
        report = load.stop()
    assert done.code == 1, done.text
    assert set(report["kinds"]) <= {"status 500"}, explain(report)
    assert not report["phases"]["after"]["failures"], explain(report)
    assert len(set(first.values()) & set(d.workers().values())) >= 2


def keep_asking(d, most):
    """The version that answers a connection, and how many answers it gave, at most so many."""
    host, port = d.address
    with closing(http.client.HTTPConnection(host, port, timeout=10 * SLOW)) as conn:
        answers = 0
        closes = False
        while answers < most and not closes:
            conn.request("GET", "/")
            answer = conn.getresponse()
            version = answer.read().split()[1].decode()
            closes = answer.will_close
            answers += 1
    return version, answers


def test_clients_that_stay_come_to_the_canary(server, tmp_path):
    """During its soak the others let go of connections; before and after it they keep them."""
    d = Deployment(server, tmp_path)
    d.server.allow_log(EXPECTED)
    version = d.site.good()
    assert keep_asking(d, 40) == ("v1", 40)
    job = d.call("reload.start", soak_s=300, canaries=1)["job"]
    wait_for(lambda: d.call("jobs.get", job=job)["state"] == "soaking", 20 * SLOW)
    seen = {}
    for _ in range(200):
        name, answers = keep_asking(d, 40)
        seen[name] = max(answers, seen.get(name, 0))
        if len(seen) == 2:
            break
    assert seen == {"v1": 16, version: 40}
    d.call("jobs.cancel", job=job)
    assert d.shoalctl("wait", job).code == 1
    assert keep_asking(d, 40) == ("v1", 40)


# ---- configuration ----


def config(tmp_path, **values):
    path = tmp_path / "shoal.json"
    path.write_text(json.dumps(values))
    return path


def test_the_configuration_is_read_again(server, tmp_path):
    """The environment of the application and the time a request may take."""
    path = config(tmp_path, env=["SHOWN=one"])
    d = Deployment(server, tmp_path, "-c", path)
    d.site.good(inside="global VERSION; VERSION = os.environ['SHOWN']")
    assert d.reload().code == 0
    assert d.version() == "one"
    config(tmp_path, env=["SHOWN=two"])
    with Load(d.address, 4) as load:
        outcome = d.reload()
        report = load.stop()
    assert outcome.code == 0, outcome.text
    assert not report["failures"], explain(report)
    assert d.version() == "two"


def test_a_wrong_configuration_is_refused(server, tmp_path):
    path = config(tmp_path, threads=2)
    d = Deployment(server, tmp_path, "-c", path, workers=1)
    d.server.allow_log(EXPECTED)
    worker = d.workers()
    path.write_text('{"threads": "many"}')
    outcome = d.reload()
    assert outcome.code == 1, outcome.text
    assert "threads" in outcome.text and "many" in outcome.text, outcome.text
    assert d.workers() == worker and d.version() == "v1"
    config(tmp_path, threads=3)
    assert d.reload().code == 0


def test_options_that_need_a_new_start_are_named(server, tmp_path):
    path = config(tmp_path, backlog=100)
    d = Deployment(server, tmp_path, "-c", path, workers=1)
    config(tmp_path, backlog=200)
    assert d.reload().code == 0
    d.server.wait_log("new start only.*backlog")


def test_a_timeout_changes_with_a_reload(server, tmp_path):
    """--keep-alive, seen from outside: an idle connection is closed after the new time."""
    path = config(tmp_path, keep_alive=60)
    d = Deployment(server, tmp_path, "-c", path, workers=1)
    conn = d.server.connect()
    conn.ask("/")
    config(tmp_path, keep_alive=0.3)
    assert d.reload().code == 0
    conn = d.server.connect()
    conn.ask("/")
    assert conn.at_eof(3), "closed by the new time"


# ---- scaling ----


def test_more_and_fewer_workers_under_load(server, tmp_path):
    d = Deployment(server, tmp_path, workers=1)
    with Load(d.address, 8) as load:
        for target, sig in ((2, signal.SIGTTIN), (3, signal.SIGTTIN), (2, signal.SIGTTOU),
                            (1, signal.SIGTTOU)):
            os.kill(d.server.pid, sig)
            wait_for(lambda t=target: len(d.workers()) == t, 15 * SLOW, f"{target} workers")
        report = load.stop()
    assert not report["failures"], explain(report)
    assert holds(lambda: len(d.workers()) == 1, 0.3)


# ---- what waits for a way back ----

UNSAFE = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
WAYS = {"off": ("--preload=off", ""), "unsafe": ("--preload=auto", UNSAFE)}


def processes(d):
    """The workers, also those that do not serve, and the memory nobody shares with them."""
    pids = d.server.worker_pids()
    return set(pids), sum(procfs.private_memory(pid) for pid in pids)


@pytest.mark.parametrize("way", WAYS)
def test_without_a_mold_the_old_workers_wait_until_nobody_needs_them(server, tmp_path, way):
    """The way back is open while the new ones prove themselves, and is paid for no longer."""
    option, before = WAYS[way]
    d = Deployment(server, tmp_path, option, workers=3)
    d.server.allow_log(EXPECTED)
    d.site.good(before)
    assert d.reload().code == 0
    old = d.wait_strength(3)
    wait_for(lambda: processes(d)[0] == set(old.values()), 5 * SLOW, "three workers, no more")
    memory = processes(d)[1]
    version = d.site.good(before)
    job = d.call("reload.start", soak_s=60)["job"]
    new = wait_for(
        lambda: (w := d.workers()).keys() == old.keys() and w.items().isdisjoint(old.items()) and w,
        20 * SLOW, "three new workers",
    )
    wait_for(lambda: d.call("server.status")["workers"]["parked"] == 3, 5 * SLOW, "old ones parked")
    assert set(old.values()) < processes(d)[0]
    assert {d.version() for _ in range(10)} == {version}
    d.call("jobs.cancel", job=job)
    assert d.shoalctl("wait", job).code == 1
    wait_for(lambda: processes(d)[0] == set(old.values()), 5 * SLOW, "the old ones alone")
    assert not set(new.values()) & processes(d)[0]
    assert {d.version() for _ in range(10)} == {"v2"}
    assert d.reload().code == 0
    wait_for(lambda: not set(old.values()) & processes(d)[0], 5 * SLOW, "end of the old ones")
    wait_for(lambda: len(processes(d)[0]) == 3, 5 * SLOW, "three workers, no more")
    assert d.call("server.status")["workers"]["parked"] == 0
    assert processes(d)[1] < memory * 1.2
