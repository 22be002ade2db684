"""`shoalctl top` in a real terminal: tmux types the keys and says what is on the screen.

SPDX-License-Identifier: MIT
"""

import os
import shutil
import subprocess

import procfs
import pytest
from fake_ctl import FakeCtl, Refused
from shoal_harness import BINARY, SLOW
from waiting import wait_for

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
SHOALCTL = os.path.join(os.path.dirname(BINARY), "shoalctl")


class Screen:
    """A tmux server of its own with one window."""

    def __init__(self, tmp_path, *command, width=100, height=30):
        self.socket = str(tmp_path / "tmux.sock")
        keep = ("PATH", "UBSAN_OPTIONS")
        self.env = {k: os.environ[k] for k in keep if k in os.environ}
        self.env |= {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
        # The hangup signals that follow the terminal's end make the search for leaks, which
        # stops its process by ptrace, wait for ever.
        self.env["ASAN_OPTIONS"] = "detect_leaks=0"
        # The shell stays, so that what the terminal is left like can be seen.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height,
                  "env", "PS1=prompt> ", "sh")  # fmt: skip
        self.see("prompt>")
        self.type(" ".join(map(str, command)), "Enter")

    def tmux(self, *args):
        done = subprocess.run(
            ["tmux", "-S", self.socket, *map(str, args)],
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def see(self, *words, absent=()):
        def shown():
            text = self.text()
            return all(w in text for w in words) and not any(w in text for w in absent)

        try:
            wait_for(shown, 10 * SLOW)
        except AssertionError:
            raise AssertionError(f"{words} without {absent} not on:\n{self.text()}") from None
        return self.text()

    def close(self):
        server, shell = map(int, self.tmux("display-message", "-p", "#{pid} #{pane_pid}").split())
        self.tmux("kill-server")
        wait_for(lambda: not procfs.alive(server) and not procfs.of_session(shell), 10 * SLOW,
                 "the end of the terminal and what ran in it")


@pytest.fixture
def screen(tmp_path):
    screens = []

    def start(*command, **named):
        screens.append(Screen(tmp_path, *command, **named))
        return screens[-1]

    yield start
    for one in screens:
        one.close()


class Instance:
    """What the fake server tells: numbers that go on."""

    def __init__(self, workers=3):
        self.n, self.workers = 0, workers
        self.watchers = []

    def methods(self):
        return {
            "server.status": self.status,
            "workers.list": self.list_workers,
            "stats.get": self.stats,
            "requests.inflight": {"requests": [
                {"worker": 1, "id": "1-5512", "age_s": 12.4, "phase": "app", "method": "GET",
                 "path": "/report\033[31m", "client": "10.0.0.7"}]},
            "events.history": {"events": [self.event(1, "server.ready", {})]},
            "events.subscribe": self.subscribe,
            "workers.trace": {"pid": 9001, "took_us": 420, "threads": [
                {"id": "0x7f31", "current": True, "stack": [
                    {"file": "shop/views.py", "line": 44, "function": "search"}]}]},
            "reload.start": self.reload,
            "workers.recycle": {"job": "c-6", "state": "booting"},
            "stats.heatmap": {"t0": 1795222800.0, "step_s": 10, "columns": [None, {
                "offset": -20, "counts": [3, 0, 40], "p50_us": 1900.0, "p99_us": 2000.0,
                "p999_us": 2000.0}]},
        }  # fmt: skip

    def event(self, seq, kind, data):
        return {"seq": seq, "t": 1795222800.0 + seq, "type": kind, "data": data}

    def status(self, session, params):
        return {"state": "running", "ready": True, "generation": 42, "uptime_s": 122800.1,
                "workers": {"target": self.workers, "ready": self.workers, "booting": 0,
                            "draining": 0}}  # fmt: skip

    def list_workers(self, session, params):
        self.n += 1
        return {"workers": [
            {"slot": slot, "pid": 9000 + slot, "generation": 42, "state": "busy",
             "age_s": 3600, "requests": 1000 * self.n, "in_flight": 3, "connections": 17,
             "rss_bytes": 88080384, "cpu_s": 0.1 * self.n, "restarts": 0}
            for slot in range(self.workers)]}  # fmt: skip

    def stats(self, session, params):
        return {"t": 1795222800.0 + self.n, "totals": {"requests": 1834 * self.n,
                "in_flight": 21, "connections": 51, "bytes_out_body": 4096 * self.n},
                "status": {"200": 1834 * self.n},
                "latency": {"p50": 812, "p99": 22000}}  # fmt: skip

    def subscribe(self, session, params):
        self.watchers.append(session)
        return {"sub": 1, "seq": 1, "state": {}}

    def reload(self, session, params):
        for seq, state in enumerate(("preflight", "booting"), 2):
            session.event(seq, "reload.step", {"job": "r-18", "state": state})
        trace = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'x'"
        why = {"why": "No module named 'x'", "traceback": trace}
        session.event(4, "reload.failed", {"job": "r-18", "state": "failed", **why})
        return {"job": "r-18", "state": "queued"}


def test_view_and_keys(tmp_path, screen):
    with FakeCtl(tmp_path / "c.sock", Instance().methods()) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", "-d", "0.2")
        text = top.see(
            "shop  generation 42  running  up 1d10h  workers 3/3",
            *("1834.0 req/s", "p99 22.0ms", "server.ready"),
            *("12s  worker 1", "GET /report\\x1b[31m"),
        )
        assert len(text.splitlines()) == 30
        top.type("j")
        top.type("t")
        top.see("STACKS of worker 1", "shop/views.py:44 in search", absent=["IN FLIGHT"])
        assert fake.called("workers.trace") == [{"slot": 1}]
        top.type("Escape")
        top.see("IN FLIGHT", absent=["STACKS"])
        top.type("?")
        top.see("HELP", "choose a worker")
        top.type("?")
        top.see("IN FLIGHT", absent=["HELP"])
        top.type("p")
        top.see("held")
        top.type("p")
        top.see("IN FLIGHT", absent=["held"])
        top.type("r")
        top.see("Replace worker 1 (pid 9001) of shop? [y/n]")
        top.type("n")
        top.see("q quit", absent=["[y/n]"])
        assert fake.called("workers.recycle") == []
        top.type("r", "y")
        top.see("recycle c-6 started")
        assert fake.called("workers.recycle") == [{"slots": [1]}]
        top.type("R")
        top.see("Reload the application of shop? [y/n]")
        top.type("n")
        top.see("q quit", absent=["[y/n]"])
        assert fake.called("reload.start") == []
        top.type("R")
        top.see("[y/n]")
        top.type("y")
        top.see("RELOAD FAILED", "ModuleNotFoundError: No module named 'x'")
        top.type("Escape")
        top.see("reload.step", "state=booting", "reload.failed")
        top.type("q")
        # The terminal is as it was: the line that started it, and keys are echoed.
        top.see("prompt>", absent=["IN FLIGHT"])
        top.type("echo back-$((40+2))", "Enter")
        top.see("back-42")


def test_accounts_and_routes(tmp_path, screen):
    accounts = [{"account": f"acme-{n}\033[2J", "requests": 7, "err5xx": 1, "aborted": 2,
                 "out_body": 2048, "out_undelivered": 5} for n in range(60)]  # fmt: skip
    routes = [{"route": "/item/<int:n>", "requests": 41, "errors": 3, "p50_us": 812.0,
               "p99_us": 22000.0}]  # fmt: skip

    def refuse(session, params):
        raise Refused(-32001, "permission_denied", "no", role="observer", needs="operator")

    clients = [{"key": "2001:db8::/64\033[2J", "requests": 99, "error": 3, "errors": 1,
                "sent_bytes": 4096}]  # fmt: skip
    lists = {"accounts.list": {"accounts": accounts}, "routes.list": {"routes": routes},
             "top.list": {"by": "client", "entries": clients}}  # fmt: skip
    with FakeCtl(tmp_path / "c.sock", Instance().methods() | lists) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", "-d", "0.2")
        top.see("RESTARTS")
        assert fake.called("accounts.list") == fake.called("routes.list") == []
        top.type("2")
        top.see("UNDELIVERED", "acme-0\\x1b[2J", "2.0K", "IN FLIGHT", absent=["RESTARTS"])
        top.type("j")
        top.see("acme-1\\x1b", absent=["acme-0\\x1b"])
        top.type("3")
        top.see("/item/<int:n>", "812us", "22.0ms", absent=["acme-"])
        top.type("4")
        top.see("2001:db8::/64\\x1b", " 99 ", "4.0K", absent=["/item/"])
        assert fake.called("top.list")[0] == {"by": "client"}
        top.type("1")
        top.see("RESTARTS", absent=["2001:db8"])
    methods = Instance().methods() | lists | {"accounts.list": refuse}
    with FakeCtl(tmp_path / "d.sock", methods) as fake:
        top.type("q")
        top.see("prompt>", absent=["IN FLIGHT"])
        top.type(f"{SHOALCTL} -s {fake.path} top", "Enter")
        top.see("RESTARTS")
        top.type("2")
        top.see("shown to the role operator and above")


def test_events_and_how_long_requests_took(tmp_path, screen):
    with FakeCtl(tmp_path / "c.sock", Instance().methods()) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", "-d", "0.2")
        top.see("RESTARTS")
        top.type("5")
        top.see("EVENTS", "server.ready", absent=["RESTARTS", "IN FLIGHT"])
        top.type("/", "nothing")
        top.see("/nothing_", absent=["server.ready"])
        top.type("Escape")
        top.see("server.ready", absent=["/nothing"])
        assert fake.called("stats.heatmap") == []
        top.type("6")
        top.see("UP TO", "2.0ms         40  #####", "p99.9 2.0ms", absent=["EVENTS"])


def test_sort_and_filter(tmp_path, screen):
    with FakeCtl(tmp_path / "c.sock", Instance(workers=12).methods()) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", "-d", "0.2")
        lines = top.see("   11    9011").splitlines()
        assert lines[3].startswith("    0    9000")
        top.type("s")
        lines = top.see("*SLOT", "   11    9011").splitlines()
        assert lines[3].startswith("   11    9011")
        top.type("/", "9003")
        top.see("/9003_", "    3    9003", absent=["    4    9004"])
        top.type("BSpace", "Enter")
        top.see("/900  Esc", "    4    9004", absent=["   11    9011", "900_"])
        top.type("Escape")
        top.see("   11    9011", "q quit", absent=["/900"])


def test_frames_of_text(tmp_path):
    def run(*args):
        done = subprocess.run([SHOALCTL, "-s", fake.path, "top", *args], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, env={"TERM": "dumb"},
                              timeout=20 * SLOW)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "\033" not in done.stdout and "\r" not in done.stdout
        return done.stdout

    with FakeCtl(tmp_path / "c.sock", Instance().methods()) as fake:
        text = run("--once", "-d", "0.1")
        assert text.count("IN FLIGHT") == 1 and "    2    9002" in text and "MEM" in text
        # Every column has room, and rates are of two looks.
        assert "OLDEST" in text and "GIL%" in text and "1834.0 req/s" in text
        assert run("-n", "3", "-d", "0.1").count("IN FLIGHT") == 3


def test_resize(tmp_path, screen):
    with FakeCtl(tmp_path / "c.sock", Instance(workers=64).methods()) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", width=80, height=24)
        top.see("workers 64/64", "RESTARTS", "q quit", absent=["   20    9020"])
        top.tmux("resize-window", "-x", "120", "-y", "50")
        top.see("   20    9020", "EVENTS", "q quit")
        top.tmux("resize-window", "-x", "60", "-y", "10")
        text = top.see("workers 64/64", "q quit", absent=["RESTARTS"])
        assert max(map(len, text.splitlines())) <= 60


def test_connection_is_found_again(tmp_path, screen):
    fake = FakeCtl(tmp_path / "c.sock", Instance().methods())
    with fake:
        top = screen(SHOALCTL, "-s", fake.path, "top", "-d", "0.2")
        top.see("workers 3/3", "server.ready")
        fake.close()
        top.see("connection lost, trying again")
        fake.open()
        top.see("q quit", "running", "server.ready", absent=["connection lost"])


def test_signal_leaves_the_terminal_whole(tmp_path, screen):
    with FakeCtl(tmp_path / "c.sock", Instance().methods()) as fake:
        top = screen("sh", "-c", f"'echo $$ >{tmp_path}/pid;", "exec", SHOALCTL, "-s", fake.path,
                     "top'")  # fmt: skip
        top.see("workers 3/3")
        os.kill(int((tmp_path / "pid").read_text()), 15)
        top.see("prompt>", absent=["IN FLIGHT"])
        top.type("echo back-$((40+2))", "Enter")
        top.see("back-42")


def test_observer_sees_why_requests_are_missing(tmp_path, screen):
    def refuse(session, params):
        raise Refused(-32001, "permission_denied", "no", role="observer", needs="operator")

    methods = Instance().methods() | {"requests.inflight": refuse}
    with FakeCtl(tmp_path / "c.sock", methods) as fake:
        top = screen(SHOALCTL, "-s", fake.path, "top")
        top.see("workers 3/3", "shown to the role operator and above")


def test_without_a_terminal(tmp_path):
    with FakeCtl(tmp_path / "c.sock", Instance().methods()) as fake:
        done = subprocess.run(
            [SHOALCTL, "-s", fake.path, "top"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"TERM": "xterm"},
        )
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert done.stdout == ""
