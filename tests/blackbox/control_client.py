"""A client of the control socket that can also misbehave.

SPDX-License-Identifier: MIT
"""

import json
import socket
import time

from shoal_harness import SLOW


class Failed(Exception):
    """The server answered with an error."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.kind = error["data"]["kind"]
        self.data = error["data"]


class Control:
    """`with Control(path) as c: c.call("server.ping")`."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        # With a time limit, connect() would not wait for a place in the accept queue.
        self.sock.connect(str(path))
        self.sock.settimeout(timeout * SLOW)
        self.buffer = b""
        self.id = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_json(self, value):
        self.send(json.dumps(value).encode() + b"\n")

    def line(self):
        """The next line as JSON; None at end of file."""
        while b"\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                assert not self.buffer, f"half a line: {self.buffer[:200]!r}"
                return None
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def raw(self, method, /, **params):
        """Sends a request and gives the whole reply; notifications go to self.events."""
        self.id += 1
        self.send_json({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        while True:
            reply = self.line()
            assert reply is not None, f"closed before the answer to {method}"
            if "method" in reply:
                self.events.append(reply["params"])
            elif reply["id"] == self.id:
                return reply

    def call(self, method, /, **params):
        reply = self.raw(method, **params)
        if "error" in reply:
            raise Failed(reply["error"])
        return reply["result"]

    def event(self):
        """The next notification's params."""
        if self.events:
            return self.events.pop(0)
        line = self.line()
        assert line is not None, "closed"
        return line["params"]

    def until_event(self, kind):
        while True:
            event = self.event()
            if event["type"] == kind:
                return event

    def rest(self):
        """Everything up to the end of file, as it is."""
        data = self.buffer
        while True:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                return data + b"<reset>"
            if not more:
                return data
            data += more

    def ping_s(self):
        begin = time.perf_counter()
        self.call("server.ping")
        return time.perf_counter() - begin


def call(path, method, /, **params):
    """One call on a connection of its own."""
    with Control(path) as control:
        return control.call(method, **params)
