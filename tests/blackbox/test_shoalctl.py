"""shoalctl against a server that answers from a table: what it sends, prints and returns.

SPDX-License-Identifier: MIT
"""

import json
import re
import socket

import pytest
from fake_ctl import FakeCtl, Raw, Refused
from shoal_harness import SLOW
from shoalctl_harness import DENIED, FAILED, JOB, NOBODY, OK, RUNNING, TOO_OLD, USAGE, run

# ---- usage ----


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "no verb"),
        (["relaod"], "did you mean 'reload'"),
        (["scale"], "scale needs"),
        (["scale", "many"], "'many' is neither a number"),
        (["pause"], "pause needs SLOT"),
        (["pause", "x"], "'x' is not a whole number"),
        (["pause", "1", "2"], "unexpected argument '2'"),
        (["reload", "--soak"], "--soak needs a value"),
        (["reload", "--soak", "long"], "not a duration"),
        (["reload", "--check=yes"], "takes no value"),
        (["reload", "--colour"], "unknown option '--colour'"),
        (["log-level", "loud"], "'loud' is not one of debug"),
        (["call", "server.ping", "[1]"], "a JSON object"),
        (["call", "server.ping", '{"a":1,"a":2}'], "column"),
        (["config", "drop"], "unknown verb 'config'"),
        (["-s"], "-s needs a value"),
    ],
)
def test_usage(args, words):
    done = run(*args)
    assert done.returncode == USAGE
    assert words in done.stderr
    assert done.stdout == ""


def test_help_fits_80_columns():
    done = run("-h")
    assert done.returncode == OK
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for verb in ("reload", "config get", "log-level", "top", "instances"):
        assert any(line.startswith(f"  {verb} ") for line in lines), verb


def test_help_of_each_verb():
    found = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)(?= )", run("-h").stdout, re.MULTILINE)
    names = [name for name in found if name.startswith("config") or " " not in name]
    assert len(names) > 30
    for name in names:
        done = run(*name.split(), "-h")
        assert done.returncode == OK, name
        assert done.stdout.startswith(f"usage: shoalctl {name}"), name
        assert max(map(len, done.stdout.splitlines())) <= 80, name


# ---- exit codes ----


def test_nothing_listens(tmp_path):
    assert run("-s", tmp_path / "none.sock", "ping").returncode == NOBODY
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "stale.sock"))
    stale.close()
    assert run("-s", tmp_path / "stale.sock", "ping").returncode == NOBODY


def test_path_too_long(tmp_path):
    done = run("-s", tmp_path / ("x" * 120), "ping")
    assert done.returncode == USAGE
    assert "107 bytes" in done.stderr


@pytest.mark.parametrize(
    ("code", "kind", "data", "exit_code", "words"),
    [
        (-32001, "permission_denied", {"role": "observer", "needs": "admin"}, DENIED,
         "needs the role admin, yours is observer"),
        (-32602, "invalid_params", {"param": "mode"}, USAGE, "parameter mode"),
        (-32601, "unknown_method", {"did_you_mean": "server.stopp"}, TOO_OLD, "stopp"),
        (-32007, "unsupported", {}, TOO_OLD, "no"),
        (-32002, "busy", {"job": "r-17"}, FAILED, "job r-17"),
        (-32011, "failed_precondition", {"why": ["draining"]}, FAILED, "because draining"),
        (-32010, "shutting_down", {}, FAILED, "no"),
        (-32004, "timeout", {"job": "x-1"}, RUNNING, "x-1"),
    ],
)  # fmt: skip
def test_refused(fake, code, kind, data, exit_code, words):
    def refuse(session, params):
        raise Refused(code, kind, "no", **data)

    server = fake({"server.stop": refuse, "server.undrain": refuse})
    for verb in ("stop", "undrain"):
        done = server.run(verb)
        assert done.returncode == exit_code, done.stderr
        assert words in done.stderr
    done = server.run("--json", "undrain")
    assert done.returncode == exit_code
    assert json.loads(done.stdout)["error"]["data"]["kind"] == kind


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (-32001, "permission_denied", DENIED),
        (-32006, "overloaded", FAILED),
        (-32007, "unsupported", TOO_OLD),
    ],
)
def test_refused_at_the_door(fake, code, kind, exit_code):
    def refuse(session, params):
        raise Refused(code, kind, "not you")

    done = fake({"server.hello": refuse}).run("ping")
    assert done.returncode == exit_code, done.stderr
    assert "not you" in done.stderr


def test_no_answer_in_time(fake):
    server = fake({"server.ping": lambda session, params: None})
    done = server.run("--timeout", SLOW, "ping")
    assert done.returncode == RUNNING
    assert "no answer to server.ping in time" in done.stderr


def test_another_protocol(fake):
    server = fake({"server.hello": {"api": 2, "minor": 0}})
    assert server.run("ping").returncode == TOO_OLD


def test_not_a_control_socket(tmp_path):
    class Other(FakeCtl):
        def _answer(self, session, request):
            session.send_text("HTTP/1.1 400 Bad Request\r\n")

    with Other(tmp_path / "o.sock", {}) as other:
        done = run("-s", other.path, "ping")
    assert done.returncode == FAILED
    assert "not a control socket" in done.stderr


def test_health(fake):
    def draining(session, params):
        raise Refused(-32011, "failed_precondition", "not ready", why=["draining"])

    assert fake({"server.health": {"ok": True}}).run("health").returncode == OK
    server = fake({"server.health": draining})
    assert server.run("health", "ready").returncode == FAILED
    assert server.called("server.health") == [{"probe": "ready"}]


# ---- what is sent ----


@pytest.mark.parametrize(
    ("args", "method", "params"),
    [
        ("pause 3", "workers.pause", {"slot": 3}),
        ("resume 3", "workers.resume", {"slot": 3}),
        ("kill 3", "workers.kill", {"slot": 3}),
        ("kill 3 -9", "workers.kill", {"slot": 3, "signal": "KILL"}),
        ("kill 3 --signal CONT", "workers.kill", {"slot": 3, "signal": "CONT"}),
        ("worker 0", "workers.get", {"slot": 0}),
        ("inflight --slow 1.5 -n 5", "requests.inflight", {"slow_s": 1.5, "limit": 5}),
        ("log-level debug 10m", "logs.level", {"level": "debug", "ttl_s": 600}),
        ("log-level info", "logs.level", {"level": "info"}),
        ("config get workers", "config.get", {"path": "workers"}),
        ("config diff", "config.diff", {}),
        ("cancel r-18", "jobs.cancel", {"job": "r-18"}),
        ("events worker.* -n 5", "events.history", {"types": ["worker.*"], "limit": 5}),
        ("history rps --since 1h", "stats.history", {"series": ["rps"], "since_s": 3600}),
        ("schema server.ping", "schema.get", {"method": "server.ping"}),
        ('call a.b {"c":[1]}', "a.b", {"c": [1]}),
        ("call a.b", "a.b", {}),
        ("undrain", "server.undrain", {}),
        ("reopen", "logs.reopen", {}),
        ("whoami", "session.whoami", {}),
        ("version", "server.version", {}),
    ],
)
def test_request(fake, args, method, params):
    server = fake({method: {"done": True}})
    done = server.run(*args.split())
    assert done.returncode == OK, done.stderr
    assert server.called(method) == [params]


@pytest.mark.parametrize(
    ("args", "method", "params"),
    [
        ("scale 12", "workers.scale", {"target": 12}),
        ("scale +2", "workers.scale", {"delta": 2}),
        ("scale -1", "workers.scale", {"delta": -1}),
        ("recycle 3 4", "workers.recycle", {"slots": [3, 4]}),
        ("recycle", "workers.recycle", {}),
        ("drain", "server.drain", {}),
        ("stop --fast", "server.stop", {"mode": "fast"}),
        ("stop --now", "server.stop", {"mode": "immediate"}),
        ("rollback", "reload.rollback", {}),
        ("upgrade --binary /bin/true", "server.upgrade", {"binary": "/bin/true"}),
        ("reload", "reload.start", {}),
        (
            "reload --bluegreen --soak 1m --surge 2 --canaries 1 --check-url /up "
            "--max-error-ratio 0.05 --boot-timeout 90 --drain-timeout 0.5 --keep-old 5m",
            "reload.start",
            {"mode": "bluegreen", "soak_s": 60, "surge": 2, "canaries": 1,
             "check_url": "/up", "max_error_ratio": 0.05, "boot_timeout_s": 90,
             "drain_timeout_s": 0.5, "keep_old_s": 300},
        ),
    ],
)  # fmt: skip
def test_job_is_started_and_not_waited_for(fake, args, method, params):
    server = fake({method: {**JOB, "state": "queued"}})
    done = server.run(*args.split(), "--no-wait")
    assert done.returncode == OK, done.stderr
    (sent,) = server.called(method)
    sent.pop("token", None)
    assert sent == params
    assert "job\tr-18" in done.stdout
    assert not server.called("jobs.wait")


# ---- what is printed ----

WORKERS = {
    "workers": [
        {"slot": 0, "pid": 9001, "generation": 42, "state": "busy", "age_s": 3600.5,
         "requests": 120331, "in_flight": 3, "connections": 17, "rss_bytes": 88080384,
         "cpu_s": 331.2, "restarts": 2, "last_exit": {"reason": "max_requests"}},
        {"slot": 1, "pid": 9002, "generation": 42, "state": "stuck", "age_s": 1,
         "requests": 0, "in_flight": 0, "connections": 0, "rss_bytes": 5,
         "cpu_s": 0, "restarts": 0, "last_exit": None},
    ]
}  # fmt: skip


def test_tsv(fake):
    done = fake({"workers.list": WORKERS}).run("workers")
    assert done.returncode == OK
    head, first, second = (line.split("\t") for line in done.stdout.splitlines())
    row = dict(zip(head, first, strict=True))
    assert row["slot"] == "0" and row["age_s"] == "3600.5"
    assert row["rss_bytes"] == "88080384" and row["last_exit.reason"] == "max_requests"
    assert len(second) == len(head)
    assert "\033" not in done.stdout


def test_json_is_the_reply_unchanged(fake):
    raw = '{"b":0.1, "a":1795222800.123456,"big":9007199254740993,"text":"\\u001b[31m\\u00e9"}'
    server = fake({"server.status": Raw(raw)})
    assert server.run("--json", "status").stdout == raw + "\n"
    assert server.run("status", "--json").stdout == raw + "\n"
    assert server.run("--quiet", "status").stdout == ""


def test_control_bytes_are_escaped(fake):
    bad = "\033]0;owned\007\u009b31m\u202ex\ty\nz"
    server = fake({"session.whoami": {"name": bad, bad: 1}})
    done = server.run("whoami")
    assert done.returncode == OK
    assert len(done.stdout.splitlines()) == 2
    for byte in ("\033", "\007", "\u009b", "\u202e"):
        assert byte not in done.stdout
    assert "\\x1b]0;owned\\x07\\u009b31m\\u202ex\\ty\\nz" in done.stdout


def test_control_bytes_in_errors_are_escaped(fake):
    def refuse(session, params):
        raise Refused(-32603, "internal", "bad\033[2J", ref="\033c")

    done = fake({"server.ping": refuse}).run("ping")
    assert done.returncode == FAILED
    assert "\033" not in done.stderr


def test_events_in_a_pipe(fake):
    event = {"seq": 7, "t": 1795222800.5, "type": "worker.exit", "data": {"slot": 1}}
    server = fake({"events.history": {"events": [event]}})
    assert server.run("events").stdout == '7\t1795222800.500000\tworker.exit\t{"slot":1}\n'
    (line,) = server.run("--jsonl", "events").stdout.splitlines()
    assert json.loads(line) == event


def test_events_follow(fake):
    def subscribe(session, params):
        for seq in range(1, 4):
            session.event(seq, "worker.ready", {"slot": seq})
        return {"sub": 1, "seq": 0, "state": {}}

    server = fake({"events.subscribe": subscribe})
    done = server.run("--timeout", "0.5", "--jsonl", "events", "-f", "worker.*")
    assert done.returncode == OK
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1, 2, 3]
    assert server.called("events.subscribe") == [{"types": ["worker.*"]}]


def test_stats_watch(fake):
    def subscribe(session, params):
        for n in range(3):
            totals = {"requests": 100 * n, "bytes_out_body": 1000 * n, "in_flight": 2}
            session.send({"method": "stats", "params": {
                "sub": 1, "seq": n, "t": 1795222800 + n, "totals": totals,
                "latency": {"p50": 800, "p99": 22000}}})  # fmt: skip
        return {"sub": 1, "seq": 1, "state": {}}

    server = fake({"stats.subscribe": subscribe})
    done = server.run("stats", "-w", "1", "-n", "3")
    assert done.returncode == OK, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0][1] == "requests_per_s"
    assert [row[1] for row in rows[2:]] == ["100.000", "100.000"]
    assert rows[3][5] == "1000.000"
    assert server.called("stats.subscribe")[0]["interval_ms"] == 1000


def test_history_in_a_pipe(fake):
    reply = {"t0": 1795222800, "step_s": 10, "series": {"rps": [1, 2.5, None], "p99": [7, 8, 9]}}
    lines = fake({"stats.history": reply}).run("history").stdout.splitlines()
    assert lines == ["t\trps\tp99", "1795222800\t1\t7", "1795222810\t2.5\t8", "1795222820\t\t9"]


def test_trace(fake):
    stack = [{"file": "shop/views.py", "line": 44, "function": "sea\033rch"}]
    reply = {"pid": 9001, "took_us": 420,
             "threads": [{"id": "0x7f31", "current": True, "stack": stack}]}  # fmt: skip
    done = fake({"workers.trace": reply}).run("trace", "0")
    assert "thread 0x7f31 (holds the GIL)\n  shop/views.py:44 in sea\\x1brch\n" in done.stdout


def test_config_check(fake, tmp_path):
    errors = [{"path": "workers", "line": 12, "column": 14, "message": "expected 1..1024"}]
    server = fake({"config.check": {"ok": False, "errors": errors}})
    (tmp_path / "new.json").write_text("{}")
    done = server.run("config", "check", tmp_path / "new.json")
    assert done.returncode == FAILED
    assert "workers\t12\t14\texpected 1..1024" in done.stdout
    assert server.called("config.check") == [{"file": str(tmp_path / "new.json")}]
    assert server.run("config", "check", tmp_path / "none").returncode == USAGE
    assert fake({"config.check": {"ok": True}}).run("config", "check").returncode == OK


# ---- which instance ----


def test_instances_are_found(tmp_path):
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    (tmp_path / "shoal").mkdir()
    status = {"state": "running", "generation": 3, "workers": {"ready": 2, "target": 4}}
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "shoal/left-over.sock"))
    stale.close()
    with (
        FakeCtl(tmp_path / "shoal/shop-x1.sock", {"server.status": status}),
        FakeCtl(tmp_path / "shoal/news-x1.sock", {"server.status": status, "server.ping": {}}),
        FakeCtl(tmp_path / "shoal/app_main.sock", {"server.status": status, "server.ping": {}}),
    ):
        rows = run("instances", env=env).stdout
        assert "news-x1\trunning\t812\t3\t2/4" in rows
        assert "left-over\tstale\t" in rows
        done = run("ping", env=env)
        assert done.returncode == USAGE
        assert "several" in done.stderr and "news-x1, shop-x1" in done.stderr
        assert run("-i", "news-x1", "ping", env=env).returncode == OK
        assert run("-i", "app:main", "ping", env=env).returncode == OK
        assert run("-i", "news:x1", "ping", env=env).returncode == NOBODY
        done = run("-i", "x", "ping", env=env)
        assert done.returncode == NOBODY
        assert "no instance named x" in done.stderr
