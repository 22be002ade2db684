"""Waits for a file while its client leaves; a hook tells what became of the answer.

SPDX-License-Identifier: MIT
"""

import os
import time

from record import note


def hook(env):
    transfer = env["shoal.transfer"]
    note("hook", f"aborted={transfer.aborted}", transfer.abort_reason)


def application(environ, start_response):
    environ["eventlet.posthooks"].append((hook, (), {}))
    note("started")
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.005)
    start_response("200 OK", [])
    return [b"too late"]
