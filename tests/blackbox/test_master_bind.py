"""Listening sockets: every kind of address, and what is said when one cannot be had.

SPDX-License-Identifier: MIT
"""

import os
import signal
import socket
import stat

import pytest
from master_harness import PYTHON, Master


def listening(host="127.0.0.1"):
    sock = socket.socket()
    sock.bind((host, 0))
    sock.listen()
    return sock


def text(address):
    return f"{address[0]}:{address[1]}"


def test_port_in_use():
    with listening() as sock:
        address = text(sock.getsockname())
        m = Master("-b", address)
        assert m.run() == 4
        assert f"cannot listen on {address}: bind: Address already in use" in m.log
        assert "ss -ltnp" in m.log and "worker ready" not in m.log


@pytest.mark.parametrize("bind, reason", [
    ("192.0.2.1:0", "no interface of this machine has that address"),
    ("no-such-host.invalid:80", "cannot be resolved"),
    ("unix:/no/such/directory/s", "the directory does not exist"),
    ("fd://99", "there is no such descriptor"),
    ("fd://0", "not a stream socket"),
])
def test_addresses_that_cannot_be_had(bind, reason):
    m = Master("-b", bind)
    assert m.run() == 4
    assert f"cannot listen on {bind}: " in m.log and reason in m.log


def test_a_failure_of_the_second_address_takes_the_first_back(tmp_path):
    path = tmp_path / "s"
    with listening() as sock:
        m = Master("-b", f"unix:{path}", "-b", text(sock.getsockname()))
        assert m.run() == 4
    assert not path.exists()


def test_tcp_listener_is_what_gunicorn_makes():
    with Master("-b", "localhost:0") as m:
        host, port = m.address()
        assert host == "127.0.0.1"
        socket.create_connection((host, port)).close()
    with Master("-b", ":0") as m:
        assert m.address()[0] == "0.0.0.0"
    with Master("-b", "[::]:0") as m:
        port = m.address()[1]
        socket.create_connection(("::1", port)).close()
        socket.create_connection(("127.0.0.1", port)).close()


def test_reuse_port_lets_two_instances_share():
    with Master("--reuse-port") as first:
        bind = text(first.address())
        with Master("--reuse-port", "-b", bind) as second:
            assert "worker ready" in second.log


def test_the_port_is_free_when_the_master_is_gone():
    with Master() as m:
        address = m.address()
        assert m.stop() == 0
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)


def test_unix_socket_from_beginning_to_end(tmp_path):
    path = tmp_path / "s"
    with Master("-b", f"unix:{path}", "--socket-mode", "0660", "-m", "007") as m:
        mode = path.lstat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
        assert f"listening address=unix:{path}" in m.log
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
    assert not path.exists()


def test_unix_socket_mode_without_options_is_open_to_all(tmp_path):
    path = tmp_path / "s"
    with Master("-b", f"unix:{path}", umask=0o077):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o666


def test_stale_unix_socket_is_replaced(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    with Master("-b", f"unix:{path}"), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))


def test_live_unix_socket_is_refused_and_stays(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        m = Master("-b", f"unix:{path}")
        assert m.run() == 4
        assert "a running server listens there" in m.log
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    m = Master("-b", f"unix:{path}")
    assert m.run() == 4
    assert "no socket is in the way" in m.log and path.read_text() == "precious"


def test_somebody_elses_socket_file_is_not_removed_at_the_end(tmp_path):
    path = tmp_path / "s"
    with Master("-b", f"unix:{path}") as m, socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))
        assert m.stop() == 0
        assert path.exists()


def test_abstract_unix_socket():
    name = f"shoal-test-{os.getpid()}"
    with Master("-b", f"unix:@{name}") as m, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"\0{name}")
        assert f"listening address=unix:@{name}" in m.log


def test_passed_descriptor():
    with listening() as sock:
        fd = sock.fileno()
        with Master("-b", f"fd://{fd}", pass_fds=[fd]) as m:
            assert m.address() == sock.getsockname()
            assert m.facts()["listeners"] == [text(sock.getsockname())]


SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


def launch_activated(m, sock, pid=""):
    m.env |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
    m.popen = {"pass_fds": [sock.fileno()]}
    m.launch([PYTHON, "-c", SYSTEMD, str(sock.fileno()), pid, *m.args])
    m.wait_log("worker ready")


def test_systemd_socket_activation():
    m = Master("-b", "127.0.0.1:1")
    try:
        with listening() as sock:
            launch_activated(m, sock)
            address = text(sock.getsockname())
            assert f"socket passed address={address} name=web" in m.log
            assert "bind ignored" in m.log
            assert m.facts()["listeners"] == [address]
            assert m.stop() == 0
    finally:
        m.finish()


def test_sockets_for_another_process_are_not_taken():
    m = Master()
    try:
        with listening() as sock:
            launch_activated(m, sock, pid="1")
            assert "socket passed" not in m.log
            assert m.address()[1] != sock.getsockname()[1]
            m.stop(signal.SIGTERM)
    finally:
        m.finish()
