"""Moves as many of the server's metrics as one application can.

/fails raises; /hook registers a post hook that fails; anything else answers its route's name.
SPDX-License-Identifier: MIT
"""

from shoal import metrics

VISITS = metrics.counter("demo_visits_total", "Visits.", ["page"])
TOOK = metrics.histogram("demo_took_seconds", "How long.")


def fail():
    raise RuntimeError("on purpose")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    environ["shoal.route"] = path
    VISITS.inc(page=path)
    TOOK.observe(0.02)
    if path == "/fails":
        fail()
    if path == "/hook":
        environ["eventlet.posthooks"].append((lambda environ: fail(), (), {}))
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(path)))])
    return [path.encode()]
