"""gunicorn's own control client against our socket, unchanged.

SPDX-License-Identifier: MIT
"""

import json
import subprocess
import sys

import pytest
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
    assert ask("reopen") == {"status": "reopening"}
    assert ask("reload") == {"status": "reloading"}
    wrong = gunicornc(path, "show nothing")
    assert wrong.returncode == 1 and "Unknown command" in wrong.stderr
