"""The hooks of a gunicorn.conf.py that a worker calls: when, with what, and what if they raise.

SPDX-License-Identifier: MIT
"""

import os
import signal

import pytest
from mold_driver import MoldMaster
from shoal_harness import APPS, SANITIZED, SLOW
from waiting import wait_for

CONF = APPS / "gunicorn_hooks.conf.py"


@pytest.fixture
def hooked(server, record, executor):
    started = server("hello", *executor, "-c", CONF, env={"RECORD": str(record)})
    started.record = record
    return started


def notes(where, count):
    """The first count lines of the record, as soon as they are there."""
    def enough():
        lines = where.read_text().splitlines()
        return len(lines) >= count and lines

    return wait_for(enough, 10 * SLOW, f"{count} notes, has {where.read_text()!r}")


def test_from_fork_to_exit(hooked):
    assert hooked.ask("/x/y?a=b").status == 200
    found = notes(hooked.record, 4)
    assert found[0] == "post_fork 1 None 47 shop"
    assert found[1] == "post_worker_init True 1"
    assert found[2] == "pre_request GET /x/y a=b t 127.0.0.1 1"
    assert found[3] == "post_request /x/y True 200 OK 14 None"
    assert f'hooks: log text="spawned (pid: {hooked.worker})"' in hooked.log
    hooked.stop()
    assert notes(hooked.record, 5)[4:] == ["worker_exit False"]
    assert "[WARNING] hooks: log\nends\nafter 1" in hooked.log
    assert "hooks of the master are not called: when_ready" in hooked.log


def test_a_request_that_pre_request_refuses(hooked):
    hooked.expect_log("application failed")
    assert hooked.ask("/refused").status == 500
    assert notes(hooked.record, 4)[3] == "post_request /refused {} None"
    hooked.wait_log("RuntimeError: not this one")
    assert hooked.ask("/").status == 200
    assert notes(hooked.record, 6)[5] == "post_request / True 200 OK 14 None"


def test_post_request_that_raises_is_logged_and_no_more(hooked):
    hooked.expect_log("post hook failed")
    for _ in range(2):
        assert hooked.ask("/unlogged").status == 200
    notes(hooked.record, 6)
    hooked.wait_log("RuntimeError: not after this one", count=2)


def test_post_request_after_an_application_that_failed(server, record):
    started = server("probe", "-c", CONF, env={"RECORD": str(record)})
    started.expect_log("application failed").expect_log("post hook failed")
    assert started.ask("/hooked?raise").status == 500
    wait_for(
        lambda: "post_request /hooked True 500 Internal Server Error" in record.read_text(),
        10 * SLOW,
    )


@pytest.mark.parametrize("hook, text", [
    ("post_fork", "RuntimeError: no telemetry"),
    ("post_worker_init", "RuntimeError: no warmth"),
])
def test_a_worker_whose_hook_fails_does_not_load(server, record, hook, text):
    with pytest.raises(AssertionError, match="exit 3 at start") as failure:
        server("hello", "-c", CONF, env={"RECORD": str(record), "HOOKS": hook})
    assert text in str(failure.value)
    assert str(CONF) in str(failure.value), "the traceback names the file"
    assert notes(record, 2)[-1] == "worker_exit False"


def test_interrupts(server, record):
    """^C reaches workers, too: the hook runs, and the master sees to the end."""
    started = server("hello", "-c", CONF, env={"RECORD": str(record)})
    os.kill(started.worker, signal.SIGINT)
    assert notes(record, 3)[2] == "worker_int True"
    assert started.ask("/").status == 200


def test_abort(server, record):
    started = server("hello", "-c", CONF, env={"RECORD": str(record)})
    started.expect_log("worker died.*SIGABRT")
    started.crashes = True
    os.kill(started.worker, signal.SIGABRT)
    assert notes(record, 3)[2] == "worker_abort True"
    started.wait_log("worker ready", count=2, timeout=15)


@pytest.mark.parametrize("launch", ["embed"] if SANITIZED else ["embed", "exec"])
def test_forked_workers_call_their_own_hooks(tmp_path, record, launch):
    env = {"RECORD": str(record)}
    master = MoldMaster(
        tmp_path, "hello", "-c", str(CONF), launch=launch, cwd=APPS, env=env
    )
    try:
        assert master.mold.expect("MOLDED", "FAILED") == b""
        assert record.read_text() == "", "a mold serves nobody"
        for slot in range(2):
            worker = master.fork(slot)
            found = notes(record, 2)
            assert found[0] == f"post_fork {slot + 1} None 47 shop"
            assert found[1] == "post_worker_init True 1"
            assert master.ask("/")[0] == 200
            assert len(notes(record, 4)) == 4
            master.drop(worker)
            record.write_text("")
    finally:
        master.finish()


def test_a_file_without_hooks_is_not_read_by_workers(server, tmp_path, record):
    conf = tmp_path / "plain.conf.py"
    conf.write_text("import os\nopen(os.environ['RECORD'], 'a').write('read\\n')\nkeepalive = 3\n")
    started = server("hello", "-c", conf, env={"RECORD": str(record)})
    assert started.ask("/").status == 200
    assert record.read_text() == "read\n", "by the master, once"
