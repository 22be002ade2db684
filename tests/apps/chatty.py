"""Writes to every stream an application can write to, at its import and in a request.

SPDX-License-Identifier: MIT
"""

import os
import subprocess
import sys


def say(when):
    print(f"{when}: printed")
    print(f"{when}: to stderr", file=sys.stderr)
    os.write(1, f"{when}: to descriptor 1\n".encode())
    os.write(2, f"{when}: to descriptor 2\n".encode())
    subprocess.run(["echo", f"{when}: by a child"], check=True)


def application(environ, start_response):
    say(environ["QUERY_STRING"])
    environ["wsgi.errors"].write(f"{environ['QUERY_STRING']}: to wsgi.errors\n")
    start_response("200 OK", [("Content-Length", "4")])
    return [b"said"]


say("import")
