"""Waits a moment, then says which process it is.

SPDX-License-Identifier: MIT
"""

import os
import time


def app(environ, start_response):
    time.sleep(0.1)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
