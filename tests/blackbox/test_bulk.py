"""Large bodies and many connections, with an eye on the worker's memory.

SPDX-License-Identifier: MIT
"""

import hashlib
import threading
import time

import procfs
import pytest
from raw_client import request
from shoal_harness import BUILD, IS_SHOAL, SANITIZED, SLOW

MIB = 1 << 20
SIZE = 64 * MIB if SANITIZED else 1024 * MIB
BLOCK = bytes(range(256)) * 4096
LABEL = f"{SIZE // MIB}MiB"


class Memory(threading.Thread):
    """The highest resident size of a process while a test runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.done = pid, threading.Event()
        self.start_size = self.top = procfs.memory(pid)

    def run(self):
        while not self.done.wait(0.02):
            self.top = max(self.top, procfs.memory(self.pid))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self.done.set()
        self.join()

    @property
    def growth(self):
        return self.top - self.start_size


def send_blocks(conn, total, frame=lambda block: block):
    left = total
    while left:
        block = BLOCK[: min(left, len(BLOCK))]
        conn.send(frame(block))
        left -= len(block)


def as_chunk(block):
    return b"%x\r\n%s\r\n" % (len(block), block)


@pytest.mark.long
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("buffering", ["disk", "off"])
@pytest.mark.parametrize("size", [SIZE], ids=[LABEL])
def test_upload_with_flat_memory(server, tmp_path, size, buffering, framing):
    if buffering == "off" or framing == "chunked":
        size //= 4
    srv = server(
        *("zoo:application", "--request-buffering", buffering),
        *("--body-dir", tmp_path, "--timeout", "120"),
    )
    srv.ask("/sink?nodigest=1", "POST", body=bytes(MIB))
    conn = srv.connect(timeout=120)
    head = "POST /sink?nodigest=1 HTTP/1.1\r\nHost: t\r\n"
    with Memory(srv.worker) as memory:
        if framing == "length":
            conn.send(head + f"Content-Length: {size}\r\n\r\n")
            send_blocks(conn, size)
        else:
            conn.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            send_blocks(conn, size, as_chunk)
            conn.send(b"0\r\n\r\n")
        answer = conn.response("POST")
    assert answer.body.startswith(b"%d " % size)
    assert memory.growth < 16 * MIB * SLOW, f"grew by {memory.growth / MIB:.1f} MiB"
    assert not [p for p in tmp_path.iterdir() if p.is_file() and p.stat().st_size > MIB]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["gen", "length", "file"])
@pytest.mark.parametrize("size", [SIZE], ids=[LABEL])
def test_download_with_flat_memory(server, tmp_path, size, kind):
    if kind == "length":
        size //= 4
    path = tmp_path / "large"
    if kind == "file":
        with open(path, "wb") as file:
            for _ in range(size // len(BLOCK)):
                file.write(BLOCK)
    srv = server("zoo:application", "--timeout", "120")
    srv.ask("/big?kind=gen&size=4000000")
    conn = srv.connect(timeout=120)
    digest, total = hashlib.blake2b(), 0
    with Memory(srv.worker) as memory:
        version = "1.0" if kind == "gen" else "1.1"
        conn.send(
            f"GET /big?kind={kind}&size={size}&path={path} HTTP/{version}\r\n"
            "Host: t\r\nConnection: close\r\n\r\n"
        )
        conn._until(b"\r\n\r\n")
        # The head may have come alone.
        piece = bytes(conn.buf) or conn.sock.recv(MIB)
        while piece:
            digest.update(piece)
            total += len(piece)
            piece = conn.sock.recv(MIB)
    assert total == size
    want = hashlib.blake2b()
    for _ in range(size // len(BLOCK)):
        want.update(BLOCK)
    assert digest.digest() == want.digest()
    assert memory.growth < 16 * MIB * SLOW, f"grew by {memory.growth / MIB:.1f} MiB"


@pytest.mark.long
@pytest.mark.parametrize("n", [1000 if SANITIZED else 10000])
def test_idle_keep_alive_connections(server, n):
    """Still fast with so many, and in a release build at most 2 KiB of memory each."""
    srv = server("zoo:application", "--worker-connections", str(n + 100))
    for _ in range(200):
        srv.ask("/hello")
    worker = srv.worker
    before = procfs.private_memory(worker)
    idle = []
    for _ in range(n // 500):
        batch = [srv.connect() for _ in range(500)]
        for conn in batch:
            conn.send(request("/hello"))
        for conn in batch:
            assert conn.response().body == b"hello"
        idle += batch
    each = (procfs.private_memory(worker) - before) / n
    cpu = procfs.cpu_seconds(worker)
    times = []
    for _ in range(50):
        start = time.monotonic()
        assert srv.ask("/hello").body == b"hello"
        times.append(time.monotonic() - start)
    assert sorted(times)[40] < 0.01 * SLOW, times
    assert procfs.cpu_seconds(worker) - cpu < 0.5 * SLOW
    for conn in idle[:: n // 20]:
        assert conn.ask("/hello").body == b"hello"
    if BUILD == "release" and IS_SHOAL:
        assert each <= 2048, f"{each:.0f} bytes for each idle connection"


@pytest.mark.long
def test_memory_does_not_grow_with_requests(server):
    """20,000 requests of several kinds: what is left behind is noise."""
    srv = server("zoo:application")
    conn = srv.connect(timeout=30)

    def rounds(n):
        for _ in range(n):
            conn.send(request("/hello") * 40 + request("/sink", "POST", body=b"x" * 999))
            for _ in range(41):
                assert conn.response().status == 200

    rounds(50)
    before = procfs.private_memory(srv.worker)
    rounds(60 if SANITIZED else 400)
    growth = procfs.private_memory(srv.worker) - before
    assert growth < (16 * MIB if SANITIZED else 512 * 1024), f"grew by {growth} bytes"
