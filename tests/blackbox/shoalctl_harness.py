"""Runs shoalctl, and names what it returns.

SPDX-License-Identifier: MIT
"""

import os
import subprocess
from pathlib import Path

from fake_ctl import FakeCtl
from shoal_harness import BINARY, SLOW

SHOALCTL = Path(BINARY).with_name("shoalctl")
OK, FAILED, USAGE, NOBODY, DENIED, RUNNING, TOO_OLD = range(7)
JOB = {"job": "r-18", "kind": "reload", "generation_from": 42, "generation_to": 43}


def run(*args, env=None, timeout=20):
    keep = ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS")
    environment = {k: os.environ[k] for k in keep if k in os.environ} | (env or {})
    return subprocess.run(
        [SHOALCTL, *map(str, args)],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=timeout * SLOW,
    )


class Fakes:
    """fake(methods): a server; its run(...) runs shoalctl on it."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.servers = []

    def __call__(self, methods):
        server = FakeCtl(self.tmp_path / f"{len(self.servers)}.sock", methods)
        server.open()
        server.run = lambda *args, **named: run("-s", server.path, *args, **named)
        self.servers.append(server)
        return server

    def close(self):
        for server in self.servers:
            server.close()
