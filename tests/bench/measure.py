"""Measures one server under one load: wrk's figures, and CPU and memory from /proc.

SPDX-License-Identifier: MIT
"""

import http.client
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}
SERVER_CORE, LOAD_CORE = "0", "1"


@dataclass
class Sample:
    """One round of one server."""

    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float
    rss_mib: float
    errors: int


def stat_fields(pid):
    """/proc/PID/stat from the state on, or None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def tree(pid):
    """The pids of a process and all its descendants."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_us(pids):
    """User and system time spent so far, ended and awaited children included."""
    total = 0
    for pid in pids:
        if fields := stat_fields(pid):
            total += sum(int(ticks) for ticks in fields[11:15])
    return total * 1_000_000 / TICK


def rss_mib(pids):
    """Resident memory, summed; pages shared inside the tree count once per process."""
    pages = sum(int(fields[21]) for pid in pids if (fields := stat_fields(pid)))
    return pages * PAGE / (1 << 20)


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def wrk_command(workload, port, seconds, script):
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{workload.connections}"]
    command += [f"-d{seconds}", "--latency", "--timeout", "5s"]
    for name, value in workload.headers.items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", str(script)]
    return [*command, f"http://127.0.0.1:{port}{workload.path}"]


def wrk_parse(text):
    """(requests, rps, p50 us, p99 us, errors) of wrk's output."""

    def find(pattern, default=None):
        match = re.search(pattern, text)
        return match.groups() if match else default

    requests = int(find(r"(\d+) requests in")[0])
    rps = float(find(r"Requests/sec:\s+([\d.]+)")[0])
    p50 = microseconds(find(r"(?m)^ +50%\s+(\S+)", ("0us",))[0])
    p99 = microseconds(find(r"(?m)^ +99%\s+(\S+)", ("0us",))[0])
    sockets = find(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", ())
    refused = find(r"Non-2xx or 3xx responses: (\d+)", ())
    return requests, rps, p50, p99, sum(map(int, sockets + refused))


def run_wrk(pid, workload, port, seconds, script):
    """One round against the process tree of pid."""
    before = cpu_us(tree(pid))
    done = subprocess.run(
        wrk_command(workload, port, seconds, script), capture_output=True, text=True, check=True
    )
    pids = tree(pid)
    requests, rps, p50, p99, errors = wrk_parse(done.stdout)
    used = (cpu_us(pids) - before) / max(requests, 1)
    return Sample(rps, p50, p99, used, rss_mib(pids), errors)


def wrong_answer(workload, port, timeout=5):
    """What is wrong with the answer to one request of the workload; None when it is right."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        method = "POST" if workload.body else "GET"
        # Field by field: request() would add one more.
        connection.putrequest(method, workload.path, skip_accept_encoding=True)
        for name, value in workload.headers.items():
            connection.putheader(name, value)
        if workload.body:
            connection.putheader("Content-Length", str(len(workload.body)))
        connection.endheaders(workload.body or None)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            return f"status {response.status}"
        if len(body) != workload.size:
            return f"{len(body)} body bytes instead of {workload.size}"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return None if "Connection" not in workload.headers else stays_open(workload, port)


def stays_open(workload, port):
    """Whether a connection outlives a request that asked for its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(workload.request())
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return "ignores Connection: close"
    return None
