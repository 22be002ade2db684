"""Takes its time where the path says, raises where it says, and makes work for the collector.

SPDX-License-Identifier: MIT
"""

import gc
import os
import time

# What is collected is what /collect has collected.
gc.disable()


def number(environ):
    return float(environ["QUERY_STRING"] or 0)


def fail(environ=None):
    raise RuntimeError("on purpose")


class Body:
    """An answer that fails where it is told."""

    def __init__(self, where):
        self.where, self.left = where, 2

    def __iter__(self):
        return self

    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        if self.where == "iterate" and self.left == 0:
            fail()
        return b"x"

    def close(self):
        if self.where == "close":
            fail()


def hold(seconds):
    """Keeps the GIL, in C, for so much time of a processor."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(2_000_000))


def collect(count):
    gc.collect()
    for _ in range(count):
        cycle = []
        cycle.append(cycle)
    del cycle
    gc.collect()


def fork_and_collect():
    pid = os.fork()
    if pid == 0:
        collect(1000)
        os._exit(0)
    os.waitpid(pid, 0)


def hooks(environ):
    """Two post hooks, one of which takes so many seconds, and one that fails."""
    seconds = number(environ)
    environ["eventlet.posthooks"] += [
        (lambda env: time.sleep(seconds), (), {}), (lambda env: None, (), {}), (fail, (), {}),
    ]


def application(environ, start_response):
    path, body = environ["PATH_INFO"], [b"ok"]
    if path == "/sleep":
        time.sleep(number(environ))
    elif path == "/hold":
        hold(number(environ))
    elif path == "/hooks":
        hooks(environ)
    elif path == "/delivered":
        environ["shoal.delivered_hooks"].append((lambda env: None, (), {}))
        body = [b"x" * int(number(environ))]
    elif path == "/collect":
        collect(int(number(environ)))
    elif path == "/fork":
        fork_and_collect()
    elif path == "/young":
        gc.collect(0)
    elif path == "/body":
        environ["wsgi.input"].read()
        body = [b"x" * int(number(environ))]
    elif path == "/call":
        fail()
    elif path in ("/iterate", "/close"):
        body = Body(path[1:])
    start_response("200 OK", [("Content-Length", str(len(body[0])))] if type(body) is list else [])
    return body
