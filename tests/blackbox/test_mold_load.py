"""What a mold does before the first fork: loading, warm-up, looking for what forks would
break, and telling which files it loaded.

SPDX-License-Identifier: MIT
"""

from pathlib import Path

import procfs
import pytest
from shoal_harness import SLOW
from waiting import wait_for

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""

WARM = """
import os
asked, closed = [], []
class Body:
    def __iter__(self):
        yield str((asked, closed, os.getpid())).encode()
    def close(self):
        closed.append(os.getpid())
def app(environ, start_response):
    path = environ["PATH_INFO"]
    assert environ["wsgi.input"].read() == b""
    environ["wsgi.errors"].write("asked for " + path + "\\n")
    asked.append((path, environ["QUERY_STRING"], environ["HTTP_HOST"]))
    if path == "/raises":
        raise RuntimeError("not warm")
    if path == "/exits":
        raise SystemExit(3)
    status = {"/503": "503 Busy", "/404": "404 Not Found"}.get(path, "200 OK")
    if path != "/mute":
        start_response(status, [("Content-Type", "text/plain")])
    return Body()
"""

THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
"""

CONNECTED = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
"""

UNIX = """
import socket
server = socket.socket(socket.AF_UNIX)
server.bind("database.sock")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("database.sock")
"""

# None of these is a reason: nothing of it is shared in a way that could break.
HARMLESS = """
import socket, threading
done = threading.Thread(target=int)
done.start()
done.join()
listening = socket.create_server(("127.0.0.1", 0))
unconnected = socket.socket()
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.connect(("127.0.0.1", 9))
"""


@pytest.fixture
def site(tmp_path):
    def write(text, name="site_app"):
        (tmp_path / f"{name}.py").write_text(text)
        return f"{name}:app"

    return write


def molded(master):
    """The reason against forks, "" when there is none."""
    return master.mold.expect("MOLDED").decode()


def failed(master):
    text = master.mold.expect("FAILED").decode()
    assert master.mold.wait() == 3
    return text


def test_the_traceback_of_an_application_that_cannot_be_loaded(mold, site):
    text = failed(mold(site("import nowhere_to_be_found\n")))
    assert "Traceback" in text and "No module named 'nowhere_to_be_found'" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (THREAD, ["threads: poller"]),
        (CONNECTED, ["connections: 127.0.0.1:"]),
        (UNIX, ["connections: unix:database.sock"]),
        (THREAD + CONNECTED, ["threads: poller; connections: 127.0.0.1:"]),
        ("import socket\npair = socket.socketpair()\n", ["a socket pair"]),
    ],
)
def test_why_forks_would_be_unsafe(mold, site, code, words):
    reason = molded(mold(site(code + APP)))
    assert all(word in reason for word in words), reason


def test_what_is_no_reason(mold, site):
    assert molded(mold(site(HARMLESS + APP))) == ""


def test_a_long_reason_is_cut(mold, site):
    code = "import socket\npairs = [socket.socketpair() for _ in range(100)]\n"
    assert 400 < len(molded(mold(site(code + APP)))) < 512


def test_unsafe_forks_are_made_when_the_master_wants_them(mold, site):
    master = mold(site(THREAD + APP), "--preload=on")
    assert "threads: poller" in molded(master)
    master.fork(0)
    assert master.ask() == (200, "ok")


def test_warm_up_happens_before_the_fork(mold, site):
    master = mold(site(WARM), "--warm-up", "/a?b=c", "--warm-up", "/404")
    assert molded(master) == ""
    worker = master.fork(0)
    asked, closed, pid = eval(master.ask("/later")[1])
    host = f"127.0.0.1:{master.port}"
    assert asked == [("/a", "b=c", host)] * 2 + [("/404", "", host)] * 2 + [("/later", "", host)]
    assert closed == [master.mold.pid] * 4
    assert pid == worker.pid
    assert "asked for /a" in master.log


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/raises", "RuntimeError: not warm"),
        ("/exits", "SystemExit: 3"),
        ("/503", "'503 Busy'"),
        ("/mute", "''"),
    ],
)
def test_a_warm_up_that_fails_fails_the_load(mold, site, path, words):
    text = failed(mold(site(WARM), "--warm-up", "/fine", "--warm-up", path))
    assert text.startswith(f"--warm-up {path}: APP ") and words in text, text


def test_the_root_path_is_no_part_of_path_info(mold, site):
    master = mold(site(WARM), "--warm-up", "/shop/x", "--root-path", "/shop")
    molded(master)
    master.fork(0)
    assert eval(master.ask("/shop/later")[1])[0][0][0] == "/x"


# ---- Files, with --reload ----

LATE = """
def app(environ, start_response):
    import late_module
    start_response("200 OK", [])
    return [b"ok"]
"""


def files(peer, wanted, timeout=10):
    """The paths told until `wanted` is among them, and the other messages."""
    told, others = [], []

    def come():
        name, payload = peer.recv(timeout)
        if name == "FILES":
            assert payload
            told.extend(payload.decode().split("\n"))
        else:
            others.append(name)
        return str(wanted) in told

    wait_for(come, timeout * SLOW)
    return told, others


@pytest.mark.parametrize("role", ["mold", "worker"])
def test_loaded_files_are_told_and_late_ones_later(mold, site, tmp_path, role):
    site("", "late_module")
    site("import json\n", "helper")
    master = mold(site("import helper\n" + LATE), "--reload", role=role)
    told, others = files(master.mold, tmp_path / "site_app.py")
    assert others == [], "files come before the news that the application is loaded"
    assert str(tmp_path / "helper.py") in told
    assert all(path.startswith("/") and not path.endswith(".pyc") for path in told)
    if role == "mold":
        molded(master)
        peer = master.fork(0)
    else:
        peer = master.mold
        peer.expect("READY")
    assert master.ask() == (200, "ok")
    again, others = files(peer, tmp_path / "late_module.py")
    assert others == [] and not set(again) & set(told), "a file is told once"


def test_a_mold_tells_what_is_imported_after_loading(mold, site, tmp_path):
    site("", "late_module")
    master = mold(
        site(LATE), "--reload", "--warm-up", "/"
    )
    told, _ = files(master.mold, tmp_path / "late_module.py")
    assert str(tmp_path / "site_app.py") in told


def test_files_of_a_failed_load_are_told(mold, site, tmp_path):
    site("def x(:\n", "broken")
    master = mold(site("import broken\n"), "--reload")
    told, others = files(master.mold, tmp_path / "broken.py")
    assert others == [] and str(tmp_path / "site_app.py") in told
    assert "SyntaxError" in failed(master)


def test_without_reload_no_file_is_told(mold, site):
    master = mold(site(APP))
    assert master.mold.recv()[0] == "MOLDED"


# ---- Green threads ----

@pytest.mark.parametrize("library", ["eventlet", "gevent"])
def test_green_forks_are_unsafe_unless_asked_for(mold, green_library, library):
    reason = molded(mold("napper:app", "-k", green_library(library)))
    assert library in reason


def watched(pid):
    """How many descriptors each epoll set of a process has."""
    return {
        fd: Path(f"/proc/{pid}/fdinfo/{fd}").read_text().count("tfd:")
        for fd, target in procfs.descriptors(pid).items()
        if target == "anon_inode:[eventpoll]"
    }


@pytest.mark.parametrize("library", ["eventlet", "gevent"])
def test_green_workers_of_one_mold_have_a_hub_each(mold, green_library, library):
    master = mold("napper:app", "-k", green_library(library), "--preload=on",
                  "--warm-up", "/")
    assert molded(master) == ""
    before = watched(master.mold.pid)
    assert before, "the warm-up makes a hub"
    workers = [master.fork(slot) for slot in range(2)]
    pids = set()

    def both_served():
        conns = [master.begin() for _ in range(20)]
        pids.update(int(master.end(conn)[1]) for conn in conns)
        return len(pids) == 2

    wait_for(both_served, 20 * SLOW)
    assert pids == {worker.pid for worker in workers}
    assert watched(master.mold.pid) == before, "a worker watches in the mold's set"
    assert "Traceback" not in master.log, master.log
    for worker in workers:
        master.drop(worker)
