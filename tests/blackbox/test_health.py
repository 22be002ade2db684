"""The health answer, which the application never sees, is framed like any other.

SPDX-License-Identifier: MIT
"""

import pytest
from raw_client import request

PATH = "/-/healthz"


@pytest.fixture(scope="module")
def srv(module_server):
    return module_server("zoo:application", "--health-path", PATH)


def test_a_connection_goes_on_behind_it(srv):
    with srv.connect() as conn:
        for method in ("GET", "HEAD", "GET"):
            answer = conn.ask(PATH, method)
            assert (answer.status, answer.get("Content-Length")) == (200, "3")
            assert not answer.closes
        assert conn.ask("/hello").status == 200


def test_no_body_behind_head(srv):
    with srv.connect() as conn:
        conn.send(request(PATH, "HEAD") + request("/hello"))
        assert conn.response("HEAD").status == 200
        assert b"hello" in conn.response().body.lower()


@pytest.mark.parametrize(
    "version, option, says",
    [("1.1", "close", "close"), ("1.0", None, "close"), ("1.0", "keep-alive", "keep-alive")],
)
def test_it_says_what_becomes_of_the_connection(srv, version, option, says):
    headers = [("Connection", option)] if option else []
    with srv.connect() as conn:
        conn.send(request(PATH, headers=headers, version=version))
        answer = conn.response()
        assert (answer.body, answer.get("Connection")) == (b"ok\n", says)
        if says == "close":
            assert conn.at_eof()
        else:
            assert conn.ask(PATH).status == 200
