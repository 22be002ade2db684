"""Methods that look at workers and steer them, against real ones under real requests.

SPDX-License-Identifier: MIT
"""

import os
import signal
import threading

import procfs
import pytest
from control_client import Control, Failed
from load import Load, explain
from raw_client import request
from shoal_harness import APPS, SLOW
from waiting import holds, wait_for


class Instance:
    """A server with its control socket open."""

    def __init__(self, server, app, *options, **named):
        self.path = server.tmp / "c.sock"
        named.setdefault("workers", 2)
        self.server = server(app, "--control-socket", self.path, "--reload-keep", "0",
                             *options, **named)
        self.server.allow_log("worker died|request lost|worker does not answer|worker stuck")
        self.server.more_descriptors = 1  # our connection
        self.control = Control(self.path)

    def call(self, method, **params):
        return self.control.call(method, **params)

    def refused(self, method, **params):
        with pytest.raises(Failed) as e:
            self.control.call(method, **params)
        return e.value

    def rows(self, *fields):
        """{slot: row} of those that serve."""
        params = {"fields": [*fields, "role"]} if fields else {}
        return {w["slot"]: w for w in self.call("workers.list", **params)["workers"]
                if w["role"] == "serving"}

    def pid(self, slot):
        return self.rows("state")[slot]["pid"]

    def slot_of(self, pid):
        return next(s for s, w in self.rows("state").items() if w["pid"] == pid)

    def state(self, slot):
        return self.rows("state")[slot]["state"]

    def done(self, job, timeout=30):
        return self.call("jobs.wait", job=job["job"], timeout_s=timeout)

    def wait_strength(self, n):
        return wait_for(
            lambda: self.call("server.status")["workers"]["ready"] == n
            and len(rows := self.rows()) == n and rows, 15 * SLOW, f"{n} workers")


@pytest.fixture
def instance(server):
    made = []

    def make(app="zoo:application", *options, **named):
        made.append(Instance(server, app, *options, **named))
        return made[-1]

    yield make
    for one in made:
        one.control.sock.close()


# ---- looking ----


def test_a_row_tells_what_the_kernel_tells(instance):
    one = instance()
    rows = one.rows()
    assert sorted(rows) == [0, 1]
    assert {w["pid"] for w in rows.values()} == set(one.server.worker_pids())
    for slot, row in rows.items():
        assert row["slot"] == slot and row["generation"] == 1 and row["epoch"] == 1
        assert row["booted"] is True and row["restarts"] == 0 and row["last_exit"] is None
        assert row["state"] in ("ready", "idle") and row["in_flight"] == row["queued"] == 0
        # The first beat is due a second after it was ready.
        assert row["heartbeat_age_s"] is None or 0 <= row["heartbeat_age_s"] < 3 * SLOW
        assert 0 <= row["since"] <= row["age_s"]
        wait_for(lambda s=slot: one.rows("heartbeat_age_s")[s]["heartbeat_age_s"] is not None,
                 3 * SLOW)
        rss = procfs.memory(row["pid"])
        assert abs(row["rss_bytes"] - rss) < max(rss * 0.2, 1 << 20)
        assert abs(row["cpu_s"] - procfs.cpu_seconds(row["pid"])) < 0.5


def test_only_the_fields_that_were_asked_for(instance):
    one = instance()
    for row in one.call("workers.list", fields=["state", "rss_bytes"])["workers"]:
        assert set(row) == {"slot", "pid", "state", "rss_bytes"}
    error = one.refused("workers.list", fields=["state", "colour"])
    assert error.kind == "invalid_params" and error.data["param"] == "fields"


def test_one_in_detail(instance, tmp_path):
    one = instance("zoo:application", "--max-requests", "1000", "--threads", "3")
    one.server.ask("/hello")
    row = wait_for(lambda: (w := one.call("workers.get", slot=1))["limits"] and w["uss_bytes"]
                   and w, 5 * SLOW)
    assert set(one.rows()[1]) <= set(row)
    assert row["pid"] == one.pid(1) and row["loaded_app"] == "zoo:application"
    assert row["threads"] == 3 and row["os_threads"] >= 4
    assert 0 < row["uss_bytes"] <= row["pss_bytes"] <= row["rss_bytes"] + (1 << 20)
    assert row["limits"]["max_requests"] >= 1000 and row["limits"]["max_age_s"] is None
    assert set(row["counts"]) == set(one.call("stats.schema")["fields"])
    assert row["crashes"] == []
    error = one.refused("workers.get", slot=7)
    assert error.kind == "not_found" and error.data["what"] == 7


def test_requests_in_flight(instance, tmp_path):
    """Where they are, how long, for whom; the part behind the question mark never."""
    go = tmp_path / "go"
    one = instance("zoo:application", "--threads", "1", "--account-key", "header:X-Tenant")
    try:
        with one.server.connect() as first:
            sent = request(f"/hold?file={go}&secret=7", headers=[("X-Tenant", "acme")])
            first.send(sent)
            held = wait_for(
                lambda: (r := one.call("requests.inflight")["requests"])
                and r[0]["phase"] == "app" and r,
                5 * SLOW,
            )
            assert len(held) == 1
            entry = held[0]
            assert entry["method"] == "GET" and entry["path"] == "/hold"
            assert entry["client"] == "127.0.0.1"
            assert entry["id"].startswith(f"w{entry['worker']}e1-")
            assert "secret" not in str(held)
            # After a tick of the worker.
            told = wait_for(
                lambda: (r := one.call("requests.inflight")["requests"][0])["account"] and r,
                3 * SLOW)
            assert (told["account"], told["bytes_in"], told["bytes_out"]) == (
                "acme", len(sent), 0)
            assert one.state(entry["worker"]) == "busy" or wait_for(
                lambda: one.state(entry["worker"]) == "busy", 2 * SLOW)
            # By age, worker and number; total says what was left out.
            wait_for(lambda: one.call("requests.inflight", slow_s=0.3)["total"] == 1, 3 * SLOW)
            assert one.call("requests.inflight", slow_s=600) == {
                "requests": [], "total": 0, "cursor": None}
            other = 1 - entry["worker"]
            assert one.call("requests.inflight", slot=other)["total"] == 0
            more = [one.server.connect() for _ in range(3)]
            for conn in more:
                conn.send(request(f"/hold?file={go}"))
            wait_for(lambda: one.call("requests.inflight")["total"] == 4, 5 * SLOW)
            some = one.call("requests.inflight", limit=2)
            assert some["total"] == 4 and len(some["requests"]) == 2
            assert some["requests"][0]["id"] == entry["id"], "the oldest first"
            every = one.call("requests.inflight")["requests"]
            rest = one.call("requests.inflight", limit=2, cursor=some["cursor"])
            pages = some["requests"] + rest["requests"]
            assert [r["id"] for r in pages] == [r["id"] for r in every]
            assert rest["cursor"] is None and rest["total"] == 4
            for wrong in ("x", "1-2-3", some["cursor"] + "-1"):
                error = one.refused("requests.inflight", cursor=wrong)
                assert (error.kind, error.data["param"]) == ("invalid_params", "cursor")
            ages = [r["age_s"] for r in every]
            assert ages == sorted(ages, reverse=True)
            # A worker has one thread: what it cannot begin is in its queue.
            def one_runs_in_each():
                every = one.call("requests.inflight")["requests"]
                phases = [r["phase"] for r in every]
                assert set(phases) <= {"app", "queue"}
                return phases.count("app") == len({r["worker"] for r in every})

            wait_for(one_runs_in_each, 5 * SLOW)
            go.touch()
            assert first.response().status == 200
            for conn in more:
                assert conn.response().status == 200
        wait_for(lambda: one.call("requests.inflight")["total"] == 0, 5 * SLOW)
        assert one.call("requests.inflight")["requests"] == []
    finally:
        go.touch()


def test_a_hung_worker_is_still_seen(instance, tmp_path):
    """It is stopped in the middle of a request: nothing can be asked of it any more."""
    go = tmp_path / "go"
    one = instance()
    with one.server.connect() as conn:
        pid = int(conn.ask("/pid").body)
        slot = one.slot_of(pid)
        conn.send(request(f"/hold?file={go}"))
        # The gauges are written five times a second.
        wait_for(lambda: one.rows("in_flight")[slot]["in_flight"] == 1, 5 * SLOW)
        assert one.call("workers.kill", slot=slot, signal="STOP") == {"pid": pid}
        try:
            wait_for(lambda: procfs.stat(pid)[0] == "T", 5 * SLOW)
            # The others are served, and every number is there, at once.
            for _ in range(5):
                assert int(one.server.ask("/pid").body) != pid
            assert one.control.ping_s() < 1
            held = one.call("requests.inflight", slot=slot)["requests"]
            assert held[0]["path"] == "/hold" and held[0]["worker"] == slot
            aged = one.call("requests.inflight", slot=slot, slow_s=held[0]["age_s"])
            assert aged["requests"][0]["age_s"] > held[0]["age_s"]
            row = one.rows()[slot]
            assert row["requests"] == 1 and row["in_flight"] == 1 and row["connections"] == 1
            wait_for(lambda: one.rows()[slot]["heartbeat_age_s"] > 2, 8 * SLOW)
            mine = [w for w in one.call("stats.get", select=["workers"])["workers"]
                    if w["slot"] == slot]
            assert mine[0]["counts"]["requests"] == 1 and mine[0]["counts"]["in_flight"] == 1
            error = one.refused("workers.trace", slot=slot)
            assert error.kind == "timeout", "a stopped process cannot be traced, but is waited for"
        finally:
            go.touch()
            os.kill(pid, signal.SIGCONT)
        assert conn.response().status == 200


def test_a_trace_shows_where_it_is(instance, tmp_path):
    go = tmp_path / "go"
    one = instance("zoo:application", "--threads", "2")
    with one.server.connect() as conn:
        conn.send(request(f"/hold?file={go}"))
        slot = wait_for(lambda: one.call("requests.inflight")["requests"],
                        5 * SLOW)[0]["worker"]

        def functions(**params):
            trace = one.call("workers.trace", slot=slot, **params)
            assert trace["pid"] == one.pid(slot) and 0 < trace["took_us"] < 2e6 * SLOW
            return [[f["function"] for f in t["stack"]] for t in trace["threads"]]

        stack = next(s for s in functions() if "hold" in s)
        assert stack.index("wait_for_file") < stack.index("hold") < stack.index("application")
        assert functions(threads="all") and len(functions(threads="current")) <= 1
        trace = one.call("workers.trace", slot=slot)
        files = {f["file"] for t in trace["threads"] for f in t["stack"]}
        assert any(name.endswith("zoo.py") for name in files)
        go.touch()
        assert conn.response().status == 200
    assert one.refused("workers.trace", slot=2).kind == "not_found"


def test_nobody_in_the_slot(instance, tmp_path):
    """What there is no worker for is said so, by each method in its own way."""
    source = tmp_path / "mine.py"
    source.write_text("from hello import application\n")
    apps = os.pathsep.join([str(tmp_path), str(APPS)])
    one = instance("mine:application", "--preload=off", env={"PYTHONPATH": apps},
                   cwd=tmp_path)
    one.server.allow_log("not loaded|worker failed|SyntaxError|cannot")
    source.write_text("def (\n")
    one.call("workers.kill", slot=1, signal="KILL")

    def missing():
        rows = one.call("workers.list")["workers"]
        return next((r for r in rows if r["slot"] == 1 and r["role"] == "missing"), None)

    row = wait_for(missing, 15 * SLOW)
    assert row["pid"] is None and row["state"] == "dead" and row["booted"] is False
    assert row["last_exit"]["cause"] and row["restarts"] >= 1
    status = one.call("server.status")
    assert status["workers"]["failed"] == 1 and status["workers"]["ready"] == 1
    assert any("slots have no worker" in text for text in status["alerts"])
    for method in ("workers.pause", "workers.resume", "workers.kill"):
        assert one.refused(method, slot=1).kind == "not_found"
    error = one.refused("workers.trace", slot=1)
    assert error.kind in ("worker_gone", "failed_precondition")
    # With one worker left the instance is healthy, and it comes back by itself.
    assert one.call("server.health") == {"ok": True}
    source.write_text("from hello import application\n")
    one.wait_strength(2)


# ---- steering ----


def test_kill_and_what_is_kept_of_it(instance, tmp_path):
    one = instance()
    go = tmp_path / "go"
    with one.server.connect() as conn:
        conn.send(request(f"/hold?file={go}&secret=7"))
        slot = wait_for(lambda: one.call("requests.inflight")["requests"],
                        5 * SLOW)[0]["worker"]
        before = one.rows()[slot]
        one.call("events.subscribe", types=["worker.exit"])
        assert one.call("workers.kill", slot=slot, signal="KILL") == {"pid": before["pid"]}
        event = one.control.until_event("worker.exit")["data"]
        assert event["slot"] == slot and event["pid"] == before["pid"]
        assert event["cause"] == "signal=SIGKILL" and event["expected"] is False
        assert [r["path"] for r in event["requests"]] == ["/hold"]
        assert "secret" not in str(event)
        assert conn.gone()
    after = one.wait_strength(2)[slot]
    assert after["pid"] != before["pid"] and after["epoch"] == before["epoch"] + 1
    assert after["restarts"] == 1 and after["last_exit"]["cause"] == "signal=SIGKILL"
    assert after["requests"] == 0 and after["age_s"] < before["age_s"] + 15
    crash = one.call("workers.get", slot=slot)["crashes"][-1]
    assert crash["pid"] == before["pid"] and "secret" not in str(crash)
    assert one.call("server.status")["totals"]["crashes"] == 1
    # The other one was not touched.
    other = one.rows()[1 - slot]
    assert other["restarts"] == 0 and other["epoch"] == 1
    # Without a name it is TERM: the worker ends in order.
    pid = one.pid(1 - slot)
    assert one.call("workers.kill", slot=1 - slot) == {"pid": pid}
    wait_for(lambda: not procfs.alive(pid), 10 * SLOW)
    one.wait_strength(2)


def test_a_paused_worker_keeps_its_connections_and_gets_no_more(instance):
    one = instance()
    conn = one.server.connect()
    pid = int(conn.ask("/pid").body)
    slot = one.slot_of(pid)
    assert one.call("workers.pause", slot=slot) == {"state": "parked"}
    status = one.call("server.status")["workers"]
    assert status["parked"] == 1 and status["ready"] == 1
    # It lets go of the listener when it has heard of it.
    wait_for(lambda: int(one.server.ask("/pid").body) != pid, 5 * SLOW)
    assert {int(one.server.ask("/pid").body) for _ in range(20)} == {one.pid(1 - slot)}
    assert int(conn.ask("/pid").body) == pid and int(conn.ask("/pid").body) == pid
    error = one.refused("workers.pause", slot=slot)
    assert error.kind == "failed_precondition" and error.data["why"] == ["parked"]
    assert one.call("workers.resume", slot=slot)["state"] in ("ready", "idle")
    wait_for(lambda: int(one.server.ask("/pid").body) == pid, 10 * SLOW)
    error = one.refused("workers.resume", slot=slot)
    assert error.kind == "failed_precondition"
    assert int(conn.ask("/pid").body) == pid


def test_all_paused_is_not_ready_and_loses_nothing(instance):
    one = instance()
    for slot in (0, 1):
        one.call("workers.pause", slot=slot)
    assert one.refused("server.health").data["why"] == ["no_worker"]
    assert one.call("server.status")["ready"] is False
    assert one.call("server.health", probe="live") == {"ok": True}
    # One that comes now waits in the queue of the kernel.
    answer = []
    client = threading.Thread(target=lambda: answer.append(one.server.ask("/pid", timeout=20)))
    client.start()
    wait_for(lambda: one.call("listeners.list")["listeners"][0]["accept_queue"] == 1, 5 * SLOW)
    assert holds(lambda: not answer, 0.2)
    one.call("workers.resume", slot=1)
    client.join(20 * SLOW)
    assert int(answer[0].body) == one.pid(1)
    one.call("workers.resume", slot=0)
    assert one.call("server.health") == {"ok": True}


def test_scale(instance):
    one = instance()
    with Load(one.server.address, connections=4, target="/pid") as load:
        job = one.call("workers.scale", target=4, token="a")
        assert job["kind"] == "scale" and job["result"] == {"from": 2, "to": 4}
        assert one.call("workers.scale", target=4, token="a")["job"] == job["job"]
        assert one.done(job)["state"] == "done"
        assert sorted(one.wait_strength(4)) == [0, 1, 2, 3]
        assert one.call("server.status")["workers"]["target"] == 4
        down = one.call("workers.scale", delta=-3)
        assert down["result"] == {"from": 4, "to": 1}
        assert one.done(down)["state"] == "done"
        assert sorted(one.wait_strength(1)) == [0]
        report = load.stop()
    allowed = {"wrong body": report["requests"]}  # /pid says no version
    assert set(report["kinds"]) <= set(allowed), explain(report)
    for params in ({}, {"target": 2, "delta": 1}, {"delta": -1}, {"delta": 1024}):
        error = one.refused("workers.scale", **params)
        assert error.kind == "invalid_params", params
        assert error.data["param"] == ("delta" if list(params) == ["delta"] else "target")
    assert one.call("server.status")["workers"]["target"] == 1


def test_recycle_one_and_all(instance):
    one = instance("who:application")
    before = one.rows()
    with Load(one.server.address, connections=4) as load:
        job = one.call("workers.recycle", slots=[1], drain_timeout_s=10)
        assert job["kind"] == "recycle" and job["progress"]["total"] == 1
        assert one.done(job)["state"] == "done"
        after = one.wait_strength(2)
        assert after[0]["pid"] == before[0]["pid"] and after[1]["pid"] != before[1]["pid"]
        assert after[1]["epoch"] == 2 and after[0]["epoch"] == 1
        every = one.call("workers.recycle")
        assert one.done(every)["progress"] == {"done": 2, "total": 2}
        last = one.wait_strength(2)
        assert last[0]["epoch"] == 2 and last[1]["epoch"] == 3
        assert all(w["generation"] == 1 for w in last.values())
        report = load.stop()
    assert report["failures"] == 0, explain(report)
    assert one.call("server.status")["totals"]["requests"] == report["requests"]
    error = one.refused("workers.recycle", slots=[0, 5])
    assert error.kind == "not_found" and error.data["what"] == 5
    assert one.rows()[0]["epoch"] == 2, "nothing was done before the refusal"


# ---- the instance ----


def test_a_drain_announces_the_end_of_connections(instance):
    one = instance()
    with one.server.connect() as idle, one.server.connect() as asks:
        assert not idle.ask("/hello").closes and not asks.ask("/hello").closes
        job = one.call("server.drain", timeout_s=30)
        assert job["kind"] == "drain" and job["state"] == "draining"
        assert one.refused("server.health").data["why"] == ["draining"]
        status = one.call("server.status")
        assert status["state"] == "draining" and status["ready"] is False
        error = one.refused("server.drain")
        assert error.kind == "failed_precondition" and error.data["why"] == ["draining"]
        # Who was there is answered, told, and gone; who comes is answered, too.
        assert asks.ask("/hello").closes and asks.at_eof()
        assert one.call("jobs.get", job=job["job"])["state"] == "draining"
        assert one.server.ask("/hello").status == 200
        with one.server.connect() as late:
            answer = late.ask("/hello")
            assert answer.status == 200 and answer.closes
        assert idle.ask("/hello").closes and idle.at_eof()
    assert one.done(job, 10)["state"] == "done"
    assert one.call("server.undrain") == {"ready": True}
    assert one.call("server.health") == {"ok": True}
    assert one.refused("server.undrain").data["why"] == ["not draining"]
    with one.server.connect() as conn:
        assert not conn.ask("/hello").closes
        # One that is taken back before its end; one whose time is up.
        job = one.call("server.drain")
        one.call("server.undrain")
        assert one.done(job)["state"] == "cancelled"
        wait_for(lambda: one.call("stats.get")["totals"]["connections"] == 1, 5 * SLOW)
        late = one.done(one.call("server.drain", timeout_s=0.3))
        assert late["state"] == "done" and "connections are left" in late["why"]
        one.call("server.undrain")


def test_while_it_stops(instance, tmp_path):
    """A request holds the stop up: what can still be asked, and what is refused."""
    go = tmp_path / "go"
    one = instance()
    one.call("events.subscribe", types=["server.stopping"])
    with one.server.connect() as conn, Control(one.path) as other:
        conn.send(request(f"/hold?file={go}"))
        wait_for(lambda: one.call("requests.inflight")["total"] == 1, 5 * SLOW)
        job = one.call("server.stop", timeout_s=20)
        assert job["kind"] == "stop"
        assert one.control.until_event("server.stopping")
        assert one.call("server.status")["state"] == "stopping"
        assert one.refused("server.health").data["why"] == ["stopping"]
        assert one.call("jobs.get", job=job["job"])["state"] == "draining"
        for method in ("reload.start", "reload.check", "workers.recycle", "server.upgrade"):
            assert one.refused(method).kind == "shutting_down", method
        assert one.refused("workers.scale", target=3).kind == "shutting_down"
        assert other.call("requests.inflight")["total"] == 1
        # Asked again, because the answer may have been lost: the same job, no more haste.
        assert one.call("server.stop", timeout_s=20)["job"] == job["job"]
        go.touch()
        assert conn.response().status == 200
        assert one.server.wait_exit() == 0
        assert other.rest() == b""
    assert not one.path.exists()
    one.server.check_after_exit()


@pytest.mark.parametrize("mode, most_s", [("fast", 4), ("immediate", 2)])
def test_a_stop_that_does_not_wait(instance, tmp_path, mode, most_s):
    one = instance()
    with one.server.connect() as conn:
        conn.send(request(f"/hold?file={tmp_path / 'never'}"))
        wait_for(lambda: one.call("requests.inflight")["total"] == 1, 5 * SLOW)
        one.call("server.stop", mode=mode)
        assert one.server.wait_exit(most_s) == 0
    one.server.stopped = True
