"""User-space instructions per request, counted by callgrind: the same from run to run.

SPDX-License-Identifier: MIT
"""

import re
import shutil
import socket
import time

import report
from measure import wrong_answer
from peers import WORK, Server
from workloads import WORKLOADS

COUNTED = ("hello", "browser", "post", "chunks", "fields", "logged")
SERVERS = ("shoal", "bjoern", "fastwsgi", "freastal")
WARM_UP, REQUESTS = 300, 1000


def read_answer(connection, left):
    """One whole answer from the connection; returns what came after it."""
    while b"\r\n\r\n" not in left:
        left += receive(connection)
    head, left = left.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if length:
        size = int(length.group(1))
        while len(left) < size:
            left += receive(connection)
        return left[size:]
    while not left.endswith(b"0\r\n\r\n"):
        left += receive(connection)
    return b""


def receive(connection):
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def count(peer, workload, requests, at_least_s=0):
    """All instructions of a server's life in which it answered this many requests, and how
    long it was up, at least so many seconds."""
    folder = WORK / "callgrind" / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    valgrind = ("valgrind", "-q", "--tool=callgrind", "--trace-children=yes")
    prefix = (*valgrind, f"--callgrind-out-file={folder}/%p.out")
    with Server(peer, workload, prefix, {"PYTHONHASHSEED": "0"}) as server:
        if trouble := server.wait_ready(120) or wrong_answer(workload, server.port, 60):
            raise RuntimeError(trouble)
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            left, request = b"", workload.request()
            for _ in range(requests):
                connection.sendall(request)
                left = read_answer(connection, left)
        up = time.monotonic() - began
        if up < at_least_s:
            time.sleep(at_least_s - up)
        server.stop(60)
    totals = [
        re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
        for out in folder.glob("*.out*")
    ]
    return sum(int(total.group(1)) for total in totals if total), up


def per_request(peer, workload):
    """Between a life with many requests and one with few, start and stop cancel out; and what
    a server does every second, as both last equally long: under callgrind a second is no more
    than some hundred requests."""
    many, up = count(peer, workload, WARM_UP + REQUESTS)
    few, _ = count(peer, workload, WARM_UP, up)
    return (many - few) / REQUESTS


def run(peers, say):
    """Prints the table; returns it for the page."""
    workloads = [workload for workload in WORKLOADS if workload.name in COUNTED]
    header = ["server", *(workload.name for workload in workloads)]
    rows = []
    for peer in peers:
        if peer.name not in SERVERS:
            continue
        cells = [peer.name]
        for workload in workloads:
            say(f"bench: instructions of {peer.name}, {workload.name}")
            if workload.access_log and not peer.log_options:
                cells.append("-")
                continue
            try:
                cells.append(report.count(per_request(peer, workload)))
            except (OSError, RuntimeError) as error:
                cells.append(str(error)[:60])
        rows.append(cells)
    intro = f"One connection, {REQUESTS} requests one after the other; all threads and processes."
    print(f"{intro}\n\n{report.text_table(header, rows)}")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"
