"""The gateway: HTTP on the control socket and on a port of its own, roles, events.

SPDX-License-Identifier: MIT
"""

import http.client
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import procfs
import pytest
from control_client import call
from waiting import wait_for

TOKEN = "a-token-of-27-characters..."
JSON = {"Content-Type": "application/json"}
AS_SOMEBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(4242); os.setuid(4242)
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode()); s.shutdown(socket.SHUT_WR)
while data := s.recv(65536): sys.stdout.write(data.decode())
"""


class UnixConnection(http.client.HTTPConnection):
    """http.client over the control socket."""

    def __init__(self, path):
        super().__init__("shoal", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Gateway:
    """A running instance and its two doors."""

    def __init__(self, server, path, port):
        self.server, self.path, self.port = server, path, port

    def unix(self):
        return UnixConnection(self.path)

    def tcp(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def process(self):
        """Its pid; None while it is not there."""
        for pid in procfs.children(self.server.pid):
            if "gateway" in procfs.command(pid):
                return pid
        return None


def ask(connection, verb, target, body=None, headers=None):
    """(status, fields, body), as JSON when it is; the connection stays open."""
    payload = json.dumps(body) if isinstance(body, (dict, list)) else body
    fields = {**(JSON if body is not None else {}), **(headers or {})}
    connection.request(verb, target, payload, fields)
    answer = connection.getresponse()
    text = answer.read()
    is_json = answer.getheader("Content-Type") == "application/json"
    return answer.status, answer.headers, json.loads(text) if is_json and text else text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def gateway(module_server):
    with tempfile.TemporaryDirectory(prefix="shoal-gw-") as name:
        where = Path(name)
        where.chmod(0o755)
        (where / "token").write_text(TOKEN + "\n")
        port = free_port()
        one = module_server("hello:application", "--control-socket", where / "c.sock",
                            "--control-socket-mode", "0666", "--gateway", f"127.0.0.1:{port}",
                            "--gateway-token-file", where / "token",
                            "--gateway-host", "Shop.example", workers=2)
        one.allow_log("helper ended")
        yield Gateway(one, where / "c.sock", port)


@pytest.mark.parametrize("door", ["unix", "tcp"])
def test_what_may_be_read_is_what_the_control_socket_says(gateway, door):
    connection = getattr(gateway, door)()
    for target, method, params in [
        ("/v1/version", "server.version", {}),
        ("/v1/workers/1", "workers.get", {"slot": 1}),
        ("/v1/schema?method=server.ping", "schema.get", {"method": "server.ping"}),
        ("/v1/workers?fields=pid,state", "workers.list", {"fields": ["pid", "state"]}),
        ("/v1/stats/history?since_s=5&series=rps", "stats.history", None),
    ]:
        status, fields, body = ask(connection, "GET", target)
        assert status == 200, body
        assert fields["Cache-Control"] == "no-store"
        if params is not None:
            expected = call(gateway.path, method, **params)
            assert body.keys() == expected.keys()
            if method != "workers.get":
                assert body == expected or method == "workers.list"
    assert ask(connection, "HEAD", "/v1/status")[2] == b""
    assert ask(connection, "GET", "/healthz")[2] == {"ok": True}
    assert ask(connection, "GET", "/readyz")[0] == 200


@pytest.mark.parametrize(("target", "status", "kind"), [
    ("/v1/workers/99", 404, "not_found"),
    ("/v1/workers/first", 422, "invalid_params"),
    ("/v1/workers?bogus=1", 422, "invalid_params"),
    ("/v1/workers?fields=pid&fields=state", 422, "invalid_params"),
    ("/v1/stats?select=%zz", 422, "invalid_params"),
    ("/v1/stats?select=%1b", 422, "invalid_params"),
    ("/v1/jobs/r-999", 404, "not_found"),
])
def test_errors_keep_their_kind(gateway, target, status, kind):
    got, _, body = ask(gateway.unix(), "GET", target)
    assert (got, body["error"]["data"]["kind"]) == (status, kind)


def test_no_get_changes_anything(gateway):
    for target in ("/v1/reload", "/v1/scale", "/v1/stop", "/rpc"):
        status, fields, _ = ask(gateway.unix(), "GET", target)
        assert (status, fields["Allow"]) == (405, "POST")
    assert ask(gateway.unix(), "GET", "/v1/nothing")[0] == 404


def test_an_order_is_a_job(gateway):
    connection = gateway.unix()
    status, fields, body = ask(connection, "POST", "/v1/scale", {"target": 3})
    assert status == 202 and fields["Location"] == f"/v1/jobs/{body['job']}"
    wait_for(lambda: ask(connection, "GET", fields["Location"])[2]["state"] == "done", 10, "done")
    status, _, body = ask(connection, "POST", "/v1/scale", {"target": 0})
    assert status == 422 and body["error"]["data"]["param"] == "target"
    assert ask(connection, "POST", "/v1/scale", "[1]")[0] == 422
    assert ask(connection, "POST", "/v1/scale", {"target": 2})[0] == 202


def test_rpc(gateway):
    connection = gateway.unix()
    status, _, body = ask(connection, "POST", "/rpc", {"id": "x", "method": "session.whoami"})
    assert status == 200 and body["id"] == "x" and body["result"]["uid"] == os.getuid()
    assert body["result"]["role"] == "admin"
    assert ask(connection, "POST", "/rpc", {"id": 1, "method": "no.such"})[0] == 404
    assert ask(connection, "POST", "/rpc", {"id": 1, "method": "events.subscribe"})[0] == 501
    assert ask(connection, "POST", "/rpc", "{}")[0] == 400


def test_a_client_of_the_socket_may_what_the_kernel_says_it_is(gateway):
    def ask_as_somebody(request):
        out = subprocess.run([sys.executable, "-c", AS_SOMEBODY, gateway.path, request],
                             capture_output=True, text=True, check=True, timeout=20)
        return out.stdout

    head = "Host: shoal\r\nConnection: close\r\n"
    assert ask_as_somebody(f"GET /v1/status HTTP/1.1\r\n{head}\r\n").startswith("HTTP/1.1 200 ")
    refused = ask_as_somebody(f"POST /v1/reload HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n")
    assert refused.startswith("HTTP/1.1 403 ") and '"needs"' not in refused.split("\r\n\r\n")[0]
    assert "operator" in refused


def test_the_port_shows_and_does_nothing_without_the_token(gateway):
    connection = gateway.tcp()
    status, fields, body = ask(connection, "POST", "/v1/logs/reopen", {})
    assert (status, fields["WWW-Authenticate"]) == (401, "Bearer")
    assert body["error"]["data"]["needs"] == "operator"
    for wrong in (TOKEN[:-1], TOKEN + "x", "x" * len(TOKEN)):
        status, _, _ = ask(connection, "POST", "/v1/logs/reopen", {},
                           {"Authorization": f"Bearer {wrong}"})
        assert status == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(connection, "POST", "/v1/logs/reopen", {}, right)[0] == 202
    assert ask(connection, "GET", "/v1/requests", None, right)[0] == 200
    status, _, body = ask(connection, "POST", "/v1/stop", {}, right)
    assert (status, body["error"]["data"]["kind"]) == (403, "permission_denied")
    # The token was of that request alone.
    assert ask(connection, "GET", "/v1/requests")[0] == 401


@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "evil.example"}, 421),
    ({"Host": "evil.example:8000"}, 421),
    ({"Host": "shop.EXAMPLE:1"}, 200),
    ({"Host": "[::1]:9"}, 200),
    ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
    ({"Host": "localhost", "Origin": "null"}, 403),
    ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
])
def test_pages_of_other_sites_get_nothing(gateway, headers, status):
    assert ask(gateway.tcp(), "GET", "/v1/status", None, headers)[0] == status


@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "evil.example:9000"}, 421),
    ({"Host": "shoal", "Origin": "http://evil.example"}, 403),
    ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
    ({"Host": "127.0.0.1:9000"}, 200),
    ({"Host": "shoal"}, 200),
])
def test_they_get_nothing_through_a_tunnel_either(gateway, headers, status):
    """ssh -L makes a port of the control socket, with the rights of who made it."""
    assert ask(gateway.unix(), "GET", "/v1/status", None, headers)[0] == status


def test_a_form_cannot_give_orders(gateway):
    fields = {"Content-Type": "text/plain", "Authorization": f"Bearer {TOKEN}"}
    assert ask(gateway.tcp(), "POST", "/v1/drain", "{}", fields)[0] == 415


@pytest.mark.parametrize("bytes_", [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /" + b"x" * 70000,
    b"POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
], ids=["no Host", "endless target", "huge body", "two lengths"])
def test_what_is_no_request_is_refused(gateway, bytes_):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(gateway.path))
        sock.sendall(bytes_)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert ask(gateway.unix(), "GET", "/v1/status")[0] == 200


class Events:
    """One stream of server-sent events."""

    def __init__(self, connection, target, last=None):
        self.connection = connection
        connection.request("GET", target, headers={"Last-Event-ID": str(last)} if last else {})
        self.answer = connection.getresponse()
        assert self.answer.getheader("Content-Type") == "text/event-stream"

    def next(self):
        """(name, id, data) of the next one."""
        fields = {}
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            line = line.rstrip("\n")
            if line == "" and "data" in fields:
                return fields["event"], fields.get("id"), json.loads(fields["data"])
            name, _, value = line.partition(": ")
            fields[name] = value

    def until(self, wanted):
        while True:
            name, number, data = self.next()
            if name == "event" and data["type"] == wanted:
                return int(number), data


@pytest.mark.parametrize("door", ["unix", "tcp"])
def test_events_as_they_happen_and_those_that_were_missed(gateway, door):
    first = Events(getattr(gateway, door)(), "/v1/events")
    ask(gateway.unix(), "POST", "/v1/logs/reopen", {})
    seq, _ = first.until("log.reopened")
    first.connection.close()
    ask(gateway.unix(), "POST", "/v1/logs/reopen", {})
    again = Events(getattr(gateway, door)(), "/v1/events", last=seq)
    later, data = again.until("log.reopened")
    assert later > seq and data["seq"] == later


def test_the_dashboards_stream_has_numbers_too(gateway):
    stream = Events(gateway.tcp(), "/v1/stats/stream")
    seen = [stream.next() for _ in range(3)]
    stats = [data for name, _, data in seen if name == "stats"]
    assert len(stats) >= 2 and stats[0]["totals"].keys() == stats[1]["totals"].keys()
    assert {w["slot"] for w in stats[1]["workers"]} >= {0, 1}
    other = Events(gateway.tcp(), "/v1/stats/stream")
    assert other.next()[0] == "stats"


def test_it_has_nobodys_rights_and_comes_back(gateway):
    ask(gateway.unix(), "GET", "/v1/status")
    pid = gateway.process()
    if os.getuid() == 0:
        assert os.stat(f"/proc/{pid}").st_uid == pwd.getpwnam("nobody").pw_uid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gateway.process() not in (None, pid), 10, "another gateway")
    assert wait_for(lambda: ask(gateway.tcp(), "GET", "/v1/status")[0] == 200, 10, "an answer")
    assert ask(gateway.unix(), "GET", "/v1/status")[0] == 200


def test_who_only_reached_the_port_sees_no_account(gateway):
    for target in ("/v1/accounting", "/v1/accounts"):
        status, _, body = ask(gateway.tcp(), "GET", target)
        assert status in (401, 403) and body["error"]["data"]["kind"] == "permission_denied"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(gateway.tcp(), "GET", "/v1/accounts", None, bearer)[0] == 200
