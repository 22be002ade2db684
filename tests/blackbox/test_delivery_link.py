"""A link of 100 Mbit/s between client and server: what is acknowledged when the client leaves
is what it has read, within a hundredth.

SPDX-License-Identifier: MIT
"""

import contextlib
import ctypes
import json
import os
import socket
import statistics
import subprocess
import threading

import pytest
from leaver import leave, take
from raw_client import request
from waiting import wait_for

MIB = 1 << 20
ROUNDS = 5
CLONE_NEWNET = 0x40000000
NEEDED = (
    ("ip", "netns", "add", "{ns}"),
    ("ip", "link", "add", "{a}", "type", "veth", "peer", "name", "{b}", "netns", "{ns}"),
    ("ip", "addr", "add", "{net}.1/30", "dev", "{a}"),
    ("ip", "link", "set", "{a}", "up"),
    ("ip", "-n", "{ns}", "addr", "add", "{net}.2/30", "dev", "{b}"),
    ("ip", "-n", "{ns}", "link", "set", "{b}", "up"),
    ("tc", "qdisc", "add", "dev", "{a}", "root", "tbf", "rate", "100mbit", "burst", "32kbit",
     "latency", "50ms"),
)  # fmt: skip


class Link:
    """The far end is a namespace of its own; towards it the rate is limited."""

    def __init__(self):
        ident = os.urandom(2).hex()
        third = os.urandom(1)[0]
        self.names = {
            "ns": f"shoal-{ident}", "a": f"sa-{ident}", "b": f"sb-{ident}",
            "net": f"10.213.{third}",
        }  # fmt: skip
        self.address = f"10.213.{third}.1"

    def make(self):
        for command in NEEDED:
            words = [word.format(**self.names) for word in command]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{' '.join(words)}: {done.stderr.strip()}"
        return None

    def remove(self):
        for words in (("link", "del", self.names["a"]), ("netns", "del", self.names["ns"])):
            subprocess.run(["ip", *words], capture_output=True, check=False)

    def connect(self, port):
        """A socket of the far end. A thread may change its namespace by itself."""
        made = []

        def run():
            libc = ctypes.CDLL(None, use_errno=True)
            with contextlib.closing(_Fd(f"/run/netns/{self.names['ns']}")) as there:
                if libc.setns(there.fd, CLONE_NEWNET) == 0:
                    made.append(socket.create_connection((self.address, port), 20))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert made, "no connection from the other namespace"
        return made[0]


class _Fd:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)

    def close(self):
        os.close(self.fd)


@pytest.fixture
def link():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    made = Link()
    try:
        if trouble := made.make():
            pytest.skip(f"no rate-limited link here: {trouble}")
        yield made
    finally:
        made.remove()


@pytest.fixture
def far(server, record, link):
    """A server that is reached over the link."""
    with socket.create_server((link.address, 0)) as probe:
        port = probe.getsockname()[1]
    srv = server(
        "delivery:application", "-b", f"{link.address}:{port}", env={"RECORD": str(record)}
    )
    srv.far_port = port
    srv.record = record
    return srv


def told(srv, ident):
    def found():
        lines = [json.loads(x) for x in srv.record.read_text().rpartition("\n")[0].splitlines()]
        return [x for x in lines if x["event"] == "delivered" and x["id"] == ident]

    return wait_for(found, 10, f"hook of {ident}")[0]


@pytest.mark.parametrize("mib", [3, 5])
def test_reader_at_line_speed(far, link, mib):
    off, over = [], []
    for i in range(ROUNDS):
        ident = f"{mib}-{i}"
        with link.connect(far.far_port) as sock:
            sock.sendall(request(f"/?id={ident}&size={10 * MIB}"))
            read = take(sock, mib * MIB)
            leave(sock, "unread")
        facts = told(far, ident)
        assert facts["acked"] <= facts["sent"] < 10 * MIB
        off.append(abs(facts["acked"] - read) / read)
        over.append((facts["sent"] - read) / read)
    print(f"{mib} MiB: acked off by {off}, sent over by {over}")
    assert statistics.median(off) <= 0.01, (off, over)


def test_whole_over_the_link(far, link):
    with link.connect(far.far_port) as sock:
        sock.sendall(request(f"/?id=a&size={3 * MIB}", headers=[("Connection", "close")]))
        read = take(sock, 4 * MIB)
    facts = told(far, "a")
    assert facts["acked"] == facts["sent"] == read
