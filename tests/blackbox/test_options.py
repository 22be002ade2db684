"""Wrong options end with exit 2 and a sentence; taken addresses with exit 4.

SPDX-License-Identifier: MIT
"""

import socket

import pytest
from shoal_harness import run_to_end

WRONG = {
    "unknown": (["--no-such-option"], ["--no-such-option"]),
    "near": (["--workes", "2"], ["--workes", "--workers"]),
    "workers-word": (["-w", "two"], ["workers", "two"]),
    "workers-zero": (["-w", "0"], ["workers", "0"]),
    "workers-negative": (["-w", "-1"], ["workers", "-1"]),
    "threads-fraction": (["--threads", "1.5"], ["threads", "1.5"]),
    "timeout-word": (["--timeout", "soon"], ["timeout", "soon"]),
    "timeout-unit": (["--timeout", "5 parsecs"], ["timeout", "5 parsecs"]),
    "size-unit": (["--body-max", "5 apples"], ["body-max", "5 apples"]),
    "line-limit": (["--limit-request-line", "70000"], ["limit-request-line", "65535"]),
    "fields-limit": (["--limit-request-fields", "1000"], ["limit-request-fields", "256"]),
    "bind-port": (["-b", "127.0.0.1:99999"], ["bind", "99999"]),
    "bind-word": (["-b", "127.0.0.1:http:1"], ["bind"]),
    "bind-fd": (["-b", "fd://x"], ["bind", "fd://x"]),
    "missing-value": (["--workers"], ["--workers"]),
    "log-level": (["--log-level", "loud"], ["log-level", "loud"]),
    "user": (["-u", "no-such-user"], ["no-such-user"]),
    "group": (["-g", "no-such-group"], ["no-such-group"]),
    "umask": (["-m", "9"], ["umask", "9"]),
    "cert-reqs": (["--cert-reqs", "5"], ["cert-reqs", "5"]),
    "http-version": (["--max-http-version", "3"], ["max-http-version", "3"]),
    "launch": (["--python-launch", "maybe"], ["python-launch", "maybe"]),
    "buffering": (["--request-buffering", "x"], ["request-buffering", "x"]),
    "header-map": (["--header-map", "x"], ["header-map", "x"]),
    "worker-class": (["-k", "tornado"], ["tornado"]),
    "log-atom": (["--access-logformat", "%(nosuch)s"], ["nosuch"]),
    "python": (["--python", "/nonexistent/python"], ["/nonexistent/python"]),
    "venv": (["--venv", "/nonexistent/venv"], ["/nonexistent/venv"]),
    "chdir": (["--chdir", "/nonexistent/dir"], ["/nonexistent/dir"]),
    "env": (["-e", "NOEQUALS"], ["NOEQUALS"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_option(name, tmp_path):
    args, words = WRONG[name]
    bind = [] if "-b" in args else ["-b", f"unix:{tmp_path}/s"]
    if name == "missing-value":
        done = run_to_end(*bind, "zoo:application", *args)
    else:
        env = {"SHOAL_PYTHON": None} if name == "venv" else {}
        done = run_to_end(*bind, *args, "zoo:application", env=env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 6, "a screen of text hides the mistake"


def test_no_application():
    done = run_to_end("-b", "127.0.0.1:0")
    assert done.returncode == 2
    assert "APP" in done.stderr


def test_wrong_value_in_the_environment_names_it(tmp_path):
    done = run_to_end(
        "-b", f"unix:{tmp_path}/s", "zoo:application", env={"SHOAL_WORKERS": "many"}
    )
    assert done.returncode == 2
    assert "SHOAL_WORKERS" in done.stderr and "many" in done.stderr


def test_wrong_value_in_the_file_names_line_and_column(tmp_path):
    conf = tmp_path / "shoal.json"
    conf.write_text('{\n  "workers": "many"\n}\n')
    done = run_to_end("-c", conf, "-b", f"unix:{tmp_path}/s", "zoo:application")
    assert done.returncode == 2
    assert "shoal.json" in done.stderr and "workers" in done.stderr
    assert ":2" in done.stderr or "line 2" in done.stderr


def test_port_in_use_is_exit_4():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_to_end("-b", f"127.0.0.1:{port}", "zoo:application")
    assert done.returncode == 4, done.stderr
    assert str(port) in done.stderr


def test_descriptor_that_is_no_socket_is_exit_4(tmp_path):
    with open(tmp_path / "file", "w") as file:
        fd = file.fileno()
        done = run_to_end("-b", f"fd://{fd}", "zoo:application", pass_fds=[fd])
    assert done.returncode == 4, done.stderr
    assert f"fd://{fd}" in done.stderr


def test_directory_that_is_not_there_is_exit_4(tmp_path):
    done = run_to_end("-b", f"unix:{tmp_path}/no/such/s", "zoo:application")
    assert done.returncode == 4, done.stderr
    assert "no/such/s" in done.stderr


def test_help_and_version_fit_the_screen():
    done = run_to_end("--help")
    assert done.returncode == 0 and not done.stderr
    assert "--bind" in done.stdout and "--workers" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run_to_end("--version")
    assert done.returncode == 0
    assert done.stdout.lower().startswith("shoal")


def test_check_config_says_nothing_wrong(tmp_path):
    done = run_to_end("--check-config", "-b", f"unix:{tmp_path}/s", "zoo:application")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "s").exists()
