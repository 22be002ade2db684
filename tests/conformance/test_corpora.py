"""Every case of the corpora under data/http, judged by the pure session, in three splits.

SPDX-License-Identifier: MIT
"""

import ast
import json
import os
import pathlib
import subprocess
from dataclasses import dataclass

import pytest
from differences import REFUSED, SERVED, WAITING

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("SHOAL_SHARED", ROOT.parent / "shared"))
CORPORA = SHARED / "data" / "http"
DRIVER = os.environ.get("SHOAL_SESSION_DRIVER", str(ROOT / "build/dev/bin/session-driver"))

LIMITS = {
    "limit_request_line": 8190,
    "limit_request_fields": 100,
    "limit_request_field_size": 8190,
}
HEAD_MAX = 65536
CONFIGURED = "needs configured limits: "


@dataclass
class Case:
    key: str
    data: bytes
    row: dict

    @property
    def limits(self):
        """Ours, unless the case is about a limit it names. 0 means none.

        gunicorn counts the CRLF of a field, which makes its limit two bytes smaller.
        """
        note = self.row.get("note", "")
        if not note.startswith(CONFIGURED):
            return list(LIMITS.values())
        asked = LIMITS | ast.literal_eval(note[len(CONFIGURED) :])
        line, fields, size = (asked[name] or HEAD_MAX for name in LIMITS)
        return [line, fields, size - 2]


def load():
    files = sorted(CORPORA.glob("*.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [Case(f"{r['suite']}:{r['id']}", r["send"].encode("latin-1"), r) for r in rows]


def play(cases, every):
    """The driver's verdicts on all cases, fed `every` bytes at a time."""
    stream = b"".join(
        b"%d %d %d %d %d %d\n" % (len(c.data), every, *c.limits, HEAD_MAX) + c.data for c in cases
    )
    done = subprocess.run([DRIVER], input=stream, capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


CASES = load()
WHOLE = dict(zip([c.key for c in CASES], play(CASES, 0), strict=True)) if CASES else {}


def test_corpora_are_there():
    if not CASES:
        pytest.skip(f"no corpora under {CORPORA}: name their parent in SHOAL_SHARED")
    assert len(CASES) == len({c.key for c in CASES})


@pytest.mark.parametrize("every", [1, 2, 3, 7, 64])
def test_splits_change_nothing(every):
    for case, verdict in zip(CASES, play(CASES, every), strict=True):
        assert verdict == WHOLE[case.key], case.key


def complete(verdict):
    return [m for m in verdict["messages"] if m["complete"]]


def assert_accepted(verdict, count):
    assert verdict["status"] == 0, verdict
    assert len(complete(verdict)) == count, verdict


def assert_refused(verdict):
    """Refused, and nothing but whole requests before it was run."""
    assert 400 <= verdict["status"] <= 505, verdict


def assert_message(message, want):
    assert message["method"] == want["method"]
    assert message["version"] == want["version"]
    assert message["query"] == want["query"]
    assert message["body"] == want["body"]
    assert (message["path"] or "/") == want["path"]
    passed = [[f["name"].upper(), f["value"]] for f in message["fields"] if not f["dropped"]]
    rest = iter(passed)
    assert all(field in rest for field in want["headers"] if "_" not in field[0]), passed
    assert not any("_" in name for name, _ in passed)


def judge_gunicorn(case, verdict):
    want, good = case.row["want"], case.key.startswith("gunicorn:valid/")
    if want == "skip" and "only a parser fed EOF" in case.row["note"]:
        assert verdict["status"] == 0 and verdict["open"] and not complete(verdict)
    elif want == "skip" and "scheme-header policy" in case.row["note"]:
        assert_accepted(verdict, 1)
    elif want == "no-app":
        assert not complete(verdict)
    elif want == "reject" or (want == "skip" and not good):
        assert_refused(verdict)
    else:
        # want: accept, no-underscore (the field must not reach the application), skip
        expect = case.row["expect"]
        assert_accepted(verdict, len(expect) or 1)
        for message, wanted in zip(complete(verdict), expect, strict=False):
            assert_message(message, wanted)


def judge_garden(case, verdict):
    want = case.row["want"]
    if want == "wait10":
        assert verdict["open"] and not complete(verdict)
    elif want == "one-rawvalue":
        assert_accepted(verdict, 1)
        assert verdict["messages"][0]["fields"][1]["value"] == "\x85admin\xa0"
    elif want == "one-or-reject":
        assert len(complete(verdict)) <= 1
    elif want == "one-first":
        assert_accepted(verdict, 1)
        assert not verdict["open"]
    elif want == "three":
        # The corpus counts the last one as well, which is the body of the second.
        assert_accepted(verdict, 2)
    else:
        assert_refused(verdict)
        assert not complete(verdict)


def judge_llhttp(case, verdict):
    if case.row["error"] and "Data after" in case.row["error"]:
        # The rest is never looked at: the connection closes behind the first response.
        assert_accepted(verdict, case.row["complete"])
        assert not verdict["open"]
    elif case.row["want"] == "accept":
        assert verdict["status"] == 0, verdict
        assert len(complete(verdict)) == case.row["complete"]
    elif case.row["want"] == "error":
        assert_refused(verdict)
        assert len(complete(verdict)) == case.row["complete"]
    else:
        assert_refused(verdict)


def judge_h1spec(case, verdict):
    if case.row["timeout"]:
        assert verdict["open"] and not complete(verdict)
    elif any(low == 200 for low, _ in case.row["status"]):
        assert_accepted(verdict, 1)
        assert case.row["body"] in (None, verdict["messages"][0]["body"])
    else:
        assert any(low <= verdict["status"] <= high for low, high in case.row["status"])
        assert not complete(verdict)


JUDGES = {
    "gunicorn": judge_gunicorn,
    "http-garden": judge_garden,
    "llhttp": judge_llhttp,
    "h1spec": judge_h1spec,
}


@pytest.mark.parametrize("case", CASES, ids=[c.key for c in CASES])
def test_case(case):
    verdict = WHOLE[case.key]
    if case.key in REFUSED:
        status, why = REFUSED[case.key]
        assert verdict["status"] == status, f"{why}: {verdict}"
    elif case.key in WAITING:
        assert verdict["open"] and not complete(verdict), verdict
    elif case.key in SERVED:
        count, why = SERVED[case.key]
        assert verdict["status"] == 0 and len(complete(verdict)) == count, f"{why}: {verdict}"
    else:
        JUDGES[case.row["suite"]](case, verdict)


def test_differences_are_cases():
    if CASES:
        assert set(WHOLE) >= set(REFUSED) | set(SERVED) | set(WAITING)
