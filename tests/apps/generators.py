"""Every form a WSGI body can take, by path.

SPDX-License-Identifier: MIT
"""


class Iterator:
    """An iterator that is no generator, with a close()."""

    closed = 0

    def __init__(self, n):
        self.left = n

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"item\n"

    def close(self):
        Iterator.closed += 1


class Sequence:
    """Only __getitem__ and __len__: the old protocol of iteration."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index >= 3:
            raise IndexError(index)
        return b"item\n"


class Application:
    """A class that is the application and its own body."""

    def __init__(self, environ, start_response):
        self.start_response = start_response

    def __iter__(self):
        self.start_response("200 OK", [("Content-Type", "text/plain")])
        yield from [b"item\n"] * 3


def late_start(start_response):
    """start_response only when the first item is asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from [b"item\n"] * 3


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/class":
        return Application(environ, start_response)
    if path == "/late":
        return late_start(start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return {
        "/list": lambda: [b"item\n"] * 3,
        "/tuple": lambda: (b"item\n",) * 3,
        "/generator": lambda: (b"item\n" for _ in range(3)),
        "/iterator": lambda: Iterator(3),
        "/sequence": Sequence,
        "/empty": list,
        "/empty-generator": lambda: iter(()),
        "/empty-items": lambda: iter([b"", b"item\n", b"", b"", b"item\nitem\n", b""]),
        "/map": lambda: map(bytes, [b"item\n"] * 3),
        "/bytes": lambda: b"item\n" * 3,
        "/closed": lambda: [str(Iterator.closed).encode()],
        "/many": lambda: (b"%d\n" % i for i in range(20000)),
    }[path]()
