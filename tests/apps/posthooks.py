"""The example of eventlet's documentation, in the Python of today.

SPDX-License-Identifier: MIT
"""

import sys


def hook(env, arg1, arg2, kwarg3=None, kwarg4=None):
    said = f"Hook called: {env['PATH_INFO']} {arg1} {arg2} {kwarg3} {kwarg4}"
    print(said, file=sys.stderr, flush=True)


def hello_world(env, start_response):
    env["eventlet.posthooks"].append(
        (hook, ("arg1", "arg2"), {"kwarg3": 3, "kwarg4": 4})
    )
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, World!\r\n"]
