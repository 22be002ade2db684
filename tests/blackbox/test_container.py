"""The master as process 1: signals reach it, and it reaps what nobody else does.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import procfs
import pytest
from shoal_harness import BINARY, SLOW, server_environment
from waiting import wait_for

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

APP = """
import os, subprocess

def app(environ, start_response):
    # A grandchild whose parent is gone: process 1 inherits it.
    script = "import os; os.fork() and os._exit(0); os.setsid()"
    subprocess.run([environ["shoal.python"], "-c", script], check=True)
    start_response("200 OK", [])
    facts = [os.getpid(), os.getppid(), *sorted(int(p) for p in os.listdir("/proc") if p.isdigit())]
    return [" ".join(map(str, facts)).encode()]
"""


def why_not():
    if shutil.which("unshare") is None:
        return "unshare(1) is not installed"
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"no pid namespace here: {done.stderr.strip()}"


@pytest.fixture
def first(tmp_path):
    """(pid of the master outside, its address, its log) of an instance that is process 1."""
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "contained.py").write_text(APP)
    log = tmp_path / "log"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        log.open("wb") as out,
    ):
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20 * SLOW)
        env = server_environment({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        process = subprocess.Popen(
            [*UNSHARE, BINARY, "-b", f"fd://{listener.fileno()}", "--environ",
             f"shoal.python={env['SHOAL_PYTHON']}", "contained:app"],
            cwd=tmp_path, env=env, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
            stdout=out, stderr=out,
        )
        try:
            while not notify.recv(4096).startswith(b"READY=1"):
                pass
            (pid,) = procfs.children(process.pid)
            yield pid, listener.getsockname(), log, process
        finally:
            process.kill()  # --kill-child takes the rest along
            process.wait()


def ask(address):
    with socket.create_connection(address, timeout=10 * SLOW) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    if b"chunked" in head:
        body = body.split(b"\r\n")[1]
    return [int(x) for x in body.split()]


def zombies(master):
    found = []
    for pid in procfs.children(master):
        with contextlib.suppress(OSError):
            found += [pid] if procfs.stat(pid)[2] == "Z" else []
    return found


def test_orphans_are_reaped(first):
    pid, address, log, _ = first
    before = set(procfs.children(pid))
    for _ in range(3):
        _, parent, *_ = ask(address)
        assert parent == 1, log.read_text()
    wait_for(lambda: set(procfs.children(pid)) == before, 10 * SLOW, "no strangers")
    assert not zombies(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_end_it(first, number):
    pid, _, log, process = first
    os.kill(pid, number)
    assert process.wait(15 * SLOW) == 0, log.read_text()
