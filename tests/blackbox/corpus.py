"""The corpora of hostile and unusual requests of other projects, and where we differ.

SPDX-License-Identifier: MIT
"""

import json
import sys

from shoal_harness import ROOT, SHARED

FOLDER = SHARED / "data" / "http"

sys.path.append(str(ROOT / "tests" / "conformance"))
from differences import REFUSED, SERVED  # noqa: E402

# Answers that are right in a case whose corpus tells it in words.
GOOD = {
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
    return REFUSED.get(key(case), (None,))[0]


def allowed_successes(case):
    """The numbers of 2xx answers that are right for a case."""
    want = case.get("want")
    if refused_here(case):
        return {0}
    if key(case) in SERVED:
        return {SERVED[key(case)][0]}
    if key(case) in GOOD:
        return {GOOD[key(case)]}
    if case["suite"] == "llhttp":
        return {0, 1} if want == "either" else {case["complete"]}
    if case["suite"] == "h1spec":
        served = not case["timeout"] and case["status"][-1][0] == 200
        return {1 if served or case["status"][0][0] == 200 else 0}
    return {
        "accept": {len(case.get("expect") or [1])},
        "no-underscore": {1},
        "one-rawvalue": {0, 1},
        "one-or-reject": {0, 1},
    }.get(want, {0})
