"""An answer of 10 MiB, as one object or in pieces; run as a program: eventlet serving it.

SPDX-License-Identifier: MIT
"""

import sys

SIZE = 10 << 20
PIECE = b"x" * 65536
BODY = b"x" * SIZE


def app(environ, start_response):
    """/list or /pieces."""
    start_response("200 OK", [("Content-Length", str(SIZE)), ("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/list":
        return [BODY]
    return (PIECE for _ in range(SIZE // len(PIECE)))


def serve_by_eventlet(host, port, log):
    import eventlet
    from eventlet import wsgi

    with open(log, "w", buffering=1) as lines:
        wsgi.server(
            eventlet.listen((host, int(port))),
            app,
            log=lines,
            log_format="%(request_line)s %(body_length)s",
        )


if __name__ == "__main__":
    serve_by_eventlet(*sys.argv[1:])
