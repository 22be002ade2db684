"""Fixtures: a server factory per test and one per module, certificates, records.

SPDX-License-Identifier: MIT
"""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import procfs
import pytest
import shoal_harness
from mold_driver import MoldMaster
from shoal_harness import BINARY, Server
from shoalctl_harness import Fakes

shoal_harness.become_subreaper()


def pytest_configure():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 65536:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (65536, max(hard, 65536)))
        except (ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # What servers and tests call the temporary directory: empty again at the end. pytest's
    # own stays where it is, with what its last runs left for people to look at.
    root = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="shoal-test-", dir=root)
    os.chmod(tempfile.tempdir, 0o1777)  # some servers' workers are another user's


def pytest_report_header():
    return f"server: {BINARY}"


def pytest_sessionstart():
    if not Path(BINARY).exists():
        pytest.exit(f"{BINARY} is not built (SHOAL_BIN or SHOAL_BUILD choose it)", 3)


def left_behind():
    """What a run must not leave: processes, of which we are the reaper, and files."""
    left = [f"process {pid}: {procfs.command(pid)}" for pid in procfs.children(os.getpid())]
    return left + [f"file {path}" for path in sorted(Path(tempfile.tempdir).rglob("*"))]


found_left_behind = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """One of several processes that share the tests (pytest-xdist) is done."""
    found_left_behind.extend(getattr(node, "workeroutput", {}).get("left_behind", []))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    found_left_behind.extend(left_behind())
    shutil.rmtree(tempfile.tempdir)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_behind"] = found_left_behind
    if found_left_behind and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for what in found_left_behind:
        terminalreporter.write_line(f"left behind by the run: {what}", red=True)


class Factory:
    """Starts servers, and ends those that still run."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.servers = []

    def __call__(self, app, *options, **named):
        timeout = named.pop("ready_timeout", 15)
        tmp = self.tmp / f"server{len(self.servers)}"
        tmp.mkdir(exist_ok=True)
        server = Server(app, *options, tmp=tmp, **named)
        self.servers.append(server)
        return server.start(timeout)

    def finish(self):
        errors = []
        for server in self.servers:
            if server.stopped:
                continue
            try:
                server.stop()
            except AssertionError as error:
                errors.append(str(error))
        for server in self.servers:
            server.kill()
        assert not errors, "\n".join(errors)
        check_no_orphans()


def check_no_orphans():
    """As their reaper we inherit what a master left behind."""
    orphans = set(procfs.children(os.getpid())) - Server.running
    commands = {pid: procfs.command(pid) for pid in orphans}
    assert not commands, f"orphan processes: {commands}"


@pytest.fixture
def server(tmp_path):
    """server(app, *options, env=, workers=, bind=): a running server of this test."""
    factory = Factory(tmp_path)
    try:
        yield factory
        factory.finish()
    finally:
        for one in factory.servers:
            one.kill()


@pytest.fixture
def fake(tmp_path):
    """fake({method: result}): a control server that answers from a table."""
    fakes = Fakes(tmp_path)
    yield fakes
    fakes.close()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory):
    """As `server`, for the tests of a module that share an instance."""
    factory = Factory(tmp_path_factory.mktemp("module"))
    try:
        yield factory
        factory.finish()
    finally:
        for one in factory.servers:
            one.kill()


@pytest.fixture
def mold(tmp_path):
    """mold(app, *options, launch=, role=): a mold whose master is the test."""
    masters = []

    def start(app, *options, **named):
        masters.append(MoldMaster(tmp_path, app, *options, **named))
        return masters[-1]

    yield start
    for master in masters:
        master.finish()
    check_no_orphans()


@pytest.fixture
def record(tmp_path):
    """A file the applications append facts to; see tests/apps/record.py."""
    path = tmp_path / "record"
    path.write_text("")
    return path


@pytest.fixture(scope="session")
def green_library():
    """green_library(name): the name, if its green threads can be tested here."""

    def need(name):
        if shoal_harness.SANITIZED:
            pytest.skip("greenlets copy stacks away, which sanitizers cannot follow")
        python = shoal_harness.server_environment()["SHOAL_PYTHON"]
        found = subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False)
        if found.returncode:
            pytest.skip(f"{python} has no {name}")
        return name

    return need


@pytest.fixture(scope="module", params=["threads", "eventlet", "gevent"])
def executor(request, green_library):
    """The options of each way to run requests."""
    if request.param == "threads":
        return ()
    return ("-k", green_library(request.param))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, a server and a client certificate, made for this run."""
    where = tmp_path_factory.mktemp("tls")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=where, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=Test authority")
    for name, subject in (("server", "/CN=localhost"), ("client", "/CN=alice/O=Test")):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", subject)
        (where / f"{name}.ext").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
        )
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey",
                "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
                "-out", f"{name}.pem")
    openssl("req", "-x509", *curve, "-keyout", "other.key", "-out", "other.pem",
            "-days", "2", "-subj", "/CN=Somebody else")
    return where
