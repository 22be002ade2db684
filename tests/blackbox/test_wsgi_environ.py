"""The environ: every key of it, and what the application may do with it.

SPDX-License-Identifier: MIT
"""

import json
import socket

import pytest
from shoal_harness import SANITIZED

# A sanitizer's runtime has to be first in the process, which exec of python rules out.
LAUNCHES = ["embed"] if SANITIZED else ["embed", "exec"]


def look(server, target="/shape", **more):
    answer = server.ask(target, **more)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.fixture(scope="module")
def probe(module_server):
    return module_server("probe", "--environ", "deploy.colour=green", "--log-level", "debug")


def test_is_an_exact_dict_with_every_key(probe):
    saw = look(probe, "/shape/a%20b%C3%A9?x=%20", headers=[("X-A", "1"), ("Content-Type", "t/x")])
    plain = saw["plain"]
    assert saw["exact"]
    assert plain["REQUEST_METHOD"] == "GET"
    assert plain["SCRIPT_NAME"] == ""
    assert plain["PATH_INFO"] == "/shape/a b\xc3\xa9"
    assert plain["RAW_PATH_INFO"] == "/shape/a%20b%C3%A9"
    assert plain["RAW_URI"] == "/shape/a%20b%C3%A9?x=%20"
    assert plain["QUERY_STRING"] == "x=%20"
    assert plain["CONTENT_TYPE"] == "t/x" and "HTTP_CONTENT_TYPE" not in plain
    assert plain["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert plain["GATEWAY_INTERFACE"] == "CGI/1.1"
    assert plain["REMOTE_ADDR"] == "127.0.0.1" and plain["REMOTE_PORT"] == str(saw["peer"][1])
    assert plain["HTTP_X_A"] == "1"
    assert plain["wsgi.url_scheme"] == "http" and "HTTPS" not in plain
    assert plain["wsgi.run_once"] is False and plain["wsgi.input_terminated"] is True
    assert plain["wsgi.multithread"] is False and plain["wsgi.multiprocess"] is False
    assert plain["shoal.worker"] == 0 and plain["shoal.request_id"]
    assert plain["deploy.colour"] == "green"
    assert saw["version"] == [1, 0] and saw["same_input"] and saw["hooks"] == []
    assert saw["kinds"]["shoal.delivered_hooks"] == "list"
    for key in ("wsgi.errors", "wsgi.file_wrapper", "eventlet.set_idle", "shoal.early_hints"):
        assert key in saw["kinds"]


def test_server_name_and_port_are_the_sockets(probe):
    plain = look(probe)["plain"]
    assert plain["SERVER_NAME"] == "127.0.0.1"
    assert plain["SERVER_PORT"] == str(probe.port)


def test_content_keys_only_when_sent(probe):
    plain = look(probe)["plain"]
    assert "CONTENT_TYPE" not in plain and "CONTENT_LENGTH" not in plain
    assert plain["QUERY_STRING"] == ""
    with_body = look(probe, method="POST", body=b"12345")["plain"]
    assert with_body["CONTENT_LENGTH"] == "5" and "HTTP_CONTENT_LENGTH" not in with_body


def test_raw_headers_as_received(probe):
    sent = [("hOsT", "t"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]
    saw = look(probe, headers=sent)
    assert saw["raw"][: len(sent)] == [list(pair) for pair in sent]
    assert saw["plain"]["HTTP_X_A"] == "1,2"
    assert saw["plain"]["HTTP_COOKIE"] == "a=1; b=2"


def test_underscore_and_proxy_stay_out(probe):
    plain = look(probe, headers=[("X_A", "1"), ("Proxy", "p"), ("X-B", "2")])["plain"]
    assert "HTTP_X_A" not in plain and "HTTP_PROXY" not in plain
    assert plain["HTTP_X_B"] == "2"


def test_nothing_of_one_request_reaches_the_next(probe):
    with probe.connect() as conn:
        first = [("X-Only-First", "1"), ("X-Both", "a"), ("Content-Type", "a/b")]
        json.loads(conn.ask("/shape?q", headers=first).body)
        saw = json.loads(conn.ask("/shape", headers=[("X-Both", "b")]).body)["plain"]
        assert "HTTP_X_ONLY_FIRST" not in saw and "CONTENT_TYPE" not in saw
        assert saw["HTTP_X_BOTH"] == "b" and saw["QUERY_STRING"] == ""
        again = json.loads(conn.ask("/shape?q", headers=first).body)["plain"]
        assert again["HTTP_X_ONLY_FIRST"] == "1" and again["HTTP_X_BOTH"] == "a"
        assert again["shoal.request_id"] != saw["shoal.request_id"]


def test_many_different_names_and_long_values(probe):
    with probe.connect() as conn:
        for i in range(40):
            names = [(f"X-Name-{i}-{j}", str(j)) for j in range(60)]
            names.append(("X-Long", "v" * 3000))
            plain = json.loads(conn.ask("/shape", headers=names).body)["plain"]
            for name, value in names:
                assert plain["HTTP_" + name.upper().replace("-", "_")] == value


def test_fresh_context_per_request(probe):
    with probe.connect() as conn:
        for _ in range(3):
            assert json.loads(conn.ask("/context").body) == [None, True]


def test_unix_peer(server):
    one = server("addresses", bind="unix")
    assert json.loads(one.ask("/").body) == ["unix", "", "unix", ""]


def test_each_listener_has_its_name(server, tmp_path):
    path = tmp_path / "second.sock"
    one = server("addresses", "--bind", f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        body = sock.makefile("rb").read().split(b"\r\n\r\n", 1)[1]
    assert json.loads(body) == ["unix", "", "unix", ""]
    assert json.loads(one.ask("/").body)[2:] == ["127.0.0.1", str(one.port)]


def test_threads_and_workers_are_told(server):
    many = server("probe", "--threads", "3", workers=2)
    plain = look(many)["plain"]
    assert plain["wsgi.multithread"] is True and plain["wsgi.multiprocess"] is True


def test_root_path(server):
    assert look(server("probe", "--root-path", "/api"))["plain"]["SCRIPT_NAME"] == "/api"


def test_compat_eventlet(server):
    old = server("probe", "--compat", "eventlet")
    plain = look(old)["plain"]
    assert plain["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert plain["CONTENT_TYPE"] == "text/plain"
    assert "QUERY_STRING" not in plain
    assert look(old, "/shape?")["plain"]["QUERY_STRING"] == ""


@pytest.mark.parametrize("launch", LAUNCHES)
def test_both_launches(server, launch):
    one = server("probe", "--python-launch", launch)
    assert one.ask("/valid/hello").body == b"valid"
    assert one.ask("/valid/echo", "POST", body=b"x" * 900).body == b"x" * 900
