"""Starts a server, and when it is stopped looks for everything it must not leave behind.

SPDX-License-Identifier: MIT
"""

import ctypes
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import procfs
from raw_client import Conn
from waiting import wait_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APPS = HERE.parent / "apps"
BUILD = os.environ.get("SHOAL_BUILD", "dev")
BINARY = os.environ.get("SHOAL_BIN") or str(ROOT / "build" / BUILD / "bin" / "shoal")
IS_SHOAL = Path(BINARY).name == "shoal"
SANITIZED = BUILD in ("asan", "tsan")
SHARED = Path(os.environ.get("SHOAL_SHARED", ROOT.parent / "shared"))
# Sanitizers and a busy machine stretch time; limits of tests are multiplied by it.
SLOW = 4 if SANITIZED else 1

SANITIZER = re.compile(
    r"ERROR: \w*Sanitizer|: runtime error: |WARNING: ThreadSanitizer|==\d+==ERROR"
)
BAD_LINE = re.compile(r"\[(ERROR|CRITICAL|ALERT)\]|\b(alert|crit)\b.*:", re.IGNORECASE)
GATEWAY = re.compile(r"gateway: helper started")
WORKER_READY = re.compile(r": worker ready ")
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Orphans of a server become our children, where they are found."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def server_environment(extra=None):
    """A clean environment: nothing of the caller's gets in; None in extra drops a name."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "LD_LIBRARY_PATH")
    env = {k: os.environ[k] for k in keep if k in os.environ}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["PYTHONPATH"] = str(APPS)
    env["NO_COLOR"] = "1"
    # Half of what eventlet's import takes is a resolver; no application here asks one.
    env["EVENTLET_NO_GREENDNS"] = "yes"
    env["SHOAL_PYTHON"] = os.environ.get("SHOAL_TEST_PYTHON") or sys.executable
    if SANITIZED:
        env["SHOAL_PYTHON_LAUNCH"] = "embed"
        env["ASAN_OPTIONS"] = "detect_leaks=0:quarantine_size_mb=4"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    for key in ("SHOAL_PYTHON_LAUNCH", "ASAN_OPTIONS", "TSAN_OPTIONS"):
        if key in os.environ:
            env[key] = os.environ[key]
    env.update(extra or {})
    return {k: v for k, v in env.items() if v is not None}


class Server:
    """One running instance on a listening socket the test made (port 0: no race)."""

    running = set()  # masters that belong to a fixture still in use

    def __init__(self, app, *options, tmp, env=None, workers=1, bind="tcp", cwd=None):
        self.app, self.options, self.tmp = app, [str(o) for o in options], Path(tmp)
        self.workers, self.bind, self.cwd = workers, bind, cwd or APPS
        self.env = server_environment(env)
        self.expected, self.allowed, self.conns = [], [], []
        self.more_descriptors = 0  # than at start, which the test says are meant to be
        self.crashes = False  # the application's own crash: a sanitizer reports it too
        self.lines = []
        self.process = self.listener = None
        self.baseline = {}
        self.stopped = False

    # ---- start ----

    def start(self, ready_timeout=15):
        args = [BINARY, *self._bind_option(), *self.options]
        if self.workers != 1:
            args += ["-w", str(self.workers)]
        args.append(self.app)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        notify_path = self.tmp / f"notify-{os.urandom(4).hex()}"
        notify.bind(str(notify_path))
        self.env["NOTIFY_SOCKET"] = str(notify_path)
        # Where the control socket is: tests do not meet in /run/shoal.
        self.env.setdefault("RUNTIME_DIRECTORY", str(self.tmp))
        self.process = subprocess.Popen(
            args,
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self.listener.fileno()] if self.listener else [],
        )
        Server.running.add(self.pid)
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        try:
            self._await_ready(notify, ready_timeout * SLOW)
        finally:
            notify.close()
            notify_path.unlink()
        if self.listener:
            self.listener.close()
        self.baseline = {p: procfs.descriptors(p) for p in self.pids()}
        return self

    def _bind_option(self):
        if self.bind == "unix":
            self.address = str(self.tmp / "s.sock")
            return ["-b", f"unix:{self.address}"]
        family = socket.AF_INET6 if self.bind == "tcp6" else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::1" if self.bind == "tcp6" else "127.0.0.1", 0))
        self.listener.listen(4096)
        self.address = self.listener.getsockname()[:2]
        return ["-b", f"fd://{self.listener.fileno()}"]

    def _read_log(self):
        for raw in self.process.stdout:
            self.lines.append(raw.decode(errors="replace").rstrip("\n"))

    def _await_ready(self, notify, timeout):
        notify.setblocking(False)
        told = []

        def ready():
            try:
                while True:
                    told.append(notify.recv(4096))
            except BlockingIOError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"exit {self.process.returncode} at start")
            if self.workers > 1 and IS_SHOAL:
                return sum(bool(WORKER_READY.search(x)) for x in self.lines) >= (
                    self.workers
                )
            return any(b"READY=1" in x for x in told)

        try:
            wait_for(ready, timeout, "server ready", step=0.002)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.log}") from None

    # ---- what tests look at ----

    @property
    def port(self):
        return self.address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        return "\n".join(self.lines)

    @property
    def pid(self):
        return self.process.pid

    def pids(self):
        return [self.pid, *self.worker_pids()]

    def worker_pids(self):
        return [p for p in procfs.children(self.pid) if "shoal: worker" in procfs.command(p)]

    @property
    def worker(self):
        """The only worker's pid."""
        pids = self.worker_pids()
        assert len(pids) == 1, f"{len(pids)} workers"
        return pids[0]

    def expect_log(self, pattern, count=1):
        """A line of level ERROR or above that must be there when the server stops."""
        self.expected.append((re.compile(pattern), count))
        return self

    def allow_log(self, pattern):
        """A line of level ERROR or above that may be there."""
        self.allowed.append(re.compile(pattern))
        return self

    def wait_log(self, pattern, timeout=5, count=1):
        """Waits for lines of the log; returns the first that matches."""
        regex = re.compile(pattern)

        def seen():
            found = [line for line in list(self.lines) if regex.search(line)]
            return found[0] if len(found) >= count else None

        try:
            return wait_for(seen, timeout * SLOW, f"{count} x log line {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error} in\n{self.log}") from None

    # ---- clients ----

    def socket(self, rcvbuf=None, timeout=5):
        family = {"unix": socket.AF_UNIX, "tcp6": socket.AF_INET6}.get(
            self.bind, socket.AF_INET
        )
        sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(timeout)
        sock.connect(self.address)
        return sock

    def connect(self, rcvbuf=None, timeout=5, tls=None):
        """A connection that is closed at the end of the test at the latest."""
        timeout *= SLOW
        sock = self.socket(rcvbuf, timeout)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname="localhost")
        conn = Conn(sock, timeout)
        self.conns.append(conn)
        return conn

    def ask(self, target="/", method="GET", headers=(), body=None, timeout=None):
        """One request on a connection of its own."""
        with self.connect() as conn:
            headers = [*headers, ("Connection", "close")]
            return conn.ask(target, method, headers, body, timeout)

    def exchange(self, data, timeout=None):
        """Sends data, then no more; everything that came back."""
        with self.connect() as conn:
            conn.send(data).send_eof()
            return conn.read_all(timeout)

    # ---- end ----

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, timeout=10):
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running {timeout * SLOW} s after the stop:\n{self.log}"
            ) from None
        self.reader.join(2)
        return code

    def stop(self, timeout=10):
        """TERM, then every check of a clean end."""
        if self.stopped:
            return
        try:
            for conn in self.conns:
                conn.close()
            if self.process.poll() is None:
                self._check_descriptors()
                self.signal(signal.SIGTERM)
            code = self.wait_exit(timeout)
            self.check_after_exit()
            assert code == 0, f"exit code {code}:\n{self.log}"
        finally:
            self.kill()

    def check_after_exit(self):
        """Nothing left behind; the log without surprises. Also for tests that stop."""
        self.stopped = True
        self.reader.join(2)
        wait_for(
            lambda: not procfs.of_session(self.pid), 5 * SLOW, "end of every process"
        )
        if not isinstance(self.address, str):
            self._check_port_free()
        self.check_log()

    def _check_descriptors(self):
        if not IS_SHOAL:
            return
        for pid, before in self.baseline.items():
            if not procfs.alive(pid):
                continue
            # A gateway comes with its first client: stream, clients' channel, session.
            gateway = 3 if GATEWAY.search(self.log) else 0
            most = len(before) + self.more_descriptors + gateway

            def same(pid=pid, most=most):
                return len(procfs.descriptors(pid)) <= most or not procfs.alive(pid)

            try:
                wait_for(same, 8 * SLOW, "descriptors as at start")
            except AssertionError:
                now = procfs.descriptors(pid)
                more = {k: v for k, v in now.items() if before.get(k) != v}
                raise AssertionError(
                    f"{procfs.command(pid)}: {len(before)} descriptors at start, "
                    f"{len(now)} now: {more}\n{self.log}"
                ) from None

    def _check_port_free(self):
        try:
            self.socket().close()
        except ConnectionRefusedError:
            return
        raise AssertionError(f"port {self.port} is still served")

    def check_log(self):
        """No sanitizer report, no unannounced error, every announced one."""
        assert self.crashes or not SANITIZER.search(self.log), self.log
        if not IS_SHOAL:
            return
        known = self.allowed + [regex for regex, _ in self.expected]
        for line in self.lines:
            if BAD_LINE.search(line) and not any(x.search(line) for x in known):
                raise AssertionError(f"not announced: {line}\n--- log ---\n{self.log}")
        for regex, count in self.expected:
            found = sum(bool(regex.search(line)) for line in self.lines)
            assert found >= count, f"{found} x {regex.pattern!r} in log:\n{self.log}"

    def kill(self):
        """The last resort: nothing of this server survives the test."""
        self.stopped = True
        for conn in self.conns:
            conn.close()
        if self.listener:
            self.listener.close()
        for pid in procfs.of_session(self.pid) if self.process else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process:
            self.process.wait(5)
            self.reader.join(2)
            Server.running.discard(self.pid)


def run_to_end(*args, env=None, timeout=15, pass_fds=(), cwd=APPS):
    """A start that is expected to end by itself; returns the finished process."""
    return subprocess.run(
        [BINARY, *map(str, args)],
        cwd=cwd,
        env=server_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout * SLOW,
        pass_fds=pass_fds,
        start_new_session=True,
        check=False,
    )


def client_tls(ca=None, **options):
    """A verifying client context; options are attributes (minimum_version, ...)."""
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    for name, value in options.items():
        setattr(context, name, value)
    return context
