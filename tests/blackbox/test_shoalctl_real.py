"""shoalctl steers a real instance.

SPDX-License-Identifier: MIT
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from shoal_harness import SLOW
from shoalctl_harness import DENIED, FAILED, NOBODY, OK, SHOALCTL, run
from waiting import wait_for

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"%03d"]
"""


class Shop:
    """An instance with a module of its own, and shoalctl bound to its socket."""

    def __init__(self, server, tmp_path, *options):
        self.source = tmp_path / "shop.py"
        self.version(1)
        self.socket = tmp_path / "c.sock"
        # Without a way back nothing of an old generation is kept.
        options = ("--control-socket", self.socket, "--chdir", tmp_path,
                   "--reload-keep", "0", *options)  # fmt: skip
        self.server = server("shop:application", *options, workers=2)

    def version(self, n):
        self.source.write_text(APP % n)

    def ctl(self, *args):
        return run("-s", self.socket, *args)

    def answer(self):
        return self.server.ask("/").body


@pytest.fixture
def shop(server, tmp_path):
    return Shop(server, tmp_path)


def fields(text):
    return dict(line.split("\t", 1) for line in text.splitlines())


def test_status(shop):
    done = shop.ctl("status")
    assert done.returncode == OK, done.stderr
    status = fields(done.stdout)
    assert status["state"] == "running" and status["workers.ready"] == "2"
    assert json.loads(shop.ctl("--json", "status").stdout)["generation"] == 1
    assert fields(shop.ctl("whoami").stdout)["role"] in ("admin", "observer")
    assert "answers in" in shop.ctl("ping").stdout
    assert shop.ctl("health").returncode == OK


def test_reload_done_failed_and_rolled_back(shop):
    shop.version(2)
    assert shop.answer() == b"001"
    done = shop.ctl("reload")
    assert done.returncode == OK, done.stderr
    assert shop.answer() == b"002"
    assert re.search(r"worker [01] ready: pid \d+, generation 2", done.stdout)
    assert done.stdout.splitlines()[-1].endswith("generation 2 serves")
    shop.source.write_text("import nothing_of_that_name\n")
    for verb in (("reload", "--check"), ("reload",)):
        done = shop.ctl(*verb)
        assert done.returncode == FAILED, verb
        assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in done.stderr
        assert "at import" in done.stderr
    assert json.loads(shop.ctl("--json", "status").stdout)["generation"] == 2
    jobs = [line.split("\t")[:3] for line in shop.ctl("jobs").stdout.splitlines()[1:]]
    assert [job[1:] for job in jobs] == [
        ["reload", "done"],
        ["check", "failed"],
        ["reload", "failed"],
    ]
    assert shop.ctl("wait", jobs[0][0]).returncode == OK
    assert shop.ctl("wait", jobs[2][0]).returncode == FAILED
    assert shop.ctl("wait", "r-99").returncode == FAILED
    types = [line.split("\t")[2] for line in shop.ctl("events", "reload.*").stdout.splitlines()]
    assert "reload.done" in types and "reload.failed" in types
    assert shop.answer() == b"002"
    shop.server.expect_log("application not loaded", 2)
    shop.server.expect_log("reload failed", 2)


def test_scale_recycle_drain(shop):
    assert shop.ctl("scale", "3").returncode == OK
    assert shop.ctl("scale", "-1").returncode == OK
    assert fields(shop.ctl("status").stdout)["workers.target"] == "2"
    done = shop.ctl("recycle", "0")
    assert done.returncode == OK, done.stderr
    assert "worker 0 ready" in done.stdout
    assert shop.ctl("drain").returncode == OK
    assert shop.ctl("undrain").returncode == OK
    assert shop.ctl("pause", "1").stdout == "state\tparked\n"
    assert shop.ctl("pause", "1").returncode == FAILED
    assert shop.ctl("resume", "1").returncode == OK


def test_logs(shop):
    done = shop.ctl("logs")
    assert done.returncode == OK
    assert "worker ready" in done.stdout
    assert fields(shop.ctl("log-level", "debug", "5").stdout)["was"] == "info"
    assert shop.ctl("reopen").returncode == OK


def test_stop(shop):
    done = shop.ctl("stop")
    assert done.returncode == OK, done.stderr
    assert done.stdout.splitlines()[-1] == "stopped"
    assert shop.server.wait_exit() == 0
    assert shop.ctl("ping").returncode == NOBODY
    shop.server.stopped = True


def test_role_is_not_enough(server):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    with tempfile.TemporaryDirectory(prefix="shoal-ctl-") as folder:
        os.chmod(folder, 0o755)
        shop = Shop(server, Path(folder), "--control-socket-mode", "0666")

        def as_nobody(*args):
            return subprocess.run(
                [SHOALCTL, "-s", shop.socket, *args],
                capture_output=True,
                text=True,
                user=65534,
                group=65534,
                extra_groups=[],
                timeout=20 * SLOW,
            )

        if as_nobody("-V").returncode != OK:
            pytest.skip("the build directory is closed to other users")
        assert fields(as_nobody("whoami").stdout)["role"] == "observer"
        assert as_nobody("status").returncode == OK
        done = as_nobody("reload")
        assert done.returncode == DENIED
        assert "operator" in done.stderr
        os.chmod(shop.socket, 0o600)
        assert as_nobody("ping").returncode == DENIED
        shop.server.stop()


def test_numbers(shop):
    shop.answer()
    # The answer is there before it is counted.
    wait_for(lambda: fields(shop.ctl("stats").stdout)["totals.requests"] != "0", 10 * SLOW)
    lines = [line.split("\t") for line in shop.ctl("workers").stdout.splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert {int(row["pid"]) for row in rows} == set(shop.server.worker_pids())
    assert sum(int(row["requests"]) for row in rows) >= 1
    assert shop.ctl("inflight").returncode == OK
    lines = [line.split("\t") for line in shop.ctl("listeners").stdout.splitlines()]
    assert dict(zip(lines[0], lines[1], strict=True))["addr"].startswith("tcp:127.0.0.1:")
    rates = shop.ctl("stats", "-w", "0.2", "-n", "2").stdout.splitlines()
    assert len(rates) == 3 and float(rates[2].split("\t")[0]) > 1e9
    assert shop.ctl("history", "rps", "--since", "10").stdout.startswith("t\trps\n")
    trace = shop.ctl("trace", "0")
    assert trace.returncode == OK, trace.stderr
    assert "thread 0x" in trace.stdout
