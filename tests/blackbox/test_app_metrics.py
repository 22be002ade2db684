"""`from shoal import metrics`: what an application counts is counted once, whatever dies.

SPDX-License-Identifier: MIT
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from control_client import Control
from shoal_harness import ROOT, SLOW
from waiting import wait_for


@pytest.fixture
def app(server):
    def start(*options, name="counted:application", **named):
        one = server(name, "--reload-keep", "0", *options, **named)
        one.control = Control(one.tmp / "shoal.sock")
        return one

    servers = []

    def started(*options, **named):
        servers.append(start(*options, **named))
        return servers[-1]

    yield started
    for one in servers:
        one.control.sock.close()


def read(one):
    """{name: {labels as a tuple of pairs: value or series}}."""
    answer = one.control.call("metrics.get")
    found = {}
    for family in answer["families"]:
        found[family["name"]] = {
            tuple(s["labels"].items()): s.get("value", s) for s in family["series"]
        }
    return found


def evaluate(one, source):
    return one.ask("/eval", "POST", body=source.encode()).body.decode()


def count(one, shop, times):
    for _ in range(times):
        assert one.ask(f"/?{shop}").status == 200


def test_counts_of_all_workers(app):
    one = app(workers=2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: count(one, "north", 10), range(4)))
    count(one, "south", 3)
    found = read(one)
    assert found["demo_requests_total"] == {(("shop", "north"),): 40, (("shop", "south"),): 3}
    # Set at load: once for each worker. What a mold counted is nobody's request.
    assert found["demo_loaded"] == {(): 2}
    assert found["demo_plain_total"] == {(): 43}


def test_loaded_by_each_worker(app):
    one = app("--preload=off", workers=2)
    found = read(one)
    assert found["demo_loaded"] == {(): 2}
    assert found["demo_plain_total"] == {(): 2}


def test_kill_takes_nothing_back(app):
    one = app(workers=2)
    count(one, "north", 10)
    victims = one.worker_pids()
    for pid in victims:
        one.expect_log(r"worker died")
        one.allow_log("request lost")
        os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: len(set(one.worker_pids()) - set(victims)) == 2, 10 * SLOW, "new workers"
    )
    assert read(one)["demo_requests_total"] == {(("shop", "north"),): 10}
    count(one, "north", 5)
    found = read(one)
    assert found["demo_requests_total"] == {(("shop", "north"),): 15}
    assert found["demo_loaded"] == {(): 2}


def test_reload_takes_nothing_back(app):
    one = app(workers=2)
    count(one, "north", 10)
    job = one.control.call("reload.start")["job"]
    wait_for(
        lambda: one.control.call("jobs.get", job=job)["state"] == "done", 20 * SLOW, "reload"
    )
    wait_for(lambda: len(one.worker_pids()) == 2, 10 * SLOW, "the old ones' end")
    count(one, "north", 1)
    found = read(one)
    assert found["demo_requests_total"] == {(("shop", "north"),): 11}
    assert found["demo_loaded"] == {(): 2}


def test_new_binary_takes_nothing_back(app):
    one = app()
    count(one, "north", 4)
    one.expect_log(r"worker died")
    one.allow_log("request lost")
    os.kill(one.worker, signal.SIGKILL)
    wait_for(lambda: len(one.worker_pids()) == 1, 10 * SLOW, "a new worker")
    wait_for(lambda: one.ask("/?north").status == 200, 10 * SLOW, "an answer")
    one.control.call("server.upgrade")
    one.wait_log(r"upgraded")
    one.control.sock.close()
    one.control = Control(one.tmp / "shoal.sock")
    assert read(one)["demo_requests_total"] == {(("shop", "north"),): 5}


def test_threads(app):
    one = app("--threads", "4")
    evaluate(one, "in_threads(8, 5000)")
    found = read(one)
    assert found["demo_plain_total"] == {(): 40000}
    assert sum(found["demo_requests_total"].values()) == 40000


def test_gauges(app):
    one = app("--preload=off")
    for source in (
        "LAST.set(3)", "LAST.dec(1.5)", "LEAST.set(-4)", "MOST.inc(2)",
    ):  # fmt: skip
        assert evaluate(one, source) == "None"
    found = read(one)
    assert found["demo_last"] == {(): 1.5}
    assert found["demo_least"] == {(): -4}
    assert found["demo_most"] == {(): 2}


def test_histogram(app):
    one = app()
    # A bound belongs to the class below it.
    for seconds in ("0.005", "0.0051", "0.25", "11", "-1", "10"):
        assert evaluate(one, f"TOOK.observe({seconds}, page='x')") == "None"
    series = read(one)["demo_took_seconds"][(("page", "x"),)]
    assert series["counts"] == [2, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert series["sum"] == pytest.approx(21.2601)


def test_overflow(app):
    """1024 series in a worker; what comes then is counted as too much, not refused."""
    one = app()
    assert evaluate(one, "many(1100)") == "None"
    assert evaluate(one, "REQUESTS.inc(shop='s0')") == "None"
    assert evaluate(one, "metrics.counter('late_total').inc()") == "None"
    answer = one.control.call("metrics.get")
    assert answer["series"] == 1024 - 3  # gauges that were never set are not told
    assert answer["overflow"] == 1100 - (1024 - 5) + 1
    assert read(one)["demo_requests_total"][(("shop", "s0"),)] == 2
    one.wait_log("no room for more series")
    assert len([x for x in one.lines if "no room for more series" in x]) == 1


@pytest.mark.parametrize(
    "source, words",
    [
        ("metrics.counter('9lives')", "'9lives' is no name of a metric"),
        ("metrics.counter('a b')", "'a b' is no name"),
        ("metrics.counter('a\\n')", "is no name"),
        ("metrics.counter('ä')", "'ä' is no name"),
        ("metrics.counter('x' * 129)", "at most 128"),
        ("metrics.counter('shoal_x')", "the server's own"),
        ("metrics.counter('x', labels=['a-b'])", "'x': 'a-b' is no name of a label"),
        ("metrics.counter('x', labels=['__a'])", "'__a' is no name of a label"),
        ("metrics.counter('x', labels=['a', 'a'])", "each once"),
        ("metrics.counter('x', labels=[f'l{i}' for i in range(9)])", "at most 8"),
        ("metrics.counter('x', labels='ab')", "a list of names"),
        ("metrics.histogram('x', labels=['le'])", "'le'"),
        ("metrics.gauge('x', mode='mean')", "sum, last, min, max, not 'mean'"),
        ("metrics.gauge('demo_plain_total')", "is there already, as a counter"),
        ("metrics.counter('demo_requests_total', labels=['other'])", "('shop',)"),
        ("metrics.counter('demo_took_seconds_count')", "be taken for 'demo_took_seconds'"),
        ("metrics.gauge('demo_plain')", "be taken for 'demo_plain_total'"),
        ("PLAIN.inc(-1)", "counter demo_plain_total only grows"),
        ("PLAIN.inc(float('nan'))", "a finite number, not nan"),
        ("LAST.set(float('inf'))", "a finite number, not inf"),
        ("REQUESTS.inc()", "demo_requests_total takes exactly the labels ('shop',)"),
        ("REQUESTS.inc(1, floor='1')", "exactly the labels ('shop',)"),
        ("PLAIN.inc(1, shop='x')", "exactly the labels ()"),
    ],
)
def test_mistakes_are_named(app, source, words):
    one = app()
    said = evaluate(one, source)
    assert said.startswith("ValueError: ") and words in said
    assert evaluate(one, "LAST.set()").startswith("TypeError: set takes one number")
    assert evaluate(one, "PLAIN.inc('1')").startswith("TypeError: ")


def test_hostile_values(app):
    one = app()
    for value in (r"'a\x00b\x1b'", r"'\ud800'", "'x' * 1000", "'\"\\\\\\n'", "7", "None"):
        assert evaluate(one, f"REQUESTS.inc(shop={value})") == "None"
    shops = {dict(labels)["shop"] for labels in read(one)["demo_requests_total"]}
    assert shops == {"a?b?", "?", "x" * 128, '"\\\n', "7", "None"}


def test_same_name_is_the_same_metric(app):
    one = app()
    assert evaluate(one, "metrics.counter('demo_plain_total') is PLAIN") == "True"


def test_forked_child_counts_for_itself(app):
    one = app()
    before = read(one)
    assert evaluate(one, "forked()") == "None"
    assert read(one)["demo_plain_total"] == before["demo_plain_total"]
    assert "demo_child_total" not in read(one)


def scrape(one, accept):
    """GET /metrics, over the control socket."""
    conn = http.client.HTTPConnection("shoal", timeout=10 * SLOW)
    conn.sock = socket.socket(socket.AF_UNIX)
    conn.sock.settimeout(10 * SLOW)
    conn.sock.connect(str(one.tmp / "shoal.sock"))
    try:
        conn.request("GET", "/metrics", headers={"Accept": accept})
        return conn.getresponse().read().decode()
    finally:
        conn.sock.close()


def test_prometheus_gets_them(app):
    one = app(workers=2)
    one.more_descriptors = 3  # of the gateway, which begins with its first client
    count(one, "north", 3)
    assert evaluate(one, "TOOK.observe(0.2, page='\"\\\\\\n')") == "None"
    text = scrape(one, "text/plain")
    assert '\ndemo_requests_total{shop="north"} 3\n' in text
    assert '\ndemo_took_seconds_bucket{page="\\"\\\\\\n",le="0.25"} 1\n' in text
    assert "\n# TYPE demo_requests_total counter\n" in text
    assert "\n# TYPE demo_requests counter\n" in scrape(one, "application/openmetrics-text")
    promtool = shutil.which("promtool")
    if promtool:
        subprocess.run(
            [promtool, "check", "metrics"], input=text, text=True, check=True, timeout=60
        )


def test_outside_of_the_server():
    """The lines docs/METRICS.md gives for tests of the application do without the server."""
    text = (ROOT / "docs" / "METRICS.md").read_text()
    code = text.split("```python\ntry:", 1)[1].split("```", 1)[0]
    code = f"try:{code}\nmetrics.counter('x').inc(shop='a')\nmetrics.gauge('y').set(1)\n"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd="/", timeout=20)
