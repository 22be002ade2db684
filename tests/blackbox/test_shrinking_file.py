"""A file that becomes shorter while it is sent: a cut answer that the log explains.

SPDX-License-Identifier: MIT
"""

import os

from raw_client import request

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", str(SIZE))])
    return environ["wsgi.file_wrapper"](open("data", "rb"))
"""
SIZE = 32 * 1024 * 1024


def test_the_log_names_the_reason(server, tmp_path):
    (tmp_path / "shrink.py").write_text(f"SIZE = {SIZE}\n{APP}")
    (tmp_path / "data").write_bytes(bytes(SIZE))
    srv = server("shrink:application", "--chdir", tmp_path)
    srv.expect_log(r"app: file became shorter while it was sent path=/report")
    with srv.connect(rcvbuf=16384) as conn:
        conn.send(request("/report"))
        assert conn.read_exact(15) == b"HTTP/1.1 200 OK"
        os.truncate(tmp_path / "data", 1000)
        assert len(conn.read_all()) < SIZE
