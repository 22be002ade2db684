"""What an application does wrong is a 500 or an abort and a line in the log, no more.

SPDX-License-Identifier: MIT
"""

import os
import signal

import pytest
from raw_client import BadAnswer, Closed
from shoal_harness import run_to_end
from waiting import wait_for

# path: words the log must have
FIVE_HUNDRED = {
    "raises_in_app": "app raised",
    "raises_before_first": "before first item",
    "system_exit": "SystemExit",
    "keyboard_interrupt": "KeyboardInterrupt",
    "no_start_response": "start_response",
    "returns_none": "NoneType",
    "returns_number": "int",
    "str_body": "str",
    "twice": "start_response",
    "one_argument": "start_response",
    "status_words": "status",
    "status_two_digits": "status",
    "status_four_digits": "status",
    "status_zero": "status",
    "status_injection": "status",
    "status_number": "status",
    "status_bytes": "status",
    "status_not_latin": "status",
    "value_crlf": "header",
    "value_lf": "header",
    "value_nul": "header",
    "value_not_latin": "header",
    "value_number": "header",
    "value_bytes": "header",
    "name_space": "header",
    "name_empty": "header",
    "name_colon": "header",
    "name_crlf": "header",
    "name_bytes": "header",
    "header_triple": "header",
    "length_words": "Content-Length",
    "length_negative": "Content-Length",
    "length_twice": "Content-Length",
}
ABORTED = {
    "raises_after_first": "after first item",
    "system_exit_in_body": "SystemExit",
    "str_body_later": "str",
    "short_body": "Content-Length|short",
}


@pytest.fixture(scope="module")
def wrong(module_server):
    srv = module_server("wrong:application")
    srv.allow_log(r".*")
    srv.first_worker = srv.worker
    return srv


def new_lines(srv, before, pattern):
    import re

    regex = re.compile(pattern, re.IGNORECASE)
    wait_for(
        lambda: any(regex.search(line) for line in srv.lines[before:]),
        what=f"{pattern!r} in {srv.lines[before:]}",
    )


def still_serves(srv):
    assert srv.ask("/fine").body == b"fine"
    assert srv.worker == srv.first_worker, "the worker was replaced"


@pytest.mark.parametrize("name", FIVE_HUNDRED)
def test_is_a_500_and_a_log_line(wrong, name):
    before = len(wrong.lines)
    answer = wrong.ask(f"/{name}")
    assert answer.status == 500
    assert b"Traceback" not in answer.body
    assert not answer.all("X-Injected")
    new_lines(wrong, before, FIVE_HUNDRED[name])
    still_serves(wrong)


@pytest.mark.parametrize("name", ABORTED)
def test_cuts_the_answer(wrong, name):
    before = len(wrong.lines)
    with wrong.connect() as conn, pytest.raises((Closed, BadAnswer, ConnectionError)):
        conn.ask(f"/{name}")
    new_lines(wrong, before, ABORTED[name])
    still_serves(wrong)


def test_longer_body_is_cut_to_its_length_and_logged(wrong):
    before = len(wrong.lines)
    with wrong.connect() as conn:
        assert conn.ask("/long_body").body == b"long"
        conn.eof or conn.quiet(0.05)
        assert not conn.buf
    new_lines(wrong, before, "Content-Length|longer")
    still_serves(wrong)


def test_close_that_raises_is_logged_and_the_answer_stands(wrong):
    before = len(wrong.lines)
    assert wrong.ask("/close_raises").body == b"all of it"
    new_lines(wrong, before, "close raised")
    still_serves(wrong)


def test_debug_shows_the_traceback_to_the_client(server):
    srv = server("wrong:application", "--debug")
    srv.expect_log(r".*")
    assert b"app raised" in srv.ask("/raises_in_app").body


# ---- the two ends an application can give its process ----


@pytest.mark.parametrize("how", ["exit", "segv"])
def test_death_of_a_worker_names_its_request(server, record, how):
    srv = server("zoo:application", env={"RECORD": str(record)}, workers=2)
    srv.allow_log(r".*")
    srv.crashes = how == "segv"
    before = srv.worker_pids()
    with srv.connect() as conn:
        conn.send(f"GET /die?how={how} HTTP/1.1\r\nHost: t\r\n\r\n")
        assert conn.gone()
    srv.wait_log(r"request lost .*GET path=\"/die\"")
    assert srv.ask("/hello").body == b"hello"
    wait_for(
        lambda: len(srv.worker_pids()) == 2 and srv.worker_pids() != before,
        10,
        "the dead worker's replacement",
    )
    assert len(set(before) & set(srv.worker_pids())) == 1, "the other one went as well"


def test_kill_9_of_a_worker_harms_no_other(server):
    srv = server("zoo:application", workers=2)
    srv.allow_log(r".*")
    conns = [srv.connect() for _ in range(12)]
    owners = [int(c.ask("/pid").body) for c in conns]
    victim = owners[0]
    os.kill(victim, signal.SIGKILL)
    for conn, owner in zip(conns, owners, strict=True):
        if owner != victim:
            assert int(conn.ask("/pid").body) == owner
    wait_for(lambda: victim not in srv.worker_pids() and len(srv.worker_pids()) == 2, 10)
    assert srv.ask("/hello").body == b"hello"


# ---- applications that do not load: exit 3 ----


@pytest.mark.parametrize(
    "app,words",
    [
        ("no_such_module:app", "no_such_module"),
        ("zoo:no_such_name", "no_such_name"),
        ("broken_import:app", "ZeroDivisionError"),
        ("broken_syntax:app", "SyntaxError"),
        ("zoo:BLOCK", "cannot be called\n"),
    ],
)
def test_application_that_does_not_load(app, words, tmp_path):
    (tmp_path / "broken_import.py").write_text("1 / 0\n")
    (tmp_path / "broken_syntax.py").write_text("def app(:\n")
    done = run_to_end(
        "-b", f"unix:{tmp_path}/s", "--pythonpath", tmp_path, "-w", 2, app
    )
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    if words.endswith("Error"):
        assert "Traceback" in done.stderr
    assert not (tmp_path / "s").exists(), "the socket was left behind"
