"""Says who answers: the process, and the version of the code; what tests/blackbox/load.py reads.

SPDX-License-Identifier: MIT
"""

import os

VERSION = os.environ.get("WHO_VERSION", "1")


def application(environ, start_response):
    body = b"%d %s\n" % (os.getpid(), VERSION.encode())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
