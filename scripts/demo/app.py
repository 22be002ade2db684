"""A tour of Shoal in one WSGI application: what scripts/serve shows when given nothing else.

SPDX-License-Identifier: MIT
"""

import html
import os
import time
from collections import deque
from pathlib import Path
from urllib.parse import parse_qs

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Shoal</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto;
max-width: 46rem; padding: 0 1rem }}
table {{ border-collapse: collapse }} td, th {{ padding: .1rem 1rem .1rem 0; text-align: left;
vertical-align: top }} td {{ font-family: ui-monospace, monospace; font-size: .85rem }}
</style></head><body><h1>{title}</h1>{body}<p><a href="/">All pages</a></p></body></html>
"""

# What the hooks below saw: the newest responses of this worker, newest first.
finished = deque(maxlen=20)


def application(environ, start_response):
    """Dispatches on the path and asks to be told what became of the response."""
    environ["eventlet.posthooks"].append((remember, (time.time(),), {}))
    view, _ = VIEWS.get(environ["PATH_INFO"], (not_found, ""))
    return view(environ, start_response)


def remember(environ, began):
    """A post hook: runs once the response was sent or the client left, so it knows the truth."""
    transfer = environ["shoal.transfer"]
    finished.appendleft(
        (
            time.strftime("%H:%M:%S", time.localtime(began)),
            f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}",
            transfer.status,
            transfer.sent,
            "client left" if transfer.aborted else "complete",
            f"{transfer.duration_us / 1000:.1f} ms",
        )
    )


def page(start_response, title, body, status="200 OK"):
    """One HTML page; a list of one bytes object gets its Content-Length from the server."""
    start_response(status, [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE.format(title=html.escape(title), body=body).encode()]


def table(head, rows):
    """An HTML table of anything that has a str()."""

    def line(cells, tag):
        return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{line(head, 'th')}</tr>{body}</table>"


def index(environ, start_response):
    """The list of pages."""
    links = "".join(
        f'<li><a href="{path}">{path}</a> {says}</li>' for path, (_, says) in VIEWS.items() if says
    )
    intro = f"<p>Worker process {os.getpid()} of a Shoal server answered this.</p>"
    return page(start_response, "Shoal at work", f"{intro}<ul>{links}</ul>")


def headers(environ, start_response):
    """The request as the application sees it."""
    rows = sorted((key, repr(value)) for key, value in environ.items())
    return page(start_response, "The request", table(("environ key", "value"), rows))


def ticks(environ, start_response):
    """A generator: each line leaves when it is yielded, in a chunk of its own."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    for second in range(10):
        yield f"tick {second}, {time.strftime('%H:%M:%S')}\n".encode()
        time.sleep(1)


def upload(environ, start_response):
    """A form; what it posts is counted, never held in memory."""
    body = """<form method="post" enctype="multipart/form-data">
        <input type="file" name="file"> <button>Upload</button></form>"""
    if environ["REQUEST_METHOD"] == "POST":
        began, total = time.monotonic(), 0
        while data := environ["wsgi.input"].read(65536):
            total += len(data)
        took = 1000 * (time.monotonic() - began)
        body = f"<p>The request body had <b>{total}</b> bytes, read in {took:.1f} ms.</p>{body}"
    return page(start_response, "Upload", body)


def transfers(environ, start_response):
    """What the post hooks recorded."""
    rows = finished or [("none yet",)]
    head = ("began", "request", "status", "bytes sent", "outcome", "took")
    explain = f"""<p>The newest responses of worker {os.getpid()}, recorded by post hooks. Start
        <a href="/big">a 64 MiB download</a>, cancel it half-way and reload this page: the bytes
        are those that really left.</p>"""
    return page(start_response, "What was really sent", explain + table(head, rows))


def big(environ, start_response):
    """64 MiB in pieces of 64 KiB; a slow client makes the generator wait."""
    piece = b"\0" * 65536
    kind = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Disposition", 'attachment; filename="zeros"'),
        ("Content-Length", str(1024 * len(piece))),
    ]
    start_response("200 OK", kind)
    return (piece for _ in range(1024))


def source(environ, start_response):
    """This file, sent by the kernel: wsgi.file_wrapper becomes sendfile(2)."""
    file = Path(__file__).open("rb")  # noqa: SIM115 (the server closes it)
    kind = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(os.fstat(file.fileno()).st_size)),
    ]
    start_response("200 OK", kind)
    return environ["wsgi.file_wrapper"](file)


def slow(environ, start_response):
    """Sleeps for ?seconds=2; other requests are not held up."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    try:
        seconds = min(max(float(query.get("seconds", ["2"])[0]), 0), 20)
    except ValueError:
        return page(start_response, "Slow", "<p>seconds is a number</p>", "400 Bad Request")
    time.sleep(seconds)
    return page(start_response, "Slow", f"<p>This took {seconds:g} seconds.</p>")


def error(environ, start_response):
    """An exception: a plain 500 for the client, the traceback in the error log."""
    raise RuntimeError("the demo's error page raises this")


def not_found(environ, start_response):
    """Any other path."""
    return page(start_response, "Not found", "<p>There is no such page.</p>", "404 Not Found")


VIEWS = {
    "/": (index, ""),
    "/headers": (headers, "the request and its environ"),
    "/ticks": (ticks, "a generator, streamed for ten seconds"),
    "/upload": (upload, "a file upload, counted"),
    "/transfers": (transfers, "post hooks: how many bytes the last responses really sent"),
    "/big": (big, "64 MiB from a generator, as fast as the client takes them"),
    "/source": (source, "this program, by wsgi.file_wrapper and sendfile"),
    "/slow": (slow, "a view that sleeps two seconds"),
    "/error": (error, "a view that raises"),
}
