"""shoalctl steers a real instance.

SPDX-License-Identifier: MIT
"""

import json
import re

import pytest
from shoalctl_harness import DENIED, FAILED, NOBODY, OK, run

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
        options = ("--control-socket", self.socket, "--chdir", tmp_path, *options)
        self.server = server("shop:application", *options, workers=2)

    def version(self, n):
        self.source.write_text(APP % n)

    def ctl(self, *args):
        return run("-s", self.socket, *args)

    def answer(self):
        with self.server.connect() as conn:
            return conn.get("/").body


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
    done = shop.ctl("reload")
    assert done.returncode == OK, done.stderr
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
    shop.server.expected += ["reload failed", "Traceback", "nothing_of_that_name"]


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
    assert shop.server.process.wait(10) == 0
    assert shop.ctl("ping").returncode == NOBODY
    shop.server.stop()


def test_role_is_not_enough(server, tmp_path):
    shop = Shop(server, tmp_path, "--control-role", "user:root=observer")
    if fields(shop.ctl("whoami").stdout)["role"] != "observer":
        pytest.skip("this user is no root: another role applies")
    done = shop.ctl("reload")
    assert done.returncode == DENIED
    assert "operator" in done.stderr
