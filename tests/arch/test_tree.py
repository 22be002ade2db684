"""The rules of the architecture, applied to every file of the tree and to the binaries.

SPDX-License-Identifier: MIT
"""

import os
import shlex
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import rules

ROOT = Path(__file__).resolve().parents[2]
MASTER = ROOT / "build" / os.environ.get("SHOAL_BUILD", "release") / "bin/shoal"
DATA = (".jsonl", ".pem", ".bin", ".png")


@cache
def tracked():
    """{path: text} of every file of the project that is text; git knows which those are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    sources = {}
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or name.endswith(DATA) or "/corpus/" in name or not path.is_file():
            continue
        sources[name] = path.read_text(errors="replace")
    return sources


def files(*suffixes, under=""):
    """The tracked files of these kinds; "" stands for programs that begin with #!."""
    chosen = {}
    for path, text in tracked().items():
        suffix = Path(path).suffix or ("" if text.startswith("#!") else None)
        if suffix in suffixes:
            chosen[path] = text
    return {path: text for path, text in chosen.items() if path.startswith(under)}


def check(rule, sources):
    found = [sentence for path, text in sources.items() for sentence in rule(path, text)]
    assert not found, "\n" + "\n".join(found)


def test_there_is_something_to_check():
    for layer in ("common", "common/http", "master", "worker/net"):
        assert files(".c", ".h", under=layer + "/"), f"no sources under {layer}"


def test_layers():
    check(rules.forbidden_includes, files(".c", ".h"))


def test_libraries():
    check(rules.forbidden_libraries, files(".c", ".h"))


def test_no_include_cycles():
    assert rules.include_cycles(files(".h")) == []


def test_file_length():
    check(rules.long_file, files(".c", ".h", ".py", ".sh", ""))


def test_function_length():
    check(rules.long_functions, files(".c"))


def test_purpose():
    check(rules.no_purpose, files(".c", ".h", ".py", ".sh", ""))


def test_licence():
    check(rules.no_licence, files(".c", ".h", ".py", ".sh", ""))


def test_nothing_unfinished():
    check(rules.unfinished_words, tracked())


def test_black_box_tests_do_not_sleep():
    check(rules.sleeps, files(".py", under="tests/blackbox/"))


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_headers_compile_alone():
    packages = ("libevent_core", "jansson", "openssl")
    flags = shlex.split(output("pkg-config", "--cflags", *packages))
    flags += [f"-I{ROOT}", f"-I{sysconfig.get_path('include')}"]
    compiler = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-fsyntax-only"]

    def compile_one(path):
        # Named on a line of its own: a header that is the main file warns of #pragma once.
        done = subprocess.run(
            [*compiler, *flags, "-x", "c", "-"],
            input=f'#include "{path}"\n',
            capture_output=True,
            text=True,
        )
        return done.stderr if done.returncode else ""

    headers = [path for path in files(".h") if rules.layer(path)]
    with ThreadPoolExecutor(2) as pool:
        complaints = [found for found in pool.map(compile_one, headers) if found]
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def master():
    if not MASTER.exists():
        pytest.skip(f"{MASTER.relative_to(ROOT)} is not built")
    return MASTER


def test_master_links_no_python(master):
    assert "python" not in output("readelf", "-d", master).lower()


def test_master_starts_no_thread(master):
    symbols = output("nm", "-D", "--undefined-only", master)
    assert "socket" in symbols, "the symbols of the master could not be read"
    assert "pthread_create" not in symbols
