"""Applications with one mistake each, by path.

SPDX-License-Identifier: MIT
"""

import sys

PLAIN = [("Content-Type", "text/plain")]


class BadClose:
    """A body whose close() raises."""

    def __iter__(self):
        return iter([b"all of it"])

    def close(self):
        raise RuntimeError("close raised")


def raises_in_app(environ, start_response):
    raise RuntimeError("app raised")


def raises_before_first(environ, start_response):
    start_response("200 OK", PLAIN)
    raise RuntimeError("before first item")
    yield b"never"


def raises_after_first(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"first"
    raise RuntimeError("after first item")


def system_exit(environ, start_response):
    sys.exit(7)


def system_exit_in_body(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"first"
    sys.exit(7)


def keyboard_interrupt(environ, start_response):
    raise KeyboardInterrupt


def no_start_response(environ, start_response):
    return [b"body"]


def returns_none(environ, start_response):
    start_response("200 OK", PLAIN)


def returns_number(environ, start_response):
    start_response("200 OK", PLAIN)
    return 42


def str_body(environ, start_response):
    start_response("200 OK", PLAIN)
    return ["text, not bytes"]


def str_body_later(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"first"
    yield "text, not bytes"


def short_body(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    return [b"short"]


def long_body(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"long", b"er than announced"]


def close_raises(environ, start_response):
    start_response("200 OK", PLAIN)
    return BadClose()


def twice(environ, start_response):
    start_response("200 OK", PLAIN)
    start_response("201 Created", PLAIN)
    return [b"body"]


def one_argument(environ, start_response):
    start_response("200 OK")
    return [b"body"]


def bad(status="200 OK", headers=()):
    """An application with this status and these headers."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return [b"body"]

    return app


APPS = {
    "/" + app.__name__: app
    for app in (
        raises_in_app, raises_before_first, raises_after_first, system_exit,
        system_exit_in_body, keyboard_interrupt, no_start_response, returns_none,
        returns_number, str_body, str_body_later, short_body, long_body, close_raises,
        twice, one_argument,
    )
}  # fmt: skip
APPS |= {
    "/status_words": bad("OK"),
    "/status_two_digits": bad("20 OK"),
    "/status_four_digits": bad("2000 OK"),
    "/status_zero": bad("099 Low"),
    "/status_injection": bad("200 OK\r\nX-Injected: 1"),
    "/status_number": bad(200),
    "/status_bytes": bad(b"200 OK"),
    "/status_not_latin": bad("200 \u20ac"),
    "/value_crlf": bad(headers=[("X-A", "1\r\nX-Injected: 1")]),
    "/value_lf": bad(headers=[("X-A", "1\nX-Injected: 1")]),
    "/value_nul": bad(headers=[("X-A", "1\0")]),
    "/value_not_latin": bad(headers=[("X-A", "\u20ac")]),
    "/value_number": bad(headers=[("X-A", 1)]),
    "/value_bytes": bad(headers=[("X-A", b"1")]),
    "/name_space": bad(headers=[("X A", "1")]),
    "/name_empty": bad(headers=[("", "1")]),
    "/name_colon": bad(headers=[("X:", "1")]),
    "/name_crlf": bad(headers=[("X-A: 1\r\nX-Injected", "1")]),
    "/name_bytes": bad(headers=[(b"X-A", "1")]),
    "/header_triple": bad(headers=[("X-A", "1", "2")]),
    "/length_words": bad(headers=[("Content-Length", "four")]),
    "/length_negative": bad(headers=[("Content-Length", "-4")]),
    "/length_twice": bad(headers=[("Content-Length", "4"), ("Content-Length", "5")]),
}


def application(environ, start_response):
    app = APPS.get(environ["PATH_INFO"])
    if app:
        return app(environ, start_response)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"fine"]
