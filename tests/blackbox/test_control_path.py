"""Where the control socket is, and what happens when it cannot be there.

SPDX-License-Identifier: MIT
"""

import os
import socket
import stat

import pytest
from control_client import call
from master_harness import Master
from passable import make_passable
from waiting import wait_for


def places(m, **env):
    """Starts the master without RUNTIME_DIRECTORY and with these instead."""
    del m.env["RUNTIME_DIRECTORY"]
    m.env |= env
    return m


def test_it_is_locked_private_and_gone_at_the_end(tmp_path):
    path = tmp_path / "c.sock"
    with Master("--control-socket", path) as m:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert sorted(os.listdir(tmp_path)) == ["c.sock", "c.sock.lock"]
        assert call(path, "server.hello")["pid"] == m.pid
    assert os.listdir(tmp_path) == []


def test_systemd_says_where():
    with Master() as m:
        assert call(m.dir / "shoal.sock", "server.ping")


def test_a_path_relative_to_where_it_was_started():
    with Master("--control-socket", "here.sock") as m:
        assert call(m.dir / "here.sock", "server.ping")


def test_a_second_instance_is_refused(tmp_path):
    path = tmp_path / "c.sock"
    with Master("--control-socket", path) as first:
        second = Master("--control-socket", path)
        assert second.run() == 4
        assert "another instance holds it" in second.log
        assert call(path, "server.hello")["pid"] == first.pid


def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    path.with_suffix(".sock.lock").touch()
    with Master("--control-socket", path):
        assert call(path, "server.ping")


def test_a_living_server_of_another_kind_is_left_alone(tmp_path):
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        m = Master("--control-socket", path)
        assert m.run() == 4 and "another server listens there" in m.log
        assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "c.sock"
    path.write_text("mine")
    m = Master("--control-socket", path)
    assert m.run() == 4 and "no socket is in the way" in m.log
    assert path.read_text() == "mine"


@pytest.mark.parametrize("bytes_", [107, 108])
def test_the_longest_path(tmp_path, bytes_):
    path = str(tmp_path / "x")
    if len(path) > 100:
        pytest.skip("the directory of this test is too long")
    path += "y" * (bytes_ - len(path))
    if bytes_ == 107:
        with Master("--control-socket", path):
            assert call(path, "server.ping")
    else:
        m = Master("--control-socket", path)
        assert m.run() == 2 and "107" in m.log


def test_a_missing_directory_that_was_asked_for(tmp_path):
    m = Master("--control-socket", tmp_path / "no" / "c.sock")
    assert m.run() == 4 and str(tmp_path / "no") in m.log


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_no_default_place_is_one_line_of_information(tmp_path):
    nothing = {"XDG_RUNTIME_DIR": "/nonexistent", "TMPDIR": "/nonexistent", "HOME": "/nonexistent"}
    with places(Master(user=54321, group=54321), **nothing) as m:
        line = m.wait_log("control socket off")
        assert "[INFO]" in line and len(m.lines("control socket")) == 1
        assert not m.lines("[ERROR]")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_the_users_own_directory_below_tmp(tmp_path):
    tmp = tmp_path / "t"
    tmp.mkdir()
    make_passable(tmp_path)
    tmp.chmod(0o1777)
    m = places(Master("--name", "my/shop", user=54321, group=54321),
               TMPDIR=str(tmp), XDG_RUNTIME_DIR="")
    with m:
        where = tmp / "shoal-54321"
        assert stat.S_IMODE(where.stat().st_mode) == 0o700
        assert call(where / "my_shop.sock", "server.hello")["instance"] == "my/shop"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_directory_of_somebody_else_is_not_used(tmp_path):
    tmp = tmp_path / "t"
    (tmp / "shoal-54321").mkdir(parents=True)
    make_passable(tmp_path)
    (tmp / "shoal-54321").chmod(0o777)
    with places(Master(user=54321, group=54321), TMPDIR=str(tmp), XDG_RUNTIME_DIR="") as m:
        assert "not a directory of this user alone" in m.wait_log("control socket off")
        assert not os.listdir(tmp / "shoal-54321")


def test_none_at_all():
    with Master("--no-control-socket") as m:
        assert not m.lines("control")
        assert not (m.dir / "shoal.sock").exists()


def test_somebody_elses_socket_stays(tmp_path):
    """What took our name while we ran is not ours to remove."""
    path = tmp_path / "c.sock"
    with Master("--control-socket", path) as m:
        path.unlink()
        path.write_text("theirs")
        assert m.stop() == 0
        wait_for(lambda: not (tmp_path / "c.sock.lock").exists())
    assert path.read_text() == "theirs"
