"""TLS from the outside: what clients negotiate, and what bad ones get.

SPDX-License-Identifier: MIT
"""

import json
import re
import socket
import ssl
import time

import pytest
from raw_client import Conn, request
from shoal_harness import APPS, SLOW, client_tls, run_to_end
from waiting import wait_for


@pytest.fixture
def secure(server, certificates):
    """secure(*options): a server of the echo application behind TLS."""

    def start(*options, app="echo:application", **named):
        srv = server(
            app,
            *("--certfile", certificates / "server.pem"),
            *("--keyfile", certificates / "server.key", *options),
            **named,
        )
        srv.allow_log("tls: ")
        return srv

    return start


def context(certificates, **options):
    return client_tls(certificates / "ca.pem", **options)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_version_and_environ(secure, certificates, version):
    srv = secure()
    wanted = ssl.TLSVersion[version]
    tls = context(certificates, minimum_version=wanted, maximum_version=wanted)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    conn = srv.connect(tls=tls)
    saw = json.loads(conn.ask("/").body)
    assert saw["environ"]["wsgi.url_scheme"] == "https"
    assert saw["environ"]["HTTPS"] == "on"
    assert conn.sock.version() == version.replace("_", ".")
    assert conn.sock.selected_alpn_protocol() == "http/1.1"
    assert json.loads(conn.ask("/again").body)["path"] == "/again"


def test_old_versions_are_refused(secure, certificates):
    srv = secure()
    tls = context(certificates)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        srv.connect(tls=tls)
    assert srv.connect(tls=context(certificates)).ask("/").status == 200


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_resume_in_every_worker(secure, certificates, version):
    """Tickets of one worker are good in the others: the key is shared."""
    srv = secure(app="zoo:application", workers=3)
    wanted = ssl.TLSVersion[version]
    tls = context(certificates, minimum_version=wanted, maximum_version=wanted)
    first = srv.connect(tls=tls)
    first.ask("/pid")
    session = first.sock.session
    reused, held = {}, []

    def three_workers_seen():
        sock = tls.wrap_socket(srv.socket(), server_hostname="localhost", session=session)
        conn = Conn(sock)
        srv.conns.append(conn)
        held.append(conn)
        pid = int(conn.ask("/pid").body)
        reused.setdefault(pid, []).append(sock.session_reused)
        return len(reused) >= 2

    wait_for(three_workers_seen, 10 * SLOW, "two workers to answer")
    assert all(all(values) for values in reused.values()), reused


def test_large_bodies_both_ways(secure, certificates):
    srv = secure(app="zoo:application")
    conn = srv.connect(tls=context(certificates), timeout=20)
    answer = conn.ask("/sink", "POST", body=bytes(5_000_000))
    assert answer.body.startswith(b"5000000 ")
    for kind in ("bytes", "gen", "length"):
        assert len(conn.ask(f"/big?kind={kind}&size=5000000").body) == 5_000_000


def test_close_is_announced_with_close_notify(secure, certificates):
    srv = secure()
    conn = srv.connect(tls=context(certificates))
    conn.sock.suppress_ragged_eofs = False
    answer = conn.ask("/", headers=[("Connection", "close")])
    assert answer.closes
    assert conn.at_eof(), "an end without close_notify raises SSLEOFError"


def test_plain_http_on_the_tls_port_is_400(secure, certificates):
    srv = secure()
    for _ in range(3):
        conn = srv.connect()
        answer = conn.send(request("/")).response()
        assert answer.status == 400 and answer.closes
    assert "Traceback" not in srv.log
    assert srv.connect(tls=context(certificates)).ask("/").status == 200


def test_garbage_on_the_tls_port(secure, certificates):
    srv = secure()
    for data in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 300, b"SSH-2.0-x\r\n"):
        conn = srv.connect().send(data).send_eof()
        conn.gone()
    assert srv.connect(tls=context(certificates)).ask("/").status == 200


def test_half_handshakes_time_out_and_harm_nobody(secure, certificates):
    srv = secure("--tls-handshake-timeout", "0.5")
    silent = [srv.connect() for _ in range(20)]
    half = [srv.connect().send(b"\x16\x03\x01\x02\x00\x01\x00") for _ in range(20)]
    start = time.monotonic()
    assert srv.connect(tls=context(certificates)).ask("/").status == 200
    assert time.monotonic() - start < 0.4 * SLOW
    for conn in silent + half:
        assert conn.gone(3 * SLOW)
    assert time.monotonic() - start < 3 * SLOW


def test_client_leaves_in_the_handshake(secure, certificates):
    srv = secure()
    for way in ("reset", "close") * 5:
        conn = srv.connect()
        conn.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        getattr(conn, way)()
    assert srv.connect(tls=context(certificates)).ask("/").status == 200


def test_client_certificate_is_required(secure, certificates):
    srv = secure("--ca-certs", certificates / "ca.pem", "--cert-reqs", "2")
    tls = context(certificates)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        srv.connect(tls=tls).ask("/")
    tls.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    assert srv.connect(tls=tls).ask("/").status == 200
    other = context(certificates)
    other.load_cert_chain(certificates / "other.pem", certificates / "other.key")
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        srv.connect(tls=other).ask("/")


def test_client_certificate_is_optional(secure, certificates):
    srv = secure("--ca-certs", certificates / "ca.pem", "--cert-reqs", "1")
    assert srv.connect(tls=context(certificates)).ask("/").status == 200


def test_ciphers_are_obeyed(secure, certificates):
    srv = secure("--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")
    tls = context(certificates, maximum_version=ssl.TLSVersion.TLSv1_2)
    conn = srv.connect(tls=tls)
    assert conn.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    conn.ask("/")
    tls.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        srv.connect(tls=tls)


@pytest.mark.parametrize(
    "cert,key,extra,words",
    [
        ("missing.pem", "server.key", [], "missing.pem"),
        ("server.pem", "missing.key", [], "missing.key"),
        ("server.pem", "ca.key", [], "ca.key|match"),
        ("server.pem", None, [], "--keyfile is not set.*server.pem"),
        ("junk.pem", "server.key", [], "junk.pem"),
        ("server.pem", "junk.pem", [], "junk.pem"),
        ("server.pem", "server.key", ["--ca-certs", "missing.ca"], "missing.ca"),
        ("server.pem", "server.key", ["--ciphers", "NO-SUCH"], "NO-SUCH|ciphers"),
    ],
)
def test_wrong_files_end_with_2_and_a_sentence(certificates, cert, key, extra, words):
    (certificates / "junk.pem").write_text("no certificate\n")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        fd = sock.fileno()
        done = run_to_end(
            *("-b", f"fd://{fd}", "--certfile", cert, *(["--keyfile", key] if key else [])),
            *extra,
            *("--pythonpath", APPS, "zoo:application"),
            cwd=certificates,
            pass_fds=[fd],
        )
    assert done.returncode == 2, done.stderr
    assert re.search(words, done.stderr)
    assert "Traceback" not in done.stderr
