"""A shop with routes, accounts, and answers of every kind: what the pictures of the dashboard
show. SPDX-License-Identifier: MIT
"""

import random
import time

ROUTES = {  # the first segment: (route, seconds, bytes)
    "item": ("/item/<int:number>", 0.002, 3000),
    "search": ("/search", 0.012, 9000),
    "cart": ("/cart", 0.004, 1200),
    "report": ("/report/<month>", 0.35, 400_000),
    "image": ("/image/<name>", 0.001, 60_000),
}
BLOCK = b"s" * 16384


def application(environ, start_response):
    name = environ["PATH_INFO"].split("/")[1]
    if name not in ROUTES:
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    environ["shoal.route"], seconds, size = ROUTES[name]
    environ["shoal.account"] = environ.get("HTTP_X_TENANT", "")
    time.sleep(random.lognormvariate(0, 0.7) * seconds)
    if name == "cart" and random.random() < 0.02:
        raise RuntimeError("no such cart")
    start_response("200 OK", [("Content-Length", str(size)), ("Content-Type", "text/plain")])
    return (BLOCK[: min(len(BLOCK), size - at)] for at in range(0, size, len(BLOCK)))
