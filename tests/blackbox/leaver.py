"""Clients that leave in the middle of an answer, and what their own kernel had received.

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import socket
import ssl
import struct
import subprocess
import sys

from waiting import wait_for

WAYS = ("unread", "reset", "killed", "late", "pause")
RECEIVED_AT = 128  # tcpi_bytes_received in struct tcp_info


def tcp_received(sock):
    """Bytes the kernel has got from the peer, handed out or not."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("Q", info, RECEIVED_AT)[0]


def settle(sock, enough):
    """Waits until so much came, or the peer sends no more because the window is full: longer
    than it takes to look whether that is still so."""
    seen = []

    def still():
        seen.append(tcp_received(sock))
        return seen[-1] >= enough or (len(seen) > 30 and len(set(seen[-30:])) == 1)

    wait_for(still, 10, "the end of what comes in", step=0.01)


def take(sock, n):
    """Reads n bytes, or to the end of the answer."""
    got = 0
    while got < n:
        piece = sock.recv(min(65536, n - got))
        if not piece:
            break
        got += len(piece)
    return got


def one_answer(sock, target):
    """A whole answer of a few bytes, on a connection that stays."""
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 5:
        answer += sock.recv(65536)


def visit(sock, way, target, size, read, before=None):
    """Asks for an answer of about `size` bytes, reads `read` of them and stays. -> facts:
    received from before the request to now, and read by the program."""
    if before:
        one_answer(sock, before)
    start = tcp_received(sock)
    closing = "" if before else "Connection: close\r\n"
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: t\r\n{closing}\r\n".encode())
    if way == "late":
        settle(sock, start + size)
    got = take(sock, read)
    if way not in ("unread", "reset"):
        settle(sock, start + size)
    return {"start": start, "received": tcp_received(sock) - start, "read": got}


def leave(sock, way):
    if way == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def visit_and_be_killed(address, ca, *visit_args):
    """The same in a process of its own, which ends by SIGKILL."""
    args = json.dumps([list(address), str(ca or ""), *visit_args])
    with subprocess.Popen(
        [sys.executable, __file__, args], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        try:
            facts = json.loads(child.stdout.readline())
        finally:
            child.kill()
    return facts


def main():
    address, ca, *visit_args = json.loads(sys.argv[1])
    sock = socket.create_connection(address, 10)
    if ca:
        context = ssl.create_default_context(cafile=ca)
        sock = context.wrap_socket(sock, server_hostname="localhost")
    print(json.dumps(visit(sock, *visit_args)), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()


if __name__ == "__main__":
    main()
