"""/metrics: read by Prometheus' own tools, true to what was sent, never going backwards.

SPDX-License-Identifier: MIT
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import pytest
from control_client import call
from scraping import Scraped, free_port, get, gone_back, names_in, types
from shoal_harness import ROOT, SLOW
from waiting import wait_for

DOCS = ROOT / "docs"


def tool(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus)")
    return path


class Instance(Scraped):
    def __init__(self, server, path, port):
        super().__init__(port)
        self.server, self.path = server, path

    def requests(self):
        found = self.scrape()
        return sum(v for k, v in found.items() if k.startswith("shoal_http_requests_total"))


@pytest.fixture(scope="module")
def instance(module_server):
    with tempfile.TemporaryDirectory(prefix="shoal-metrics-") as name:
        port = free_port()
        path = Path(name) / "c.sock"
        one = module_server("hello:application", "--control-socket", path,
                            "--gateway", f"127.0.0.1:{port}",
                            "--account-key", "header:X-Tenant", "--metrics-account", "acme",
                            "--metrics-account", 'evil"\\', "--reload-keep", "0", workers=2)
        one.allow_log("worker died")
        yield Instance(one, path, port)


def ask(instance, count, tenant="nobody"):
    for _ in range(count):
        conn = instance.server.connect()
        conn.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                  b"X-Tenant: %s\r\n\r\n" % tenant.encode())
        assert conn.read_all().startswith(b"HTTP/1.1 200")


def test_promtool_has_nothing_to_say(instance):
    _, text = get(instance.url)
    out = subprocess.run([tool("promtool"), "check", "metrics"], input=text, text=True,
                         capture_output=True, timeout=60)
    assert (out.returncode, out.stdout + out.stderr) == (0, "")


def test_both_formats_by_wish(instance):
    kind, text = get(instance.url)
    assert kind == "text/plain; version=0.0.4; charset=utf-8" and "# EOF" not in text
    kind, opened = get(instance.url, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert opened.endswith("# EOF\n")
    for name, what in types(opened).items():
        assert types(text)[name + ("_total" if what == "counter" else "")] == what
        assert not name.endswith("_total")


def test_every_request_is_counted_once(instance):
    before = instance.scrape()
    ask(instance, 25)
    (listener,) = call(instance.path, "listeners.list")["listeners"]
    kind = f'{{method="GET",code="200",listener="{listener["name"]}"}}'
    kind = "shoal_http_requests_total" + kind
    wanted = before.get(kind, 0) + 25
    after = wait_for(lambda: (now := instance.scrape()).get(kind) == wanted and now, 10 * SLOW)
    size = "shoal_http_request_duration_seconds"
    assert after[f"{size}_count"] == after[f'{size}_bucket{{le="+Inf"}}']
    assert after[f"{size}_count"] - before[f"{size}_count"] == 25
    assert after["shoal_app_requests_total"] - before["shoal_app_requests_total"] == 25
    buckets = [v for k, v in after.items() if k.startswith(f"{size}_bucket")]
    assert buckets == sorted(buckets)


def test_no_counter_goes_backwards(instance):
    """Across kill -9 of a worker, a reload, and the end of the gateway itself."""
    before = instance.scrape()
    kinds = types(get(instance.url)[1])
    ask(instance, 5)
    victim = call(instance.path, "workers.get", slot=0)["pid"]
    os.kill(victim, signal.SIGKILL)
    crashes = 'shoal_worker_spawns_total{reason="crash"}'
    wait_for(lambda: instance.scrape()[crashes] == before[crashes] + 1, 10 * SLOW)
    job = call(instance.path, "reload.start")["job"]
    assert call(instance.path, "jobs.wait", job=job)["state"] == "done"
    after = wait_for(lambda: (now := instance.scrape())["shoal_generation"] >= 2 and now,
                     10 * SLOW, "the new generation")
    assert after[crashes] == before[crashes] + 1
    assert not gone_back(before, after, kinds)


def test_accounts_that_were_named_have_series(instance):
    def requests(found, account):
        return found.get(f'shoal_account_requests_total{{account="{account}"}}', 0)

    before = instance.scrape()
    for tenant, count in (("acme", 3), ('evil"\\', 2), ("globex", 4)):
        ask(instance, count, tenant)
    after = wait_for(lambda: requests(now := instance.scrape(), "acme") == 3 and now, 10 * SLOW)
    assert requests(after, 'evil\\"\\\\') == 2
    assert requests(after, "~other") - requests(before, "~other") == 4
    assert 'account="globex"' not in str(after)
    assert after['shoal_account_sent_bytes_total{account="acme"}'] > 300


def test_a_real_prometheus_scrapes_it(instance, tmp_path):
    program = tool("prometheus")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n- job_name: shoal\n  static_configs:\n"
        f"  - targets: ['127.0.0.1:{instance.port}']\n")
    with open(tmp_path / "log", "wb") as log:
        prometheus = subprocess.Popen(
            [program, f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log)

    def query(text):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            found = json.loads(get(url)[1])["data"]["result"]
        except OSError:
            return None
        return float(found[0]["value"][1]) if found else None

    try:
        wait_for(lambda: query("up") == 1, 30 * SLOW, "a successful scrape")
        ask(instance, 7)
        wanted = instance.requests()
        wait_for(lambda: query("sum(shoal_http_requests_total)") == wanted, 20 * SLOW, "the count")
        quantile = "histogram_quantile(0.99, shoal_http_request_duration_seconds_bucket)"
        assert 0 < query(quantile) <= 10
        assert query("shoal_workers_target") == 2
    finally:
        prometheus.terminate()
        prometheus.wait(30)


def test_rules_and_dashboard_use_what_is_there(instance):
    known = types(get(instance.url)[1])
    rules = (DOCS / "prometheus" / "alerts.yml").read_text()
    board = json.loads((DOCS / "grafana" / "shoal.json").read_text())
    expressions = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    assert len(expressions) > 20
    used = names_in(rules) | names_in("\n".join(expressions))
    assert used <= known.keys(), used - known.keys()
    variable = board["templating"]["list"][1]["query"]["query"]
    assert names_in(variable) <= known.keys()


def test_promtool_accepts_the_rules():
    out = subprocess.run([tool("promtool"), "check", "config", "scrape.yml"], text=True,
                         cwd=DOCS / "prometheus", capture_output=True, timeout=60)
    assert out.returncode == 0, out.stdout + out.stderr


def test_every_metric_is_described(instance):
    """The generated page has a line for each, and none for what is not there."""
    known = set(types(get(instance.url)[1]))
    page = (DOCS / "generated" / "metrics.md").read_text()
    assert set(re.findall(r"^\| `(shoal_\w+)`", page, re.MULTILINE)) == known
