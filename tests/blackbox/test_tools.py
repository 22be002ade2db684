"""The tools people point at a server: curl and wrk.

SPDX-License-Identifier: MIT
"""

import os
import re
import shutil
import subprocess

import procfs
import pytest
from shoal_harness import SANITIZED, SLOW

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
SECONDS = os.environ.get("SHOAL_WRK_SECONDS") or ("5" if SANITIZED else "30")


def curl(*args, stdin=None):
    done = subprocess.run(
        ["curl", "-sS", "--max-time", str(30 * SLOW), "--noproxy", "*", *map(str, args)],
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def zoo(server):
    return server("zoo:application")


@needs_curl
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_versions(zoo, version):
    out = curl(version, "-w", "|%{http_code} %{http_version}", f"{zoo.url}/hello")
    assert out == b"hello|200 " + (b"1.0" if "1.0" in version else b"1.1") or (
        out == b"hello|200 1.1"
    )


@needs_curl
def test_keep_alive_is_used(zoo):
    out = curl("-w", "%{num_connects} ", *[f"{zoo.url}/hello"] * 4)
    assert out.split(b"hello")[1:] == [b"1 ", b"0 ", b"0 ", b"0 "]


@needs_curl
@pytest.mark.parametrize("tls", ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"])
def test_tls(server, certificates, tls):
    srv = server(
        "zoo:application",
        *("--certfile", certificates / "server.pem"),
        *("--keyfile", certificates / "server.key"),
    )
    url = f"https://localhost:{srv.port}/hello"
    where = f"localhost:{srv.port}:127.0.0.1"
    ca = certificates / "ca.pem"
    assert curl(*tls.split(), "--resolve", where, "--cacert", ca, url) == b"hello"


@needs_curl
def test_chunked_upload_from_a_pipe(zoo):
    data = os.urandom(3_000_000)
    out = curl(
        *("-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", "-"),
        f"{zoo.url}/sink",
        stdin=data,
    )
    assert out.startswith(b"3000000 ")


@needs_curl
def test_upload_of_a_file(zoo, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(2_000_000))
    assert curl("-T", tmp_path / "file", f"{zoo.url}/sink").startswith(b"2000000 ")


@needs_curl
def test_100_continue(zoo):
    """curl waits a second for 100 Continue; here it comes at once."""
    out = curl(
        *("-v", "--stderr", "-", "-H", "Expect: 100-continue", "--data-binary", "@-"),
        *("--expect100-timeout", "20", "-w", "|%{time_total}", f"{zoo.url}/sink"),
        stdin=b"x" * 100_000,
    )
    assert b"100 Continue" in out and b"100000 " in out
    assert float(out.rpartition(b"|")[2]) < 5 * SLOW


@needs_curl
def test_head(zoo):
    out = curl("-I", f"{zoo.url}/hello")
    assert b"content-length: 5\r\n" in out.lower()


@needs_wrk
@pytest.mark.long
@pytest.mark.parametrize("seconds", [SECONDS], ids=[f"{SECONDS}s"])
def test_wrk_sees_no_error(server, seconds):
    srv = server("zoo:application", workers=2)
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "50", "-d", f"{seconds}s", f"{srv.url}/hello"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Socket errors" not in done.stdout, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    assert requests > 1000


@needs_wrk
def test_wrk_with_a_connection_for_each_request(server):
    srv = server("zoo:application", "--backlog", "2048")
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "20", "-d", "3s", "-H", "Connection: close",
         f"{srv.url}/hello"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Socket errors" not in done.stdout, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout


@pytest.mark.parametrize("launch", ["embed", "exec"])
def test_ps_tells_the_workers_apart(server, launch):
    if launch == "exec" and SANITIZED:
        pytest.skip("the sanitizer's run-time library must come before python's own")
    srv = server("zoo:application", "--python-launch", launch, "--name", "shop", workers=2)
    titles = sorted(procfs.command(pid) for pid in srv.worker_pids())
    assert titles == ["shoal: worker 0 [shop]", "shoal: worker 1 [shop]"]
