"""Takes the master's place in front of one mold: descriptors, messages, orphans.

SPDX-License-Identifier: MIT
"""

import array
import errno
import fcntl
import http.client
import json
import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import shoal_harness
from waiting import wait_for

BUILD = Path(shoal_harness.BINARY).parent.parent
MAKER = BUILD / "bin" / "heritage_maker"
WORKER = BUILD / "bin" / "shoal-worker"
MAGIC = 0x314D4853
MESSAGES = {
    name: int(number)
    for name, number in re.findall(
        r"^MSG\((\w+), (\d+),", (shoal_harness.ROOT / "common/msg.def").read_text(), re.MULTILINE
    )
}
NAMES = {number: name for name, number in MESSAGES.items()}
ROLES = {"worker": 0, "mold": 1}
HIGH = 200  # descriptors wait here until they are put into their places
FIRST_LISTENER = 12
SEG_PID_OFFSET = 24
BOARD_LINE_0 = 8


def made(*args, env=None):
    done = subprocess.run(
        [MAKER, *map(str, args)], check=True, capture_output=True, env=env, timeout=20
    )
    return done.stdout


def memfd(name, data):
    fd = os.memfd_create(name)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def python_facts(python, launch):
    """The plugin's name and, to embed, the library of an interpreter."""
    script = (
        "import sys, sysconfig as s; print('%d%d' % sys.version_info[:2]); "
        "print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))"
    )
    out = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True)
    tag, library = out.stdout.split()
    plugin = BUILD / "lib" / "shoal" / f"shoal-cp{tag}.so"
    return str(plugin), library if launch == "embed" else ""


def channel():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Peer:
    """A process of ours behind a channel."""

    def __init__(self, pid, sock):
        self.pid, self.sock, self.status = pid, sock, None

    def send(self, name, payload=b"", fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([struct.pack("=II", MAGIC, MESSAGES[name]) + payload], rights)

    def recv(self, timeout=20):
        """(name, payload); None at end of file."""
        timeout *= shoal_harness.SLOW
        assert select.select([self.sock], [], [], timeout)[0], f"no message in {timeout} s"
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return None
        if not data:
            return None
        magic, number = struct.unpack_from("=II", data)
        assert magic == MAGIC
        return NAMES[number], data[8:]

    def expect(self, *names):
        """The payload of the next message, which must be one of these; FILES are passed by."""
        message = self.recv()
        while message and message[0] == "FILES" and "FILES" not in names:
            message = self.recv()
        assert message and message[0] in names, f"{message} instead of {names}"
        return message[1]

    def wait(self, timeout=10):
        """The exit status as os.waitstatus_to_exitcode() has it."""

        def gone():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (status,)

        if self.status is None:
            waited = wait_for(gone, timeout * shoal_harness.SLOW, f"end of {self.pid}", 0.001)
            self.status = os.waitstatus_to_exitcode(waited[0])
        return self.status

    def finish(self):
        self.sock.close()
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


class Forked(Peer):
    """A worker: its channel, its segment and what was measured at its birth."""

    def __init__(self, pid, sock, seg, slot, epoch):
        super().__init__(pid, sock)
        self.seg, self.slot, self.epoch = seg, slot, epoch
        self.ready_s = None

    @property
    def seg_pid(self):
        with mmap.mmap(self.seg, 4096, prot=mmap.PROT_READ) as view:
            return struct.unpack_from("=i", view, SEG_PID_OFFSET)[0]

    def finish(self):
        super().finish()
        os.close(self.seg)


class MoldMaster:
    """Starts a process with a heritage of its own, and adopts what it forks."""

    def __init__(self, tmp, app, *options, launch="embed", role="mold", cwd=None, env=None):
        self.tmp, self.cwd = tmp, cwd or tmp
        self.env = shoal_harness.server_environment(env)
        self.env.pop("SHOAL_PYTHON_LAUNCH", None)
        python = self.env.pop("SHOAL_PYTHON")
        plugin, library = python_facts(python, launch)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.log_path, self.access_path = tmp / "error.log", tmp / "access.log"
        self.heritage = json.loads(made("conf", *options, app, env=self.env))
        self.heritage.update(
            role=ROLES[role],
            generation=1,
            workers=3,
            python=python,
            plugin=plugin,
            libpython=library,
            listeners=[
                {
                    "fd": FIRST_LISTENER,
                    "tls": False,
                    "is_unix": False,
                    "name": f"127.0.0.1:{self.port}",
                }
            ],
        )
        self.board = memfd("board", made("board"))
        self.workers = []
        self.mold = self._spawn()

    def _spawn(self):
        ours, theirs = channel()
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        access = os.open(self.access_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sources = [
            theirs.fileno(),
            memfd("heritage", json.dumps(self.heritage).encode()),
            memfd("seg", made("seg", 0, 0)),
            access,
            log,
            os.dup(self.board),
            memfd("trace", b""),
            memfd("accounts", made("accounts", 0, 0)),
            os.open("/dev/null", os.O_RDONLY),
            self.listener.fileno(),
        ]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH) for fd in sources]
        actions = [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(high)]
        actions += [(os.POSIX_SPAWN_DUP2, high[4], 1), (os.POSIX_SPAWN_DUP2, high[4], 2)]
        before = os.getcwd()
        os.chdir(self.cwd)
        try:
            pid = os.posix_spawn(
                WORKER, ["shoal: mold"], self.env, file_actions=actions, setsigdef=[signal.SIGPIPE]
            )
        finally:
            os.chdir(before)
        theirs.close()
        for fd in [*high, *sources[1:-1]]:
            os.close(fd)
        return Peer(pid, ours)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def accepting(self):
        """The lines of the board whose processes take new connections."""
        data = os.pread(self.board, os.fstat(self.board).st_size, 0)
        flags = struct.iter_unpack("=II", data[BOARD_LINE_0:])
        return {number for number, (accepting, _) in enumerate(flags) if accepting}

    def order(self, slot, epoch, parked=0, line=None):
        return struct.pack("=5I", slot, epoch, slot if line is None else line, 3, parked)

    def fork(self, slot, epoch=1, parked=0, ready=True, line=None):
        """A new worker of the mold; waits until it is ready."""
        ours, theirs = channel()
        seg, trace = memfd("seg", made("seg", slot, epoch)), memfd("trace", b"")
        accounts = memfd("accounts", made("accounts", slot, epoch))
        begin = time.monotonic()
        order = self.order(slot, epoch, parked, line)
        self.mold.send("FORK", order, (theirs.fileno(), seg, trace, accounts))
        theirs.close()
        os.close(trace)
        os.close(accounts)
        got = struct.unpack("=IIi", self.mold.expect("FORKED"))
        assert got[:2] == (slot, epoch) and got[2] > 0, f"{got}: {os.strerror(abs(got[2]))}"
        worker = Forked(got[2], ours, seg, slot, epoch)
        self.workers.append(worker)
        if ready:
            worker.expect("READY")
            worker.ready_s = time.monotonic() - begin
        return worker

    def refused(self, payload, fds):
        """What the mold answers to an order that makes no sense."""
        self.mold.send("FORK", payload, fds)
        pid = struct.unpack("=IIi", self.mold.expect("FORKED"))[2]
        assert pid == -errno.EINVAL
        return pid

    def begin(self, path="/", timeout=10):
        """Sends a request to whoever accepts."""
        timeout *= shoal_harness.SLOW
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path, headers={"Connection": "close"})
        return connection

    def end(self, connection):
        """(status, body) of the answer."""
        try:
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ask(self, path="/", timeout=10):
        return self.end(self.begin(path, timeout))

    def drop(self, worker):
        """QUIT, and the end that follows."""
        worker.send("QUIT")
        assert worker.wait() == 0
        worker.finish()
        self.workers.remove(worker)

    def finish(self):
        for peer in [self.mold, *self.workers]:
            peer.finish()
        self.listener.close()
        os.close(self.board)
        assert not shoal_harness.SANITIZER.search(self.log), self.log
