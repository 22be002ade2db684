"""Accepting under pressure: descriptors run out, workers share, the end comes in a storm.

SPDX-License-Identifier: MIT
"""

import collections
import re
import resource
import signal
import socket
import subprocess
import threading

import pytest
from raw_client import Closed, Conn, request
from shoal_harness import APPS, BINARY, SLOW, server_environment
from waiting import wait_for


def test_descriptors_run_out(server):
    """New clients wait, those served go on, nobody spins, and it recovers by itself."""
    srv = server("zoo:application")
    used = len(srv.baseline[srv.worker])
    resource.prlimit(srv.worker, resource.RLIMIT_NOFILE, (used + 20, used + 20))
    srv.expect_log(r"accept: cannot accept, pausing .*hint=")
    served = srv.connect()
    assert served.ask("/hello").body == b"hello"
    crowd = [srv.connect() for _ in range(60)]
    srv.wait_log("cannot accept, pausing")
    assert served.ask("/hello").body == b"hello"
    last = crowd.pop().send(request("/hello"))
    for conn in crowd:
        conn.close()
    assert last.response().body == b"hello"
    assert len([x for x in srv.lines if "cannot accept" in x]) == 1


def test_workers_share_the_connections(server):
    """Keep-alive clients stay where they landed, so they must land evenly."""
    srv = server("zoo:application", workers=2)
    conns = []
    for _ in range(60):
        conns.append(srv.connect())
        assert conns[-1].ask("/hello").body == b"hello"
    served = collections.Counter(conn.ask("/pid").body for conn in conns)
    assert len(served) == 2, served
    assert min(served.values()) >= 20, served


@pytest.fixture
def own_socket(tmp_path):
    """A server that bound its own port, so that nobody listens on it afterwards."""
    log = tmp_path / "log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [BINARY, "-b", f"127.0.0.1:{port}", "-w", "2", "zoo:application"],
            cwd=APPS, env=server_environment(), stdout=out, stderr=out,
        )

    def text():
        return log.read_text()

    try:
        wait_for(lambda: text().count("worker ready") == 2, 15 * SLOW, "two workers ready")
        yield port, process, text
    finally:
        process.kill()
        process.wait()


def one_request(port):
    """"served", "refused" before a connection was there, or what went wrong."""
    try:
        sock = socket.create_connection(("127.0.0.1", port), timeout=0.5)
        with sock, Conn(sock, 5 * SLOW) as conn:
            conn.send(request("/hello"))
            return "served" if conn.response().body == b"hello" else "wrong"
    except (ConnectionRefusedError, TimeoutError):
        return "refused"  # a SYN that is not answered, or answered "no": both are no promise
    except (OSError, Closed) as error:
        return f"broken: {error!r}"


def test_a_stop_in_a_storm_of_new_connections_resets_nobody(own_socket):
    port, process, text = own_socket
    results, over = collections.Counter(), threading.Event()

    def storm():
        while not over.is_set():
            results[one_request(port)] += 1

    clients = [threading.Thread(target=storm) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        wait_for(lambda: results["served"] > 300, 20 * SLOW, "a storm")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15 * SLOW) == 0, text()
    finally:
        over.set()
        for client in clients:
            client.join()
    assert set(results) <= {"served", "refused"}, results
    assert not re.search(r"\[(ERROR|CRITICAL)\]", text()), text()
