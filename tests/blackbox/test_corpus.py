"""Every request of the corpora over real sockets: whole, and in random pieces.

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import random

import corpus
import pytest
from raw_client import Closed

SUITES = ("gunicorn", "llhttp", "http-garden", "h1spec")
CASES = [case for name in SUITES for case in corpus.load(name)]
CASES = [case for case in CASES if case.get("want") != "skip"]

needs_corpora = pytest.mark.skipif(
    not CASES, reason=f"no corpora in {corpus.FOLDER}; SHOAL_SHARED names another place"
)


@pytest.fixture(scope="module")
def echo(module_server):
    return module_server("echo:application", "-t", "10")


def converse(echo, case, cuts):
    """All answers to the bytes of a case, read until the server closes."""
    data = case["send"].encode("latin-1")
    # A HEAD request has no body to read; only its own answer is affected.
    head_first = data.lstrip(b"\r\n").startswith(b"HEAD ")
    answers = []
    # Who goes on after `Connection: close` may be reset by the bytes that come later.
    promised = b"close" in data.lower() or b"HTTP/1.0" in data
    with echo.connect(timeout=10) as conn:
        # It may be refused before we have said everything.
        with contextlib.suppress(ConnectionError):
            conn.send_pieces(data, cuts)
        conn.send_eof()
        while True:
            try:
                method = "HEAD" if head_first and not answers else "GET"
                answers.append(conn.response(method))
            except ConnectionResetError:
                assert promised and cuts, "a reset destroyed the answer"
                return None
            except Closed:
                assert not conn.buf, f"cut answer {bytes(conn.buf[:200])!r}"
                return answers


def judge(case, answers):
    """Fails when the answers are not what http.md and the corpus want."""
    good = [a for a in answers if 200 <= a.status < 300]
    bad = [a for a in answers if a.status >= 400]
    said = [a.status for a in answers]
    assert len(good) in corpus.allowed_successes(case), said
    assert len(bad) <= 1 and answers == good + bad, said
    assert all(a.closes for a in bad), "an error answer without Connection: close"
    status = corpus.refused_here(case)
    if status:
        assert [a.status for a in bad] == [status]
    return good


def compare(case, good):
    """What the application saw against what the corpus says it must see."""
    if case["suite"] == "h1spec" and case.get("body") and good:
        assert json.loads(good[0].body)["body"] == case["body"]
    if corpus.key(case) in corpus.SERVED:
        return
    for wanted, answer in zip(case.get("expect") or [], good, strict=False):
        saw = json.loads(answer.body)
        assert saw["method"] == wanted["method"]
        assert saw["query"] == wanted["query"]
        assert saw["body"] == wanted["body"]
        assert saw["protocol"] == "HTTP/" + wanted["version"]
        if wanted["path"] is not None and "%" not in wanted["path"]:
            assert saw["path"].rpartition("://")[2].endswith(wanted["path"])
        for name, value in wanted["headers"]:
            if "_" in name or name in ("TRANSFER-ENCODING", "CONNECTION"):
                continue
            if [n for n, _ in wanted["headers"]].count(name) == 1:
                assert saw["headers"].get(name.lower()) == value, name


@needs_corpora
@pytest.mark.parametrize("case", CASES, ids=[corpus.key(case) for case in CASES])
def test_whole_and_in_pieces(echo, case):
    rng = random.Random(corpus.key(case))
    size = len(case["send"])
    judged = []
    for cuts in ([], *(sorted(rng.sample(range(size + 1), min(size, 7))) for _ in "ab")):
        answers = converse(echo, case, cuts)
        if answers is None:
            continue
        good = judge(case, answers)
        compare(case, good)
        judged.append([a.status for a in answers])
    assert judged[1:] == judged[:-1], "the verdict depends on how the bytes arrive"
