"""The real master over a fake worker (tests/apps/fake_worker.c), in a directory of its own.

SPDX-License-Identifier: MIT
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import procfs
from shoal_harness import BINARY, SLOW
from waiting import wait_for

PYTHON = "/usr/bin/python3"
FAKE = Path(BINARY).with_name("fake_worker")


@functools.cache
def python_tag():
    """"311" for the interpreter that PYTHON is."""
    code = "import sys; print('%d%d' % sys.version_info[:2])"
    return subprocess.run(
        [PYTHON, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


class Master:
    """`with Master("-w", 2) as m:` one instance; at the end nothing of it may be left."""

    def __init__(self, *options, app="shop:app", env=None, **popen):
        assert FAKE.exists(), f"{FAKE} is not built (target fake_worker)"
        # Not under pytest's own directory: workers of another user have to get here.
        self.dir = Path(tempfile.mkdtemp(prefix="shoal-master-"))
        self.dir.chmod(0o755)
        self.facts_dir = self.dir / "facts"
        self.facts_dir.mkdir()
        self.facts_dir.chmod(0o777)
        self.shoal = self.dir / "bin" / "shoal"
        (self.dir / "bin").mkdir()
        shutil.copy(BINARY, self.shoal)
        shutil.copy(FAKE, self.dir / "bin" / "shoal-worker")
        self.plugins = self.dir / "lib" / "shoal"
        self.plugins.mkdir(parents=True)
        (self.plugins / f"shoal-cp{python_tag()}.so").touch()
        self.stderr = self.dir / "stderr"
        keep = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS")
        self.env = {k: os.environ[k] for k in keep if k in os.environ}
        self.env |= {"FAKE_DIR": str(self.facts_dir), "NO_COLOR": "1"}
        self.env |= {"RUNTIME_DIRECTORY": str(self.dir)} | (env or {})
        self.options = [str(o) for o in options]
        self.app = app
        self.popen = popen
        self.process = None
        self.default_python = True

    @property
    def args(self):
        args = [str(self.shoal)]
        if self.default_python and not {"--python", "--venv"} & set(self.options):
            args += ["--python", PYTHON]
        if not {"-b", "--bind"} & set(self.options):
            args += ["-b", "127.0.0.1:0"]
        if not any(option.startswith("--preload") for option in self.options):
            args += ["--preload=off"]  # fake_worker is no mold
        return [*args, *self.options, self.app]

    def launch(self, args=None):
        """Starts without waiting for anything."""
        with self.stderr.open("ab") as err:
            self.process = subprocess.Popen(
                args or self.args,
                env=self.env,
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                start_new_session=True,
                **self.popen,
            )
        return self

    def run(self, timeout=10):
        """Starts, and waits for the end: the exit code."""
        try:
            return self.launch().process.wait(timeout * SLOW)
        finally:
            self.finish()

    def __enter__(self):
        self.launch()
        wanted = 1
        for flag in ("-w", "--workers"):
            if flag in self.options:
                wanted = int(self.options[self.options.index(flag) + 1])
        try:
            self.wait_log("worker ready", count=wanted)
        except AssertionError:
            self.finish()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.process.poll() is None:
                assert self.stop() == 0, self.log
            assert kind or not self.processes(), f"left: {self.processes()}"
        finally:
            self.finish()

    def finish(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
        self.saved_log = self.log
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- doing ----

    @property
    def pid(self):
        return self.process.pid

    def kill(self, sig, pid=None):
        os.kill(pid or self.pid, sig)

    def stop(self, sig=signal.SIGTERM, timeout=10):
        self.kill(sig)
        return self.wait(timeout)

    def wait(self, timeout=10):
        return self.process.wait(timeout * SLOW)

    # ---- looking ----

    @property
    def log(self):
        if not self.stderr.exists():
            return getattr(self, "saved_log", "")
        return self.stderr.read_text(errors="replace")

    def lines(self, text):
        return [line for line in self.log.splitlines() if text in line]

    def wait_log(self, text, count=1, timeout=10):
        """The count-th line that contains text."""
        def seen():
            found = self.lines(text)
            if len(found) < count and self.process.poll() is not None:
                found = self.lines(text)
                assert len(found) >= count, f"exit {self.process.returncode}:\n{self.log}"
            return found[count - 1] if len(found) >= count else None

        return wait_for(seen, timeout * SLOW, f"{count} x {text!r}")

    def workers(self):
        return procfs.children(self.pid)

    def processes(self):
        """Whatever runs from this instance's directory, also after its master's death."""
        found = []
        for pid in procfs.pids():
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if exe.startswith(str(self.dir)) and procfs.alive(pid):
                found.append(pid)
        return found

    def facts(self, slot=0, epoch=1):
        """What a worker wrote down about its start."""
        path = self.facts_dir / f"worker-{slot}-{epoch}.json"
        wait_for(path.exists, 10 * SLOW, str(path))
        return json.loads(path.read_text())

    def status(self, pid):
        """/proc/PID/status as a dictionary."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}

    def address(self):
        """Host and port of the first listener, from the log."""
        text = self.wait_log("listening address=").rpartition("address=")[2]
        host, _, port = text.rpartition(":")
        return host.strip("[]"), int(port)
