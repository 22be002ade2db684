"""start_response, write, the iterable, file_wrapper, wsgi.errors: PEP 3333 and beyond.

SPDX-License-Identifier: MIT
"""

import json
from pathlib import Path

import pytest
from shoal_harness import APPS


@pytest.fixture(scope="module")
def probe(module_server, executor):
    return module_server("probe", *executor).allow_log("wsgi.errors|cut$")


def test_wrong_heads_are_exceptions_and_nothing_is_sent(probe):
    answer = probe.ask("/refused")
    found = json.loads(answer.body)
    assert answer.status == 203 and answer.reason == b"Mine"
    assert answer.get("X-Second") == "yes" and answer.get("Content-Type") is None
    types = ("status type", "status bytes", "value type", "value bytes", "pair list", "triple",
             "headers dict", "no arguments", "four", "keyword")
    assert found.pop("second") == "AssertionError"
    assert found.pop("replace") is None
    for name, error in found.items():
        assert error == ("TypeError" if name in types else "ValueError"), name


def test_exc_info_after_the_head_raises_again(probe):
    assert probe.ask("/too_late").body == b"out re-raised 'late'"


def test_head_waits_for_the_first_byte(probe):
    answer = probe.ask("/no_head_until_body")
    assert answer.status == 201 and answer.get("X-Late") == "yes" and answer.body == b"body"


def test_head_leaves_at_the_end_of_an_empty_body(probe):
    answer = probe.ask("/only_empty")
    assert answer.get("X-Empty") == "yes" and answer.get("Content-Length") == "0"


def test_length_of_a_sized_result(probe):
    answer = probe.ask("/many")
    assert answer.framing == "length" and answer.body == b"abcdef"


def test_an_empty_item_does_not_end_the_chunks(probe):
    answer = probe.ask("/empties")
    assert answer.framing == "chunked" and answer.body == b"ab"


def test_latin_1_on_the_wire(probe):
    answer = probe.ask("/latin")
    assert answer.reason == "Schön".encode("latin-1") and answer.get("X-Latin") == "é"


@pytest.mark.parametrize("path", ["many", "empties", "latin", "file_of?real"])
def test_head_has_no_body(probe, path):
    with probe.connect() as conn:
        assert conn.ask(f"/{path}", "HEAD").body == b""
        assert conn.ask("/valid/hello").body == b"valid"


def test_early_hints(probe):
    answer = probe.ask("/hints")
    assert [i.status for i in answer.interim] == [103]
    assert answer.interim[0].get("Link") == "</a.css>; rel=preload"
    assert answer.status == 200
    old = probe.exchange(b"GET /hints HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.1 200") and b" 103 " not in old


def test_file_wrapper(probe):
    whole = (Path(APPS) / "probe.py").read_bytes()
    real = probe.ask("/file_of?real")
    assert real.body == whole and real.framing == "length"
    assert probe.ask("/file_of?offset").body == whole[3:]
    assert probe.ask("/gzip_file").body == b"unpacked"
    assert probe.ask("/file_of?memory").body == b"in memory " * 3
    assert probe.ask("/file_of?temporary").body == b"temporary"
    assert probe.ask("/file_of?cut").body == b"in me"


def test_errors_stream(probe):
    assert json.loads(probe.ask("/errors").body) == "TypeError"
    probe.wait_log("one line of wsgi.errors")
    probe.wait_log("two parts")
    probe.wait_log("by print")
    probe.wait_log("unfinished")


def test_validated_applications(probe):
    assert probe.ask("/valid/hello?a=b").body == b"valid"
    assert probe.ask("/valid/echo", "POST", body=b"abc").body == b"abc"
