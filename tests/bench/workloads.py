"""What is asked of the servers: one row of the table per workload.

SPDX-License-Identifier: MIT
"""

from dataclasses import dataclass, field

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://shop.example/catalogue/chairs?page=3&sort=price",
    "Cookie": "session=0b1a6f6ecf5c4f0b9d0f6e3d1f2a4c5e; theme=dark; consent=1",
    "DNT": "1",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Priority": "u=0, i",
    "Cache-Control": "max-age=0",
}


@dataclass(frozen=True)
class Workload:
    """One row: how wrk asks, and what a right answer looks like."""

    name: str
    says: str
    path: str = "/"
    connections: int = 50
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    pipeline: int = 1
    module: str = "app"
    size: int = 14
    access_log: bool = False

    def request(self):
        """The bytes of one request, as a plain client would send them."""
        head = [f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*head, "", ""]).encode() + self.body

    def lua(self):
        """The wrk script this needs, or None."""
        if self.pipeline > 1:
            return (
                "function init(args)\n"
                "  local one = wrk.format()\n"
                f"  many = string.rep(one, {self.pipeline})\n"
                "end\n"
                "function request() return many end\n"
            )
        if self.body:
            return f'wrk.method = "POST"\nwrk.body = string.rep("x", {len(self.body)})\n'
        return None


MANY = {f"X-Field-{n:02}": f"value number {n}" for n in range(99)}

WORKLOADS = [
    Workload("hello", "hello world, 50 connections"),
    Workload("hello-1", "hello world, 1 connection", connections=1),
    Workload("hello-500", "hello world, 500 connections", connections=500),
    Workload("browser", "a browser's request head, 15 fields", headers=BROWSER),
    Workload("fields", "100 header fields", headers=MANY),
    Workload("post", "POST of 10 kB, read", "/post", body=b"x" * 10_000, size=5),
    Workload("body", "1 MiB from one bytes object", "/1m", connections=10, size=1 << 20),
    Workload("file", "1 MiB by wsgi.file_wrapper", "/file", connections=10, size=1 << 20),
    Workload("chunks", "a generator of 16 pieces of 256 bytes", "/chunks", size=4096),
    Workload("close", "a connection per request", headers={"Connection": "close"}),
    Workload("pipeline", "16 requests pipelined", pipeline=16),
    Workload("flask", "Flask, one view", module="flask_app"),
    Workload("django", "Django, one view, four middlewares", module="django_app"),
    Workload("logged", "hello world with an access log to a file", access_log=True),
]
QUICK = ["hello", "browser", "post", "chunks"]
