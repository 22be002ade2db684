"""The application every server of the benchmark runs; PEP 3333 and nothing more.

SPDX-License-Identifier: MIT
"""

import tempfile
from wsgiref.util import FileWrapper

HELLO = b"Hello, world!\n"
MEBIBYTE = bytes(range(256)) * 4096
PIECES = [bytes([65 + i]) * 256 for i in range(16)]

FILE = tempfile.NamedTemporaryFile(prefix="bench-", delete=True)  # noqa: SIM115 (kept open)
FILE.write(MEBIBYTE)
FILE.flush()


def fixed(size):
    return [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [HELLO]


def post(environ, start_response):
    size = int(environ["CONTENT_LENGTH"])
    body = environ["wsgi.input"].read(size)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"%5d" % len(body)]


def mebibyte(environ, start_response):
    start_response("200 OK", fixed(len(MEBIBYTE)))
    return [MEBIBYTE]


def file(environ, start_response):
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    start_response("200 OK", fixed(len(MEBIBYTE)))
    return wrapper(open(FILE.name, "rb"), 65536)  # noqa: SIM115 (closed by the server)


def chunks(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from PIECES


VIEWS = {"/": hello, "/post": post, "/1m": mebibyte, "/file": file, "/chunks": chunks}


def app(environ, start_response):
    return VIEWS[environ["PATH_INFO"]](environ, start_response)
