"""The mold: requests that warm it up, what would make forks of it unsafe, what a fork needs.

Compiled into the plugin behind boot.py; its names are called from C (state_call_boot).
SPDX-License-Identifier: MIT
"""

import _socket
import gc
import importlib
import io
import os
import stat
import sys
import threading
import time
import traceback
from wsgiref.util import FileWrapper

WARM_UP_REQUESTS = 2
REASON_MAX = 480


class WarmUpError(Exception):
    """What an operator reads about a warm-up that failed, complete as it is."""

    shoal_says = True


def warm_environ(template, path, listener):
    """As a client of the first listener would cause it, but for what needs a connection."""
    host, _, port = listener.rpartition(":")
    if host == "unix" or not port.isdigit():
        host, port = "localhost", "80"
    path, _, query = path.partition("?")
    script = template.get("SCRIPT_NAME") or ""
    environ = {key: value for key, value in template.items() if value is not None}
    environ.update(
        {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path[len(script) :] if script and path.startswith(script) else path,
            "QUERY_STRING": query,
            "RAW_URI": f"{path}?{query}" if query else path,
            "RAW_PATH_INFO": path,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": host.strip("[]"),
            "SERVER_PORT": port,
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "0",
            "HTTP_HOST": f"{host}:{port}",
            "HTTP_USER_AGENT": "shoal-warm-up",
            "headers_raw": (),
            "wsgi.input": io.BytesIO(),
            "wsgi.file_wrapper": FileWrapper,
            "eventlet.input": io.BytesIO(),
            "eventlet.posthooks": [],
            "shoal.delivered_hooks": [],
            "shoal.request_id": "warm-up",
        }
    )
    return environ


def request_once(app, environ):
    """The status line of the answer, all of it taken."""
    answers = []

    def start_response(status, headers, exc_info=None):
        if exc_info and not answers:
            traceback.print_exception(*exc_info, file=environ["wsgi.errors"])
        answers.append(status)
        return lambda data: None

    body = app(environ, start_response)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
    return answers[-1] if answers else ""


def warm_up(app, paths, template, listener):
    """Each path is requested twice; then what was loaded is put out of the collector's way."""
    for path in paths:
        for _ in range(WARM_UP_REQUESTS):
            try:
                status = request_once(app, warm_environ(template, path, listener))
            except BaseException:
                raise WarmUpError(
                    f"--warm-up {path}: APP raised an exception\n{traceback.format_exc()}"
                ) from None
            if status[:1] not in ("1", "2", "3", "4"):
                raise WarmUpError(
                    f"--warm-up {path}: APP answered {status!r}; the error log may say why"
                )
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    # A collection in a worker would write into every object's header, and so copy its page.
    gc.collect()
    gc.freeze()


def other_threads():
    """The names of this process's threads but for the one that asks."""
    tasks = {int(task) for task in os.listdir("/proc/self/task")} - {os.getpid()}
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    names = []
    for task in sorted(tasks):
        try:
            with open(f"/proc/self/task/{task}/comm") as comm:
                name = comm.read().strip()
        except OSError:
            continue
        names.append(known.get(task) or name)
    return names


def remaining_threads():
    """A thread that was joined may still be on its way out of the kernel."""
    deadline = time.monotonic() + 0.1
    names = other_threads()
    while names and time.monotonic() < deadline:
        time.sleep(0.005)
        names = other_threads()
    return names


def peer_of(fd):
    """Whom a descriptor is connected to; None when it is not, or nobody minds.

    Datagrams do not mind: each is whole, from whichever process it comes.
    """
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return None
        sock = _socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        if sock.type not in (_socket.SOCK_STREAM, _socket.SOCK_SEQPACKET):
            return None
        peer = sock.getpeername()
    except OSError:
        return None
    finally:
        sock.detach()
    if isinstance(peer, tuple):
        host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
        return f"{host}:{peer[1]}"
    name = os.fsdecode(peer).replace("\0", "@")
    return f"unix:{name}" if name else "a socket pair"


def describe_danger(green, own):
    """Why a fork of this process would be unsafe, in a sentence; "" when it is fine.

    The descriptors in `own` are the server's.
    """
    if green:
        return f"--worker-class {green}: its hub belongs to the process that made it"
    found = []
    try:
        threads = remaining_threads()
        descriptors = sorted({int(fd) for fd in os.listdir("/proc/self/fd")} - set(own))
    except OSError as error:
        return f"threads and connections cannot be looked for ({error})"
    if threads:
        found.append("threads: " + ", ".join(threads))
    peers = [peer for peer in map(peer_of, descriptors) if peer]
    if peers:
        found.append("connections: " + ", ".join(peers))
    if not found:
        return ""
    reason = "loading APP left behind " + "; ".join(found)
    return reason if len(reason) <= REASON_MAX else reason[:REASON_MAX] + "..."


def green_after_fork(library):
    """A hub of this process's own, instead of one that shares the mold's epoll set."""
    if library == "eventlet":
        importlib.import_module("eventlet.hubs").use_hub()
    elif library == "gevent":
        importlib.import_module("gevent").reinit()
