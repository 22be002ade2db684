"""A body the application does not read: its answer arrives whole all the same.

SPDX-License-Identifier: MIT
"""

import pytest

SIZE = 100_000
CHUNK = b"1000\r\n" + b"x" * 4096 + b"\r\n"
HEAD = (f"POST /big?size={SIZE} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n").encode()


@pytest.fixture
def srv(server):
    return server("zoo:application", "--request-buffering", "off")


def answer_begun(conn):
    """The application is finished; most of its answer still waits in the server's socket."""
    conn.send(HEAD + CHUNK)
    head = conn.read_exact(15)
    assert head == b"HTTP/1.1 200 OK"
    return len(head)


def test_a_chunked_body_goes_on_for_longer_than_is_discarded(srv):
    with srv.connect(rcvbuf=8192) as conn:
        got = answer_begun(conn)
        conn.send(CHUNK * 60)
        conn.send(b"0\r\n\r\n")
        conn.send_eof()
        assert got + len(conn.read_all()) > SIZE
