"""Looks into one corner of WSGI per path and answers with what it found, as JSON.

SPDX-License-Identifier: MIT
"""

import contextvars
import gzip
import io
import json
import os
import sys
import tempfile
import threading
from wsgiref.validate import validator

from record import Closing, note

seen = contextvars.ContextVar("seen", default=None)
held = {}


def answer(start_response, value):
    data = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [data]


def shape(environ, start_response):
    """Types of what is no plain value, and the plain values."""
    kinds = {k: type(v).__name__ for k, v in environ.items()}
    plain = {k: v for k, v in environ.items() if isinstance(v, (str, int, bool))}
    raw = [list(pair) for pair in environ["headers_raw"]]
    exact = type(environ) is dict and type(environ["headers_raw"]) is tuple
    return answer(
        start_response,
        {
            "kinds": kinds,
            "plain": plain,
            "raw": raw,
            "exact": exact,
            "version": environ["wsgi.version"],
            "same_input": environ["eventlet.input"] is environ["wsgi.input"],
            "hooks": environ["eventlet.posthooks"],
            "peer": list(environ["gunicorn.socket"].getpeername()),
        },
    )


def context(environ, start_response):
    before = seen.get()
    seen.set(environ["shoal.request_id"])
    start_response("200 OK", [])

    def body():
        yield json.dumps([before, seen.get() == environ["shoal.request_id"]]).encode()

    return body()


def thread(environ, start_response):
    return answer(start_response, threading.current_thread().name)


# ---- wsgi.input ----


def reads(environ, start_response):
    """The query is a program: r5,l,l3,i,R,d -> what each read gave."""
    stream, found = environ["wsgi.input"], []
    for step in environ["QUERY_STRING"].split(","):
        size = [int(step[1:])] if step[1:] else []
        if step[0] == "r":
            got = stream.read(*size)
        elif step[0] == "l":
            got = stream.readline(*size)
        elif step[0] == "R":
            got = b"|".join(stream.readlines(*size))
        elif step[0] == "n":
            got = stream.read(None)
        elif step[0] == "d":
            got = stream.discard() or b""
        else:
            got = b"|".join(stream)
        found.append(got.decode("latin-1"))
    return answer(start_response, found)


def broken_read(environ, start_response):
    note("reading")
    try:
        environ["wsgi.input"].read()
    except Exception as error:
        kinds = [k.__name__ for k in type(error).__mro__]
        note("read", *kinds)
        raise
    note("read", "whole")
    return answer(start_response, "whole")


def hundred(environ, start_response):
    stream = environ["wsgi.input"]
    before = stream.should_send_hundred_continue
    stream.set_hundred_continue_response_headers([("X-Hundred", "mine")])
    stream.send_hundred_continue_response()
    after = stream.should_send_hundred_continue
    return answer(start_response, [before, after, stream.read().decode()])


def hundred_by_read(environ, start_response):
    stream = environ["wsgi.input"]
    stream.set_hundred_continue_response_headers([("X-Hundred", "by read")])
    return answer(start_response, stream.read().decode())


def late_read(environ, start_response):
    held["input"] = environ["wsgi.input"]
    return answer(start_response, "kept")


def late_read_now(environ, start_response):
    try:
        held["input"].read()
    except ValueError as error:
        return answer(start_response, str(error))
    return answer(start_response, "read")


def thread_read(environ, start_response):
    """A thread of the application's own reads the body."""
    got = []
    t = threading.Thread(target=lambda: got.append(environ["wsgi.input"].read()))
    t.start()
    t.join(10)
    return answer(start_response, len(got[0]) if got else None)


# ---- start_response ----


def outcome(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None


def refused(environ, start_response):
    """What start_response says to many wrong heads; the last, right one is sent."""
    good = [("Content-Type", "text/plain")]
    tries = {
        "no code": ("OK", good),
        "short code": ("20 OK", good),
        "status type": (200, good),
        "status bytes": (b"200 OK", good),
        "status crlf": ("200 OK\r\nX: y", good),
        "status wide": ("200 \u20ac", good),
        "name crlf": ("200 OK", [("A\r\nB", "c")]),
        "name blank": ("200 OK", [("A B", "c")]),
        "name empty": ("200 OK", [("", "c")]),
        "value crlf": ("200 OK", [("A", "b\r\nC: d")]),
        "value nul": ("200 OK", [("A", "b\0")]),
        "value wide": ("200 OK", [("A", "\u20ac")]),
        "value type": ("200 OK", [("A", 5)]),
        "value bytes": ("200 OK", [("A", b"5")]),
        "pair list": ("200 OK", [["A", "b"]]),
        "triple": ("200 OK", [("A", "b", "c")]),
        "headers dict": ("200 OK", {"A": "b"}),
        "hop te": ("200 OK", [("Transfer-Encoding", "chunked")]),
        "hop keep": ("200 OK", [("Keep-Alive", "5")]),
        "length twice": ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")]),
        "length text": ("200 OK", [("Content-Length", "x")]),
    }
    found = {name: outcome(lambda a=a: start_response(*a)) for name, a in tries.items()}
    found["no arguments"] = outcome(lambda: start_response())
    found["four"] = outcome(lambda: start_response("200 OK", good, None, 4))
    found["keyword"] = outcome(lambda: start_response("200 OK", good, more=1))
    start_response("202 Accepted", good, exc_info=None)
    found["second"] = outcome(lambda: start_response("200 OK", good))
    try:
        raise KeyError("replaced")
    except KeyError:
        found["replace"] = outcome(
            lambda: start_response("203 Mine", [("X-Second", "yes")], sys.exc_info())
        )
    return [json.dumps(found).encode()]


def too_late(environ, start_response):
    write = start_response("200 OK", [])
    write(b"out ")
    try:
        raise KeyError("late")
    except KeyError:
        try:
            start_response("500 Oops", [], sys.exc_info())
        except KeyError as error:
            return [f"re-raised {error}".encode()]
    return [b"not raised"]


def no_head_until_body(environ, start_response):
    def body():
        yield b""
        start_response("201 Created", [("X-Late", "yes")])
        yield b""
        yield b"body"

    return body()


def only_empty(environ, start_response):
    start_response("200 OK", [("X-Empty", "yes")])
    return iter([b"", b""])


def many(environ, start_response):
    start_response("200 OK", [])
    return (b"a", b"", b"bc", b"def")


def empties(environ, start_response):
    start_response("200 OK", [])
    return iter([b"a", b"", b"b"])


def latin(environ, start_response):
    start_response("200 Schön", [("X-Latin", "é")])
    return [b"x"]


def hints(environ, start_response):
    environ["shoal.early_hints"]([("Link", "</a.css>; rel=preload")])
    return answer(start_response, "after hints")


def errors(environ, start_response):
    log = environ["wsgi.errors"]
    log.write("one line of ")
    log.write("wsgi.errors\n")
    log.writelines(["two ", "parts\n"])
    print("by print", file=log)
    log.write("unfinished")
    log.flush()
    return answer(start_response, outcome(lambda: log.write(b"bytes")))


def file_of(environ, start_response):
    """wrapper over: real, offset, gzip, memory, temporary."""
    kind = environ["QUERY_STRING"]
    path = os.path.abspath(__file__)
    if kind == "real":
        file = open(path, "rb")
    elif kind == "offset":
        file = open(path, "rb")
        file.read(3)
    elif kind == "gzip":
        file = gzip.GzipFile(held["gzip"], "rb")
    elif kind == "temporary":
        file = tempfile.TemporaryFile()
        file.write(b"temporary")
        file.seek(0)
    else:
        file = io.BytesIO(b"in memory " * 3)
    start_response("200 OK", [("Content-Length", "5")] if kind == "cut" else [])
    return environ["wsgi.file_wrapper"](file, 10)


def gzip_file(environ, start_response):
    fd, held["gzip"] = tempfile.mkstemp()
    with os.fdopen(fd, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb") as file:
        file.write(b"unpacked")
    body = file_of({**environ, "QUERY_STRING": "gzip"}, start_response)
    os.unlink(held["gzip"])
    return body


# ---- post hooks ----


def facts(env, *names):
    transfer = env["shoal.transfer"]
    return ",".join(f"{n}={getattr(transfer, n)}" for n in names)


def noted(env, ident, more=""):
    note("hook", ident, facts(env, "status", "body", "aborted"), more)


def failing(env):
    raise RuntimeError("hook raised")


def hooked(environ, start_response):
    """Two good hooks round a failing one; ?what chooses how the request ends."""
    hooks = environ["eventlet.posthooks"]
    hooks.append((noted, ("first",), {"more": "kw"}))
    hooks.append((failing, (), {}))
    hooks.append((noted, ("second",), {}))
    environ["shoal.delivered_hooks"].append((noted, ("delivered",), {}))
    what = environ["QUERY_STRING"]
    if what == "raise":
        raise RuntimeError("app raised")
    if what == "exit":
        sys.exit(3)
    start_response("200 OK", [])
    if what == "later":

        def body():
            yield b"first"
            raise RuntimeError("body raised")

        return Closing(body(), "later")
    return Closing([b"hooked"], what)


def replaced_list(environ, start_response):
    environ["eventlet.posthooks"].append((noted, ("dropped",), {}))
    environ["eventlet.posthooks"] = [(noted, ("kept",), {})]
    return answer(start_response, "replaced")


def middleware_copy(environ, start_response):
    inner = dict(environ)
    inner["eventlet.posthooks"].append((noted, ("inner",), {}))
    return answer(start_response, "copied")


def hook_adds_hook(environ, start_response):
    def first(env):
        note("hook first")
        env["eventlet.posthooks"].append((noted, ("added",), {}))

    environ["eventlet.posthooks"].append((first, (), {}))
    return answer(start_response, "adds")


def bad_hooks(environ, start_response):
    environ["eventlet.posthooks"].extend([None, (1, 2), (noted, ("good",), {})])
    return answer(start_response, "bad")


def close_adds_hook(environ, start_response):
    class Body:
        def __iter__(self):
            return iter([b"body"])

        def close(self):
            note("close", "adder")
            environ["eventlet.posthooks"].append((noted, ("from_close",), {}))

    start_response("200 OK", [])
    return Body()


def endless(environ, start_response):
    """Yields until nobody takes it any more."""

    def ended(env):
        note("hook", "ended", env["shoal.transfer"].aborted)

    def body():
        for i in range(1 << 30):
            if i == 32:
                note("parked")
            yield bytes(16384)

    environ["eventlet.posthooks"].append((ended, (), {}))
    start_response("200 OK", [])
    return Closing(body(), "endless")


def keep_transfer(environ, start_response):
    held["transfer"] = environ["shoal.transfer"]
    return answer(start_response, "kept")


def show_transfer(environ, start_response):
    t = held["transfer"]
    names = "status bytes_in head body framing tls sent acked aborted abort_reason"
    found = {n: getattr(t, n) for n in names.split()}
    found["repr"] = repr(t)
    found["times"] = [t.ttfb_us > 0, t.duration_us >= t.ttfb_us]
    return answer(start_response, found)


def checked_hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"valid"]


def checked_echo(environ, start_response):
    data = environ["wsgi.input"].read(1000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [data]


def strict(app):
    """wsgiref.validate; eventlet's headers_raw is a tuple, and keys without a dot must be str."""
    checked_app = validator(app)

    def call(environ, start_response):
        environ = dict(environ)
        del environ["headers_raw"]
        return checked_app(environ, start_response)

    return call


checked = {"/valid/hello": strict(checked_hello), "/valid/echo": strict(checked_echo)}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path in checked:
        return checked[path](environ, start_response)
    return globals()[path.strip("/").split("/")[0]](environ, start_response)
