"""Memory of servers that have nothing to do: an idle worker, and idle connections.

SPDX-License-Identifier: MIT
"""

import socket
import subprocess
import time
from pathlib import Path

import report
from measure import tree
from peers import BIN, HERE, Server, raise_descriptor_limit
from workloads import WORKLOADS

CONNECTIONS = 10_000
OPEN_SECONDS = 20
HELLO = WORKLOADS[0]


def kib(pid, key="Rss"):
    """A line of /proc/PID/smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def interpreter_kib():
    """An interpreter that imported the application and waits."""
    code = "import app; print(flush=True); import sys; sys.stdin.read()"
    with subprocess.Popen(
        [BIN / "python", "-c", code], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        used = kib(process.pid)
        process.stdin.close()
    return used


def ask(connection):
    """One request and its whole answer, the connection kept."""
    connection.sendall(HELLO.request())
    answer = b""
    while not answer.endswith(b"Hello, world!\n"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("closed")
        answer += data


def worker_of(pid):
    """The process of the tree that runs the application: the largest."""
    return max(tree(pid), key=kib)


def open_many(port, say, name):
    """Opens connections, each having had one answer, until one fails or time is up."""
    connections, deadline = [], time.monotonic() + OPEN_SECONDS
    try:
        while len(connections) < CONNECTIONS and time.monotonic() < deadline:
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            ask(connections[-1])
    except OSError as error:
        say(f"bench: {name} stopped at {len(connections)} connections: {error}")
        connections.pop()
    return connections


def settle(pid):
    """The resident size once it has stopped growing, or after three seconds."""
    last, now = -1, kib(pid)
    for _ in range(10):
        if now == last:
            break
        time.sleep(0.3)
        last, now = now, kib(pid)
    return now


def measure(peer, base, say):
    with Server(peer, HELLO) as server:
        if trouble := server.wait_ready():
            return [peer.name, trouble, "", "", "", ""]
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
            ask(one)
        worker = worker_of(server.pid)
        idle = settle(worker)
        total = sum(kib(pid) for pid in tree(server.pid))
        connections = open_many(server.port, say, peer.name)
        each = (settle(worker) - idle) * 1024 / max(len(connections), 1)
        for connection in connections:
            connection.close()
    cells = [f"{idle / 1024:.1f}", f"{(idle - base) / 1024:.1f}", f"{total / 1024:.1f}"]
    return [peer.name, *cells, str(len(connections)), f"{each:.0f}"]


def run(peers, say):
    """Prints the table; returns it for the page."""
    raise_descriptor_limit()
    base = interpreter_kib()
    header = ["server", "worker MiB", "above the interpreter", "all processes"]
    header += ["idle connections", "bytes each"]
    rows = []
    for peer in peers:
        say(f"bench: {peer.name} at rest")
        rows.append(measure(peer, base, say))
    intro = f"The interpreter with the application imported: {base / 1024:.1f} MiB resident."
    print(f"{intro}\n\n{report.text_table(header, rows)}")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"
