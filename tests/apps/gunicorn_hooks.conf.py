"""Every hook of gunicorn's that a worker calls; each leaves a line in $RECORD.

SPDX-License-Identifier: MIT
"""

import os

timeout = 47
proc_name = "shop"
SHOUT = os.environ.get("HOOKS", "").split()


def note(*words):
    with open(os.environ["RECORD"], "a") as f:
        f.write(" ".join(str(w) for w in words) + "\n")


def post_fork(server, worker):
    assert server.pid == os.getppid() and worker.pid == os.getpid()
    note("post_fork", worker.age, worker.wsgi, worker.cfg.timeout, worker.cfg.proc_name)
    server.log.info("spawned (pid: %s)", worker.pid)
    if "post_fork" in SHOUT:
        raise RuntimeError("no telemetry")


def post_worker_init(worker):
    note("post_worker_init", callable(worker.wsgi), worker.cfg.workers)
    if "post_worker_init" in SHOUT:
        raise RuntimeError("no warmth")


def pre_request(worker, req):
    req.seen = True
    host = dict(req.headers)["HOST"]
    note("pre_request", req.method, req.path, req.query, host, req.remote_addr[0], worker.nr)
    if req.path == "/refused":
        raise RuntimeError("not this one")


def post_request(worker, req, environ, resp):
    if resp is None:
        note("post_request", req.path, environ, None)
    else:
        headers = dict(resp.headers)
        note("post_request", environ["PATH_INFO"], req.seen, resp.status, resp.sent,
             headers.get("Content-Length"))
    if req.path == "/unlogged":
        raise RuntimeError("not after this one")


def worker_int(worker):
    note("worker_int", worker.pid == os.getpid())


def worker_abort(worker):
    note("worker_abort", worker.aborted)


def worker_exit(server, worker):
    note("worker_exit", worker.alive)
    server.log.warning("ends\nafter %d", worker.nr)


def when_ready(server):
    raise AssertionError("the master runs no Python")
