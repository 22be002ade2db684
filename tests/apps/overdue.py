"""Views that take too long, each in its own way, and what is seen of them afterwards.

SPDX-License-Identifier: MIT
"""

import ctypes
import re
import select
import socket
import threading
import time
from urllib.parse import parse_qsl

from record import note

libc = ctypes.PyDLL("libc.so.6")  # PyDLL: calls keep the GIL


def spin_for_ever(q):
    while True:
        pass


def sleep_long(q):
    time.sleep(float(q.get("s", 30)))


def hold_gil(q):
    libc.usleep(int(float(q.get("s", 1)) * 1e6))


def match_regex(q):
    re.match(r"(a+)+$", "a" * int(q.get("n", 24)) + "b")


def wait_for_lock(q):
    threading.Event().wait(float(q.get("s", 30)))


def read_socket(q):
    ours, _theirs = socket.socketpair()
    ours.recv(1)


def wait_in_select(q):
    select.select([], [], [], float(q.get("s", 30)))


def catch_all(q):
    """What applications do: everything that is an Exception is somebody else's fault."""
    while True:
        try:
            spin_for_ever(q)
        except Exception:
            note("swallowed")


def stubborn(q):
    """Not even BaseException ends it, until its time is over."""
    end = time.monotonic() + float(q.get("s", 2))
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                pass
        except BaseException as error:
            note("caught", type(error).__name__)


def polite(q):
    try:
        spin_for_ever(q)
    finally:
        note("cleaned", q.get("id", "-"))


WAYS = {
    "spin": spin_for_ever,
    "sleep": sleep_long,
    "gil": hold_gil,
    "regex": match_regex,
    "lock": wait_for_lock,
    "socket": read_socket,
    "select": wait_in_select,
    "catch": catch_all,
    "stubborn": stubborn,
    "polite": polite,
}


def hook(environ, ident):
    t = environ["shoal.transfer"]
    note("hook", ident, t.status, t.abort_reason)


class Body:
    """An iterable whose way of taking long is the view's; close() is counted."""

    def __init__(self, way, q):
        self.way, self.q, self.items = way, q, int(q.get("items", 1))

    def __iter__(self):
        return self

    def __next__(self):
        if self.items > 0:
            self.items -= 1
            return b"item\n"
        self.way(self.q)
        raise StopIteration

    def close(self):
        note("close", self.q.get("id", "-"))
        if "slowclose" in self.q:
            spin_for_ever(self.q)


def deadline_errors(deadline):
    found = []
    for value in (-1, float("nan"), "1", None, 0, b"1", [], 1 << 2000):
        try:
            deadline(value)
            found.append("ok")
        except Exception as error:
            found.append(type(error).__name__)
    return " ".join(found).encode()


def just_in_time(seconds):
    """Returns about when its deadline is looked at."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def application(environ, start_response):
    q = dict(parse_qsl(environ["QUERY_STRING"]))
    name = environ["PATH_INFO"].strip("/")
    ident = q.get("id", "-")
    if "hook" in q:
        environ["eventlet.posthooks"].append((hook, (ident,), {}))
    if "began" in q:
        note("began", ident)
    if "deadline" in q:
        environ["shoal.deadline"](float(q["deadline"]))
    if name == "errors":
        start_response("200 OK", [])
        return [deadline_errors(environ["shoal.deadline"])]
    if name == "kept":
        application.kept = environ["shoal.deadline"]
    if name == "late":
        start_response("200 OK", [])
        try:
            application.kept(1)
        except ValueError as error:
            return [str(error).encode()]
    if name == "edge":
        try:
            just_in_time(float(q["s"]))
        except BaseException as error:
            note("edge", type(error).__name__)
            raise
    if name == "victim":
        try:
            just_in_time(float(q["s"]))
        except BaseException as error:
            note("stray", type(error).__name__)
            raise
    if name == "stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(WAYS[q["way"]], q)
    if name == "drip":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return drip(float(q["every"]), int(q["items"]))
    if name in WAYS:
        WAYS[name](q)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


def drip(every, items):
    for _ in range(items):
        time.sleep(every)
        yield b"drop\n"
