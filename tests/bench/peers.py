"""The servers that are compared: how each is installed, versioned and started.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import SERVER_CORE

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/bench"
WORK = ROOT / "build/bench"
VENV = WORK / "venv"
BIN = VENV / "bin"
START_SECONDS = 20
HOST = "127.0.0.1"
LOG = WORK / "access.log"


@dataclass(frozen=True)
class Peer:
    """A server; {port}, {module}, {log} are filled into its command line."""

    name: str
    package: str
    command: tuple
    log_options: tuple = ()  # empty: has no access log to compare
    stop: signal.Signals = signal.SIGTERM
    extra: tuple = field(default=())  # packages its package forgets to name

    def arguments(self, port, workload, prefix=()):
        line = [*prefix, *self.command]
        if workload.access_log:
            line += self.log_options
        values = {"port": port, "module": workload.module, "log": LOG, "root": ROOT}
        return [str(word).format(**values) for word in line]


def library(name, package=None, **more):
    command = (BIN / "python", HERE / "peer_main.py", name, "{port}", "{module}")
    return Peer(name, package or name, command, **more)


def gunicorn(kind, *options):
    line = ("{module}:app", "-b", "127.0.0.1:{port}", "-w", "1", "-k", kind, *options)
    return Peer(
        f"gunicorn-{kind}",
        "gunicorn",
        (BIN / "gunicorn", *line, "--log-level", "error"),
        ("--access-logfile", "{log}"),
    )


SHOAL = Peer(
    "shoal",
    "",
    (
        *("{root}/build/release/bin/shoal", "-b", "127.0.0.1:{port}", "-w", "1"),
        *("--venv", VENV, "--worker-connections", "20000", "--log-level", "error"),
        *("--allow-root", "{module}:app"),
    ),
    ("--access-logfile", "{log}"),
)

PEERS = [
    SHOAL,
    library("bjoern", stop=signal.SIGINT),
    library("fastwsgi", stop=signal.SIGINT, extra=("setuptools<80",)),
    library("freastal"),
    Peer(
        "uwsgi",
        "uwsgi",
        (
            *(BIN / "uwsgi", "--http11-socket", "127.0.0.1:{port}", "--module", "{module}:app"),
            *(
                "--master",
                "--processes",
                "1",
                "--threads",
                "8",
                "--need-app",
                "--die-on-term",
                "--listen",
                "1024",
            ),
            *("--disable-logging", "--virtualenv", VENV),
        ),
        ("--logto2", "{log}", "--log-enable"),
    ),
    gunicorn("gthread", "--threads", "1"),
    gunicorn("sync"),
    Peer(
        "granian",
        "granian",
        (
            *(BIN / "granian", "--interface", "wsgi", "--workers", "1", "--host", "127.0.0.1"),
            *("--port", "{port}", "--no-ws", "--blocking-threads", "1", "--log-level", "error"),
            "{module}:app",
        ),
    ),
    library("gevent"),
    library("eventlet"),
    library("waitress"),
]
QUICK = ["shoal", "bjoern", "fastwsgi", "uwsgi", "gunicorn-gthread"]


def installed_version(package):
    """The version of a package in the environment of the peers, or None."""
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([BIN / "python", "-c", ask], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def shoal_version():
    """The last word of the first line of shoal --version, or None."""
    try:
        shown = subprocess.run(
            [ROOT / "build/release/bin/shoal", "--version"], capture_output=True, text=True
        )
    except OSError:
        return None
    words = shown.stdout.partition("\n")[0].split()
    return words[-1] if words else None


def install(peers, say):
    """Gets each peer that is not there yet; {name: version or the reason it is missing}."""
    if not (BIN / "pip").exists():
        say("making the environment of the peers, build/bench/venv")
        # The system's packages too: Flask and Django are the same for every server.
        system = [os.environ.get("SHOAL_TEST_PYTHON", "/usr/bin/python3"), "-m", "venv"]
        subprocess.run([*system, "--system-site-packages", VENV], check=True)
    versions, missing = {}, {}
    for peer in peers:
        if not peer.package:  # Shoal
            if shoal := shoal_version():
                versions[peer.name] = shoal
            else:
                missing[peer.name] = "build/release/bin/shoal does not run"
            continue
        if not installed_version(peer.package):
            say(f"installing {peer.package}")
            pip = [BIN / "pip", "install", "-q", "--disable-pip-version-check"]
            done = subprocess.run(
                [*pip, *peer.extra, peer.package], capture_output=True, text=True, timeout=600
            )
            if done.returncode:
                missing[peer.name] = (done.stderr.strip() or "pip failed").split("\n")[-1]
                continue
        versions[peer.name] = installed_version(peer.package)
    return versions, missing


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """A running peer, pinned to its core; a context manager that ends what it began."""

    def __init__(
        self, peer, workload, prefix=("taskset", "-c", SERVER_CORE), env=None, host=HOST
    ):
        self.host, self.port = host, free_port(host)
        self.peer = peer
        self.line = peer.arguments(self.port, workload, prefix)
        self.log = WORK / f"{peer.name}.out"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.line,
                cwd=HERE,
                env={**os.environ, "PYTHONPATH": str(HERE), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=raise_descriptor_limit,
            )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_ready(self, seconds=START_SECONDS):
        """None once it accepts, else why it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                tail = self.log.read_text(errors="replace").strip().split("\n")[-1]
                return f"ended with {self.process.returncode}: {tail[:120]}"
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return None
            except OSError:
                time.sleep(0.02)
        return f"did not accept within {seconds} s"

    def stop(self, seconds=5):
        """Asks, then insists; the session this server was given is its own."""
        if self.process.poll() is None:
            self.process.send_signal(self.peer.stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def machine():
    """Processor and kernel, for the table's caption."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    python = sys.version.split()[0]
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}, CPython {python}"
