"""Exact bytes over real sockets, each step with a deadline, and a strict reader of answers.

SPDX-License-Identifier: MIT
"""

import contextlib
import re
import socket
import struct
import time
from dataclasses import dataclass, field

TOKEN = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
VALUE = re.compile(rb"^[\t\x20-\x7e\x80-\xff]*$")
STATUS_LINE = re.compile(rb"^HTTP/1\.([01]) ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)$")
MAX_HEAD = 256 * 1024


class BadAnswer(AssertionError):
    """The server sent bytes that are no correct answer."""


class Closed(ConnectionError):
    """The server ended the connection where more was wanted."""


@dataclass
class Response:
    """One answer, as the bytes on the wire say."""

    status: int
    reason: bytes
    version: bytes
    headers: list = field(default_factory=list)
    body: bytes = b""
    framing: str = "none"
    interim: list = field(default_factory=list)
    size: int = 0

    def all(self, name):
        """Every value of a field, in order."""
        name = name.lower().encode()
        return [v.decode("latin-1") for k, v in self.headers if k.lower() == name]

    def get(self, name):
        """The value of a field that must not be there twice; None without it."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} sent {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def closes(self):
        """The answer announces the end of the connection."""
        return "close" in (self.get("Connection") or "").lower()


def parse_head(raw):
    """Status line and fields of raw (without the empty line), strictly."""
    lines = raw.split(b"\r\n")
    match = STATUS_LINE.match(lines[0])
    if not match:
        raise BadAnswer(f"status line {lines[0][:200]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name) or not VALUE.match(value):
            raise BadAnswer(f"field {line[:200]!r}")
        headers.append((name, value.strip(b" \t")))
    return Response(int(match[2]), match[3], match[1], headers)


class Conn:
    """A client connection. Every call takes at most `timeout` seconds, then fails."""

    def __init__(self, sock, timeout=5.0):
        self.sock = sock
        self.timeout = timeout
        self.buf = bytearray()
        self.received = 0
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        """All of data, in one piece."""
        self.sock.settimeout(self.timeout)
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def send_pieces(self, data, cuts):
        """data cut at the given offsets, each piece its own segment."""
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        for cut in [*sorted(cuts), len(data)]:
            if cut > at:
                self.send(data[at:cut])
                at = cut
        return self

    def send_eof(self):
        """No more from us; answers can still come."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        return self

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing more in time; have {bytes(self.buf[:300])!r}")
        self.sock.settimeout(left)
        piece = self.sock.recv(262144)
        self.received += len(piece)
        self.eof = not piece
        self.buf += piece
        return bool(piece)

    def read_exact(self, n, timeout=None):
        """n bytes; Closed when the connection ends before."""
        end = time.monotonic() + (timeout or self.timeout)
        while len(self.buf) < n:
            if not self._fill(end):
                raise Closed(f"end after {len(self.buf)} of {n} bytes")
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def read_line(self, timeout=None):
        """Up to and without the next CRLF."""
        return self._until(b"\r\n", timeout)

    def _until(self, mark, timeout=None):
        end = time.monotonic() + (timeout or self.timeout)
        seen = 0
        while True:
            at = self.buf.find(mark, max(0, seen - len(mark)))
            if at >= 0:
                data = bytes(self.buf[:at])
                del self.buf[: at + len(mark)]
                return data
            seen = len(self.buf)
            if seen > MAX_HEAD:
                raise BadAnswer(f"no {mark!r} within {seen} bytes")
            if not self._fill(end):
                raise Closed(f"end inside {bytes(self.buf[:200])!r}")

    def read_all(self, timeout=None):
        """Everything until the server closes; a reset raises ConnectionResetError."""
        end = time.monotonic() + (timeout or self.timeout)
        while not self.eof:
            self._fill(end)
        data = bytes(self.buf)
        self.buf.clear()
        return data

    def at_eof(self, timeout=None):
        """True when the server closes in order and sends nothing before it."""
        return self.read_all(timeout) == b""

    def gone(self, timeout=None):
        """True when the connection ends (FIN or RST) without another byte."""
        try:
            return self.at_eof(timeout)
        except ConnectionError:
            return True

    def quiet(self, seconds):
        """True when nothing arrives (not even an end) for so long."""
        if self.buf:
            return False
        self.sock.settimeout(seconds)
        try:
            piece = self.sock.recv(65536)
        except (TimeoutError, BlockingIOError):
            return True
        self.buf += piece
        self.eof = not piece
        return False

    def response(self, method="GET", timeout=None):
        """The next final answer; interim ones are collected in .interim."""
        end = time.monotonic() + (timeout or self.timeout)
        before = self.received - len(self.buf)
        interim = []
        while True:
            answer = parse_head(self._until(b"\r\n\r\n", end - time.monotonic()))
            if answer.status >= 200:
                break
            if answer.all("Content-Length") or answer.all("Transfer-Encoding"):
                raise BadAnswer("framing in an interim answer")
            interim.append(answer)
        answer.interim = interim
        self._read_body(answer, method, end)
        answer.size = self.received - len(self.buf) - before
        return answer

    def _read_body(self, answer, method, end):
        coding = answer.get("Transfer-Encoding")
        length = answer.get("Content-Length")
        if coding and length:
            raise BadAnswer("Transfer-Encoding and Content-Length in one answer")
        if method == "HEAD" or answer.status in (204, 304):
            if coding and answer.status == 204:
                raise BadAnswer("Transfer-Encoding with 204")
            return
        if coding:
            if coding.lower() != "chunked":
                raise BadAnswer(f"Transfer-Encoding {coding!r}")
            answer.framing = "chunked"
            answer.body = self._read_chunks(end)
        elif length is not None:
            if not re.fullmatch(r"\d+", length):
                raise BadAnswer(f"Content-Length {length!r}")
            answer.framing = "length"
            answer.body = self.read_exact(int(length), end - time.monotonic())
        else:
            answer.framing = "close"
            answer.body = self.read_all(end - time.monotonic())

    def _read_chunks(self, end):
        body = bytearray()
        while True:
            line = self._until(b"\r\n", end - time.monotonic())
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", line):
                raise BadAnswer(f"chunk size {line[:80]!r}")
            size = int(line, 16)
            if size:
                body += self.read_exact(size, end - time.monotonic())
            if self.read_exact(2, end - time.monotonic()) != b"\r\n":
                raise BadAnswer("chunk data without CRLF")
            if not size:
                return bytes(body)

    def ask(self, target="/", method="GET", headers=(), body=None, timeout=None):
        """A plain 1.1 request and its answer."""
        self.send(request(target, method, headers, body))
        return self.response(method, timeout)

    def reset(self):
        """Ends the connection with RST."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.close()

    def close(self):
        self.sock.close()


def request(target="/", method="GET", headers=(), body=None, version="1.1"):
    """The bytes of a correct request; Host and Content-Length added when missing."""
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/{version}"]
    if "host" not in names and version == "1.1":
        lines.append("Host: t")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def responses_until_eof(conn, methods, timeout=None):
    """Answers in order until the server closes, at most len(methods) + 1 of them."""
    answers = []
    while len(answers) <= len(methods):
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        try:
            answers.append(conn.response(method, timeout))
        except Closed:
            if conn.buf:
                raise BadAnswer(f"cut answer {bytes(conn.buf[:200])!r}") from None
            break
    return answers
