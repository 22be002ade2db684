"""A link of 100 Mbit/s to a network namespace of its own, where clients are.

SPDX-License-Identifier: MIT
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading

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
        """None, or why there can be no such link here."""
        for command in NEEDED:
            words = [word.format(**self.names) for word in command]
            try:
                done = subprocess.run(words, capture_output=True, text=True, check=False)
            except FileNotFoundError as error:
                return str(error)
            if done.returncode:
                return f"{' '.join(words)}: {done.stderr.strip()}"
        return None

    def remove(self):
        for words in (("link", "del", self.names["a"]), ("netns", "del", self.names["ns"])):
            with contextlib.suppress(FileNotFoundError):
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
