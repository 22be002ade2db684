"""The master as a service: systemd's notifications, -D, the pid file, users, the unit file.

SPDX-License-Identifier: MIT
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import procfs
import pytest
from master_harness import Master
from shoal_harness import BINARY, BUILD, ROOT, SLOW
from waiting import wait_for

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")


# ---- systemd ----


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_notifications(tmp_path, kind):
    address = str(tmp_path / "notify") if kind == "path" else f"\0shoal-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(10 * SLOW)
        with Master(env={"NOTIFY_SOCKET": address.replace("\0", "@")}) as m:
            assert sock.recv(4096) == b"FDSTORE=1\nFDNAME=bind-127.0.0.1%3A0"
            assert sock.recv(4096).decode() == f"READY=1\nMAINPID={m.pid}"
            assert sock.recv(4096).decode() == (
                "STATUS=1 of 1 workers ready, generation 1, 0 requests in hand, 0 per second"
            )
            m.kill(signal.SIGTERM)
            assert sock.recv(4096) == b"STOPPING=1"


def test_orders_to_stop_until_the_end_change_nothing_of_it():
    """Also those that come while the master takes itself apart."""
    for _ in range(10):
        with Master() as m:
            wait_for(lambda m=m: m.process.poll() is not None or m.kill(signal.SIGTERM), 10 * SLOW)
            assert m.process.returncode == 0


def test_no_ready_without_a_ready_worker(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "FAKE_WORKER": "fail"}
        assert Master(env=env).run() == 3
        assert sock.recv(4096).startswith(b"FDSTORE=1")
        with pytest.raises(BlockingIOError):
            sock.recv(4096)


def test_a_full_notify_socket_does_not_block(tmp_path):
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
    ):
        sock.bind(str(tmp_path / "notify"))
        client.connect(str(tmp_path / "notify"))
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                client.send(b"x")
        with Master(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as m:
            assert m.stop() == 0


class Store:
    """systemd's part: keeps the descriptors that are sent, and passes them to the next run."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.sock.settimeout(10 * SLOW)
        self.kept, self.removed = {}, []

    def listen(self, until):
        """Takes what is told up to a datagram that begins so."""
        while True:
            data, fds, _, _ = socket.recv_fds(self.sock, 4096, 4)
            fields = dict(x.split("=", 1) for x in data.decode().splitlines())
            if "FDSTORE" in fields:
                self.kept[fields["FDNAME"]] = fds[0]
            elif "FDSTOREREMOVE" in fields:
                os.close(self.kept.pop(fields["FDNAME"]))
                self.removed.append(fields["FDNAME"])
            if data.startswith(until):
                return

    def run(self, m):
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in self.kept.values()]
        m.env |= {
            "NOTIFY_SOCKET": str(self.path), "FDSTORE": "64", "LISTEN_FDS": str(len(fds)),
            "LISTEN_FDNAMES": ":".join(self.kept),
        }
        m.popen = {"pass_fds": fds}
        m.launch([sys.executable, "-c", ACTIVATED, ",".join(map(str, fds)), *m.args])
        for fd in fds:
            os.close(fd)
        try:
            m.wait_log("worker ready")
            self.listen(b"READY=1")
        except AssertionError:
            m.finish()
            raise
        return m

    def end(self, m):
        assert m.stop() == 0, m.log
        self.listen(b"STOPPING=1")
        m.finish()

    def close(self):
        self.sock.close()
        for fd in self.kept.values():
            os.close(fd)


ACTIVATED = """
import os, sys
for i, fd in enumerate(filter(None, sys.argv[1].split(","))):
    os.dup2(int(fd), 3 + i)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def test_sockets_are_kept_over_a_restart(store, tmp_path):
    """A connection made while nobody runs waits for the next run, and is accepted then."""
    path = tmp_path / "s"
    binds = ("-b", "127.0.0.1:0", "-b", f"unix:{path}")
    first = store.run(Master(*binds))
    where = first.address()
    assert list(store.kept) == ["bind-127.0.0.1%3A0", f"bind-unix%3A{path}"]
    store.end(first)
    assert path.exists(), "the socket still leads to its file"
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(path))
        second = store.run(Master(*binds))
        assert second.address() == where
        assert len(second.lines("socket kept from the run before")) == 2
        socket.create_connection(where, timeout=5 * SLOW).close()
        store.end(second)
    assert len(store.kept) == 2 and not store.removed


def test_stored_sockets_that_no_bind_asks_for_are_dropped(store, tmp_path):
    path = tmp_path / "s"
    first = store.run(Master("-b", "127.0.0.1:0", "-b", f"unix:{path}"))
    host, port = first.address()
    store.end(first)
    path.unlink()
    # The same port by another name, and a file that is gone: both are opened again.
    second = store.run(Master("-b", f"{host}:{port}", "-b", f"unix:{path}"))
    assert store.removed == ["bind-127.0.0.1%3A0", f"bind-unix%3A{path}"]
    assert not second.lines("socket kept from the run before")
    assert list(store.kept) == [f"bind-127.0.0.1%3A{port}", f"bind-unix%3A{path}"]
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
    store.end(second)


def test_the_unit_file_is_of_the_right_type_and_hardened(tmp_path):
    text = (ROOT / "scripts" / "systemd" / "shoal@.service.in").read_text()
    # systemd before 253 passes over the second line.
    assert "\nType=notify\nType=notify-reload\n" in text
    assert "\nKillMode=mixed\n" in text and "ExecReload" not in text
    assert "\nWatchdogSec=30\n" in text
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "shoal@shop.service"
    unit.write_text(text.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(Path(BINARY).parent)))
    result = subprocess.run(
        [tool, "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    # It ends with 0 also after a word it does not know; an older one knows no notify-reload.
    complaints = [x for x in result.stderr.splitlines() if "notify-reload" not in x]
    assert result.returncode == 0 and not complaints, result.stderr
    result = subprocess.run(
        [tool, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


# ---- in the background ----


class Daemon(Master):
    """The command ends; the instance is known by its pid file."""

    def __init__(self, directory, *options, **more):
        self.pid_file = directory / "pid"
        super().__init__("-D", "-p", self.pid_file, *options, **more)

    def __enter__(self):
        self.launch()
        assert self.wait() == 0, self.log
        return self

    @property
    def pid(self):
        return int(self.pid_file.read_text())

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGTERM)
            wait_for(lambda: not self.processes(), 10 * SLOW, "the daemon's end")
            assert not self.pid_file.exists()
        finally:
            self.finish()


def test_daemon(tmp_path):
    with Daemon(tmp_path, "--error-logfile", tmp_path / "log") as m:
        pid = m.pid
        assert pid != m.process.pid
        fields = procfs.stat(pid)
        assert int(fields[3]) not in (pid, os.getsid(0)), "an own session, not its leader"
        fds = procfs.descriptors(pid)
        assert {fds[0], fds[1], fds[2]} == {"/dev/null"}
        worker = procfs.children(pid)[0]
        fds = procfs.descriptors(worker)
        assert fds[0] == "/dev/null" and fds[1] == fds[2] == str(tmp_path / "log")
        assert f"worker ready slot=0 pid={worker}" in (tmp_path / "log").read_text()
        assert os.readlink(f"/proc/{pid}/cwd") == str(m.dir)


def test_a_daemon_without_a_log_leaves_the_terminal(tmp_path):
    with Daemon(tmp_path) as m:
        assert "worker ready" in m.log
        for pid in (m.pid, *procfs.children(m.pid)):
            assert str(m.stderr) not in procfs.descriptors(pid).values()


@pytest.mark.parametrize("words, bind, code, text", [
    ("fail", "127.0.0.1:0", 3, "ImportError: no such thing"),
    ("", "192.0.2.1:0", 4, "no interface of this machine"),
])
def test_a_daemon_that_fails_to_start_says_so(tmp_path, words, bind, code, text):
    m = Daemon(tmp_path, "-b", bind, env={"FAKE_WORKER": words})
    try:
        assert m.launch().wait() == code
        assert text in m.log and not m.pid_file.exists()
        wait_for(lambda: not m.processes())
    finally:
        m.finish()


# ---- pid file ----


def test_pid_file_from_beginning_to_end(tmp_path):
    path = tmp_path / "pid"
    with Master("--pid", path) as m:
        assert path.read_text() == f"{m.pid}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert os.listdir(tmp_path) == ["pid"]
    assert not path.exists()


@pytest.mark.parametrize("content", ["999999999\n", "nonsense", ""])
def test_stale_pid_file_is_replaced(tmp_path, content):
    path = tmp_path / "pid"
    path.write_text(content)
    with Master("--pid", path) as m:
        assert path.read_text() == f"{m.pid}\n"


def test_live_pid_file_is_refused_and_stays(tmp_path):
    path = tmp_path / "pid"
    with Master("--pid", path) as m:
        other = Master("--pid", path)
        assert other.run() == 2
        assert f"pid file {path} belongs to process {m.pid}, which is running" in other.log
        assert path.read_text() == f"{m.pid}\n"
    path.write_text(f"{os.getpid()}\n")
    assert Master("--pid", path).run() == 2


def test_a_locked_pid_file_is_refused_whatever_it_says(tmp_path):
    path = tmp_path / "pid"
    with Master("--pid", path):
        path.write_text("999999999\n")
        assert Master("--pid", path).run() == 2


def test_somebody_elses_pid_file_is_not_removed(tmp_path):
    path = tmp_path / "pid"
    with Master("--pid", path) as m:
        path.unlink()
        path.write_text("1\n")
        assert m.stop() == 0
    assert path.read_text() == "1\n"


# ---- users ----


def ids(m, key):
    return {int(x) for x in m.status(m.workers()[0])[key].split()}


@needs_root
def test_workers_run_as_another_user(tmp_path):
    sock = tmp_path / "s"
    deaf = {"FAKE_WORKER": "deaf"}
    with Master("-u", "nobody", "-b", f"unix:{sock}", env=deaf) as m:
        assert ids(m, "Uid") == {NOBODY.pw_uid}
        assert ids(m, "Gid") == ids(m, "Groups") == {NOBODY.pw_gid}
        assert int(m.status(m.workers()[0])["CapEff"], 16) == 0
        assert int(m.status(m.pid)["Uid"].split()[0]) == 0
        assert "workers run as root" not in m.log
        assert sock.stat().st_uid == NOBODY.pw_uid
        m.kill(signal.SIGKILL)
        m.wait()
        wait_for(lambda: not m.processes(), what="the death signal outlives the change")


@needs_root
def test_user_and_group_by_number_and_supplementary_groups():
    with Master("-u", "1", "-g", "33") as m:
        assert ids(m, "Uid") == {1} and ids(m, "Gid") == ids(m, "Groups") == {33}
    with Master("-u", "nobody", "-g", "33", "--initgroups") as m:
        assert ids(m, "Groups") == set(os.getgrouplist("nobody", 33))


@needs_root
def test_root_is_warned_once_unless_it_consents():
    with Master("-w", 2) as m:
        assert len(m.lines("workers run as root")) == 1
    with Master("--allow-root") as m:
        assert not m.lines("workers run as root")


@needs_root
def test_only_root_can_choose_a_user():
    m = Master("-u", "1")
    m.popen = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid}
    assert m.run() == 2
    assert "only root can run workers as somebody else" in m.log


@needs_root
def test_a_worker_the_user_may_not_run_is_named():
    m = Master("-u", "nobody")
    (m.dir / "bin").chmod(0o700)
    assert m.run() == 3
    assert f"cannot run {m.dir}/bin/shoal-worker: Permission denied" in m.log


@pytest.mark.skipif(not shutil.which("cmake"), reason="cmake is not installed")
def test_the_installed_unit_runs_what_was_installed(tmp_path):
    """Also with a prefix that is named at the installation only."""
    subprocess.run(
        ["cmake", "--install", str(ROOT / "build" / BUILD), "--prefix", str(tmp_path)],
        check=True, capture_output=True,
    )
    unit = (tmp_path / "lib" / "systemd" / "system" / "shoal@.service").read_text()
    command = next(x for x in unit.splitlines() if x.startswith("ExecStart="))
    program = command.removeprefix("ExecStart=").split()[0]
    assert program == str(tmp_path / "bin" / "shoal")
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("shoal ")
