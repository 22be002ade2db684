"""config.get, schema, check and diff: what is set, from where, and what a reload would change.

SPDX-License-Identifier: MIT
"""

import json

import pytest
from control_client import Control, Failed, call
from shoal_harness import SLOW
from waiting import wait_for


class Configured:
    """A server with a configuration file, and its control socket."""

    def __init__(self, server, tmp_path):
        self.file = tmp_path / "shop.json"
        self.path = tmp_path / "c.sock"
        self.write(workers=1, timeout=20)
        self.server = server("hello:application", "--config", self.file, "--control-socket",
                             self.path, "--reload-keep", "0", "--max-requests", "5000",
                             env={"SHOAL_KEEP_ALIVE": "7"})

    def write(self, **settings):
        self.text(json.dumps(settings))

    def text(self, text):
        temporary = self.file.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.file)

    def call(self, method, **params):
        return call(self.path, method, **params)

    def refused(self, method, **params):
        with pytest.raises(Failed) as e:
            self.call(method, **params)
        return e.value


@pytest.fixture
def configured(server, tmp_path):
    return Configured(server, tmp_path)


def test_values_and_where_they_come_from(configured):
    every = configured.call("config.get")
    options = every["options"]
    assert options["timeout"]["value"] == "20s" and "shop.json:1" in options["timeout"]["source"]
    assert options["max_requests"]["value"] == 5000
    assert "command line" in options["max_requests"]["source"]
    assert options["keep_alive"]["value"] == "7s"
    assert "SHOAL_KEEP_ALIVE" in options["keep_alive"]["source"]
    assert options["backlog"]["source"] == "default"
    one = configured.call("config.get", path="timeout")
    assert one == options["timeout"] | {"revision": every["revision"]}
    error = configured.refused("config.get", path="timeoutt")
    assert error.kind == "not_found" and error.data["what"] == "timeoutt"


def test_a_revision_names_the_values(configured):
    first = configured.call("config.get")["revision"]
    assert configured.call("config.get")["revision"] == first
    configured.write(workers=1, timeout=25)
    # What is on disk is not what runs, until it is loaded.
    assert configured.call("config.get")["revision"] == first
    job = configured.call("reload.start")
    assert configured.call("jobs.wait", job=job["job"], timeout_s=30)["state"] == "done"
    after = configured.call("config.get", path="timeout")
    assert after["value"] == "25s" and after["revision"] != first


def test_every_option_is_described(configured):
    schema = configured.call("config.schema")["options"]
    options = configured.call("config.get")["options"]
    assert set(schema) == set(options)
    for name, one in schema.items():
        assert one["help"] and one["group"] and one["type"], name
        value = options[name]["value"]
        if one["type"] == "integer" and isinstance(value, int):
            assert one["min"] <= value <= one.get("max", float("inf")), name
    assert schema["workers"]["max"] == 1024 and "words" in schema["preload"]
    # Everybody may know what there is; what is set is for operators.
    with Control(configured.path) as control:
        control.call("session.lower", role="observer")
        assert control.call("config.schema")["options"].keys() == schema.keys()
        with pytest.raises(Failed) as e:
            control.call("config.get")
        assert e.value.kind == "permission_denied"


@pytest.mark.parametrize("text, path, line", [
    ('{\n "workers": 1,\n "timeout": "soon"\n}\n', "timeout", 3),
    ('{"workers": 5000}', "workers", 1),
    ('{"wokers": 2}', "wokers", 1),
    ('{\n"workers": 1,\n}\n', None, 3),
])
def test_check_finds_what_is_wrong_and_where(configured, text, path, line):
    before = configured.call("config.get")
    configured.text(text)
    checked = configured.call("config.check")
    assert checked["ok"] is False
    error = checked["errors"][0]
    assert error["message"] and error["line"] == line and error["column"] >= 1
    if path:
        assert error["path"] == path
    # The same for the way to a reload; and nothing was touched.
    assert configured.refused("config.diff").kind == "failed_precondition"
    assert configured.call("config.get") == before
    assert configured.call("server.status")["generation"] == 1


def test_check_of_what_is_right(configured, tmp_path):
    assert configured.call("config.check") == {"ok": True, "errors": [], "notices": []}
    other = tmp_path / "other.json"
    other.write_text('{"workers": "many"}')
    checked = configured.call("config.check", file=str(other))
    assert checked["ok"] is False and "other.json" in checked["errors"][0]["message"]
    assert configured.call("config.check")["ok"] is True
    missing = configured.call("config.check", file=str(tmp_path / "none.json"))
    assert missing["ok"] is False and "none.json" in missing["errors"][0]["message"]


def test_another_file_is_for_admins(configured, tmp_path):
    """It is read with the server's rights."""
    with Control(configured.path) as control:
        control.call("session.lower", role="operator")
        assert control.call("config.check")["ok"] is True
        with pytest.raises(Failed) as e:
            control.call("config.check", file="/etc/shadow")
        assert e.value.kind == "permission_denied" and e.value.data["needs"] == "admin"


def test_diff_is_what_a_reload_would_change(configured):
    assert configured.call("config.diff") == {"changes": []}
    configured.write(workers=2, timeout=20, backlog=77)
    changes = {c["path"]: c for c in configured.call("config.diff")["changes"]}
    assert set(changes) == {"workers", "backlog"}
    assert (changes["workers"]["running"], changes["workers"]["file"]) == (1, 2)
    assert changes["workers"]["takes"] == "reload" and changes["backlog"]["takes"] == "restart"
    assert "shop.json" in changes["workers"]["source"]
    configured.write(workers=2, timeout=20)
    job = configured.call("reload.start")
    assert configured.call("jobs.wait", job=job["job"], timeout_s=30)["state"] == "done"
    assert configured.call("config.diff") == {"changes": []}
    wait_for(lambda: configured.call("server.status")["workers"]["ready"] == 2, 10 * SLOW)
    configured.server.more_descriptors = 4  # of a worker more


def test_a_slow_file_keeps_nobody_waiting(configured, tmp_path):
    """A configuration in Python runs in a process of its own; its time is bounded."""
    slow = tmp_path / "slow.conf.py"
    slow.write_text("import threading\nthreading.Event().wait(30)\n")
    with Control(configured.path) as control, Control(configured.path) as other:
        for _ in range(4):
            control.send_json({"id": 1, "method": "config.check",
                               "params": {"file": str(slow), "wait_s": 0.5}})
        assert max(other.ping_s() for _ in range(20)) < 1 * SLOW
        # Four at a time: the next is told when to try again.
        with pytest.raises(Failed) as e:
            other.call("config.check")
        assert e.value.kind == "overloaded" and e.value.data["retry_ms"] > 0
        for _ in range(4):
            assert control.line()["error"]["data"]["kind"] == "timeout"
        # They were ended with it.
        wait_for(lambda: other.call("config.check")["ok"], 5 * SLOW)
