"""A control server that answers from a table, to try shoalctl against every kind of answer.

SPDX-License-Identifier: MIT
"""

import json
import os
import socket
import threading

HELLO = {
    "name": "shoal",
    "version": "0.1.0",
    "api": 1,
    "minor": 0,
    "instance": "shop",
    "pid": 812,
    "boot_id": "6f1c",
    "generation": 42,
    "role": "admin",
}


class Refused(Exception):
    """Raised by a method: an error reply."""

    def __init__(self, code, kind, message, **data):
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": {"kind": kind, **data}}


class Raw(str):
    """A result that is sent as this text."""


class Session:
    """One connection, as the methods of the table see it."""

    def __init__(self, server, conn):
        self.server, self.conn = server, conn
        self.lock = threading.Lock()

    def send(self, message):
        with self.lock:
            self.send_text(json.dumps(message, separators=(",", ":")))

    def send_text(self, text):
        self.conn.sendall(text.encode() + b"\n")

    def event(self, seq, kind, data, method="event"):
        params = {"sub": 1, "seq": seq, "t": 1795222800.25, "type": kind, "data": data}
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def hang_up(self):
        self.conn.shutdown(socket.SHUT_RDWR)


class FakeCtl:
    """`with FakeCtl(path, {"server.ping": {...}})`: a value, or a function of the session
    and the parameters. What was asked for is in `calls`."""

    def __init__(self, path, methods):
        self.path = str(path)
        self.methods = {"server.hello": HELLO, **methods}
        self.calls = []
        self.sessions = []
        self.listener = None

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exc):
        self.close()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Ends every connection, and the socket is gone."""
        if self.listener is None:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        os.unlink(self.path)
        self.drop()

    def drop(self):
        """Ends every connection; new ones are taken."""
        sessions, self.sessions = self.sessions, []
        for session in sessions:
            try:
                session.hang_up()
            except OSError:
                pass  # its client was quicker

    def called(self, method):
        """The parameters of every call of the method."""
        return [params for name, params in self.calls if name == method]

    def _accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            session = Session(self, conn)
            self.sessions.append(session)
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session):
        with session.conn, session.conn.makefile("rb") as lines:
            try:
                for line in lines:
                    self._answer(session, json.loads(line))
            except OSError:
                pass  # the client has gone, or drop() was called

    def _answer(self, session, request):
        method, params = request["method"], request.get("params", {})
        self.calls.append((method, params))
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            if method not in self.methods:
                raise Refused(-32601, "unknown_method", f"no method {method}")
            result = self.methods[method]
            if callable(result):
                result = result(session, params)
        except Refused as refused:
            session.send({**reply, "error": refused.error})
            return
        if isinstance(result, Raw):
            with session.lock:
                head = json.dumps(reply, separators=(",", ":"))[:-1]
                session.send_text(f'{head},"result":{result}}}')
        elif result is not None:
            session.send({**reply, "result": result})
