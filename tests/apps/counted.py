"""Counts with shoal.metrics what it is asked to count.

/count?NAME counts a request; /eval runs the body as an expression with `metrics` at hand and
answers what came out, or the exception.
SPDX-License-Identifier: MIT
"""

import os
import threading

from shoal import metrics

REQUESTS = metrics.counter("demo_requests_total", "Requests.", ["shop"])
PLAIN = metrics.counter("demo_plain_total", "Without labels.")
LOADED = metrics.gauge("demo_loaded", "Set when the module was loaded.")
LAST = metrics.gauge("demo_last", "The last one.", mode="last")
LEAST = metrics.gauge("demo_least", "The least.", mode="min")
MOST = metrics.gauge("demo_most", "The most.", mode="max")
TOOK = metrics.histogram("demo_took_seconds", "How long.", ["page"])
LOADED.set(1)
PLAIN.inc()


def in_threads(n, times):
    def work():
        for i in range(times):
            PLAIN.inc()
            REQUESTS.inc(shop=str(i % 7))

    threads = [threading.Thread(target=work) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def forked():
    """A child of the worker counts for itself."""
    pid = os.fork()
    if pid == 0:
        PLAIN.inc(1000)
        metrics.counter("demo_child_total").inc()
        os._exit(0)
    os.waitpid(pid, 0)


def many(n):
    for i in range(n):
        REQUESTS.inc(shop=f"s{i}")


def evaluate(source):
    try:
        return repr(eval(source, globals()))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def application(environ, start_response):
    if environ["PATH_INFO"] == "/eval":
        answer = evaluate(environ["wsgi.input"].read().decode())
    else:
        REQUESTS.inc(shop=environ["QUERY_STRING"])
        PLAIN.inc()
        answer = str(os.getpid())
    body = answer.encode("utf-8", "backslashreplace")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
