"""Where a ledger and its tables are: each instance has its own, whatever it is called.

SPDX-License-Identifier: MIT
"""

import os
import subprocess

import pytest
from control_client import call
from shoal_harness import BINARY, SLOW
from waiting import wait_for


def refuse(database, **env):
    """What the server says when it does not start."""
    out = subprocess.run(
        [BINARY, "-b", "127.0.0.1:0", "--no-control-socket", "--ledger", database,
         "hello:application"],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=30 * SLOW, check=False)
    assert out.returncode == 2
    return out.stderr


def used(path):
    """[account, requests] by account, all there is."""
    call(path, "accounting.flush")
    got = call(path, "accounting.query", include_open=True, columns=["requests"])
    return [row[-2:] for row in got["rows"]]


def test_instances_of_one_name_keep_apart(server, tmp_path):
    """Without a runtime directory, as when started by hand: the name is the application's."""
    both = []
    for who in ("one", "two"):
        both.append(server("./hello.py:application", "--ledger", tmp_path / f"{who}.db",
                           "--control-socket", tmp_path / f"{who}.sock", "--account-key",
                           "header:X-Who", env={"RUNTIME_DIRECTORY": ""}))
        both[-1].more_descriptors = 4
    for one, who in zip(both, ("one", "two"), strict=True):
        assert one.ask("/", headers=[("X-Who", who)]).status == 200
    for who in ("one", "two"):
        path = tmp_path / f"{who}.sock"
        assert wait_for(lambda path=path: used(path), 5, "a request in the ledger") == [[who, 1]]


def test_what_cannot_be_a_ledger_is_refused(server, tmp_path):
    one = server("hello:application", "--ledger", tmp_path / "ledger.db",
                 env={"RUNTIME_DIRECTORY": str(tmp_path)})
    one.more_descriptors = 4
    assert "is a directory; name a file" in refuse(tmp_path)
    shared = refuse(tmp_path / "other.db", RUNTIME_DIRECTORY=str(tmp_path))
    assert "is in use by another instance; give each its own RUNTIME_DIRECTORY" in shared


def test_second_instance_of_another_pid_namespace(server, tmp_path):
    """As in two containers with one volume: neither sees the other's processes."""
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of processes can be made")
    one = server("hello:application", "--ledger", tmp_path / "ledger.db",
                 env={"RUNTIME_DIRECTORY": str(tmp_path)})
    one.more_descriptors = 4
    other = tmp_path / "other"
    other.mkdir()
    out = subprocess.run(
        [*apart, BINARY, "-b", "127.0.0.1:0", "--ledger", tmp_path / "ledger.db",
         "hello:application"], env={**os.environ, "RUNTIME_DIRECTORY": str(other)},
        capture_output=True, text=True, timeout=30 * SLOW, check=False)
    assert out.returncode == 2
    assert "in use by another instance, master pid" in out.stderr
