"""gunicorn's own control client against our socket, unchanged.

SPDX-License-Identifier: MIT
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from control_client import Control, call
from shoal_harness import SLOW
from waiting import wait_for


@pytest.fixture(scope="module")
def gunicornc(tmp_path_factory):
    where = tmp_path_factory.mktemp("gunicorn")
    venv = where / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True)
    got = subprocess.run([venv / "bin" / "pip", "install", "-q", "gunicorn>=25"],
                         capture_output=True, text=True, check=False, timeout=120)
    if got.returncode:
        pytest.skip(f"gunicorn cannot be installed: {got.stderr.strip().splitlines()[-1]}")
    client = venv / "bin" / "gunicornc"
    if not client.exists():
        pytest.skip("this gunicorn has no gunicornc")

    def run(path, command, *options):
        return subprocess.run([client, "-s", path, "-c", command, *options],
                              capture_output=True, text=True, check=False, timeout=30 * SLOW)

    return run


def test_its_commands(gunicornc, server, tmp_path):
    path = tmp_path / "c.sock"
    one = server("hello:application", "--control-socket", path, "--reload-keep", "0",
                 workers=2)

    def ask(command):
        done = gunicornc(path, command, "-j")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    shown = gunicornc(path, "show workers").stdout
    assert "Total: 2 workers" in shown and "yes" in shown
    assert ask("show workers")["count"] == 2
    assert ask("show all")["arbiter"]["pid"] == one.pid
    assert ask("show listeners")["listeners"][0]["type"] == "tcp"
    assert ask("show config")["workers"] == 2
    assert ask("show dirty") == {"enabled": False, "pid": None, "workers": [], "apps": []}
    assert ask("show stats")["workers_target"] == 2
    assert "show workers" in ask("help")["commands"]
    assert ask("worker add 1") == {"added": 1, "previous": 2, "total": 3}
    wait_for(lambda: ask("show workers")["count"] == 3, 10 * SLOW)
    assert ask("worker remove 1") == {"removed": 1, "previous": 3, "total": 2}
    wait_for(lambda: ask("show workers")["count"] == 2, 10 * SLOW)
    assert ask("worker kill 1")["success"] is False
    # Replaced, the replacement first: who was killed has gone, and there are as many as before.
    pid = ask("show workers")["workers"][0]["pid"]
    assert ask(f"worker kill {pid}") == {"success": True, "killed": pid}
    wait_for(lambda: (now := ask("show workers"))["count"] == 2
             and pid not in [w["pid"] for w in now["workers"]], 10 * SLOW)
    assert ask("reopen") == {"status": "reopening"}
    assert ask("reload") == {"status": "reloading"}
    wrong = gunicornc(path, "show nothing")
    assert wrong.returncode == 1 and "Unknown command" in wrong.stderr


@pytest.mark.parametrize("command, mode", [("shutdown", "graceful"), ("shutdown quick", "quick")])
def test_shutdown(gunicornc, server, tmp_path, command, mode):
    path = tmp_path / "c.sock"
    one = server("hello:application", "--control-socket", path)
    done = gunicornc(path, command, "-j")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"status": "shutting_down", "mode": mode}
    assert one.wait_exit() == 0
    one.check_after_exit()


def frame(path, command, **more):
    """What gunicornc sends, and the data it gets."""
    with Control(path) as control:
        text = json.dumps({"id": 1, "command": command, "args": [], **more}).encode()
        control.send(len(text).to_bytes(4, "big") + text)
        control.sock.shutdown(socket.SHUT_WR)
        got = control.rest()
    assert int.from_bytes(got[:4], "big") == len(got) - 4
    return json.loads(got[4:])


def test_every_command_of_the_help_has_an_answer(server, tmp_path):
    """Without gunicorn at hand: the frames themselves."""
    path = tmp_path / "c.sock"
    server("hello:application", "--control-socket", path, "--reload-keep", "0", workers=2)
    commands = frame(path, "help")["data"]["commands"]
    assert {c.split("[")[0].split("<")[0].strip() for c in commands} == {
        "show all", "show workers", "show config", "show stats", "show listeners", "show dirty",
        "worker add", "worker remove", "worker kill", "reload", "reopen", "shutdown", "help"}
    for command in commands:
        if not command.startswith("shutdown"):
            name = command.split("[")[0].replace("<PID>", "1").strip()
            answer = frame(path, name)
            assert answer["id"] == 1 and answer["status"] == "ok", (name, answer)
            # No two jobs at a time.
            wait_for(lambda: call(path, "server.status")["job"] is None, 15 * SLOW)


AS_SOMEBODY = """
import json, os, socket, sys
os.setgroups([]); os.setgid(4242); os.setuid(4242)
for command in sys.argv[2:]:
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
    text = json.dumps({"id": 1, "command": command}).encode()
    s.sendall(len(text).to_bytes(4, "big") + text); s.shutdown(socket.SHUT_WR)
    print(s.makefile("rb").read()[4:].decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_commands_have_the_roles_of_our_methods(server):
    with tempfile.TemporaryDirectory(prefix="shoal-ctl-") as name:
        os.chmod(name, 0o755)
        path = Path(name) / "c.sock"
        one = server("hello:application", "--control-socket", path,
                     "--control-socket-mode", "0666", "--control-role", "user:4242=observer")
        commands = ["show workers", "show config", "reload", "worker add 1", "shutdown"]
        done = subprocess.run([sys.executable, "-c", AS_SOMEBODY, path, *commands],
                              capture_output=True, text=True, check=True, timeout=20 * SLOW)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [a["status"] for a in answers] == ["ok"] + ["error"] * 4
        needs = [a["error"].rsplit(" ", 1)[1] for a in answers[1:]]
        assert needs == ["operator", "operator", "operator", "admin"]
        assert call(path, "server.status")["workers"]["target"] == 1
        one.stop()
