"""Clients that leave, at every stage and in both ways: nobody else notices.

SPDX-License-Identifier: MIT
"""

import contextlib
import time

import pytest
from raw_client import request
from shoal_harness import SLOW
from waiting import holds, wait_for

SIZE = 5_000_000


@pytest.fixture
def zoo(server, record):
    srv = server("zoo:application", env={"RECORD": str(record)})
    srv.allow_log("hooked|client|OSError|short|peer")
    return srv


def count(record, word):
    return sum(x.startswith(word + " ") for x in record.read_text().splitlines())


def before_a_byte(srv, gate):
    return srv.connect()


def in_head(srv, gate):
    return srv.connect().send("GET /hooked?id=1 HTTP/1.1\r\nHo")


def after_head_of_post(srv, gate):
    return srv.connect().send(
        "POST /hooked?id=1&read=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n"
    )


def in_body(srv, gate):
    return after_head_of_post(srv, gate).send(b"x" * 500000)


def in_chunked_body(srv, gate):
    return srv.connect().send(
        "POST /hooked?id=1&read=1 HTTP/1.1\r\nHost: t\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe"
    )


def while_the_application_works(srv, gate):
    conn = srv.connect().send(request(f"/hooked?id=1&file={gate}"))
    wait_for(lambda: srv.record.read_text(), what="the application to begin")
    return conn


def in_response_bytes(srv, gate):
    conn = srv.connect(rcvbuf=8192).send(request(f"/hooked?id=1&size={SIZE}"))
    conn.read_exact(20000)
    return conn


def in_response_generator(srv, gate):
    target = f"/hooked?id=1&kind=gen&size={SIZE}"
    conn = srv.connect(rcvbuf=8192).send(request(target))
    conn.read_exact(20000)
    return conn


def after_response(srv, gate):
    conn = srv.connect()
    assert conn.ask("/hooked?id=1").status == 200
    return conn


def before_second_pipelined(srv, gate):
    conn = srv.connect()
    conn.send(request("/hooked?id=1") + request(f"/hooked?id=2&file={gate}"))
    conn.response()
    wait_for(lambda: count(srv.record, "app") == 2, what="the second to begin")
    return conn


# stage: requests that must have reached the application (None: either is right)
STAGES = {
    before_a_byte: 0,
    in_head: 0,
    after_head_of_post: None,
    in_body: None,
    in_chunked_body: None,
    while_the_application_works: 1,
    in_response_bytes: 1,
    in_response_generator: 1,
    after_response: 1,
    before_second_pipelined: 2,
}


@pytest.mark.parametrize("way", ["rst", "fin"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda f: f.__name__)
def test_client_leaves(zoo, record, tmp_path, stage, way):
    """Hooks and close() run once for each request that reached the application."""
    zoo.record = record
    gate = tmp_path / "gate"
    conn = stage(zoo, gate)
    if way == "rst":
        conn.reset()
    else:
        conn.close()
    gate.touch()
    reached = STAGES[stage]

    def settled():
        apps, hooks = count(record, "app"), count(record, "hook")
        closed = count(record, "close") + count(record, "short")
        return apps == hooks == closed and reached in (None, apps)

    wait_for(settled, 5 * SLOW, "as many hooks and close() as requests")
    assert holds(settled, 0.05), record.read_text()
    assert zoo.ask("/hello").body == b"hello"
    assert zoo.worker


def test_storm_of_aborts(zoo, record, tmp_path):
    """Some hundred aborts of all kinds at once; every request has its hook in the end."""
    zoo.record = record
    gate = tmp_path / "gate"
    gate.touch()
    for round_ in range(15):
        for stage in (in_head, in_body, in_chunked_body, in_response_generator,
                      in_response_bytes, after_response):  # fmt: skip
            conn = stage(zoo, gate)
            conn.reset() if round_ % 2 else conn.close()

    def settled():
        return (
            count(record, "app")
            == count(record, "hook")
            == count(record, "close") + count(record, "short")
            >= 45
        )

    wait_for(settled, 10 * SLOW, "as many hooks and close() as requests")
    assert zoo.ask("/hello").body == b"hello"


@pytest.mark.parametrize("kind", ["bytes", "gen"])
def test_100_dropped_downloads_do_not_delay_the_101st(server, kind):
    srv = server("zoo:application")
    conns = []
    for _ in range(100):
        conn = srv.connect(rcvbuf=4096)
        conn.send(request(f"/big?kind={kind}&size=20000000", headers=[]))
        conns.append(conn)
    for conn in conns:
        with contextlib.suppress(ConnectionError):
            conn.reset()
    start = time.monotonic()
    assert srv.ask("/hello", timeout=20 * SLOW).body == b"hello"
    # The 100 calls of the application itself take a while; waiting for a client does not.
    assert time.monotonic() - start < 5 * SLOW


@pytest.mark.parametrize("kind", ["bytes", "gen"])
def test_slow_readers_leave_the_thread_to_others(server, kind):
    """Four that read nothing of 20 MB, one worker, one thread: others under 50 ms."""
    srv = server("zoo:application", "-w", "1", "--threads", "1")
    slow = []
    for _ in range(4):
        conn = srv.connect(rcvbuf=4096)
        conn.send(request(f"/big?kind={kind}&size=20000000"))
        conn.read_exact(2000)
        slow.append(conn)
    srv.ask("/hello")
    times = []
    for _ in range(20):
        start = time.monotonic()
        assert srv.ask("/hello").body == b"hello"
        times.append(time.monotonic() - start)
    assert sorted(times)[-2] < 0.05 * SLOW, times
    for conn in slow:
        conn.buf.clear()
        rest = 0
        conn.timeout = 30 * SLOW
        while rest < 1_000_000:
            rest += len(conn.read_exact(100_000))


def test_static_refusal_beside_a_busy_view(server):
    """A 500 ms view holds the interpreter; what C answers does not wait for it."""
    srv = server("zoo:application")
    for _ in range(3):
        busy = srv.connect().send(request("/cpu?ms=500"))
        assert busy.quiet(0.05)
        start = time.monotonic()
        answer = srv.connect().send(b"GET / HTTP/9.9\r\n\r\n").response()
        taken = time.monotonic() - start
        assert answer.status == 505
        assert taken < 0.05 * SLOW, f"{taken * 1000:.0f} ms"
        assert busy.response().body == b"done"


def test_greedy_keep_alive_clients_do_not_starve_new_ones(server):
    """One connection that always has the next request there; others get their turn."""
    srv = server("zoo:application")
    greedy = srv.connect()
    greedy.send(request("/wait?ms=10") * 200)
    greedy.response()
    start = time.monotonic()
    assert srv.ask("/hello").body == b"hello"
    assert time.monotonic() - start < 0.5 * SLOW
