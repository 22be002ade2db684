"""Answers any path, after as many seconds as its query says, for an account of a wicked name.

SPDX-License-Identifier: MIT
"""

import time


def application(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    environ["shoal.account"] = "tenant-<i>"
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
