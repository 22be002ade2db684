"""One route for each behaviour the tests need from an application.

SPDX-License-Identifier: MIT
"""

import ctypes
import hashlib
import os
import sys
import time
from urllib.parse import parse_qsl

from record import Closing, note

BLOCK = bytes(range(256)) * 256


def ok(start_response, body, kind="text/plain", **more):
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers + [(k.replace("_", "-"), v) for k, v in more.items()])
    return [body]


def hello(environ, start_response, q):
    return ok(start_response, b"hello")


def pid(environ, start_response, q):
    return ok(start_response, str(os.getpid()).encode())


def cpu(environ, start_response, q):
    end = time.monotonic() + int(q.get("ms", 500)) / 1000
    n = 0
    while time.monotonic() < end:
        n += 1
    return ok(start_response, b"done")


def wait(environ, start_response, q):
    time.sleep(int(q.get("ms", 100)) / 1000)
    return ok(start_response, b"waited")


def hold(environ, start_response, q):
    """Answers as soon as the named file exists."""
    note("held", q.get("id", "-"))
    wait_for_file(q["file"])
    return ok(start_response, b"released")


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.005)


def pieces(size):
    left = size
    while left > 0:
        piece = BLOCK[:left]
        left -= len(piece)
        yield piece


def big(environ, start_response, q):
    """size bytes: kind=bytes (one object), list (sized), gen, length, file."""
    size, kind = int(q["size"]), q.get("kind", "bytes")
    ident = q.get("id", "-")
    if kind == "bytes":
        data = (BLOCK * (size // len(BLOCK) + 1))[:size]
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return Closing([data], ident)
    if kind == "list":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [BLOCK[: size // 2], BLOCK[: size - size // 2]]
    if kind == "length":
        start_response("200 OK", [("Content-Length", str(size))])
        return Closing(pieces(size), ident)
    if kind == "file":
        start_response("200 OK", [("Content-Length", str(size))])
        return environ["wsgi.file_wrapper"](open(q["path"], "rb"), 65536)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return Closing(pieces(size), ident)


def sink(environ, start_response, q):
    """Reads the body piece by piece; answers with its length and digest."""
    total, digest = 0, hashlib.sha256()
    stream = environ["wsgi.input"]
    while True:
        data = stream.read(65536)
        if not data:
            break
        total += len(data)
        if "nodigest" not in q:
            digest.update(data)
    return ok(start_response, f"{total} {digest.hexdigest()}".encode())


def noread(environ, start_response, q):
    return ok(start_response, b"not read")


def stream(environ, start_response, q):
    """Yields n items; after the first waits for the named file."""
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body():
        yield b"first\n"
        if "file" in q:
            note("streaming", q.get("id", "-"))
            wait_for_file(q["file"])
        for i in range(int(q.get("n", 3))):
            yield b"item %d\n" % i

    return Closing(body(), q.get("id", "-"))


def write(environ, start_response, q):
    send = start_response("200 OK", [("Content-Type", "text/plain")])
    send(b"by write\n")
    return [b"by iteration\n"]


def status(environ, start_response, q):
    """Any status, with a body that must not leave for HEAD, 204, 304."""
    start_response(q["s"].replace("_", " "), [("Content-Type", "text/plain")])
    return [b"body of this status"]


def own_headers(environ, start_response, q):
    headers = [("Content-Length", "2"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")]
    start_response("200 OK", headers + [("Server", "mine"), ("X-MiXed", "as is")])
    return [b"ok"]


def close_header(environ, start_response, q):
    time.sleep(int(q.get("ms", 0)) / 1000)
    return ok(start_response, b"bye", Connection="close")


def hooked(environ, start_response, q):
    """Notes each stage; the disconnect tests compare the counts."""
    ident = q.get("id", "-")
    note("app", ident)

    def hook(env, ident):
        note("hook", ident)

    environ["eventlet.posthooks"].append((hook, (ident,), {}))
    try:
        if "read" in q:
            environ["wsgi.input"].read()
        if "file" in q:
            wait_for_file(q["file"])
    except OSError:
        note("short", ident)
        raise
    size = int(q.get("size", 5))
    if q.get("kind") == "gen":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closing(pieces(size), ident)
    start_response("200 OK", [("Content-Length", str(size))])
    return Closing([(BLOCK * (size // len(BLOCK) + 1))[:size]], ident)


def in_child(end):
    """The wait status of a forked child that ends so."""
    pid = os.fork()
    if pid == 0:
        end()
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def die(environ, start_response, q):
    """Ends the process as only the application can."""
    note("dying", q["how"])
    if q["how"] == "exit":
        os._exit(3)
    if q["how"] == "abort":
        os.abort()
    if q["how"] == "child":
        return ok(start_response, b"%d" % in_child(lambda: ctypes.string_at(0)))
    ctypes.string_at(0)
    return ok(start_response, b"not reached")


def say(environ, start_response, q):
    print("said on stdout", flush=True)
    print("said on stderr", file=sys.stderr, flush=True)
    environ["wsgi.errors"].write("said on wsgi.errors\n")
    environ["wsgi.errors"].flush()
    return ok(start_response, b"said")


ROUTES = {
    f"/{view.__name__}": view
    for view in (
        hello, pid, cpu, wait, hold, big, sink, noread, stream, write, status,
        own_headers, close_header, hooked, die, say,
    )
}  # fmt: skip


def application(environ, start_response):
    view = ROUTES.get(environ["PATH_INFO"])
    if not view:
        start_response("404 Not Found", [("Content-Length", "9")])
        return [b"not found"]
    return view(environ, start_response, dict(parse_qsl(environ["QUERY_STRING"])))
