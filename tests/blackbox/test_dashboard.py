"""The dashboard: one page of a known size that asks nobody else, and what a browser makes of it.

SPDX-License-Identifier: MIT
"""

import base64
import gzip
import hashlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import browser
import procfs
import pytest
from control_client import call
from fake_gateway import FakeGateway, account, busy_one, route, worker
from shoal_harness import ROOT, SLOW
from tunnel import Tunnel
from waiting import wait_for

pytestmark = pytest.mark.long

EVIL = "<img src=x onerror='window.hit=1'><script>window.hit=1</script>"
needs_browser = pytest.mark.skipif(
    browser.program() is None, reason="no Chromium (chromium-headless-shell) is installed")


class Instance:
    def __init__(self, server, path, port):
        self.server, self.path, self.port = server, path, port
        self.url = f"http://127.0.0.1:{port}/"

    def get(self, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/", headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def gateway(self):
        return next((pid for pid in procfs.children(self.server.pid)
                     if "gateway" in procfs.command(pid)), None)


@pytest.fixture(scope="module")
def instance(module_server):
    with tempfile.TemporaryDirectory(prefix="shoal-db-") as name:
        where = Path(name)
        where.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        one = module_server("lasting:application", "--threads", "4", "--control-socket",
                            where / "c.sock", "--gateway", f"127.0.0.1:{port}", workers=2)
        one.allow_log("helper ended")
        one.more_descriptors = 1  # a reload was loaded by a mold, which stays
        yield Instance(one, where / "c.sock", port)


@pytest.fixture(scope="module")
def page(instance):
    """(fields, text, compressed)"""
    status, fields, packed = instance.get(Accept_Encoding="gzip")
    assert status == 200
    return fields, gzip.decompress(packed).decode(), packed


def test_the_page_is_small(page):
    _, text, packed = page
    assert len(text) <= 350_000 and len(packed) <= 110_000


def test_nothing_runs_but_what_the_policy_names(page):
    fields, text, _ = page
    policy = dict(part.strip().split(" ", 1) for part in
                  fields["Content-Security-Policy"].split(";"))
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        inner = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        assert len(inner) == 1
        digest = base64.b64encode(hashlib.sha256(inner[0].encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    for name in ("default-src", "frame-ancestors", "base-uri", "form-action"):
        assert policy[name] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Referrer-Policy"] == "no-referrer"


def test_each_build_makes_the_same_page(page, tmp_path):
    made = []
    for name in ("a", "b"):
        subprocess.run([sys.executable, ROOT / "scripts/embed.py",
                        ROOT / "master/gateway/dashboard", tmp_path / name], check=True)
        made.append((tmp_path / name).read_text())
    assert made[0] == made[1]
    assert page[0]["ETag"].strip('"') in made[0]


def test_it_asks_nobody_else_and_makes_no_markup(page):
    _, text, _ = page
    assert re.findall(r"(?:https?:)?//[a-z0-9]", re.sub(r"^\s*//.*$|; //.*$|, //.*$", "", text,
                                                       flags=re.MULTILINE)) == []
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in text


def test_a_browser_that_has_it_is_told_so(instance, page):
    tag = page[0]["ETag"]
    assert tag.startswith('"') and page[0]["Cache-Control"] == "no-cache"
    for known in (tag, f'"x", W/{tag}', "*"):
        status, fields, body = instance.get(If_None_Match=known)
        assert (status, body, fields["ETag"]) == (304, b"", tag)
        assert fields["Content-Encoding"] is None
    assert instance.get(If_None_Match='"x"', Accept_Encoding="gzip")[0] == 200


@pytest.mark.parametrize(("codings", "status"), [
    ("gzip, br", 200), ("br;q=1, GZIP;q=0.5", 200), ("*", 200), ("br, gzip;q=0.000", 406),
    ("identity", 406), ("", 406), ("gzip;q=0.001", 200),
])
def test_who_takes_no_gzip_is_told(instance, codings, status):
    got, fields, _ = instance.get(Accept_Encoding=codings)
    assert got == status
    assert (fields["Content-Encoding"] == "gzip") == (status == 200)


# ---- In a browser ----


@pytest.fixture(scope="module")
def chromium(instance):  # which is looked at for orphans after this one's end
    one = browser.Browser()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def tab(chromium):
    chromium.resize(1440, 900)
    chromium.prefer()
    yield chromium
    try:
        assert chromium.complaints() == []
    finally:
        chromium.open("about:blank")


@pytest.fixture
def fake_of(page):
    fakes = []

    def start(workers):
        fields = {name: page[0][name] for name in
                  ("Content-Type", "Content-Encoding", "Content-Security-Policy")}
        fakes.append(FakeGateway(page[2], fields, workers))
        return fakes[-1]

    yield start
    for one in fakes:
        one.close()


def shows(tab, selector, wanted, seconds=15):
    """Waits for this text, a regular expression, in the element."""
    wait_for(lambda: re.search(wanted, tab.text(selector)), seconds * SLOW,
             f"{wanted!r} in {selector}", step=0.05)


def figure(tab, name):
    return tab.evaluate("[...document.querySelectorAll('#figures div')].find("
                        f"d => d.firstChild.textContent === '{name}')?.lastChild.textContent")


@needs_browser
def test_it_shows_an_instance_and_goes_on(tab, instance):
    tab.open(instance.url)
    shows(tab, "#link", "^live$")
    shows(tab, "#facts", "running, generation")
    wait_for(lambda: tab.evaluate("document.querySelectorAll('.cell').length") == 2, 10, "cells")

    def busy():
        for _ in range(5):
            instance.server.ask("/")
        return figure(tab, "requests/s") not in (None, "–", "0")

    wait_for(busy, 15 * SLOW, "requests/s")
    asked = {url.removeprefix(instance.url) for url in tab.requested()}
    assert {"v1/stats/stream", "v1/status", "v1/workers", "v1/processes"} <= asked
    shows(tab, "#workers", r"master[^§]*\bgateway\b")
    assert not any(url.startswith("http") for url in asked), asked
    # An observer does not see requests, and is told what to do.
    shows(tab, "#flight-note", "operators")
    shows(tab, "#table-note", "operators")
    # Routes are for everybody; this application names none.
    tab.press("a")
    shows(tab, "#table-note", "shoal.route")
    # The map begins where the history does.
    assert {f"v1/stats/heatmap?name=request&since_s={n}" for n in (300, 301)} & asked


@needs_browser
def test_it_lives_through_a_reload_of_the_instance(tab, instance):
    tab.open(instance.url)
    shows(tab, "#link", "^live$")
    generation = call(instance.path, "server.status")["generation"]
    job = call(instance.path, "reload.start")["job"]
    call(instance.path, "jobs.wait", job=job, timeout_s=20)
    shows(tab, "#facts", f"generation {generation + 1}\\b")
    shows(tab, "#cells", f"generation {generation + 1}\\b")
    shows(tab, "#events", f"reload.done[^\\n]*\\s+job {job}")
    wait_for(lambda: tab.evaluate("document.querySelectorAll('.gen').length") == 1, 15, "old ones")
    assert tab.text("#link") == "live"


@needs_browser
def test_it_comes_back_when_the_gateway_does(tab, instance):
    tab.open(instance.url)
    shows(tab, "#link", "^live$")
    before = instance.gateway()
    os.kill(before, signal.SIGSTOP)
    try:
        shows(tab, "#link", "^connection lost$", 30)
    finally:
        os.kill(before, signal.SIGKILL)
    call(instance.path, "logs.reopen")
    wait_for(lambda: instance.gateway() not in (None, before), 10, "another gateway")
    shows(tab, "#link", "^live$", 30)
    shows(tab, "#events", "log.reopened")


@needs_browser
def test_operators_see_requests_and_accounts_and_names_stay_text(tab, instance):
    tunnel = Tunnel(instance.path)
    waiting = socket.create_connection(instance.server.address)
    try:
        path = "/" + EVIL.replace(" ", "%20")
        waiting.sendall(f"GET {path}?8 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        tab.open(tunnel.url)
        shows(tab, "#flight", "GET /<img%20src=x%20onerror=")
        instance.server.ask()
        shows(tab, "#table", "tenant-<i>")
        assert tab.evaluate("document.images.length") == 0
        assert tab.evaluate("window.hit") is None
    finally:
        waiting.close()
        tab.open("about:blank")
        tunnel.close()


@needs_browser
def test_hostile_text_is_shown_and_does_nothing(tab, fake_of):
    fake = fake_of(3)
    fake.alerts = [f"listener {EVIL}"]
    fake.instance = fake.role = EVIL
    fake.requests = [{"id": EVIL, "worker": 1, "age_s": 3.5, "phase": EVIL, "method": EVIL,
                      "path": f"/{EVIL}", "client": EVIL}]
    fake.events = [
        {"seq": n + 1, "t": 1_700_000_000 + n, "type": kind, "data": data}
        for n, (kind, data) in enumerate([
            (EVIL, {EVIL: EVIL, "nested": {EVIL: [EVIL]}}),
            ("worker.exit", {"slot": 1, "epoch": 0, "reason": EVIL, "cause": EVIL}),
            ("reload.failed", {"job": EVIL, "state": EVIL, "by": {"uid": EVIL, "comm": EVIL}}),
            ("worker.exit", None)])]
    fake.accounts = [account(EVIL), account("__proto__"), account("constructor")]
    fake.routes = [route(EVIL), route("__proto__")]
    fake.busiest = [busy_one(EVIL), busy_one("constructor")]
    fake.quotas = [{"account": EVIL, "window": EVIL, "used": 3, "limit_bytes": 2}]
    fake.workers[0]["state"] = EVIL
    fake.workers[1]["state"] = "__proto__"
    tab.open(fake.url)
    shows(tab, "#link", "^live$")
    for selector in ("#name", "#alerts", "#flight", "#events", "#letters", "#workers", "#table"):
        shows(tab, selector, "<img src=x onerror='window.hit=1'>")
    for name in ("route", "client", "host", "agent"):
        tab.press("a")
        shows(tab, "#table", f"^{name}[^§]*<img src=x onerror='window.hit=1'>")
    tab.press("a")
    shows(tab, "#table", "^account")
    tab.evaluate("document.querySelector('.cell').focus()")
    shows(tab, "#detail", "<img")
    assert tab.evaluate("document.images.length") == 0
    assert tab.evaluate("document.scripts.length") == 1
    assert tab.evaluate("window.hit") is None
    assert all(url.startswith((fake.url, "data:,")) for url in tab.requested())


INK = """(() => {
  const canvas = document.getElementById('c-NAME');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = data.subarray(i, i + 3);
    n += data[i + 3] > 20 && Math.max(r, g, b) - Math.min(r, g, b) > 60;
  }
  return n;
})()"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_there_is_something_in_every_chart(tab, fake_of, scheme):
    fake = fake_of(2)
    tab.prefer(prefers_color_scheme=scheme)
    tab.open(fake.url + "#range=60")
    for name, least in (("requests", 1000), ("bytes", 1000), ("latency", 300), ("lanes", 300),
                        ("memory", 300)):
        wait_for(lambda name=name, least=least: tab.evaluate(INK.replace("NAME", name)) > least,
                 15 * SLOW, f"ink in the chart of {name}", step=0.1)
    back = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (back == "rgb(243, 245, 248)") == (scheme == "light")
    # Where one points is what the keys of all charts tell.
    shows(tab, "#k-requests", "^ok [0-9]")
    shows(tab, "#k-latency", "p50 [0-9][^§]*p99.9 [0-9]")
    shows(tab, "#k-bytes", r"undelivered 50(\.0)? B[^§]*network cards 60(\.0)? B / 45(\.0)? B")
    tab.press("l")
    shows(tab, "#heat", "to the first byte")
    assert any("histogram?name=ttfb" in url for url in tab.requested())


@needs_browser
@pytest.mark.parametrize("workers", [0, 1, 64])
def test_any_number_of_workers(tab, fake_of, workers):
    fake = fake_of(workers)
    tab.open(fake.url)
    shows(tab, "#link", "^live$")
    wait_for(lambda: tab.evaluate("document.querySelectorAll('.cell').length") == workers, 10,
             "a cell for each")
    wait_for(lambda: tab.evaluate("document.getElementById('workers').rows.length") ==
             workers + 1, 10, "a row for each, and for the master")
    shows(tab, "#workers", r"master[^§]*10\.0 MB\s+17")
    shows(tab, "#cells", "generation 1" if workers else "no workers")
    assert figure(tab, "workers") == f"{workers}/{workers}"
    size = tab.evaluate("[document.documentElement.scrollWidth, "
                        "document.documentElement.scrollHeight]")
    assert size[0] <= 1440 and size[1] <= 900, "the page scrolls"
    # Old ones stand in a row of their own until they are gone.
    fake.workers = [worker(n, "draining") for n in range(workers)] + \
        [worker(n, "idle", 2, 2) for n in range(workers)]
    if workers:
        shows(tab, "#letters", f"draining {workers}")
        assert tab.evaluate("document.querySelectorAll('.gen').length") == 2


@needs_browser
@pytest.mark.parametrize("workers", [1, 64])
def test_a_phone_scrolls_down_only(tab, fake_of, workers):
    fake = fake_of(workers)
    fake.requests = [{"id": "a", "worker": 1, "age_s": 3.5, "phase": "app", "method": "GET",
                      "path": "/" + "x" * 300, "client": "2001:db8::1"}]
    fake.alerts = ["y" * 300]
    tab.resize(390, 844, phone=True)
    tab.open(fake.url)
    shows(tab, "#flight", "xxx")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


@needs_browser
def test_keys_and_the_address(tab, fake_of):
    fake = fake_of(2)
    tab.open(fake.url)
    shows(tab, "#link", "^live$")
    tab.press("4")
    assert tab.evaluate("location.hash") == "#range=3600"
    tab.press("p")
    assert tab.text("#pause") == "paused"
    frozen = tab.evaluate("location.hash")
    assert re.fullmatch(r"#range=3600&until=\d+", frozen)
    tab.press("?")
    assert tab.evaluate("document.getElementById('help').open")
    tab.press("Escape")
    tab.press("w")
    tab.press("ArrowRight")
    shows(tab, "#detail", "slot 1 ")
    # Who opens the address sees the same.
    tab.open("about:blank")
    tab.open(fake.url + frozen)
    assert tab.text("#pause") == "paused"
    assert tab.evaluate("document.querySelector('#ranges [aria-pressed=true]').textContent") == "1h"
    tab.press("p")
    assert tab.evaluate("location.hash") == "#range=3600"


@needs_browser
def test_another_instance_at_the_same_place(tab, fake_of):
    fake = fake_of(2)
    fake.events = [{"seq": n, "t": 1_700_000_000 + n, "type": "log.reopened", "data": {"n": n}}
                   for n in range(1, 9)]
    tab.open(fake.url)
    shows(tab, "#events", "n 8")
    fake.events = [{"seq": 1, "t": 1_700_000_100, "type": "server.ready", "data": {}}]
    fake.started += 100
    shows(tab, "#events", "server.ready")
    assert "log.reopened" not in tab.text("#events")


@needs_browser
def test_the_map_of_heat_is_filled_from_the_history(tab, fake_of):
    fake = fake_of(1)
    tab.open(fake.url + "#range=60&until=1700000000")
    wait_for(lambda: tab.evaluate(INK.replace("NAME", "latency")) > 5000, 15 * SLOW,
             "columns of the past", step=0.1)


@needs_browser
def test_two_tabs_share_one_stream(tab, fake_of):
    fake = fake_of(2)
    tab.open(fake.url)
    shows(tab, "#link", "^live$")
    assert fake.streams == 1
    tab.evaluate("window.other = window.open(location.href), 0", gesture=True)

    def one_stream():
        # Two that claim it at once agree as soon as they hear of each other.
        wait_for(lambda: fake.streams == 1, 15 * SLOW, "one stream")

    def other(what):
        return tab.evaluate(f"window.other.document.{what}")

    wait_for(lambda: other("getElementById('link')?.textContent") == "live", 15 * SLOW, "other tab")
    wait_for(lambda: other("querySelectorAll('.cell').length") == 2, 15 * SLOW, "its workers")
    one_stream()
    # The one that has the stream is hidden: the other one takes it, and nobody misses it.
    tab.evaluate(HIDE.format("true"))
    shows(tab, "#link", "^asleep$")
    one_stream()
    before = other("getElementById('c-requests').toDataURL().length")
    wait_for(lambda: other("getElementById('c-requests').toDataURL().length") != before,
             15 * SLOW, "a chart that goes on")
    assert other("getElementById('link').textContent") == "live"
    tab.evaluate(HIDE.format("false"))
    shows(tab, "#link", "^live$")
    one_stream()
    tab.evaluate("window.other.close(), 0")
    shows(tab, "#link", "^live$")
    one_stream()


HIDE = ("Object.defineProperty(document, 'hidden', {{get: () => {0}, configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))")


@needs_browser
def test_nobody_looks_nobody_streams(tab, fake_of):
    fake = fake_of(1)
    tab.open(fake.url)
    shows(tab, "#link", "^live$")
    tab.evaluate(HIDE.format("true"))
    shows(tab, "#link", "^asleep$")
    wait_for(lambda: fake.streams == 0, 15 * SLOW, "no stream")
    tab.evaluate(HIDE.format("false"))
    shows(tab, "#link", "^live$")
