"""The smallest application: what benchmarks and first steps use.

SPDX-License-Identifier: MIT
"""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, World!\n"]
