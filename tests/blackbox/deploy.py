"""An application that tests change on disk, and the ways to have a server load it again.

SPDX-License-Identifier: MIT
"""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import procfs
from shoal_harness import BINARY, SLOW, server_environment
from waiting import wait_for

SHOALCTL = Path(BINARY).with_name("shoalctl")
READY = re.compile(r"worker ready slot=(\d+) pid=(\d+)")
# How a reload ends, in the log.
ENDED = re.compile(r"reload (done|failed|rolled back|refused|cancelled)\b")

GOOD = """\
import os

{before}
VERSION = {version!r}


def application(environ, start_response):
    {inside}
    body = b"%d %s\\n" % (os.getpid(), VERSION.encode())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

# Ways to break it: (before the application, inside it, what the answer must tell).
BROKEN = {
    "syntax error": ("def (:", "pass", r"SyntaxError: "),
    "import error": ("import no_such_module", "pass", r"No module named 'no_such_module'"),
    "surrogates": ("raise RuntimeError('no \\udcff')", "pass", r"RuntimeError: no \\udcff"),
    "exception": ("raise RuntimeError('not today')", "pass", r"RuntimeError: not today"),
    "exit in import": ("os._exit(9)", "pass", r"status=9|exit(ed)?.*\b9\b|ended while"),
    "crash in import": ("os.abort()", "pass", r"SIGABRT"),
    "slow import": (
        "import threading; threading.Event().wait(60)", "pass", r"load-timeout|within|timed? ?out",
    ),
    "crash in the check": ("", "os._exit(9)", r"check|status=9|ended"),
    "exception in the check": ("", "raise RuntimeError('not now')", r"check|500"),
    "503 in the check": (
        "", "start_response('503 Broken', []); return [b'']", r"check|503",
    ),
}
CRASH_LATER = ("import itertools; count = itertools.count()", "next(count) < {n} or os._exit(9)")


class Site:
    """A folder with the application; what is written is there at once or not at all."""

    NAME = "site_app:application"

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.versions = 0
        self.good()

    def write(self, text, name="site_app.py"):
        temporary = self.folder / f".{name}"
        temporary.write_text(text)
        temporary.rename(self.folder / name)

    def good(self, before="", inside="pass"):
        """A version nobody has seen; its name."""
        self.versions += 1
        version = f"v{self.versions}"
        self.write(GOOD.format(version=version, before=before, inside=inside))
        return version

    def broken(self, kind):
        """The pattern of what has to be told about it."""
        before, inside, told = BROKEN[kind]
        self.write(GOOD.format(version="broken", before=before, inside=inside))
        return re.compile(told)

    def crash_after(self, requests):
        before, inside = CRASH_LATER
        return self.good(before, inside.format(n=requests))


@dataclass
class Outcome:
    """How a reload ended, and everything that was said about it."""

    code: int
    text: str


class Deployment:
    """A running server over a Site; start(app, *options, ...) is the fixture `server`."""

    def __init__(self, start, folder, *options, workers=2, env=None, site=None):
        self.site = site or Site(Path(folder) / "site")
        self.socket = Path(folder) / "control"
        options = ("--control-socket", self.socket, *options)
        environment = {"PYTHONPATH": str(self.site.folder)} | (env or {})
        self.server = start(
            Site.NAME, *options, workers=workers, env=environment, cwd=self.site.folder
        )
        self.control = self.socket.exists()
        # systemd is told before the test has read the log up to there.
        self.wait_strength(workers)
        # The mold of the generation before is kept for a while: its channel.
        self.server.more_descriptors = 1

    @property
    def address(self):
        return self.server.address

    # ---- looking ----

    def workers(self):
        """{slot: pid} of the workers that became ready there last, of those that live."""
        ready = [READY.search(line) for line in list(self.server.lines)]
        found = [(int(match[1]), int(match[2])) for match in ready if match]
        # The log is long and numbers come round again: somebody else's process may have one.
        ours = set(procfs.children(self.server.pid))
        return {slot: pid for slot, pid in found if pid in ours}

    def wait_strength(self, count, timeout=15):
        return wait_for(
            lambda: (w := self.workers()) and len(w) == count and w,
            timeout * SLOW, f"{count} workers",
        )

    def version(self):
        """The code that answers a client that comes now."""
        return self.server.ask("/").body.split()[1].decode()

    # ---- acting ----

    def shoalctl(self, *args, timeout=60):
        done = subprocess.run(
            [SHOALCTL, "-s", self.socket, *map(str, args)],
            capture_output=True, text=True, timeout=timeout * SLOW,
            env=server_environment(), check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def call(self, method, **params):
        """The result of a method of the control protocol."""
        done = self.shoalctl("--json", "call", method, json.dumps(params))
        assert done.code == 0, done.text
        return json.loads(done.text)

    def hup(self, timeout=60):
        """A reload by signal; its end is in the log."""
        seen = len(self.server.lines)
        os.kill(self.server.pid, signal.SIGHUP)

        def ended():
            lines = self.server.lines[seen:]
            return next((line for line in lines if ENDED.search(line)), None)

        line = wait_for(ended, timeout * SLOW, "the end of a reload")
        text = "\n".join(self.server.lines[seen:])
        return Outcome(0 if ENDED.search(line)[1] == "done" else 1, text)

    def reload(self, *args, timeout=60):
        """By shoalctl where it is built, else by signal."""
        if self.control:
            return self.shoalctl("reload", *args, timeout=timeout)
        assert not args, "a signal carries no options"
        return self.hup(timeout)
