"""What the control socket counts is what clients did; reading it changes nothing.

SPDX-License-Identifier: MIT
"""

import os
import signal
import socket
import threading

import procfs
import pytest
from control_client import Control, Failed, call
from load import Load
from raw_client import request
from shoal_harness import SLOW
from waiting import wait_for

PARTS = ["totals", "workers", "latency", "status"]
# Of these any request changes some, and no worker's death may take one back.
COUNTERS = ("requests", "app_started", "responses_2xx", "in_head", "out_body", "accepted")


def connect(server, app, *options, **named):
    path = server.tmp / "c.sock"
    one = server(app, "--control-socket", path, "--reload-keep", "0", *options, **named)
    one.control = path
    return one


@pytest.fixture
def control(server):
    one = connect(server, "zoo:application", workers=2)
    with Control(one.control) as client:
        client.server = one
        yield client


def totals(control, **params):
    return control.call("stats.get", select=["totals"], **params)["totals"]


def counted(control, before, **grown):
    """The counters have grown by exactly so much, as soon as the last answer is counted."""
    def difference():
        now = totals(control)
        return {name: now[name] - before[name] for name in grown}

    wait_for(lambda: difference() == grown, 5 * SLOW, f"{grown}, is {difference()}")


def history_begins(control):
    """With the first second that is over."""
    def kept():
        return control.call("stats.history", series=["rps"], since_s=10, step_s=1)["series"]["rps"]

    wait_for(kept, 5 * SLOW)


def test_what_was_sent_is_what_is_counted(control):
    server = control.server
    before = totals(control)
    for _ in range(3):
        assert server.ask("/hello").status == 200
    with server.connect() as conn:
        for _ in range(4):
            assert conn.ask("/hello").status == 200
    assert server.ask("/nothing").status == 404
    assert server.ask("/status?s=503_Busy").status == 503
    assert server.ask("/status?s=302_Away").status == 302
    assert server.ask("/sink", method="POST", body=b"x" * 12345).status == 200
    # Refused before the application: no Host.
    assert b" 400 " in server.exchange(b"GET / HTTP/1.1\r\n\r\n")
    counted(control, before, requests=12, app_started=11, rejected=1, responses_2xx=8,
            responses_3xx=1, responses_4xx=2, responses_5xx=1, responses_1xx=0,
            in_body=12345, keepalive_reuse=3, accepted=9, aborted=0, app_errors=0)
    assert totals(control)["in_flight"] == totals(control)["queued"] == 0


def test_the_head_bytes_of_a_request(control):
    sent = request("/hello", headers=[("Connection", "close"), ("X-Pad", "y" * 100)])
    before = totals(control)
    got = control.server.exchange(sent)
    head, _, body = got.partition(b"\r\n\r\n")
    counted(control, before, in_head=len(sent), out_head=len(head) + 4, out_body=len(body))


def test_status_agrees_with_the_totals_and_each_code_is_counted(control):
    before = control.call("stats.get")
    for status in ("200_OK", "404_Not_Found", "410_Gone", "410_Gone", "599_Odd"):
        control.server.ask(f"/status?s={status}")
    counted(control, before["totals"], requests=5)
    after = control.call("stats.get")
    grown = {code: n - before["status"].get(code, 0) for code, n in after["status"].items()}
    assert {code: n for code, n in grown.items() if n} == {
        "200": 1, "404": 1, "410": 2, "599": 1}
    for code in "12345":
        whole = sum(n for key, n in after["status"].items() if key[0] == code)
        assert whole == after["totals"][f"responses_{code}xx"]


def test_latency_is_measured(control):
    history_begins(control)
    before = control.call("stats.get")["latency"]
    for _ in range(4):
        control.server.ask("/wait?ms=60")
    counted = wait_for(
        lambda: (now := control.call("stats.get")["latency"])["count"] == before["count"] + 4
        and now, 5 * SLOW)
    assert counted["unit"] == "us" and 0 < counted["window_s"] <= 62
    assert counted["sum"] - before["sum"] >= 4 * 60000
    assert 57000 <= counted["p50"] <= counted["p90"] <= counted["p99"] <= counted["max"]
    assert counted["max"] < 1e6 * SLOW


def test_each_worker_has_its_own_numbers(control):
    # One request after the other on a connection stays in one worker.
    with control.server.connect() as conn:
        pid = int(conn.ask("/pid").body)
        for _ in range(9):
            conn.ask("/hello")

        def rows():
            return {w["pid"]: w for w in control.call("workers.list")["workers"]}

        wait_for(lambda: rows()[pid]["requests"] == 10, 5 * SLOW)
        by_pid = rows()
        assert set(by_pid) == set(control.server.worker_pids())
        assert by_pid[pid]["connections"] == 1
        # A row of its own for each, whose sum is the total.
        stats = control.call("stats.get", select=["workers", "totals"])
    assert {w["pid"]: w["counts"]["requests"] for w in stats["workers"]} == {
        p: w["requests"] for p, w in by_pid.items()}
    for name in COUNTERS:
        assert sum(w["counts"][name] for w in stats["workers"]) == stats["totals"][name]


def test_by_worker_gives_every_part_for_each(control):
    for _ in range(5):
        control.server.ask("/hello")
    wait_for(lambda: totals(control)["requests"] == 5, 5 * SLOW)
    whole = control.call("stats.get", by="server")
    each = control.call("stats.get", by="worker")
    # The network cards are the machine's.
    assert set(whole) - {"totals", "status", "latency", "nic"} == set(each) - {"workers"}
    rows = each["workers"]
    assert {r["slot"] for r in rows} == {0, 1}
    for name in COUNTERS:
        assert sum(r["totals"][name] for r in rows) == whole["totals"][name]
    assert sum(r["status"].get("200", 0) for r in rows) == whole["status"]["200"] == 5
    assert sum(r["latency"]["count"] for r in rows) == whole["latency"]["count"] == 5
    only = control.call("stats.get", by="worker", select=["status"])["workers"]
    assert {"slot", "pid", "generation", "epoch", "state", "status"} == set(only[0])


def test_counters_never_go_backwards_when_workers_are_killed(control):
    server = control.server
    server.allow_log("worker died|request lost")
    last, deaths = totals(control), 0

    def look():
        nonlocal last
        now = totals(control)
        back = {n: (last[n], now[n]) for n in COUNTERS if now[n] < last[n]}
        assert not back, back
        last = now
        return now["requests"]

    with Load(server.address, connections=4, target="/pid") as load:
        for _ in range(5):
            pids = wait_for(lambda: len(p := server.worker_pids()) == 2 and p, 10 * SLOW)
            grown = look() + 50
            wait_for(lambda n=grown: look() > n, 10 * SLOW)
            os.kill(pids[0], signal.SIGKILL)
            deaths += 1
            wait_for(lambda p=pids[0]: look() and p not in server.worker_pids(), 10 * SLOW)
        wait_for(lambda: control.call("server.status")["totals"]["crashes"] >= deaths, 5 * SLOW)
        done = load.stop()
    answered = done["requests"] - done["failures"]
    # Each answer that came is counted, except of the last moment of a killed worker.
    wait_for(lambda: look() >= answered - 4 * deaths, 5 * SLOW, f"{answered} counted")
    assert look() <= done["requests"]


def test_reading_changes_nothing(control):
    for _ in range(3):
        control.server.ask("/hello")
    wait_for(lambda: totals(control)["requests"] == 3, 5 * SLOW)
    first = control.call("stats.get", select=["totals", "status"])
    events = control.call("events.history")["seq"]
    for _ in range(50):
        control.call("stats.get", select=PARTS)
        control.call("workers.list")
        control.call("requests.inflight")
        control.call("stats.history", since_s=5)
        control.call("server.status")
    last = control.call("stats.get", select=["totals", "status"])
    assert last["seq"] > first["seq"] and last["t"] > first["t"] and last["mono"] > first["mono"]
    for name in ("loop_lag_us", "threads", "busy_us", "idle_us", "gil_wait_us"):
        first["totals"].pop(name), last["totals"].pop(name)  # as time goes by
    assert last["totals"] == first["totals"] and last["status"] == first["status"]
    assert control.call("events.history")["seq"] == events


def test_big_numbers_as_text(control):
    control.server.ask("/hello")
    wait_for(lambda: totals(control)["requests"] == 1, 5 * SLOW)
    text = control.call("stats.get", bigint="string", select=PARTS)
    fields = control.call("stats.schema")["fields"]
    for name, value in text["totals"].items():
        assert isinstance(value, str if fields[name]["kind"] == "counter" else int), name
    assert text["totals"]["requests"] == "1" and text["status"]["200"] == "1"
    assert text["latency"]["count"] == "1"


def test_the_schema_names_what_is_sent(control):
    schema = control.call("stats.schema")
    assert set(schema["fields"]) == set(totals(control))
    for name, field in schema["fields"].items():
        assert field["kind"] in ("counter", "gauge") and field["help"] and field["unit"], name
        assert field["persistent"] == (field["kind"] == "counter")
    assert schema["fields"]["connections"]["kind"] == "gauge"
    assert set(schema["series"]) == set(control.call("stats.history", since_s=1)["series"])


def test_the_map_of_heat_and_the_network_cards(control):
    for name in ("request", "ttfb", "app", "delivery"):
        heat = control.call("stats.heatmap", name=name, since_s=3600)
        assert (heat["name"], heat["step_s"], heat["schema"]) == (name, 10, 1)
    heat = control.call("stats.heatmap", since_s=3601)
    assert (heat["name"], heat["step_s"], heat["columns"]) == ("request", 240, [])
    with open("/proc/net/dev", encoding="ascii") as f:
        cards = [line.split(":") for line in f if ":" in line and "lo:" not in line]
    nic = control.call("stats.get", select=["nic"])["nic"]
    if not cards:
        assert nic is None
        return
    now = [sum(int(rest.split()[i]) for _, rest in cards) for i in (0, 8)]
    assert nic["in"] >= now[0] and nic["out"] >= now[1]


def test_what_happened_is_in_the_history(control):
    history_begins(control)
    for _ in range(40):
        control.server.ask("/hello")
    control.server.ask("/status?s=500_No")

    def seen():
        got = control.call("stats.history", series=["rps", "errors_5xx", "workers_ready"],
                           since_s=10, step_s=1)
        sums = {k: sum(p for p in v if p) for k, v in got["series"].items()}
        return sums["rps"] > 30 and sums["errors_5xx"] > 0.5 and got

    got = wait_for(seen, 5 * SLOW)
    assert set(got["series"]) == {"rps", "errors_5xx", "workers_ready"} and got["step_s"] == 1
    assert got["series"]["workers_ready"][-1] == 2
    points = len(got["series"]["rps"])
    now = control.call("server.ping")
    assert now["t"] - got["t0"] < points + 2 * SLOW and points <= 10
    # Rates are per second: their sum is about what was sent, however long a cell was.
    assert 30 <= sum(p for p in got["series"]["rps"] if p) <= 50
    with pytest.raises(Failed) as e:
        control.call("stats.history", series=["rps", "nothing"])
    assert e.value.kind == "invalid_params" and e.value.data["param"] == "series"


def test_a_stream_of_deltas_adds_up(control):
    server = control.server
    answer = control.call("stats.subscribe", interval_ms=100, select=["totals"], delta=True)
    seen, seq = dict(answer["state"]["totals"]), answer["seq"]
    assert answer["state"]["t"] > 1.6e9
    for _ in range(25):
        server.ask("/hello")
    notes = 0
    while seen["requests"] < 25:
        line = control.line()
        assert line["method"] == "stats"
        note = line["params"]
        assert note["sub"] == answer["sub"] and note["seq"] > seq
        seq, notes = note["seq"], notes + 1
        assert notes < 100
        seen["requests"] += note["d"].get("totals.requests", 0)
        seen["responses_2xx"] += note["d"].get("totals.responses_2xx", 0)
        # What has not changed is not sent.
        assert "totals.responses_5xx" not in note["d"]
    now = totals(control)
    assert seen["requests"] == now["requests"] and seen["responses_2xx"] == now["responses_2xx"]
    assert control.call("unsubscribe", sub=answer["sub"]) == {}


def test_a_stream_of_whole_numbers(control):
    answer = control.call("stats.subscribe", interval_ms=100, select=["totals", "workers"])
    control.server.ask("/hello")
    while control.event()["totals"]["requests"] < 1:
        continue
    note = control.event()
    assert {w["slot"] for w in note["workers"]} == {0, 1}
    assert "latency" not in note and note["sub"] == answer["sub"]


def test_listeners_and_their_queues(server, tmp_path):
    """Nobody accepts while the worker is stopped: what waits is seen."""
    unix = tmp_path / "second.sock"
    one = connect(server, "zoo:application", "-b", f"unix:{unix}")
    with Control(one.control) as control:
        first, second = control.call("listeners.list")["listeners"]
        assert first["addr"] == f"tcp:127.0.0.1:{one.port}" and first["tls"] is False
        assert second["addr"] == f"unix:{unix}" and first["backlog"] >= 1
        assert first["accepted"] == second["accepted"] == 0
        for _ in range(3):
            one.ask("/hello")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(unix))
            sock.sendall(request("/hello"))
            assert sock.recv(100).startswith(b"HTTP/1.1 200")

        def accepted():
            return [x["accepted"] for x in control.call("listeners.list")["listeners"]]

        wait_for(lambda: accepted() == [3, 1], 5 * SLOW, f"{accepted()}")
        worker = one.worker
        os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: procfs.stat(worker)[0] == "T", 5 * SLOW, "a stopped worker")
        try:
            waiting = [one.socket() for _ in range(5)]
            queue = control.call("listeners.list")["listeners"][0]
            assert queue["accept_queue"] == 5 and queue["accept_queue_max"] <= 5
            wait_for(lambda: control.call("listeners.list")["listeners"][0]
                     ["accept_queue_max"] == 5, 5 * SLOW)
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_for(lambda: accepted() == [8, 1], 5 * SLOW)
        assert control.call("listeners.list")["listeners"][0]["accept_queue_max"] == 5
        for sock in waiting:
            sock.close()
        # As the other counters, across the worker's death.
        one.allow_log("worker died|request lost")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: one.worker_pids() not in ([worker], []), 10 * SLOW)
        assert accepted() == [8, 1]


def test_many_readers_get_one_consistent_pass(control):
    """Numbers of one answer belong together, whoever else reads while they change."""
    wrong = []

    def read():
        with Control(control.server.control) as mine:
            for _ in range(100):
                got = mine.call("stats.get", select=["totals", "workers", "latency"])
                if sum(w["counts"]["requests"] for w in got["workers"]) != (
                    got["totals"]["requests"]):
                    wrong.append(got)

    with Load(control.server.address, connections=4, target="/pid"):
        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert not wrong, wrong[0]


def test_counters_outlive_an_upgrade(control):
    """The master becomes its binary anew: same process, same numbers."""
    server = control.server
    server.more_descriptors = 3
    for _ in range(3):
        server.ask("/hello")
    server.ask("/nothing")
    wait_for(lambda: totals(control)["requests"] == 4, 5 * SLOW)
    # One worker's counters are those of a dead one by then.
    server.allow_log("worker died")
    pids = set(server.worker_pids())
    os.kill(min(pids), signal.SIGKILL)
    wait_for(lambda: len(now := set(server.worker_pids())) == 2 and now != pids, 10 * SLOW)
    before = control.call("stats.get", select=["totals", "status"])
    accepted = control.call("listeners.list")["listeners"][0]["accepted"]
    job = control.call("server.upgrade")["job"]
    control.rest()

    def done():
        try:
            return call(server.control, "jobs.get", job=job)["state"] == "done"
        except (OSError, AssertionError):
            return False

    wait_for(done, 20 * SLOW)
    with Control(server.control) as again:
        after = again.call("stats.get", select=["totals", "status"])
        assert after["status"] == before["status"] == {"200": 3, "404": 1}
        for name in COUNTERS:
            assert after["totals"][name] >= before["totals"][name], name
        assert again.call("listeners.list")["listeners"][0]["accepted"] == accepted >= 4
