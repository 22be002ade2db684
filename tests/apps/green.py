"""Views that wait, for green threads: every wait here lets other requests run.

SPDX-License-Identifier: MIT
"""

import contextvars
import threading
import time
from urllib.parse import parse_qsl

from record import note

who = contextvars.ContextVar("who", default="nobody")
local = threading.local()


def text(start_response, body, status="200 OK"):
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]


def wait(environ, start_response, q):
    time.sleep(float(q["s"]))
    return text(start_response, b"waited")


def own(environ, start_response, q):
    """Its context and its thread-locals are still its own after others ran."""
    fresh = who.get() == "nobody" and not hasattr(local, "who")
    who.set(q["id"])
    local.who = q["id"]
    time.sleep(0.05)
    kept = who.get() == q["id"] == local.who
    return text(start_response, b"own" if fresh and kept else b"mixed up")


def hook(environ, ident):
    note("hook", ident, who.get())
    time.sleep(0.05)
    note("hook-end", ident)


def hooked(environ, start_response, q):
    who.set(q["id"])
    environ["eventlet.posthooks"].append((hook, (q["id"],), {}))
    note("app", q["id"])
    time.sleep(float(q.get("s", 0)))
    note("woke", q["id"])
    if "raise" in q:
        raise SystemExit(q["id"])
    return text(start_response, b"hooked")


def killed(environ, start_response, q):
    import greenlet

    raise greenlet.GreenletExit


def write(environ, start_response, q):
    """By write(), more than a connection takes at once."""
    send = start_response("200 OK", [("Content-Length", str(int(q["n"]) * 65536))])
    for _ in range(int(q["n"])):
        send(b"w" * 65536)
    return []


def twins(environ, start_response, q):
    """Three greenlets read one body at a time."""
    failed = []

    def read():
        try:
            environ["wsgi.input"].read(1)
        except (RuntimeError, ValueError) as error:
            failed.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for t in threads:
        t.start()
    note("reading")
    for t in threads:
        t.join()
    return text(start_response, "|".join(failed).encode())


def left(environ, start_response, q):
    """A greenlet goes on reading when the request is over."""

    def read():
        try:
            environ["wsgi.input"].read()
        except ValueError as error:
            note("reader", str(error))

    threading.Thread(target=read).start()
    time.sleep(0.01)
    return text(start_response, b"left")


def impatient(environ, start_response, q):
    """The library's timeout interrupts a wait for the client, and reading goes on."""
    module = __import__(q["library"])
    got = b""
    for _ in range(100):
        try:
            with module.Timeout(0.02):
                got = environ["wsgi.input"].read()
                break
        except module.Timeout:
            note("timeout")
    return text(start_response, got)


ROUTES = {
    f"/{view.__name__}": view for view in (wait, own, hooked, killed, write, twins, left, impatient)
}


def application(environ, start_response):
    q = dict(parse_qsl(environ["QUERY_STRING"]))
    return ROUTES[environ["PATH_INFO"]](environ, start_response, q)
