"""Answers of any size, and what their delivered hooks were told, as JSON lines in $RECORD.

SPDX-License-Identifier: MIT
"""

import json
from urllib.parse import parse_qsl

from record import note

PIECE = b"x" * 16384
FIELDS = (
    "status", "head", "body", "framing", "tls", "sent", "acked", "outcome", "aborted",
    "abort_reason",
)  # fmt: skip


def tell(env, event, ident):
    transfer = env["shoal.transfer"]
    facts = {name: getattr(transfer, name) for name in FIELDS}
    note(json.dumps({"event": event, "id": ident, **facts}, separators=(",", ":")))


def fail(env):
    raise RuntimeError("on purpose")


def pieces(size):
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def application(environ, start_response):
    """/?id=&size=&kind=: list, chunked, late (hook added by a post hook), fails, raise."""
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    ident, size = query.get("id", "-"), int(query.get("size", 5))
    kind = query.get("kind", "list")
    hooks = environ["shoal.delivered_hooks"]
    environ["eventlet.posthooks"].append((tell, ("post", ident), {}))
    if kind == "late":
        environ["eventlet.posthooks"].append(
            (lambda env: hooks.append((tell, ("delivered", ident), {})), (), {})
        )
    else:
        if kind == "fails":
            hooks.append((fail, (), {}))
        hooks.append((tell, ("delivered",), {"ident": ident}))
    if kind == "chunked":
        start_response("200 OK", [])
        return pieces(size)
    if kind == "raise":
        raise RuntimeError("on purpose")
    if kind == "short":
        start_response("200 OK", [("Content-Length", str(size + 100))])
        return [b"x" * size]
    start_response("200 OK", [("Content-Length", str(size))])
    return [(PIECE * (size // len(PIECE) + 1))[:size]]
