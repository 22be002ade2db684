"""Green threads: a greenlet per request on the hub of eventlet or gevent.

SPDX-License-Identifier: MIT
"""

import signal
import time
import zlib

import pytest
from raw_client import request
from shoal_harness import SLOW, run_to_end
from waiting import wait_for


@pytest.fixture(params=["eventlet", "gevent"])
def library(request, green_library):
    return green_library(request.param)


@pytest.fixture
def green(server, record, library):
    def start(app="green", *options, workers=1):
        env = {"RECORD": str(record)}
        options = ("-k", library, *options)
        srv = server(f"{app}:application", *options, env=env, workers=workers)
        srv.record, srv.library = record, library
        return srv

    return start


def noted(srv, *words):
    line = " ".join(words)
    wait_for(lambda: line in srv.record.read_text().splitlines(), what=f"{line!r} noted")


def count(srv, word):
    return sum(x.split(" ")[0] == word for x in srv.record.read_text().splitlines())


def finish(srv, timeout=10):
    assert srv.wait_exit(timeout) == 0
    srv.check_after_exit()


def test_a_thousand_waiting_views(green):
    srv = green()
    conns = [srv.connect(timeout=10) for _ in range(1000)]
    start = time.monotonic()
    for conn in conns:
        conn.send(request("/wait?s=1"))
    for conn in conns:
        assert conn.response().body == b"waited"
    assert 1 <= time.monotonic() - start < 2.5
    for conn in conns:
        conn.close()


def test_context_and_thread_locals_are_a_requests_own(green):
    srv = green()
    conns = [srv.connect() for _ in range(50)]
    for _ in range(2):
        for i, conn in enumerate(conns):
            conn.send(request(f"/own?id={i}"))
        assert {conn.response().body for conn in conns} == {b"own"}


def test_environ_says_multithread(server, library):
    probe = server("probe", "-k", library)
    assert b'"wsgi.multithread": true' in probe.ask("/shape").body


@pytest.mark.parametrize("target", ["/big?kind=gen&size=4000000", "/big?kind=bytes&size=4000000"])
def test_slow_readers_keep_nobody_waiting(green, target):
    """Parked between two items, or finished with the answer still to be taken."""
    srv = green("zoo", "--output-high", "64k")
    slow = [srv.connect(rcvbuf=4096).send(request(target)) for _ in range(30)]
    for _ in range(20):
        assert srv.ask("/hello").body == b"hello"
    bodies = {zlib.crc32(conn.response(timeout=20 * SLOW).body) for conn in slow}
    assert len(bodies) == 1
    assert srv.ask("/hello").body == b"hello"


def test_write_waits_for_its_reader_alone(green):
    srv = green("green", "--output-high", "64k")
    slow = [srv.connect(rcvbuf=4096).send(request("/write?n=40")) for _ in range(10)]
    for _ in range(20):
        assert srv.ask("/wait?s=0").body == b"waited"
    for conn in slow:
        assert conn.response(timeout=20 * SLOW).body == b"w" * 40 * 65536


def test_uploads_wait_green(green):
    srv = green("zoo", "--request-buffering", "off")
    uploads = [srv.connect() for _ in range(20)]
    for conn in uploads:
        conn.send("POST /sink HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n")
        conn.send(b"x" * 100000)
    for _ in range(10):
        assert srv.ask("/hello").body == b"hello"
    for conn in uploads:
        assert conn.quiet(0)
        conn.send(b"x" * 100000)
    for conn in uploads:
        assert conn.response("POST").body.startswith(b"200000 ")


def test_client_that_leaves_while_its_greenlet_waits(green):
    srv = green()
    for i in range(20):
        srv.connect().send(request(f"/hooked?id={i}&s=0.3"))
    wait_for(lambda: count(srv, "app") == 20, what="20 requests begun")
    for conn in srv.conns:
        conn.reset()
    assert srv.ask("/wait?s=0").body == b"waited"
    wait_for(lambda: count(srv, "hook-end") == 20, what="20 hooks")
    assert count(srv, "woke") == count(srv, "hook") == 20


def test_client_that_leaves_while_its_body_is_read(green):
    srv = green("zoo", "--request-buffering", "off").allow_log("OSError|hooked")
    for i in range(10):
        conn = srv.connect()
        conn.send(f"POST /hooked?id={i}&read=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
    wait_for(lambda: count(srv, "app") == 10, what="10 requests begun")
    for conn in srv.conns:
        conn.reset()
    wait_for(lambda: count(srv, "hook") == 10, what="10 hooks")
    assert count(srv, "short") == 10


def test_hooks_run_once_in_their_requests_context(green):
    srv = green().expect_log("application failed", 20)
    conns = [srv.connect() for _ in range(40)]
    for i, conn in enumerate(conns):
        conn.send(request(f"/hooked?id={i}" + ("&raise=1" if i % 2 else "")))
    statuses = [conn.response().status for conn in conns]
    assert statuses == [200, 500] * 20
    wait_for(lambda: count(srv, "hook-end") == 40, what="40 hooks")
    lines = srv.record.read_text().splitlines()
    assert sorted(x for x in lines if x.startswith("hook ")) == sorted(
        f"hook {i} {i}" for i in range(40)
    )


def test_greenlet_exit_is_an_error_of_the_application(green):
    srv = green().expect_log("application failed")
    assert srv.ask("/killed").status == 500
    assert srv.ask("/wait?s=0").status == 200
    srv.wait_log("GreenletExit")


def test_a_timeout_of_the_library_interrupts_a_read(green):
    srv = green("green", "--request-buffering", "off")
    conn = srv.connect()
    conn.send(f"POST /impatient?library={srv.library} HTTP/1.1\r\nHost: t\r\n")
    conn.send("Content-Length: 5\r\n\r\n")
    wait_for(lambda: count(srv, "timeout") >= 3, what="three timeouts")
    assert conn.send("hello").response("POST").body == b"hello"


def test_one_greenlet_reads_a_body_at_a_time(green):
    srv = green("green", "--request-buffering", "off")
    conn = srv.connect().send("POST /twins HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n")
    noted(srv, "reading")
    answer = conn.send("x").response("POST")
    assert answer.body.count(b"another greenlet waits") == 2


def test_a_reader_is_told_that_the_request_is_over(green):
    srv = green("green", "--request-buffering", "off")
    conn = srv.connect().send("POST /left HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
    assert conn.response("POST").body == b"left"
    noted(srv, "reader", "the_request_is_over")


def test_timeout_answers_504_and_the_worker_goes_on(green):
    srv = green("green", "-t", "0.3").expect_log("request timed out")
    assert srv.ask("/wait?s=1").status == 504
    assert srv.ask("/wait?s=0").body == b"waited"


def test_connections_bound_the_greenlets(green):
    """Those whose client has left count as long as they run."""
    srv = green("green", "--worker-connections", "5")
    for i in range(5):
        srv.connect().send(request(f"/hooked?id={i}&s=1"))
    wait_for(lambda: count(srv, "app") == 5, what="5 requests begun")
    for conn in srv.conns:
        conn.reset()
    late = srv.connect().send(request("/hooked?id=late"))
    assert late.response().body == b"hooked"
    words = [x.split(" ")[:2] for x in srv.record.read_text().splitlines()]
    assert ["woke", "0"] in words[: words.index(["app", "late"])]


def test_stop_finishes_what_waits(green):
    srv = green()
    conns = [srv.connect().send(request(f"/hooked?id={i}&s=0.5")) for i in range(20)]
    wait_for(lambda: count(srv, "app") == 20, what="20 requests begun")
    srv.signal(signal.SIGTERM)
    assert [conn.response().body for conn in conns] == [b"hooked"] * 20
    finish(srv)
    assert count(srv, "hook-end") == 20


def test_stop_finishes_what_streams(green, tmp_path):
    srv = green("zoo")
    gate = tmp_path / "gate"
    conn = srv.connect().send(request(f"/stream?id=a&n=1000&file={gate}"))
    noted(srv, "streaming", "a")
    srv.signal(signal.SIGTERM)
    gate.touch()
    assert conn.response().body.endswith(b"item 999\n")
    finish(srv)


def test_flask(server, library):
    srv = server("flask_site:app", "-k", library)
    conns = [srv.connect() for _ in range(20)]
    for i, conn in enumerate(conns):
        conn.send(request(f"/users/{i}"))
    for i, conn in enumerate(conns):
        assert b'"number":%d' % i in conn.response().body.replace(b" ", b"")


def test_two_workers_share(green):
    srv = green("zoo", workers=2)
    conns = [srv.connect().send(request("/pid")) for _ in range(40)]
    assert len({conn.response().body for conn in conns}) == 2


def test_waiting_requests_do_not_close_the_gate(green, tmp_path):
    """Two workers leave connections to each other, but not because greenlets wait."""
    srv = green("zoo", workers=2)
    gate = tmp_path / "gate"
    conns = [srv.connect().send(request(f"/hold?id={i}&file={gate}")) for i in range(40)]
    wait_for(lambda: count(srv, "held") == 40, what="40 requests begun")
    gate.touch()
    assert {conn.response().body for conn in conns} == {b"released"}


def test_example_of_eventlet(server, green_library):
    """The hook example of eventlet's documentation, as Spawning would have run it."""
    green_library("eventlet")
    srv = server("posthooks:hello_world", "--threads", "0", "--compat", "eventlet")
    with srv.connect() as conn:
        for path in ("/a", "/b"):
            assert conn.ask(path).body == b"Hello, World!\r\n"
    srv.wait_log("Hook called: /a arg1 arg2 3 4")
    srv.wait_log("Hook called: /b arg1 arg2 3 4")


@pytest.mark.parametrize("library", ["eventlet", "gevent"])
def test_missing_library_is_one_sentence(tmp_path, library):
    (tmp_path / f"{library}.py").write_text("raise ImportError('not here')\n")
    (tmp_path / "app.py").write_text("application = print\n")
    done = run_to_end("-k", library, "-b", "127.0.0.1:0", "app", cwd=tmp_path)
    assert done.returncode == 3
    assert f"--worker-class {library} needs the package '{library}', which " in done.stderr
    assert "cannot import (ImportError: not here)" in done.stderr
    assert "Traceback" not in done.stderr
