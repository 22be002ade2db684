"""env['eventlet.posthooks']: once, in order, isolated, on every way a request can end.

SPDX-License-Identifier: MIT
"""

import json
import signal

import pytest
from waiting import wait_for


@pytest.fixture
def probe(server, record, executor):
    started = server("probe", *executor, env={"RECORD": str(record)})
    started.record = record
    return started


def notes(probe, count):
    """The lines recorded, as soon as there are so many (and no more)."""
    lines = wait_for(
        lambda: len(probe.record.read_text().splitlines()) >= count
        and probe.record.read_text().splitlines(),
        what=f"{count} notes, has {probe.record.read_text()!r}",
    )
    probe.ask("/valid/hello")
    assert probe.record.read_text().splitlines() == lines and len(lines) == count
    return [line.rstrip() for line in lines]


def test_order_isolation_and_outcome(probe):
    probe.expect_log("post hook failed")
    assert probe.ask("/hooked?plain").body == b"hooked"
    found = notes(probe, 4)
    assert found[0] == "close plain"
    body = "body=6"  # chunked: the framing is counted on its own
    assert found[1] == f"hook first status=200,{body},aborted=False kw"
    assert found[2] == f"hook second status=200,{body},aborted=False"
    assert found[3].startswith("hook delivered")


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_after_an_application_that_failed(probe, how):
    probe.expect_log("post hook failed").expect_log("application failed")
    assert probe.ask(f"/hooked?{how}").status == 500
    assert [line.split()[1] for line in notes(probe, 3)] == ["first", "second", "delivered"]
    assert "status=500" in probe.record.read_text()


def test_after_a_body_that_failed(probe):
    probe.expect_log("post hook failed").expect_log("application failed")
    got = probe.exchange(b"GET /hooked?later HTTP/1.1\r\nHost: t\r\n\r\n")
    assert got.endswith(b"5\r\nfirst\r\n")
    found = notes(probe, 4)
    assert found[0] == "close later" and "aborted=True" in found[1]


def test_the_list_is_looked_up_at_the_end(probe):
    probe.ask("/replaced_list")
    assert "hook kept" in notes(probe, 1)[0]


def test_a_copied_environ_shares_the_list(probe):
    probe.ask("/middleware_copy")
    assert "hook inner" in notes(probe, 1)[0]


def test_a_hook_may_add_a_hook(probe):
    probe.ask("/hook_adds_hook")
    assert "hook_first" in notes(probe, 2)[0].replace(" ", "_")
    assert "added" in probe.record.read_text()


def test_close_may_add_a_hook(probe):
    probe.ask("/close_adds_hook")
    assert [line.split()[:2] for line in notes(probe, 2)] == [
        ["close", "adder"], ["hook", "from_close"],
    ]


def test_malformed_hooks_are_named_and_the_rest_runs(probe):
    probe.expect_log("post hook failed", 2)
    probe.ask("/bad_hooks")
    assert "good" in notes(probe, 1)[0]


def test_lists_do_not_pile_up(probe):
    probe.expect_log("post hook failed")
    with probe.connect() as conn:
        for _ in range(5):
            conn.ask("/hooked?plain")
    assert len(notes(probe, 20)) == 20


def test_client_gone_before_the_answer(server, record, tmp_path):
    gate = tmp_path / "gate"
    zoo = server("gone", env={"RECORD": str(record), "GATE": str(gate)})
    zoo.record = record
    with zoo.connect() as conn:
        conn.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for(lambda: "started" in record.read_text(), what="the application to start")
        conn.reset()
    gate.write_text("")
    wait_for(lambda: "hook" in record.read_text(), what="the hook")
    assert "aborted=True" in record.read_text() and "client_gone" in record.read_text()


def test_kept_transfer_has_the_final_numbers(probe):
    with probe.connect() as conn:
        first = conn.ask("/keep_transfer")
        found = json.loads(conn.ask("/show_transfer").body)
    assert found["status"] == 200 and found["aborted"] is False
    assert found["abort_reason"] is None and found["acked"] is None
    assert found["sent"] == first.size == found["head"] + found["body"]
    assert found["body"] == len(first.body) and found["bytes_in"] > 20
    assert found["times"] == [True, True]
    assert found["repr"] == (f"<transfer sent: status 200, in {found['bytes_in']}, "
                             f"sent {found['sent']}, acked None>")


def test_after_a_timeout(server, record, tmp_path):
    gate = tmp_path / "gate"
    slow = server("gone", "--timeout", "0.3", env={"RECORD": str(record), "GATE": str(gate)})
    slow.expect_log("request timed out")
    assert slow.ask("/wait").status == 504
    gate.write_text("")
    wait_for(lambda: "hook" in record.read_text(), what="the hook")
    assert record.read_text().splitlines()[-1] == "hook aborted=True timeout"


def test_during_a_graceful_stop(server, record, tmp_path):
    gate = tmp_path / "gate"
    slow = server("gone", env={"RECORD": str(record), "GATE": str(gate)})
    with slow.connect() as conn:
        conn.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for(lambda: "started" in record.read_text(), what="the application to start")
        slow.signal(signal.SIGTERM)
        slow.wait_log("stopping")
        gate.write_text("")
        assert conn.response("GET").body == b"too late"
    assert slow.wait_exit() == 0
    slow.check_after_exit()
    assert record.read_text().splitlines()[-1] == "hook aborted=False None"


def test_when_the_graceful_time_is_over(server, record):
    zoo = server("probe", "--graceful-timeout", "0.3", env={"RECORD": str(record)})
    zoo.allow_log("worker|graceful")
    with zoo.connect(rcvbuf=4096) as conn:
        conn.send(b"GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for(lambda: "parked" in record.read_text(), what="output to pile up")
        zoo.signal(signal.SIGTERM)
        zoo.wait_exit()
    zoo.check_after_exit()
    assert record.read_text().splitlines()[1:] == ["close endless", "hook ended True"]
