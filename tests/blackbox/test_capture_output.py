"""--capture-output: what an application prints goes to the error log's file.

SPDX-License-Identifier: MIT
"""

import signal

import pytest
from shoal_harness import SLOW, run_to_end
from waiting import wait_for

SAID = ("printed", "to stderr", "to descriptor 1", "to descriptor 2", "by a child")


def said(when):
    return {f"{when}: {how}" for how in SAID}


def wait_lines(path, wanted):
    wait_for(
        lambda: path.exists() and wanted <= set(path.read_text().splitlines()),
        5 * SLOW, f"{sorted(wanted)} in {path.name}",
    )


@pytest.mark.parametrize("name", ["--error-logfile", "--log-file"])
def test_output_goes_to_the_error_log(server, tmp_path, name):
    log = tmp_path / "error.log"
    srv = server("chatty:application", "--capture-output", name, log)
    wait_lines(log, said("import"))
    for i in range(2):
        assert srv.ask(f"/?request{i}").body == b"said"
        wait_lines(log, said(f"request{i}") | {f"request{i}: to wsgi.errors"})
    srv.stop()
    assert ": printed" not in srv.log and "to descriptor" not in srv.log


def test_output_follows_a_rotation(server, tmp_path):
    """USR1 moves the streams too: nothing more is written to the old file."""
    log = tmp_path / "error.log"
    srv = server("chatty:application", "--capture-output", "--error-logfile", log)
    srv.ask("/?before")
    wait_lines(log, said("before"))
    old = log.rename(tmp_path / "error.log.1")
    srv.signal(signal.SIGUSR1)
    wait_for(log.exists, 5 * SLOW, "a new file after USR1")
    tries = []

    def moved():
        tries.append(f"after{len(tries)}")
        srv.ask(f"/?{tries[-1]}")
        return f"{tries[-1]}: to descriptor 1" in log.read_text()

    wait_for(moved, 5 * SLOW, "output in the new file")
    wait_lines(log, said(tries[-1]))
    assert f"{tries[-1]}:" not in old.read_text()


def test_without_the_option_the_streams_stay(server, tmp_path):
    log = tmp_path / "error.log"
    srv = server("chatty:application", "--error-logfile", log)
    srv.ask("/?here")
    for line in said("import") | said("here"):
        srv.wait_log(f"^{line}$")
    wait_lines(log, {"here: to wsgi.errors"})
    assert "printed" not in log.read_text()
    # They stay where they are when the log files are reopened, too.
    old = log.rename(tmp_path / "error.log.1")
    srv.signal(signal.SIGUSR1)
    wait_for(lambda: log.exists() and "logs reopened" in log.read_text())
    srv.ask("/?there")
    for line in said("there"):
        srv.wait_log(f"^{line}$")
    assert "printed" not in old.read_text() + log.read_text()


def test_a_standard_stream_is_what_it_is(server):
    """`-` is no file: output stays on standard output, for a pipe or a supervisor."""
    srv = server("chatty:application", "--capture-output", "--error-logfile", "-")
    srv.expect_log("app: wsgi.errors").ask("/?dash")
    for line in said("import") | said("dash"):
        srv.wait_log(f"^{line}$")


def test_a_check_speaks_to_its_caller(tmp_path):
    log = tmp_path / "error.log"
    done = run_to_end(
        "--check-config", "--capture-output", "--error-logfile", str(log),
        "chatty:application",
    )
    assert done.returncode == 0 and "import: printed" in done.stdout
    assert "import: printed" not in log.read_text()
