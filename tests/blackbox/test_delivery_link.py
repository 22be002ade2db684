"""A link of 100 Mbit/s between client and server: what is acknowledged when the client leaves
is what it has read, within a hundredth.

SPDX-License-Identifier: MIT
"""

import json
import os
import socket
import statistics

import pytest
from leaver import leave, take
from link import Link
from raw_client import request
from waiting import wait_for

MIB = 1 << 20
ROUNDS = 5


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
