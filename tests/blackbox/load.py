"""A closed-loop load of keep-alive clients that counts everything a client should not see.

As a program it is the load: one process, one epoll, steered by lines on standard input and
answering in JSON lines. `Load` starts and steers it from a test.

SPDX-License-Identifier: MIT
"""

import collections
import errno
import json
import math
import re
import select
import socket
import subprocess
import sys
import time

HEAD = re.compile(rb"HTTP/1\.1 (\d\d\d) [^\r\n]*\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
WHO = re.compile(rb"(\d+) (\S+)\n")  # what tests/apps answer: process, version of the code
KEPT = 20000  # failures told in full; all are counted
TICK = 0.25  # how often connections are looked through for timeouts


def bucket(seconds):
    """Logarithmic, nine percent wide."""
    return int(math.log2(max(seconds * 1e6, 1)) * 8)


def percentile(buckets, part):
    """The upper bound in microseconds of the bucket this part of the answers ends in."""
    left = sum(buckets.values()) * part
    for number in sorted(buckets):
        left -= buckets[number]
        if left <= 0:
            return round(2 ** ((number + 1) / 8))
    return 0


def spread(buckets):
    return {f"p{part}_us": percentile(buckets, part / 100) for part in (50, 99, 100)}


class Phase:
    """What happened to the requests sent in one part of a test."""

    def __init__(self):
        self.requests = self.failures = 0
        self.versions, self.latency = collections.Counter(), collections.Counter()

    def report(self):
        counts = {"requests": self.requests, "failures": self.failures}
        return counts | spread(self.latency) | {"versions": self.versions}


class Client:
    """One connection after the other; in each, one request after the other."""

    def __init__(self, number):
        self.number = number
        self.sock = None
        self.state = "closed"  # connecting, asking, thinking
        self.got = b""
        self.answered = 0  # on this connection
        self.pid = None  # who answered last on this connection
        self.sent_at = 0.0
        self.phase = None


class Run:
    """The load itself."""

    def __init__(self, plan):
        family = plan["family"]
        self.family = getattr(socket, family)
        address = plan["address"]
        self.address = address if isinstance(address, str) else tuple(address)
        self.request = plan["request"].encode("latin-1")
        self.think, self.timeout = plan["think"], plan["timeout"]
        self.epoll = select.epoll()
        self.began = time.monotonic()
        self.clients = [Client(n) for n in range(plan["connections"])]
        self.by_fd = {}
        self.thinking = collections.deque()  # (when, client), in order: think is constant
        self.again = []  # clients that were refused: the next tick tries again
        self.name = "start"
        self.phases = {self.name: Phase()}
        self.statuses, self.kinds = collections.Counter(), collections.Counter()
        self.pids = collections.Counter()
        self.failed = []
        self.connects = self.closes = 0
        self.stopping = False

    # ---- one client ----

    def connect(self, client):
        client.sock = sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.state, client.answered, client.pid, client.got = "connecting", 0, None, b""
        client.sent_at, client.phase = time.monotonic(), self.name
        self.connects += 1
        code = sock.connect_ex(self.address)
        self.by_fd[sock.fileno()] = client
        self.epoll.register(sock, select.EPOLLIN | select.EPOLLOUT)
        if code not in (0, errno.EINPROGRESS):
            self.fail(client, errno.errorcode[code])

    def ask(self, client):
        client.state, client.got = "asking", b""
        client.sent_at, client.phase = time.monotonic(), self.name
        try:
            client.sock.send(self.request)
        except OSError as error:
            self.fail(client, f"send {errno.errorcode[error.errno]}")

    def hang_up(self, client):
        self.by_fd.pop(client.sock.fileno(), None)
        client.sock.close()
        client.state = "closed"

    def fail(self, client, kind):
        """Counts it, and begins anew with a connection of its own."""
        self.blame(client, kind)
        self.hang_up(client)
        self.again.append(client)

    def blame(self, client, kind):
        now = time.monotonic()
        self.kinds[kind] += 1
        phase = self.phases[client.phase]
        phase.requests += 1
        phase.failures += 1
        if len(self.failed) < KEPT:
            self.failed.append({
                "kind": kind, "phase": client.phase, "state": client.state,
                "at": round(now - self.began, 6), "clock": time.time(),
                "after_s": round(now - client.sent_at, 6), "client": client.number,
                "answered": client.answered, "pid": client.pid,
                "port": self.local_port(client), "got": client.got[:200].decode("latin-1"),
            })

    def local_port(self, client):
        try:
            name = client.sock.getsockname()
        except OSError:
            return None
        return name[1] if isinstance(name, tuple) else None

    # ---- answers ----

    def readable(self, client):
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(client, errno.errorcode[error.errno])
            return
        if client.state == "thinking":
            self.fail(client, "bytes nobody asked for" if data else "EOF while idle")
            return
        client.got += data
        if not self.whole(client) and not data:
            self.fail(client, "short answer" if client.got else "EOF")

    def whole(self, client):
        """Takes the answer when it is complete; what is wrong with it is a failure."""
        got = client.got
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return False
        status, length = HEAD.match(got), LENGTH.search(got, 0, end + 2)
        if not status or not length:
            self.fail(client, "no HTTP" if not status else "no length")
            return True
        size = end + 4 + int(length[1])
        if len(got) < size:
            return False
        self.statuses[status[1].decode()] += 1
        who = WHO.fullmatch(got, end + 4, size)
        if len(got) > size:
            self.fail(client, "more than the answer")
            return True
        if status[1][:1] != b"2":
            self.blame(client, f"status {status[1].decode()}")
        elif not who:
            self.blame(client, "wrong body")
        else:
            self.good(client, who)
        self.go_on(client, CLOSE.search(got, 0, end + 2))
        return True

    def good(self, client, who):
        now = time.monotonic()
        phase = self.phases[client.phase]
        phase.requests += 1
        phase.latency[bucket(now - client.sent_at)] += 1
        phase.versions[who[2].decode()] += 1
        client.pid = int(who[1])
        self.pids[client.pid] += 1
        client.answered += 1

    def go_on(self, client, close):
        """The next request: on this connection, if the server did not announce its end."""
        self.closes += bool(close)
        if self.stopping:
            self.hang_up(client)
        elif close:
            self.hang_up(client)
            self.connect(client)
        elif self.think:
            client.state = "thinking"
            self.thinking.append((time.monotonic() + self.think, client, client.sock))
        else:
            self.ask(client)

    # ---- the loop ----

    def event(self, fd, what):
        client = self.by_fd.get(fd)
        if not client:
            return
        if client.state == "connecting":
            code = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.fail(client, errno.errorcode[code])
            elif what & select.EPOLLOUT:
                self.epoll.modify(fd, select.EPOLLIN)
                self.ask(client)
        else:
            self.readable(client)

    def wake_thinkers(self, now):
        while self.thinking and self.thinking[0][0] <= now:
            _, client, sock = self.thinking.popleft()
            if client.sock is sock and client.state == "thinking":
                self.ask(client)

    def tick(self, now):
        again, self.again = self.again, []
        for client in again:
            if not self.stopping:
                self.connect(client)
        for client in self.clients:
            if client.state in ("connecting", "asking") and now - client.sent_at > self.timeout:
                self.fail(client, "timeout")
            elif self.stopping and client.state == "thinking":
                self.hang_up(client)

    def over(self):
        return self.stopping and all(c.state == "closed" for c in self.clients)

    def loop(self, commands, answer):
        self.epoll.register(commands, select.EPOLLIN)
        for client in self.clients:
            self.connect(client)
        next_tick = time.monotonic() + TICK
        while not self.over():
            wait = 0.002 if self.thinking else 0.01 if self.again else TICK
            for fd, what in self.epoll.poll(wait):
                if fd == commands.fileno():
                    self.command(commands.readline(), answer)
                else:
                    self.event(fd, what)
            now = time.monotonic()
            self.wake_thinkers(now)
            if self.again or now >= next_tick or self.stopping:
                self.tick(now)
                next_tick = now + TICK
        answer(self.report())

    def command(self, line, answer):
        verb, _, name = line.decode().strip().partition(" ")
        if verb == "phase":
            self.name = name
            self.phases.setdefault(name, Phase())
            answer({})
        elif verb == "report":
            answer(self.report())
        else:  # "stop", or nobody is there any more
            self.stopping = True

    def report(self):
        phases = {name: phase.report() for name, phase in self.phases.items()}
        total = collections.Counter()
        for phase in self.phases.values():
            total.update(phase.latency)
        return {
            "seconds": time.monotonic() - self.began,
            "requests": sum(p["requests"] for p in phases.values()),
            "failures": sum(self.kinds.values()),
            "kinds": self.kinds, "failed": self.failed, "statuses": self.statuses,
            "connects": self.connects, "closes": self.closes, "phases": phases,
            "pids": self.pids,
            **spread(total),
        }


class Load:
    """`with Load(server.address) as load:` runs it until the end of the block, or stop()."""

    def __init__(self, address, connections=8, target="/", think=0.0, timeout=20.0):
        unix = isinstance(address, str)
        family = "AF_UNIX" if unix else "AF_INET6" if ":" in address[0] else "AF_INET"
        request = f"GET {target} HTTP/1.1\r\nHost: load\r\n\r\n"
        self.plan = {
            "family": family, "address": address, "connections": connections,
            "request": request, "think": think, "timeout": timeout,
        }
        self.process = self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._say(json.dumps(self.plan))
        return self

    def __exit__(self, *_exc):
        try:
            self.stop()
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()

    def _say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _hear(self):
        line = self.process.stdout.readline()
        assert line, f"the load ended by itself: {self.process.wait()}"
        return json.loads(line)

    def phase(self, name):
        """Requests sent from now on belong to this part of the test."""
        self._say(f"phase {name}")
        self._hear()

    def report(self):
        self._say("report")
        return self._hear()

    def stop(self):
        """Every client ends after the answer it waits for; the last report."""
        if self.result is None:
            self._say("stop")
            self.result = self._hear()
        return self.result


def explain(report, most=5):
    """The failures of a report for a person."""
    lines = [f"{report['failures']} of {report['requests']} failed: {report['kinds']}"]
    lines += [json.dumps(failure) for failure in report["failed"][:most]]
    return "\n".join(lines)


def main():
    commands = open(0, "rb", buffering=0)  # noqa: SIM115 - lives as long as the program
    out = sys.stdout

    def answer(value):
        out.write(json.dumps(value) + "\n")
        out.flush()

    Run(json.loads(commands.readline())).loop(commands, answer)


if __name__ == "__main__":
    main()
