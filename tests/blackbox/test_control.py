"""The control socket: JSON-RPC rules, error kinds, roles, jobs and subscriptions.

SPDX-License-Identifier: MIT
"""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from control_client import Control, Failed, call
from waiting import holds, wait_for

HELPER = """
import json, os, socket, sys
os.setgroups([int(g) for g in sys.argv[3].split(",") if g]); os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
for line in sys.stdin:
    s.sendall(line.encode()); print(s.makefile().readline(), end="", flush=True)
"""


@pytest.fixture(scope="module")
def path(module_server):
    # Not under pytest's own directory: other users have to get here.
    with tempfile.TemporaryDirectory(prefix="shoal-ctl-") as name:
        where = Path(name)
        where.chmod(0o755)
        one = module_server("hello:application", "--control-socket", where / "c.sock",
                            "--control-socket-mode", "0666",
                            "--control-role", "user:4242=operator",
                            "--control-role", "group:4343=observer",
                            "--reload-keep", "0", workers=2)
        one.allow_log("reload rolled back")
        yield where / "c.sock"


@pytest.fixture
def control(path):
    with Control(path) as client:
        yield client


def ask_as(path, uid, *requests, groups=""):
    """The replies to requests of another user."""
    lines = "".join(json.dumps({"id": 1, **r}) + "\n" for r in requests)
    out = subprocess.run([sys.executable, "-c", HELPER, str(path), str(uid), groups],
                         input=lines, capture_output=True, text=True, check=True, timeout=30)
    return [json.loads(line) for line in out.stdout.splitlines()]


def test_hello(control):
    hello = control.call("server.hello", client="test/1", api=1, min_minor=0)
    assert hello["name"] == "shoal" and hello["api"] == 1 and hello["role"] == "admin"
    assert hello["peer"]["pid"] == os.getpid()
    assert hello["limits"]["line_bytes"] == 262144
    with pytest.raises(Failed) as e:
        control.call("server.hello", api=2)
    assert e.value.kind == "unsupported" and e.value.data["feature"] == "api"


@pytest.mark.parametrize("sent, kind", [
    (b'{"id":1,"method":"server.pong"}', "unknown_method"),
    (b'{"id":1,"method":7}', "invalid_request"),
    (b'{"id":1}', "invalid_request"),
    (b'{"id":null,"method":"server.ping"}', "invalid_request"),
    (b'{"id":1.5,"method":"server.ping"}', "invalid_request"),
    (b'{"id":true,"method":"server.ping"}', "invalid_request"),
    (b'{"id":{},"method":"server.ping"}', "invalid_request"),
    (b'{"id":1,"jsonrpc":"1.0","method":"server.ping"}', "invalid_request"),
    (b'{"id":1,"method":"server.ping","extra":1}', "invalid_request"),
    (b'{"id":1,"method":"server.ping","params":[]}', "invalid_params"),
    (b'{"id":1,"method":"server.ping","params":{"x":1}}', "invalid_params"),
    (b'{"id":1,"method":"jobs.get"}', "invalid_params"),
    (b'{"id":1,"method":"jobs.get","params":{"job":7}}', "invalid_params"),
    (b'{"id":1,"method":"jobs.get","params":{"job":""}}', "invalid_params"),
    (b'{"id":1,"method":"jobs.get","params":{"job":"r-99"}}', "not_found"),
    (b'{"id":1,"method":"logs.level","params":{"level":"loud"}}', "invalid_params"),
    (b'{"id":1,"method":"workers.scale","params":{"target":0}}', "invalid_params"),
    (b'{"id":1,"method":"events.subscribe","params":{"types":[1]}}', "invalid_params"),
    (b'{"id":1,"method":"unsubscribe","params":{"sub":999}}', "not_found"),
])
def test_a_wrong_request_is_named_and_the_connection_goes_on(control, sent, kind):
    control.send(sent + b"\n")
    error = control.line()["error"]
    assert error["data"]["kind"] == kind, error
    assert control.call("server.ping")["t"] > 1.6e9


def test_what_was_meant(control):
    with pytest.raises(Failed) as e:
        control.call("reload.strat")
    assert e.value.data["did_you_mean"] == "reload.start"
    with pytest.raises(Failed) as e:
        control.call("jobs.wait", job="r-1", timout_s=1)
    assert e.value.data["param"] == "timout_s"
    assert e.value.data["did_you_mean"] == "timeout_s"


@pytest.mark.parametrize("sent", [
    b'{"id":1,"id":2,"method":"server.ping"}\n',
    b'{"id":1,"method":"server.ping","params":{"a":1,"a":2}}\n',
    b'{"id":1,"method":"server.ping"\n',
    b'{"id":1,"method":"\xff\xfe"}\n',
    b'{"id":1,"method":"server.ping","params":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
], ids=["duplicate", "duplicate param", "cut", "no UTF-8", "deep"])
def test_what_is_no_json_ends_the_connection_with_a_reason(control, sent):
    control.send(sent)
    error = control.line()
    assert error["id"] is None and error["error"]["data"]["kind"] == "parse"
    assert control.rest() == b""


def test_lines(control):
    control.send(b'\r\n \n{"id":"a","method":"server.ping"}\r\n{"id":2,"method":"server.ping"}\n')
    assert [control.line()["id"], control.line()["id"]] == ["a", 2]
    # Nobody would hear how a notification ended.
    control.send(b'{"method":"server.stop"}\n')
    assert control.call("server.ping")


def test_a_client_that_has_sent_all_still_gets_its_answers(control):
    control.send(b'{"id":1,"method":"server.ping"}\n{"id":2,"method":"server.status"}\n')
    control.sock.shutdown(socket.SHUT_WR)
    assert control.line()["id"] == 1 and control.line()["id"] == 2
    assert control.line() is None


def test_every_method_is_described(control):
    schema = control.call("schema.get")
    assert {m["role"] for m in schema["methods"]} == {"observer", "operator", "admin"}
    for method in schema["methods"]:
        assert control.call("schema.get", method=method["method"]) == method
        assert method["help"] and method["params"]["additionalProperties"] is False
    assert "reload.done" in {e["type"] for e in schema["events"]}
    assert schema["stats"] == control.call("stats.schema")
    assert {"parse", "busy", "job_failed"} <= {e["kind"] for e in schema["errors"]}


def test_roles(path):
    operator = ask_as(path, 4242, {"method": "session.whoami"}, {"method": "logs.reopen"},
                      {"method": "server.stop", "params": {"mode": "nonsense"}})
    assert operator[0]["result"]["role"] == "operator"
    assert operator[0]["result"]["uid"] == 4242
    assert "result" in operator[1]
    # The role is looked at before the parameters.
    assert operator[2]["error"]["data"] == {
        "kind": "permission_denied", "role": "operator", "needs": "admin"}
    observer = ask_as(path, 4300, {"method": "server.status"}, {"method": "logs.reopen"},
                      groups="4343")
    assert "result" in observer[0]
    assert observer[1]["error"]["data"]["needs"] == "operator"
    nobody = ask_as(path, 4301, {"method": "server.ping"})
    assert nobody[0]["error"]["data"]["role"] == "nobody"


def test_calls_are_written_down(path, control):
    control.call("logs.reopen")
    ask_as(path, 4301, {"method": "server.stop"})
    calls = [e["data"] for e in control.call("events.history", types=["control.call"])["events"]]
    mine = [c for c in calls if c["method"] == "logs.reopen" and c["pid"] == os.getpid()]
    assert mine and mine[-1]["outcome"] == "ok"
    # Which parameters they were is not told, only whether they were the same.
    for level in ("info", "info", "warning"):
        control.call("logs.level", level=level)
    control.call("logs.level", level="info")
    calls += [e["data"] for e in control.call("events.history", types=["control.call"],
                                              limit=4)["events"]]
    digests = [c["params"] for c in calls[-4:]]
    assert digests[0] == digests[1] == digests[3] != digests[2] and mine[-1]["params"] == "-"
    assert {"method": "server.stop", "outcome": "permission_denied", "uid": 4301} in [
        {k: c[k] for k in ("method", "outcome", "uid")} for c in calls]


def test_giving_rights_up(control):
    assert control.call("session.lower", role="observer") == {"role": "observer"}
    for method, params in (("logs.reopen", {}), ("session.lower", {"role": "admin"})):
        with pytest.raises(Failed) as e:
            control.call(method, **params)
        assert e.value.kind == "permission_denied"


def test_status_and_health(control):
    status = control.call("server.status")
    assert status["state"] == "running" and status["ready"] is True
    assert status["workers"]["target"] == 2 and status["workers"]["ready"] == 2
    assert status["master"]["rss_bytes"] > 0 and status["generation"] >= 1
    assert status["totals"]["requests"] >= 0 and "requests" in status["rates_10s"]
    assert control.call("server.health") == {"ok": True}
    assert control.call("server.version")["python"].count(".") == 2


def test_a_drain_shows(control):
    control.call("server.drain", timeout_s=0)
    with pytest.raises(Failed) as e:
        control.call("server.health")
    assert e.value.kind == "failed_precondition" and e.value.data["why"] == ["draining"]
    assert control.call("server.health", probe="live") == {"ok": True}
    assert control.call("server.status")["state"] == "draining"
    control.call("server.undrain")
    assert control.call("server.health") == {"ok": True}


def test_log_level_reverts(control, path):
    with Control(path) as other:
        other.call("events.subscribe", types=["log.level"])
        was = control.call("logs.level", level="debug", ttl_s=0.1)
        assert was["was"] == "info"
        assert other.until_event("log.level")["data"] == {"level": "debug"}
        assert other.until_event("log.level")["data"] == {"level": "info"}


def test_log_lines(control):
    control.call("logs.reopen")
    answer = control.call("logs.subscribe", min_level="info", tail=100)
    assert answer["state"] == {"level": "info"}
    lines = []
    while not any("logs reopened" in line for line in lines):
        lines.append(control.event()["data"]["line"])
    control.call("logs.reopen")
    assert control.event()["type"] == "log"


def test_events_in_order_and_from_before(path):
    with Control(path) as first, Control(path) as second:
        first.call("events.subscribe", types=["log.*"])
        start = second.call("events.history", limit=1)["seq"]
        for _ in range(3):
            second.call("logs.reopen")
        live = [first.until_event("log.reopened") for _ in range(3)]
        sub = second.call("events.subscribe", types=["log.reopened"], since_seq=start)
        replay = [second.event() for _ in range(3)]
        assert [e["seq"] for e in live] == [e["seq"] for e in replay]
        assert all(e["sub"] == sub["sub"] for e in replay)
        assert second.call("unsubscribe", sub=sub["sub"]) == {}
        first.call("logs.reopen")
        assert not second.events


def test_at_most_eight_subscriptions(control):
    for _ in range(8):
        control.call("events.subscribe", types=["reload.*"])
    with pytest.raises(Failed) as e:
        control.call("events.subscribe")
    assert e.value.kind == "overloaded"


def test_jobs(control, path):
    with Control(path) as watcher:
        watcher.call("events.subscribe", types=["reload.*"])
        job = control.call("reload.start", token="once")
        assert control.call("reload.start", token="once")["job"] == job["job"]
        done = control.call("jobs.wait", job=job["job"], timeout_s=30)
        assert done["state"] == "done" and done["by"]["pid"] == os.getpid()
        assert watcher.until_event("reload.done")["data"]["job"] == job["job"]
    listed = control.call("jobs.list")["jobs"]
    assert listed[-1]["job"] == job["job"] and "steps" not in listed[-1]
    assert control.call("jobs.get", job=job["job"])["steps"]


def test_a_wait_may_end_before_the_job(path, control):
    job = control.call("reload.start", soak_s=30)["job"]
    with pytest.raises(Failed) as e:
        control.call("jobs.wait", job=job, timeout_s=0.05)
    assert e.value.kind == "timeout" and e.value.data["job"] == job
    with pytest.raises(Failed) as e:
        control.call("reload.start")
    assert e.value.kind == "busy" and e.value.data["job"] == job
    # The client goes away while its answer is pending.
    with Control(path) as gone:
        gone.send_json({"id": 1, "method": "jobs.wait", "params": {"job": job}})
        gone.call("server.ping")
    control.call("jobs.cancel", job=job)
    final = control.call("jobs.wait", job=job, timeout_s=30)
    assert final["state"] in ("cancelled", "rolled_back")
    wait_for(lambda: control.call("server.status")["master"]["connections"] == 1)


def test_eight_requests_in_flight(control, path):
    """The ninth is not even read while eight wait."""
    job = control.call("reload.start", soak_s=30)["job"]
    wait = {"method": "jobs.wait", "params": {"job": job, "timeout_s": 30}}
    for i in range(8):
        control.send_json({"id": f"w{i}", **wait})
    control.send_json({"id": "ping", "method": "server.ping"})
    control.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        control.line()
    control.sock.settimeout(30)
    with Control(path) as other:
        other.call("jobs.cancel", job=job)
    replies = [control.line()["id"] for _ in range(9)]
    assert sorted(replies[:8]) == sorted(f"w{i}" for i in range(8)) and replies[8] == "ping"


def test_the_file(path):
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    assert stat.S_ISSOCK(os.stat(path).st_mode)


def test_observers_see_no_requests(path):
    reply = ask_as(path, 4300, {"method": "events.history", "params": {"types": ["worker.*"]}},
                   groups="4343")[0]
    for event in reply["result"]["events"]:
        assert not {"requests", "stack", "text"} & set(event["data"])
    assert holds(lambda: call(path, "server.health")["ok"], 0.1)
