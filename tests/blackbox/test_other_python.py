"""A plugin for another CPython minor version, an application in its virtual environment, and
the refusal where that plugin is missing.

SPDX-License-Identifier: MIT
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shoal_harness
from shoal_harness import BINARY, ROOT, SANITIZED, run_to_end

ASK = """import os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
print(*sys.version_info[:2], os.path.exists(header), sys.executable)"""


def candidates():
    for minor in range(13, 8, -1):
        yield shutil.which(f"python3.{minor}")
        for place in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")):
            yield str(place)


def find_other():
    """(minor, path) of an interpreter with headers that the build has no plugin for."""
    for path in filter(None, candidates()):
        done = subprocess.run([path, "-I", "-c", ASK], capture_output=True, text=True)
        if done.returncode != 0:
            continue
        major, minor, header, executable = done.stdout.split(maxsplit=3)
        plugin = Path(BINARY).parent.parent / f"lib/shoal/shoal-cp{major}{minor}.so"
        ours = os.environ.get("SHOAL_TEST_PYTHON") or sys.executable
        if header == "True" and not plugin.exists() and executable.strip() != ours:
            return int(minor), executable.strip()
    return None


@pytest.fixture(scope="module")
def other():
    found = find_other()
    if found is None:
        pytest.skip("no other CPython 3.9 - 3.13 with headers on PATH or in ~/.pyenv")
    return found


@pytest.fixture(scope="module")
def other_binary(other, tmp_path_factory):
    """A server with a plugin for the other interpreter alone."""
    if not shutil.which("cmake") or SANITIZED:
        pytest.skip("the plugin is built with cmake, in one build without sanitizers")
    minor, python = other
    build = tmp_path_factory.mktemp("build")
    for command in (
        ["-S", ROOT, "-B", build, "-G", "Ninja", f"-DSHOAL_PYTHONS={python}"],
        ["--build", build, "-j2", "--target", "shoal", "shoal-worker", f"shoal-cp3{minor}"],
    ):
        done = subprocess.run(["cmake", *map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return str(build / "bin" / "shoal")


def test_an_application_in_a_venv_of_it(other, other_binary, server, tmp_path, monkeypatch):
    minor, python = other
    venv = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = venv / "lib" / f"python3.{minor}" / "site-packages"
    (site / "only_here.py").write_text("WORD = 'found'\n")
    (tmp_path / "which.py").write_text(
        "import only_here, sys\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    text = f'{sys.version_info[1]} {sys.prefix} {only_here.WORD}'\n"
        "    return [text.encode()]\n"
    )
    monkeypatch.setattr(shoal_harness, "BINARY", other_binary)
    srv = server(
        *("which:application", "--venv", venv, "--threads", "2"),
        cwd=tmp_path, env={"SHOAL_PYTHON": None},
    )
    for _ in range(3):
        assert srv.ask("/").body.decode() == f"{minor} {venv} found"


def test_no_plugin_for_it_is_refused(other):
    minor, python = other
    done = run_to_end("-b", "127.0.0.1:0", "--python", python, "zoo:application")
    assert done.returncode == 2, done.stderr
    assert f"{python} is CPython 3.{minor}." in done.stderr
    assert f"there is no plugin for 3.{minor} in " in done.stderr
    assert "choose an interpreter with --python or --venv" in done.stderr
