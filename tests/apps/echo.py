"""Answers with what it saw of the request, as JSON.

SPDX-License-Identifier: MIT
"""

import json


def headers_of(environ):
    """{lower-case name: value} of the HTTP_ keys and the two without the prefix."""
    found = {}
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            found[key[5:].replace("_", "-").lower()] = value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            found[key.replace("_", "-").lower()] = value
    return found


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    plain = {k: v for k, v in environ.items() if isinstance(v, (str, int, bool))}
    answer = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ.get("QUERY_STRING", ""),
        "protocol": environ["SERVER_PROTOCOL"],
        "headers": headers_of(environ),
        "body": body.decode("latin-1"),
        "environ": plain,
    }
    data = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    start_response("200 OK", headers)
    return [data]
