"""Which interpreter is chosen, which plugin goes with it, and what is refused.

SPDX-License-Identifier: MIT
"""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from master_harness import PYTHON, Master, python_tag
from shoal_harness import SLOW

ANSWER = {
    "executable": "", "implementation": "cpython", "major": 3, "minor": 11,
    "version": "3.11.2", "abi": "", "static": True, "libpython": "",
}


def interpreter(path, **answer):
    """A program that answers the master's question as told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(ANSWER | {"executable": str(path)} | answer)
    path.write_text(f"#!/bin/sh\ncat <<'X'\nshoal-probe {text}\nX\n")
    path.chmod(0o755)
    return path


def refusal(*options, env=None, plugins=("shoal-cp39.so", "shoal-cp311.so")):
    m = Master(*options, env=env)
    for name in plugins:
        (m.plugins / name).touch()
    assert m.run() == 2, m.log
    return m.log


def test_the_order_of_choice(tmp_path):
    """--python or --venv, then VIRTUAL_ENV, then PATH."""
    on_path = interpreter(tmp_path / "path" / "python3")
    active = interpreter(tmp_path / "active" / "bin" / "python3")
    named = interpreter(tmp_path / "named" / "bin" / "python3")
    given = interpreter(tmp_path / "given")
    path = {"PATH": f"relative::{on_path.parent}:/usr/bin:/bin"}
    venv = path | {"VIRTUAL_ENV": str(tmp_path / "active")}
    cases = [
        (["--python", given], venv, given),
        (["--venv", tmp_path / "named"], venv, named),
        ([], venv, active),
        ([], path | {"VIRTUAL_ENV": ""}, on_path),
        (["--python", "python3"], venv, on_path),
    ]
    for options, env, expected in cases:
        m = Master(*options, env=env)
        (m.plugins / "shoal-cp311.so").touch()
        if not options:
            m.default_python = False
        with m:
            assert m.facts()["python"] == str(expected)


def test_a_virtual_environments_link_is_not_resolved(tmp_path):
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    python = tmp_path / "v" / "bin" / "python3"
    assert python.is_symlink()
    with Master("--venv", tmp_path / "v") as m:
        assert m.facts()["python"] == str(python)


def test_launch_follows_where_the_executable_keeps_python(tmp_path):
    static = interpreter(tmp_path / "static", libpython="/lib/libpython3.11.so")
    shared = interpreter(tmp_path / "shared", static=False, libpython="/lib/libpython3.11.so")
    cases = [
        (static, "auto", ""), (static, "exec", ""), (static, "embed", "/lib/libpython3.11.so"),
        (shared, "auto", "/lib/libpython3.11.so"), (shared, "exec", ""),
    ]
    for python, launch, expected in cases:
        m = Master("--python", python, "--python-launch", launch)
        (m.plugins / "shoal-cp311.so").touch()
        with m:
            assert m.facts()["libpython"] == expected, (python, launch)


def test_what_a_real_interpreter_says_about_itself():
    m = Master("--python-launch", "embed")
    if not list(Path(sysconfig.get_config_var("LIBDIR") or "/").glob("libpython3*.so*")):
        library = list(Path("/usr/lib").glob("*/libpython3.*.so.1.0"))
        if not library:
            m.finish()
            pytest.skip(f"{PYTHON} has no shared libpython on this machine")
    with m:
        tag = python_tag()
        name = Path(m.facts()["libpython"]).name
        assert name.startswith(f"libpython{tag[0]}.{tag[1:]}.so") and Path(
            m.facts()["libpython"]).is_absolute()


@pytest.mark.parametrize("answer, words", [
    ({"minor": 8, "version": "3.8.18"},
     ["CPython 3.8.18", "no plugin for 3.8", "there are: 3.9, 3.11", "--python or --venv"]),
    ({"implementation": "pypy"}, ["is pypy; shoal runs CPython only (plugins: 3.9, 3.11)"]),
    ({"abi": "t"}, ["a free-threaded build of CPython"]),
    ({"abi": "d"}, ["a debug build of CPython"]),
    ({"executable": "python3"}, ["did not say what it is"]),
    ({"major": "three"}, ["did not say what it is"]),
])
def test_refusals(tmp_path, answer, words):
    log = refusal("--python", interpreter(tmp_path / "python", **answer))
    for word in words:
        assert word in log, log


def test_no_shared_library_to_embed(tmp_path):
    python = interpreter(tmp_path / "python")
    log = refusal("--python", python, "--python-launch", "embed")
    assert f"{python} has no shared libpython3.11 to embed; use --python-launch exec" in log


def test_an_interpreter_that_fails_is_quoted(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2\necho 'Unknown option: -I' >&2\nexit 2\n")
    python.chmod(0o755)
    log = refusal("--python", python)
    assert f"cannot use the interpreter {python}: Unknown option: -I" in log


def test_an_interpreter_that_floods_is_cut_off(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec head -c 3000000 /dev/zero\n")
    python.chmod(0o755)
    assert "cannot use the interpreter" in refusal("--python", python)


def test_an_interpreter_that_hangs_is_given_up(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    python.chmod(0o755)
    m = Master("--python", python)
    assert m.run(timeout=20 * SLOW) == 2
    assert "it did not answer within 10 seconds" in m.log


@pytest.mark.parametrize("options, env, text", [
    (["--python", "/no/such/python"], {}, "cannot use the interpreter /no/such/python: No such"),
    (["--python", "python9"], {}, "--python python9: there is no python9 on PATH"),
    (["--venv", "/no/such/venv"], {},
     "--venv /no/such/venv: no virtual environment: /no/such/venv/bin/python3: No such"),
])
def test_interpreters_that_are_not_there(options, env, text):
    assert text in refusal(*options, env=env)


def test_a_virtual_env_that_is_gone_is_no_silent_fallback():
    m = Master(env={"VIRTUAL_ENV": "/no/such/venv"})
    m.default_python = False
    assert m.run() == 2
    assert "VIRTUAL_ENV=/no/such/venv: no virtual environment" in m.log


def test_no_plugins_at_all():
    m = Master()
    (m.plugins / f"shoal-cp{python_tag()}.so").unlink()
    assert m.run() == 2
    assert "(there are: none)" in m.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")
def test_the_question_is_asked_with_the_workers_rights(tmp_path):
    python = interpreter(tmp_path / "python")
    python.chmod(0o700)
    m = Master("-u", "nobody", "--python", python)
    assert m.run() == 2
    assert "Permission denied" in m.log
