"""Facts for the tests: lines appended to the file that $RECORD names, whole or not at all.

SPDX-License-Identifier: MIT
"""

import os

PATH = os.environ.get("RECORD", os.devnull)


def note(*words):
    """Appends one line; O_APPEND keeps lines of several processes apart."""
    line = " ".join(str(word).replace(" ", "_") for word in words) + "\n"
    fd = os.open(PATH, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


class Closing:
    """An iterable that notes the call of its close()."""

    def __init__(self, body, ident):
        self.body, self.ident = body, ident

    def __iter__(self):
        return iter(self.body)

    def close(self):
        note("close", self.ident)
        close = getattr(self.body, "close", None)
        if close:
            close()
