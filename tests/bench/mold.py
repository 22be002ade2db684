"""What preloading gives: the time until a worker is ready and the memory it has for itself.

SPDX-License-Identifier: MIT
"""

import dataclasses
import re
import signal
import socket
import time
from statistics import median

import report
from idle import kib
from measure import tree
from peers import SHOAL, Server
from workloads import WORKLOADS

WORKERS = 11
REQUESTS = 2000  # in all, so that every worker has touched what it touches
READY = re.compile(r"worker ready slot=\d+ pid=(\d+) .*after=(\d+)ms")


def django():
    return next(one for one in WORKLOADS if one.module == "django_app")


def ready_lines(server):
    return READY.findall(server.log.read_text(errors="replace"))


def grow(server):
    """One worker after the other, so that none waits for another; [(pid, ms)] of those added."""
    for wanted in range(2, WORKERS + 1):
        server.process.send_signal(signal.SIGTTIN)
        deadline = time.monotonic() + 20
        while len(ready_lines(server)) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
    return [(int(pid), int(ms)) for pid, ms in ready_lines(server)[1:]]


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        while connection.recv(65536):
            pass


def private_kib(pid):
    return kib(pid, "Private_Clean") + kib(pid, "Private_Dirty")


def measure(way, workload):
    """Cells of a row: how it is started, times, memory."""
    options = (f"--preload={way}", "--log-level", "info")
    peer = dataclasses.replace(SHOAL, command=(*SHOAL.command, *options))
    with Server(peer, workload) as server:
        if trouble := server.wait_ready():
            return [f"--preload={way}", trouble, "", "", "", ""], 0
        added = grow(server)
        if not added:
            return [f"--preload={way}", "no second worker", "", "", "", ""], 0
        request = f"GET {workload.path} HTTP/1.0\r\nHost: bench\r\n\r\n".encode()
        for _ in range(REQUESTS):
            ask(server.port, request)
        own = median(private_kib(pid) for pid, _ in added)
        total = sum(kib(pid, "Pss") for pid in tree(server.pid))
    times = [ms for _, ms in added]
    cells = [f"--preload={way}", f"{min(times)} ms", f"{median(times):.0f} ms", f"{max(times)} ms"]
    return [*cells, f"{own / 1024:.1f}", f"{total / 1024:.1f}"], own


def run(say):
    """Prints the table; returns it for the page."""
    workload = django()
    header = ["workers", "ready after, fastest", "median", "slowest"]
    header += ["private MiB of each", "all processes MiB"]
    rows, own = [], {}
    for way in ("off", "on"):
        say(f"bench: {WORKERS} workers of {workload.module}, --preload={way}")
        cells, own[way] = measure(way, workload)
        rows.append(cells)
    intro = (
        f"{WORKERS} workers of the Django application, {WORKERS - 1} of them added one by one;"
        f" memory after {REQUESTS} requests, shared pages counted once in the last column."
    )
    if all(own.values()):
        part = own["on"] / own["off"]
        intro += f" A preloaded worker has {part:.2f} of the other's private memory."
    print(f"{intro}\n\n{report.text_table(header, rows)}")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"
