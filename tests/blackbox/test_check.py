"""Looking before leaping: configurations and applications that are only tried.

SPDX-License-Identifier: MIT
"""

import json

import pytest
from control_client import call
from deploy import Deployment


@pytest.mark.parametrize("preload", ["on", "off"])
def test_what_a_tried_application_says_is_kept(server, tmp_path, preload):
    """On stderr while it is imported: in the job, and where it always went."""
    d = Deployment(server, tmp_path, f"--preload={preload}", workers=1)
    d.site.good("import sys; sys.stderr.write('caf\\xe9: table missing\\n')")
    job = call(d.socket, "reload.check", wait_s=30)
    assert job["state"] == "done" and job["stderr_tail"] == "café: table missing\n"
    d.server.wait_log("^café: table missing$")
    lines = 3000
    d.site.good(
        f"import os, sys; [print('line', i, file=sys.stderr) for i in range({lines})]; "
        "os.write(2, b'\\xff\\x1b[1m\\n'); raise RuntimeError('not today')"
    )
    d.server.expect_log("application not loaded").allow_log("reload failed")
    job = call(d.socket, "reload.check", wait_s=30)
    assert job["state"] == "failed" and "RuntimeError: not today" in job["traceback"]
    tail = job["stderr_tail"]
    assert tail.endswith(f"line {lines - 1}\n" + r"\xff\x1b[1m" + "\n")
    assert "line 2000\n" in tail and "line 100\n" not in tail and len(tail) < 17000
    assert d.version() == "v1"


def test_a_tried_application_that_says_nothing(server, tmp_path):
    d = Deployment(server, tmp_path, workers=1)
    assert "stderr_tail" not in call(d.socket, "reload.check", wait_s=30)
    # What goes into service keeps the server's own stderr.
    d.site.good("import sys; print('imported', file=sys.stderr)", "print('asked', file=sys.stderr)")
    job = call(d.socket, "reload.start")["job"]
    done = call(d.socket, "jobs.wait", job=job, timeout_s=30)
    assert done["state"] == "done" and "stderr_tail" not in done
    assert d.version() == "v2"
    d.server.wait_log("^imported$")
    d.server.wait_log("^asked$")


WRONG = [
    ('{\n  "app": "hello:application",\n  "max_requests": "many"\n}',
     {"path": "max_requests", "line": 3}),
    ('{\n  "app": "hello:application",\n  "workers":\n    4,,\n}', {"line": 4}),
    ('{\n  "env": ["DB_PASSWORD=geheim", 7]\n}', {"path": "env", "line": 2}),
]


@pytest.mark.parametrize(("text", "place"), WRONG)
def test_a_wrong_configuration_names_the_place(server, tmp_path, text, place):
    path, control = tmp_path / "new.json", tmp_path / "c.sock"
    path.write_text(text)
    server("hello:application", "--control-socket", control)
    answer = call(control, "config.check", file=str(path))
    assert answer["ok"] is False
    (error,) = answer["errors"]
    assert {k: error.get(k) for k in place} == place, error
    assert error["column"] >= 1 and "new.json" in error["message"]
    assert "geheim" not in json.dumps(answer)


def test_a_refused_reload_names_the_place(server, tmp_path):
    path, control = tmp_path / "shop.json", tmp_path / "c.sock"
    path.write_text("{}")
    srv = server("hello:application", "-c", path, "--control-socket", control)
    path.write_text('{\n  "threads": "many"\n}')
    srv.expect_log("reload failed").allow_log(".")
    job = call(control, "reload.check", wait_s=30)
    assert (job["state"], job["stage"]) == ("failed", "config")
    assert "--threads" in job["why"] and "shop.json:2:" in job["why"]


def test_secrets_are_masked(server, tmp_path):
    control = tmp_path / "c.sock"
    server("hello:application", "--control-socket", control, "--env", "API_TOKEN=geheim",
           "--env", "DATABASE=postgres://shop:geheim@db/shop", "--env", "COLOUR=blue")
    for answer in (call(control, "config.get", path="env"), call(control, "config.get")):
        text = json.dumps(answer)
        assert "geheim" not in text
        assert "API_TOKEN=********" in text and "DATABASE=********" in text
        assert "COLOUR=blue" in text
