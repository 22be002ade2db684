"""Waiting for a condition with a deadline, the only way tests here let time pass.

SPDX-License-Identifier: MIT
"""

import threading
import time

_never = threading.Event()


def wait_for(condition, timeout=5.0, what=None, step=0.005):
    """Calls condition until it is true and returns its value; fails after timeout."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {timeout} s: {name} (last: {value!r})")
        _never.wait(step)


def holds(condition, seconds, step=0.01):
    """True when condition stays true for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        _never.wait(step)
    return True
