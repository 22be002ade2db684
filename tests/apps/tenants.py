"""Answers of several sizes, billed to whom the path or the client names.

SPDX-License-Identifier: MIT
"""

PIECE = b"x" * 8192


def pieces(size):
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def application(environ, start_response):
    """/whole/SIZE, or /chunks/SIZE; ?account names who pays, else X-Tenant does."""
    if environ["QUERY_STRING"]:
        environ["shoal.account"] = environ["QUERY_STRING"]
    _, how, size = environ["PATH_INFO"].split("/")
    body = environ["wsgi.input"]
    while body.read(65536):
        pass
    fields = [("Content-Type", "text/plain")]
    if how == "whole":
        fields.append(("Content-Length", size))
    start_response("200 OK", fields)
    return pieces(int(size))
