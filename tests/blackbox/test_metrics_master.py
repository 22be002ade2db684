"""What the master counts about itself, by known amounts.

SPDX-License-Identifier: MIT
"""

import contextlib
import http.client
import os
import signal
import socket
import time

import pytest
from control_client import Control, Failed
from scraping import Watched
from shoal_harness import SLOW
from waiting import wait_for


@pytest.fixture(scope="module")
def watched(module_server, tmp_path_factory):
    d = Watched(module_server, tmp_path_factory.mktemp("watched"), "--preload=off")
    d.server.allow_log("reload (failed|cancelled|rolled back)|application not loaded")
    return d


def grown(before, after, name):
    """{labels: by how much} of the samples of a name that moved."""
    moved = {k: v - before.get(k, 0) for k, v in after.items() if k.startswith(name + "{")}
    return {k[len(name) + 1:-1]: v for k, v in moved.items() if v}


def test_reloads_by_mode_and_result(watched):
    before = watched.scrape()
    assert sum(v for k, v in before.items() if k.startswith("shoal_reloads_total{")) == 0
    assert "shoal_last_reload_success" not in before
    assert watched.job("reload.start")["state"] == "done"
    bluegreen = watched.job("reload.start", mode="bluegreen")
    assert bluegreen["state"] == "done"
    good = watched.after(lambda now: len(grown(before, now, "shoal_reloads_total")) == 2,
                         "two reloads")
    assert good["shoal_last_reload_success"] == 1
    assert good["shoal_last_reload_timestamp_seconds"] == pytest.approx(bluegreen["ended"])

    watched.site.broken("import error")
    failed = watched.job("reload.start")
    assert failed["state"] == "failed"
    assert watched.job("reload.check")["state"] == "failed"  # changes nothing: is no reload
    watched.site.broken("slow import")
    job = watched.call("reload.start")["job"]
    wait_for(lambda: watched.call("jobs.get", job=job)["state"] == "booting"
             or watched.call("jobs.get", job=job).get("progress"), 10 * SLOW)
    with Control(watched.socket) as control:
        control.send_json({"id": 1, "method": "jobs.wait", "params": {"job": job}})
    key = 'method="jobs.wait",result="error"'
    watched.after(lambda now: grown(before, now, "shoal_control_requests_total").get(key) == 1,
                  "one call nobody waited for")
    watched.call("jobs.cancel", job=job)
    watched.site.good()
    after = watched.after(lambda now: len(grown(before, now, "shoal_reloads_total")) == 4,
                          "all reloads")
    assert grown(before, after, "shoal_reloads_total") == {
        'mode="rolling",result="done"': 1, 'mode="bluegreen",result="done"': 1,
        'mode="rolling",result="failed"': 1, 'mode="rolling",result="cancelled"': 1,
    }
    # The cancelled one says nothing about the last that had its way.
    assert after["shoal_last_reload_success"] == 0
    assert after["shoal_last_reload_timestamp_seconds"] == pytest.approx(failed["ended"])
    name = "shoal_reload_duration_seconds"
    assert grown(before, after, f"{name}_count") == {'mode="rolling"': 3, 'mode="bluegreen"': 1}
    took = after[f'{name}_sum{{mode="bluegreen"}}'] - before[f'{name}_sum{{mode="bluegreen"}}']
    assert took == pytest.approx(bluegreen["ended"] - bluegreen["started"], abs=0.001)
    moved = grown(before, after, "shoal_control_events_total")
    assert (moved['type="reload.done"'], moved['type="reload.failed"']) == (2, 2)
    told = watched.call("events.history", limit=1000)["events"]
    for kind in ("reload.done", "reload.failed", "reload.step"):
        assert moved[f'type="{kind}"'] == sum(e["type"] == kind for e in told), kind


def test_calls_by_method_and_result(watched):
    before = watched.scrape()
    with Control(watched.socket) as control:
        for _ in range(7):
            control.call("session.whoami")
        for wrong in ({"slot": 999}, {"slot": "x"}):
            with pytest.raises(Failed):
                control.call("workers.get", **wrong)
        control.call("workers.get", slot=0)
        for name in ("no.such", "", "server.pin"):
            with pytest.raises(Failed):
                control.call(name)
        control.call("session.lower", role="observer")
        with pytest.raises(Failed):
            control.call("server.stop")
        control.send_json({"jsonrpc": "2.0", "method": "server.undrain"})  # without id
        control.send(b"no JSON\n")
        assert control.line()["error"]["data"]["kind"] == "parse"

    def name(method, result):
        return f'method="{method}",result="{result}"'

    wanted = {
        name("session.whoami", "ok"): 7, name("workers.get", "ok"): 1,
        name("workers.get", "error"): 2, name("session.lower", "ok"): 1,
        name("server.stop", "error"): 1, name("server.undrain", "error"): 1,
        name("other", "error"): 4,
    }

    def fits(now):
        moved = grown(before, now, "shoal_control_requests_total")
        return {k: moved.get(k) for k in wanted} == wanted

    after = watched.after(fits, wanted)
    # Each of them has a duration.
    calls = sum(v for k, v in after.items() if k.startswith("shoal_control_requests_total{"))
    assert after["shoal_control_request_duration_seconds_count"] == calls
    assert 0 < after["shoal_control_request_duration_seconds_sum"] < 600


def test_connections_by_dialect(watched):
    def count(now, dialect):
        return now[f'shoal_control_connections{{dialect="{dialect}"}}']

    # A client of a moment ago may still be there.
    idle = watched.after(lambda now: count(now, "jsonrpc") == 0, "no client")
    http_idle = count(idle, "http")  # the scrape itself
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Control(watched.socket)).call("server.ping")
        for path in (None, str(watched.socket)):
            client = http.client.HTTPConnection("127.0.0.1", watched.port, timeout=10)
            if path is not None:
                client.sock = socket.socket(socket.AF_UNIX)
                client.sock.connect(path)
            client.request("GET", "/healthz")
            assert client.getresponse().read()
            stack.callback(client.close)
        watched.after(lambda now: (count(now, "jsonrpc"), count(now, "http"))
                      == (3, http_idle + 2), "three and two")
    watched.after(lambda now: count(now, "jsonrpc") == 0 and count(now, "http") == http_idle,
                  "none")


def test_infos_and_draining(watched):
    found = watched.scrape()
    assert found["shoal_draining"] == 0
    revision = watched.call("config.get")["revision"]
    assert found[f'shoal_config_revision_info{{revision="{revision}"}}'] == 1
    version = watched.call("server.version")
    labels = ",".join(f'{k}="{version[k]}"' for k in ("version", "commit", "openssl", "libevent"))
    assert found[f"shoal_build_info{{{labels}}}"] == 1
    watched.call("server.drain")
    drained = watched.after(lambda now: now["shoal_draining"] == 1, "a drain")
    assert drained["shoal_ready"] == 0
    watched.call("server.undrain")
    assert watched.job("reload.start")["state"] == "done"
    after = watched.after(lambda now: now["shoal_draining"] == 0, "no drain")
    revisions = [k for k in after if k.startswith("shoal_config_revision_info")]
    assert revisions == [
        f'shoal_config_revision_info{{revision="{watched.call("config.get")["revision"]}"}}']


def test_a_master_that_was_away_says_so(watched):
    name = "shoal_master_loop_lag_seconds"
    before = watched.scrape()
    os.kill(watched.server.pid, signal.SIGSTOP)
    until = time.monotonic() + 1.6
    wait_for(lambda: time.monotonic() > until, 10)
    os.kill(watched.server.pid, signal.SIGCONT)
    after = watched.after(lambda now: now[f"{name}_sum"] > before[f"{name}_sum"] + 0.4, "a lag")
    late = {k: sum(v for b, v in found.items() if b.startswith(f"{name}_bucket")
                   and b != f'{name}_bucket{{le="+Inf"}}') for k, found in
            (("before", before), ("after", after))}
    assert after[f"{name}_count"] > before[f"{name}_count"] and late["after"] > late["before"]
    quick = f'{name}_bucket{{le="0.25"}}'
    assert after[f"{name}_count"] - after[quick] > before[f"{name}_count"] - before[quick]


def test_dropped_records_by_log(server, tmp_path):
    """Each is 8 KiB, and the writer keeps 2 MiB for a disk that may have room again."""
    d = Watched(server, tmp_path, "--access-logfile", "/dev/full", "--preload=off", workers=1)
    d.server.allow_log("write failed|records dropped")
    line = b"GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % (b"x" * 7000)
    asked = 600
    conn = d.server.connect()
    for _ in range(asked):
        conn.send(line)
        conn.response()
    name = "shoal_log_dropped_total"
    found = d.after(lambda now: now[f'{name}{{log="access"}}'] > 0, "a record dropped")
    assert found[f'{name}{{log="access"}}'] < asked
    assert found[f'{name}{{log="error"}}'] == 0
