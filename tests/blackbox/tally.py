"""Clients that write down, per account, what they received: the other half of a ledger.

As a program it is the clients, threads that each go through one connection after the other;
`Tally` starts them from a test and gets the sums at the end.

SPDX-License-Identifier: MIT
"""

import collections
import json
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from load import bucket, spread

HEADS_MAX = 1000  # bytes of an answer beyond its body and chunks
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
PER_CONNECTION = 40
LEAVES = 0.05  # of the large answers are left in the middle
COUNTS = ("whole", "cut", "bytes", "whole_bytes", "room", "whole_in")


class Cut(Exception):
    """The answer did not come, or not all of it."""


class Book:
    """What was received for one account. Names as in COUNTS:

    whole answers; requests sent without a whole answer; bytes received; those of whole
    answers; how much more those that were cut could have had; bytes of whole requests'
    bodies.
    """

    def __init__(self):
        self.counts = dict.fromkeys(COUNTS, 0)

    def add(self, **more):
        for name, count in more.items():
            self.counts[name] += count


class Request:
    """What is asked for, and how large its answer can be."""

    def __init__(self, chance, accounts):
        self.account = chance.choice(accounts)
        how = chance.choice(("whole", "whole", "chunks"))
        self.size = chance.choice((100, 1000, 5000, 20000, 100000, 1000000))
        self.body = b"u" * (chance.choice((0, 0, 3000)))
        by_environ = self.account.startswith("env-")
        target = f"/{how}/{self.size}" + (f"?{self.account}" if by_environ else "")
        tenant = "" if by_environ else f"X-Tenant: {self.account}\r\n"
        head = f"GET {target} HTTP/1.1\r\nHost: t\r\n{tenant}"
        if self.body:
            head = head.replace("GET", "POST", 1) + f"Content-Length: {len(self.body)}\r\n"
        self.data = head.encode() + b"\r\n" + self.body
        self.most = self.size + HEADS_MAX + self.size // 50
        large = self.size >= 100000
        self.leave_at = self.size // 2 if large and chance.random() < LEAVES else None


class Client(threading.Thread):
    def __init__(self, plan, number, stop):
        super().__init__(daemon=True)
        self.address, self.accounts = tuple(plan["address"]), plan["accounts"]
        self.chance, self.stop = random.Random(plan["seed"] + number), stop
        self.books = {name: Book() for name in self.accounts}
        self.latency = collections.Counter()
        self.strange = []

    def run(self):
        while not self.stop.is_set():
            try:
                with socket.create_connection(self.address, 20) as sock:
                    self.converse(sock)
            except (OSError, Cut):
                self.stop.wait(0.01)

    def converse(self, sock):
        for _ in range(PER_CONNECTION):
            if self.stop.is_set():
                return
            request = Request(self.chance, self.accounts)
            book, self.got = self.books[request.account], 0
            began = time.monotonic()
            try:
                sock.sendall(request.data)
                close = self.receive(sock, request)
            except (OSError, Cut):
                book.add(cut=1, bytes=self.got, room=max(request.most - self.got, 0))
                raise
            self.latency[bucket(time.monotonic() - began)] += 1
            book.add(whole=1, bytes=self.got, whole_bytes=self.got, whole_in=len(request.body))
            if close:
                return

    def more(self, sock):
        data = sock.recv(262144)
        if not data:
            raise Cut
        self.got += len(data)
        return data

    def receive(self, sock, request):
        """Until the answer is whole; whether the server closes the connection then."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.more(sock)
        head, tail = data[: end + 2], data[end + 2:]
        if not head.startswith(b"HTTP/1.1 200 "):
            self.strange.append(head[:200].decode("latin-1"))
        length = LENGTH.search(head)
        while not self.is_whole(length, end + 4, tail):
            if request.leave_at is not None and self.got > request.leave_at:
                # Unread bytes are thrown away, a reset says so.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise Cut
            tail = (tail + self.more(sock))[-16:]
        return b"connection: close" in head.lower()

    def is_whole(self, length, head, tail):
        if length is None:
            return tail.endswith(LAST_CHUNK)
        if self.got > head + int(length[1]):
            self.strange.append(f"{self.got - head - int(length[1])} bytes too much")
        return self.got >= head + int(length[1])


def main():
    plan = json.loads(sys.stdin.readline())
    stop = threading.Event()
    clients = [Client(plan, n, stop) for n in range(plan["clients"])]
    for client in clients:
        client.start()
    sys.stdin.readline()
    stop.set()
    latency, books = collections.Counter(), {name: Book() for name in plan["accounts"]}
    for client in clients:
        client.join()
        latency.update(client.latency)
        for name, book in client.books.items():
            books[name].add(**book.counts)
    strange = [line for client in clients for line in client.strange]
    print(json.dumps({
        "requests": latency.total(), "strange": strange[:20], **spread(latency),
        "accounts": {name: book.counts for name, book in books.items()},
    }))


class Tally:
    """`with Tally(address, accounts) as t: ...; t.stop()` gives the sums."""

    def __init__(self, address, accounts, clients=6, seed=1):
        self.plan = {
            "address": address, "accounts": accounts, "clients": clients, "seed": seed,
        }

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdin.write(json.dumps(self.plan) + "\n")
        self.process.stdin.flush()
        return self

    def stop(self):
        """Every client ends after the answer it waits for."""
        out, _ = self.process.communicate("stop\n", timeout=120)
        return json.loads(out)

    def __exit__(self, *_exc):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


if __name__ == "__main__":
    main()
