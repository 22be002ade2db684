"""Requests and connections by their labels: each thing that happens moves its counters by
one, and no others.

SPDX-License-Identifier: MIT
"""

import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
from control_client import call
from raw_client import request
from scraping import free_port, samples
from shoal_harness import SLOW, client_tls
from waiting import wait_for

# Of metrics.http: the metric's name, the labels in its order, the member that counts.
FAMILIES = {
    "requests": ("shoal_http_requests_total", ("method", "code", "listener"), "count"),
    "aborted": ("shoal_http_aborted_total", ("by", "phase"), "count"),
    "rejected": ("shoal_http_rejected_total", ("reason",), "count"),
    "closed": ("shoal_connections_closed_total", ("reason",), "count"),
    "connection_errors": ("shoal_connection_errors_total", ("listener", "reason"), "count"),
    "handshakes": ("shoal_tls_handshakes_total", ("version", "result", "resumed"), "count"),
    "connections": ("shoal_connections", ("listener", "state"), "count"),
    "phases": ("shoal_http_requests_in_flight", ("phase",), "in_flight"),
    "certificates": ("shoal_tls_certificate_not_after_timestamp_seconds",
                     ("listener", "name"), "not_after"),
}
COUNTERS = ("requests", "aborted", "rejected", "closed", "connection_errors", "handshakes")
TIMEOUT_S = 1 * SLOW
POST = "POST /sink HTTP/1.1\r\nHost: t\r\n"


class Counted:
    """A server and what metrics.http says of it."""

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.listener = call(path, "listeners.list")["listeners"][0]["name"]

    def family(self, name):
        """{labels without the listener: number}"""
        _, labels, member = FAMILIES[name]
        told = call(self.path, "metrics.http")[name]
        assert all(one.get("listener", self.listener) == self.listener for one in told)
        labels = [label for label in labels if label != "listener"]
        return {" ".join(one[label] for label in labels): one[member] for one in told}

    def counters(self):
        told = call(self.path, "metrics.http")
        found = {}
        for name in COUNTERS:
            _, labels, _ = FAMILIES[name]
            labels = [label for label in labels if label != "listener"]
            for one in told[name]:
                found[" ".join([name, *(one[label] for label in labels)])] = one["count"]
        return found

    def moves(self, before, wanted):
        """Waits until the counters have grown by `wanted`: so much each, and no others."""
        last = {}

        def moved():
            now = self.counters()
            last.clear()
            last.update({k: v - before.get(k, 0) for k, v in now.items()
                         if v != before.get(k, 0)})
            return last == wanted

        try:
            wait_for(moved, 6 * SLOW)
        except AssertionError:
            assert last == wanted

    def await_phase(self, phase, count):
        wait_for(lambda: self.family("phases")[phase] == count, 10 * SLOW, f"{count} {phase}")

    def settled(self):
        """Nothing is open any more: what came before is counted."""
        def nothing_open():
            totals = call(self.path, "stats.get", select=["totals"])["totals"]
            return not (totals["connections"] or any(self.family("connections").values())
                        or any(self.family("phases").values()))
        wait_for(nothing_open, 10 * SLOW)
        return self.counters()


@pytest.fixture(scope="module")
def plain(module_server, tmp_path_factory):
    path, port = tmp_path_factory.mktemp("control") / "c.sock", free_port()
    one = module_server("zoo:application", "--control-socket", path, "--threads", "2",
                        *("--head-timeout", "0.5", "--body-timeout", "0.5"),
                        *("--write-timeout", "0.5", "--keep-alive", "0.7"),
                        *("--timeout", TIMEOUT_S, "--stuck-grace", "60"),
                        *("--body-max", "100000", "--limit-request-line", "200"),
                        *("--request-buffering", "disk", "--body-memory", "4096"),
                        *("--body-dir", "/proc", "--gateway", f"127.0.0.1:{port}"))
    one.allow_log("OSError|Traceback|timed out|timeout|body|short|stuck|deadline")
    counted = Counted(one, path)
    counted.metrics = f"http://127.0.0.1:{port}/metrics"
    return counted


def three_on_one_connection(counted, tmp_path):
    conn = counted.server.connect()
    for method in ("GET", "HEAD", "DELETE"):
        assert conn.ask("/hello", method).status == 200
    conn.close()
    return {"requests GET 200": 1, "requests HEAD 200": 1, "requests DELETE 200": 1,
            "closed client": 1}


def of_no_known_kind(counted, tmp_path):
    conn = counted.server.connect()
    assert conn.ask("/status?s=299_Odd", "BREW").status == 299
    assert conn.ask("/nothing", "BREW").status == 404
    assert conn.ask("/status?s=299_Odd").status == 299
    conn.close()
    return {"requests other other": 1, "requests other 404": 1, "requests GET other": 1,
            "closed client": 1}


def the_last_one_says_so(counted, tmp_path):
    assert counted.server.ask("/hello").status == 200
    return {"requests GET 200": 1, "closed server": 1}


def idle_for_too_long(counted, tmp_path):
    conn = counted.server.connect()
    assert conn.ask("/hello").status == 200
    assert conn.at_eof()
    return {"requests GET 200": 1, "closed idle": 1}


def malformed(counted, tmp_path):
    answer = counted.server.connect().send("GET / HTTP/1.1\r\nHost: t\r\nA B\r\n\r\n")
    assert answer.response().status == 400
    answer.close()
    return {"requests GET 400": 1, "rejected parse": 1, "closed protocol": 1,
            "connection_errors protocol": 1}


def without_host(counted, tmp_path):
    conn = counted.server.connect().send("GET / HTTP/1.1\r\n\r\n")
    assert conn.response().status == 400
    conn.close()
    conn = counted.server.connect().send("PUT http://a_b:x/ HTTP/1.1\r\nHost: t\r\n\r\n")
    assert conn.response().status == 400
    conn.close()
    return {"requests GET 400": 1, "requests PUT 400": 1, "rejected bad_host": 2,
            "closed protocol": 2, "connection_errors protocol": 2}


def too_large(counted, tmp_path):
    conn = counted.server.connect().send(POST + "Content-Length: 200000\r\n\r\n")
    assert conn.response("POST").status == 413
    conn.close()
    conn = counted.server.connect().send(request("/" + "x" * 300))
    assert conn.response().status == 414
    conn.close()
    return {"requests POST 413": 1, "requests other 414": 1, "rejected too_large": 2,
            "closed server": 2}


def no_room_for_the_body(counted, tmp_path):
    conn = counted.server.connect().send(request("/sink", "POST", body=b"x" * 60000))
    assert conn.response("POST").status == 507
    conn.close()
    return {"requests POST 507": 1, "rejected overload": 1, "closed server": 1}


def head_too_late(counted, tmp_path):
    conn = counted.server.connect().send("GET /hello HTTP/1.1\r\nHo")
    assert conn.response().status == 408
    conn.close()
    return {"requests GET 408": 1, "rejected timeout": 1, "aborted timeout read": 1,
            "closed timeout": 1, "connection_errors timeout": 1}


def never_a_byte(counted, tmp_path):
    assert counted.server.connect().at_eof()
    return {"closed timeout": 1, "connection_errors timeout": 1}


def body_too_late(counted, tmp_path):
    conn = counted.server.connect().send(POST + "Content-Length: 100\r\n\r\nabc")
    assert conn.response("POST").status == 408
    conn.close()
    return {"requests POST 408": 1, "rejected timeout": 1, "aborted timeout read": 1,
            "closed timeout": 1, "connection_errors timeout": 1}


def reset_in_the_body(counted, tmp_path):
    conn = counted.server.connect().send(POST + "Content-Length: 100\r\n\r\nabc")
    counted.await_phase("read", 1)
    conn.reset()
    return {"requests POST 499": 1, "aborted client read": 1, "closed reset": 1,
            "connection_errors reset": 1}


def ended_in_the_body(counted, tmp_path):
    conn = counted.server.connect().send(POST + "Content-Length: 100\r\n\r\nabc").send_eof()
    assert conn.response("POST").status == 400
    conn.close()
    return {"requests POST 400": 1, "rejected parse": 1, "closed client": 1}


def reset_while_it_works(counted, tmp_path):
    gate = tmp_path / "gate"
    conn = counted.server.connect().send(request(f"/hold?file={gate}"))
    counted.await_phase("app", 1)
    conn.reset()
    wait_for(lambda: not counted.family("connections")["active"], 5 * SLOW)
    gate.touch()
    return {"requests GET 200": 1, "aborted client app": 1, "closed reset": 1,
            "connection_errors reset": 1}


def reset_before_its_turn(counted, tmp_path):
    gate = tmp_path / "gate"
    conns = [counted.server.connect().send(request(f"/hold?file={gate}")) for _ in range(3)]
    counted.await_phase("app", 2)
    counted.await_phase("queue", 1)
    conns[2].reset()
    wait_for(lambda: counted.family("connections")["active"] == 2, 5 * SLOW)
    gate.touch()
    for conn in conns[:2]:
        assert conn.response().body == b"released"
        conn.close()
    return {"requests GET 200": 2, "requests GET 499": 1, "aborted client queue": 1,
            "closed reset": 1, "connection_errors reset": 1, "closed client": 2}


def reset_while_it_is_sent(counted, tmp_path):
    conn = counted.server.connect(rcvbuf=4096).send(request("/big?size=20000000"))
    counted.await_phase("write", 1)
    conn.reset()
    return {"requests GET 200": 1, "aborted client write": 1, "closed reset": 1,
            "connection_errors reset": 1}


def takes_nothing(counted, tmp_path):
    conn = counted.server.connect(rcvbuf=4096).send(request("/big?size=20000000"))
    counted.await_phase("write", 1)
    wait_for(lambda: not counted.family("connections")["active"], 10 * SLOW, "its end")
    conn.close()
    return {"requests GET 200": 1, "aborted timeout write": 1, "closed timeout": 1,
            "connection_errors timeout": 1}


def application_too_slow(counted, tmp_path):
    conn = counted.server.connect().send(request(f"/wait?ms={TIMEOUT_S * 1500}"))
    assert conn.response().status == 504
    conn.close()
    return {"requests GET 504": 1, "aborted timeout app": 1, "closed server": 1}


def application_says_too_little(counted, tmp_path):
    (tmp_path / "ten").write_bytes(b"0123456789")
    target = f"/big?kind=file&size=100&path={tmp_path}/ten"
    conn = counted.server.connect().send(request(target))
    assert b"0123456789" in conn.read_all()
    return {"requests GET 200": 1, "aborted server app": 1, "closed app": 1}


EVENTS = (three_on_one_connection, of_no_known_kind, the_last_one_says_so, idle_for_too_long,
          malformed, without_host, too_large, no_room_for_the_body, head_too_late, never_a_byte,
          body_too_late, reset_in_the_body, ended_in_the_body, reset_while_it_works,
          reset_before_its_turn, reset_while_it_is_sent, takes_nothing, application_too_slow,
          application_says_too_little)


@pytest.mark.parametrize("event", EVENTS, ids=lambda f: f.__name__)
def test_what_happens_is_counted(plain, event, tmp_path):
    before = plain.settled()
    plain.moves(before, event(plain, tmp_path))


def test_requests_and_connections_at_work(plain, tmp_path):
    """Gauges: what is where, and for how long."""
    plain.settled()
    gate = tmp_path / "gate"
    begin = time.monotonic()
    conn = plain.server.connect().send(request(f"/hold?file={gate}"))
    plain.await_phase("app", 1)
    told = {one["phase"]: one for one in call(plain.path, "metrics.http")["phases"]}
    assert 0 < told["app"]["oldest_age_s"] <= time.monotonic() - begin
    assert all(told[phase]["oldest_age_s"] == 0 for phase in ("read", "queue", "write"))
    assert plain.family("connections") == {"idle": 0, "active": 1, "handshake": 0,
                                           "lingering": 0}
    gate.touch()
    assert conn.response().status == 200
    wait_for(lambda: plain.family("connections")["idle"] == 1, 5 * SLOW, "an idle one")
    totals = call(plain.path, "stats.get", select=["totals"])["totals"]
    assert sum(plain.family("requests").values()) == totals["requests"]
    assert sum(plain.family("aborted").values()) == totals["aborted"]
    assert sum(plain.family("closed").values()) + totals["connections"] == totals["accepted"]
    conn.close()


def test_one_that_lingers(plain):
    """Answered for the last time, and waiting for its client to go."""
    before = plain.settled()
    conn = plain.server.connect().send("GET / HTTP/1.1\r\nHost: t\r\nA B\r\n\r\n")
    assert conn.response().status == 400
    wait_for(lambda: plain.family("connections")["lingering"] == 1, 5 * SLOW)
    conn.close()
    assert plain.settled()["closed protocol"] == before["closed protocol"] + 1


def test_the_text_says_the_same(plain):
    """Every number of metrics.http, under its name and labels."""
    plain.settled()
    plain.server.connect().ask("/hello")

    def told():
        wanted = {}
        answer = call(plain.path, "metrics.http")
        for name, (metric, labels, member) in FAMILIES.items():
            for one in answer[name]:
                text = ",".join(f'{label}="{one[label]}"' for label in labels)
                wanted[f"{metric}{{{text}}}"] = one[member]
        wanted["shoal_listen_overflows_total"] = answer["listen_overflows"]
        return wanted

    def written():
        with urllib.request.urlopen(plain.metrics, timeout=10) as answer:
            return samples(answer.read().decode())

    def same():
        now, wanted = written(), told()
        return len(wanted) > 40 and wanted == {k: v for k, v in now.items() if k in wanted}

    wait_for(same, 10 * SLOW, "the same numbers")
    text = written()
    assert sum(k.startswith("shoal_http_requests_total") for k in text) == (
        len(plain.family("requests")))
    oldest = [k for k in text if k.startswith("shoal_http_oldest_request_age_seconds")]
    assert len(oldest) == 4
    assert not any("shoal_http_timeouts" in k or "requests_queued" in k for k in text)


def test_an_upgrade_and_a_death_forget_nothing(plain):
    before = plain.settled()
    job = call(plain.path, "server.upgrade")["job"]
    wait_for(lambda: state_of(plain.path, job) == "done", 20 * SLOW, "the upgrade")
    assert plain.counters() == before
    plain.server.allow_log("worker died")
    os.kill(plain.server.worker, signal.SIGKILL)
    wait_for(lambda: call(plain.path, "server.status")["totals"]["crashes"] == 1, 10 * SLOW)
    assert plain.counters() == before
    plain.server.wait_log("worker ready", count=2)
    assert plain.server.ask("/hello").status == 200
    plain.moves(before, {"requests GET 200": 1, "closed server": 1})


def state_of(path, job):
    try:
        return call(path, "jobs.get", job=job)["state"]
    except (OSError, AssertionError):  # the image changes
        return None


# ---- TLS ----


@pytest.fixture(scope="module")
def secure(module_server, tmp_path_factory, certificates):
    path = tmp_path_factory.mktemp("control") / "c.sock"
    one = module_server("hello:application", "--control-socket", path,
                        *("--certfile", certificates / "server.pem"),
                        *("--keyfile", certificates / "server.key"),
                        *("--tls-handshake-timeout", "0.5"))
    one.allow_log("tls: ")
    return Counted(one, path)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_handshakes(secure, certificates, version):
    before = secure.settled()
    wanted = ssl.TLSVersion[version]
    tls = client_tls(certificates / "ca.pem", minimum_version=wanted, maximum_version=wanted)
    first = secure.server.connect(tls=tls)
    assert first.ask("/").status == 200
    session = first.sock.session
    again = tls.wrap_socket(secure.server.socket(), server_hostname="localhost",
                            session=session)
    again.sendall(request("/"))
    assert again.session_reused and again.recv(10)
    again.close()
    first.close()
    name = version.replace("_", ".")
    secure.moves(before, {f"handshakes {name} completed false": 1,
                          f"handshakes {name} completed true": 1,
                          "requests GET 200": 2, "closed client": 2})


def test_handshakes_that_fail(secure):
    before = secure.settled()
    conn = secure.server.connect().send(request("/"))
    assert conn.response().status == 400
    conn.close()
    assert secure.server.connect().send(b"\x16\x03\x01\xff\xff" + b"x" * 300).gone()
    silent = secure.server.connect()
    wait_for(lambda: secure.family("connections")["handshake"] == 1, 5 * SLOW)
    assert silent.gone()
    secure.moves(before, {"handshakes unknown failed false": 3, "closed protocol": 1,
                          "closed tls": 1, "closed timeout": 1,
                          "connection_errors protocol": 1, "connection_errors tls": 1,
                          "connection_errors timeout": 1})


def test_when_the_certificate_ends(secure, certificates):
    text = subprocess.run(["openssl", "x509", "-enddate", "-noout", "-in",
                           certificates / "server.pem"], capture_output=True, text=True,
                          check=True).stdout
    assert secure.family("certificates") == {
        "localhost": ssl.cert_time_to_seconds(text.strip().partition("=")[2])}


# ---- The kernel's ----


def overflows_of_the_kernel():
    with open("/proc/self/net/netstat") as file:
        lines = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(dict(zip(*lines, strict=True))["ListenOverflows"])


def test_overflows_of_accept_queues(plain):
    """A full queue of this very test: the number is that of the network namespace."""
    before = overflows_of_the_kernel()
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(1)
        clients = [socket.socket() for _ in range(6)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        wait_for(lambda: overflows_of_the_kernel() > before, 5 * SLOW, "an overflow")
        for client in clients:
            client.close()
    low = overflows_of_the_kernel()
    told = call(plain.path, "metrics.http")["listen_overflows"]
    assert before < low <= told <= overflows_of_the_kernel()
