"""The corpora of hostile and unusual requests of other projects, and where we differ.

SPDX-License-Identifier: MIT
"""

import json

from shoal_harness import SHARED

FOLDER = SHARED / "data" / "http"

# Requests a corpus wants served that are refused here: the status, and why.
REFUSED_HERE = {
    "gunicorn:valid/005": (400, "fragment in the target"),
    "gunicorn:valid/009": (400, "fragment; identity; Content-Length with it"),
    "gunicorn:valid/025": (501, "unknown coding gzip"),
    "gunicorn:valid/025_line": (501, "unknown coding gzip"),
    "gunicorn:valid/027": (400, "bytes above 0x7f in the target"),
    "gunicorn:valid/029": (400, "identity is no transfer coding any more"),
    "gunicorn:valid/030": (400, "identity is no transfer coding any more"),
    "gunicorn:valid/rfc9112_smuggle_gzip_chunked_01": (501, "unknown coding gzip"),
    "gunicorn:valid/rfc9112_smuggle_te_identity_chunked_01": (400, "identity"),
    "gunicorn:valid/rfc9112_target_absolute_userinfo_01": (400, "userinfo"),
    "gunicorn:valid/rfc9112_target_authority_connect_01": (501, "CONNECT"),
    "gunicorn:valid/rfc9112_target_authority_ipv6_01": (501, "CONNECT"),
    "llhttp:method:29 CONNECT request": (501, "CONNECT"),
    "llhttp:method:64 CONNECT request with CAPS": (501, "CONNECT"),
    "llhttp:method:98 CONNECT with body": (501, "CONNECT"),
    "llhttp:method:137 M-SEARCH request": (400, "asterisk-form is for OPTIONS"),
    "llhttp:sample:293 Prefix newline": (400, "no Host"),
    "llhttp:sample:316 No HTTP version": (400, "no version"),
    "llhttp:sample:480 Request starting with CRLF": (400, "no Host"),
    "llhttp:uri:167 Fragment in URI": (400, "fragment in the target"),
    "llhttp:uri:190 Underscore in hostname": (501, "CONNECT"),
    "llhttp:uri:224 `host:port` and basic auth": (400, "userinfo"),
    "llhttp:transfer-encoding:753": (501, "unknown coding deflate"),
    "llhttp:transfer-encoding:795": (501, "unknown coding deflate"),
    "h1spec:Conflicting Transfer-Encoding and Content-Length": (400, "both at once"),
}

# Requests that a strict server answers in a case that is told otherwise.
GOOD_BEFORE = {
    "http-garden:server.45": 1,
    # By its Content-Length of 34 the third request is the body of the second.
    "http-garden:server.48": 2,
}


def load(name):
    """The cases of one file; [] when the corpora are not there."""
    path = FOLDER / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def key(case):
    return f"{case['suite']}:{case['id']}"


def refused_here(case):
    """The status of a justified difference; None when we agree with the corpus."""
    for name, (status, _why) in REFUSED_HERE.items():
        if key(case) == name or key(case).startswith(name + " "):
            return status
    return None


def allowed_successes(case):
    """The numbers of 2xx answers that are right for a case."""
    if refused_here(case) not in (None, 200):
        return {0}
    want = case.get("want")
    if case["suite"] == "llhttp":
        return {0, 1} if want == "either" else {case["complete"]}
    if case["suite"] == "h1spec":
        if case["timeout"]:
            return {0}
        return {1 if any(low == 200 for low, _ in case["status"][:2]) else 0}
    if key(case) in GOOD_BEFORE:
        return {GOOD_BEFORE[key(case)]}
    return {
        "accept": {len(case.get("expect") or [1])},
        "no-underscore": {1},
        "one-rawvalue": {0, 1},
        "one-or-reject": {0, 1},
    }.get(want, {0})
