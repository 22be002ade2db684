"""Application threads: side by side, parked, waiting, and stopped.

SPDX-License-Identifier: MIT
"""

import json
import os
import signal
import threading

import pytest
from waiting import wait_for


@pytest.mark.parametrize("threads", [1, 4])
def test_as_many_at_once_as_threads(server, record, tmp_path, threads):
    zoo = server("zoo", "--threads", threads, env={"RECORD": str(record)})
    gate = tmp_path / "gate"
    conns = [zoo.connect() for _ in range(threads)]
    for i, conn in enumerate(conns):
        conn.send(b"GET /hold?id=%d&file=%b HTTP/1.1\r\nHost: t\r\n\r\n"
                  % (i, str(gate).encode()))
    wait_for(lambda: record.read_text().count("held") == threads, what="every thread at work")
    gate.write_text("")
    assert [conn.response("GET").body for conn in conns] == [b"released"] * threads


def test_a_waiting_reader_does_not_keep_work_from_idle_threads(server):
    probe = server("probe", "--threads", "2", "--request-buffering", "off")
    with probe.connect() as slow:
        slow.send(b"POST /reads?r HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab")
        for _ in range(50):
            assert probe.ask("/valid/hello").body == b"valid"
        assert slow.send(b"cd").response("POST").body == b'["abcd"]'


@pytest.mark.parametrize("threads", [1, 3])
def test_slow_readers_hold_no_thread(server, threads):
    zoo = server("zoo", "--threads", threads)
    size = 8 * 1024 * 1024
    slow = [zoo.connect(rcvbuf=4096, timeout=30) for _ in range(6)]
    for conn in slow:
        conn.send(b"GET /big?kind=gen&size=%d HTTP/1.1\r\nHost: t\r\n\r\n" % size)
    for _ in range(20):
        assert zoo.ask("/hello").body == b"hello"
    for conn in slow:
        assert len(conn.response("GET").body) == size


def test_mixed_load_on_threads(server):
    probe = server("probe", "--threads", "4")
    failures = []

    def client(seed):
        try:
            with probe.connect() as conn:
                for i in range(60):
                    name = f"X-{(seed + i) % 7}"
                    answer = conn.ask(f"/shape?{seed}", headers=[(name, f"{seed}-{i}")])
                    plain = json.loads(answer.body)["plain"]
                    key = "HTTP_" + name.upper().replace("-", "_")
                    assert plain[key] == f"{seed}-{i}" and plain["QUERY_STRING"] == str(seed)
                    assert conn.ask("/empties").body == b"ab"
                    body = b"%d" % i
                    assert conn.ask("/valid/echo", "POST", body=body).body == body
        except AssertionError as error:
            failures.append(error)

    clients = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for t in clients:
        t.start()
    for t in clients:
        t.join(60)
    assert not failures, failures[0]


def test_signal_handlers_of_the_application_run_while_idle(server, record):
    app = server("handlers", env={"RECORD": str(record)})
    for _ in range(3):
        before = record.read_text().count("usr2")
        os.kill(app.worker, signal.SIGUSR2)
        wait_for(lambda n=before: record.read_text().count("usr2") == n + 1, what="the handler")
    assert app.ask("/").body == b"handled 3"


def test_end_runs_hooks_atexit_and_flushes(server, record):
    app = server("handlers", env={"RECORD": str(record)})
    assert app.ask("/hook").body == b"handled 0"
    app.signal(signal.SIGTERM)
    assert app.wait_exit() == 0
    app.check_after_exit()
    assert record.read_text().split() == ["hook", "thread", "atexit"]
    assert "unflushed words" in app.log
