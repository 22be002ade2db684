"""Answers any path, after as many seconds as its query says.

SPDX-License-Identifier: MIT
"""

import time


def application(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
