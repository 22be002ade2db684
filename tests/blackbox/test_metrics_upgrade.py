"""An upgrade keeps all that /metrics counts, of whichever part.

SPDX-License-Identifier: MIT
"""

import os
import signal

import pytest
from control_client import Control, Failed
from deploy import Site
from scraping import Watched, gone_back, only_grow, types
from shoal_harness import APPS, SLOW
from waiting import wait_for


def use_everything(d):
    """So that as many counters as can be are not 0."""
    for path in ("/", "/a", "/fails", "/hook"):
        d.server.ask(path)
    conn = d.server.connect()
    for _ in range(3):
        conn.send(b"POST /b HTTP/1.1\r\nHost: t\r\nX-Tenant: acme\r\n"
                  b"Content-Length: 5\r\n\r\nhello")
        assert conn.response().status == 200
    wrong = d.server.connect()
    wrong.send(b"NO SUCH THING\r\n\r\n")
    assert wrong.read_all().startswith(b"HTTP/1.1 400")
    with pytest.raises(Failed):
        d.call("workers.get", slot=99)
    with Control(d.socket) as control:
        control.call("events.subscribe", since_seq=0)
    os.kill(d.server.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: d.call("server.status")["totals"]["crashes"] == 1, 10 * SLOW)
    assert d.job("reload.start")["state"] == "done"
    d.call("accounting.flush")


def test_an_upgrade_takes_nothing_back(server, tmp_path):
    """Whatever /metrics counts, of whichever part: none of it is less afterwards."""
    site = Site(tmp_path / "site")
    site.write((APPS / "measured.py").read_text(), "site_app.py")
    d = Watched(server, tmp_path, "--ledger", tmp_path / "ledger.db", "--account-key",
                "header:X-Tenant", "--metrics-account", "acme", site=site)
    d.server.allow_log("worker died|application failed|post hook failed")
    use_everything(d)
    before = wait_for(lambda: (now := d.scrape())['demo_visits_total{page="/b"}'] == 3 and now,
                      10 * SLOW)
    kinds = types(d.text())
    began = before["shoal_start_timestamp_seconds"]
    assert d.job("server.upgrade")["state"] == "done"
    after = d.after(lambda now: now["shoal_generation"] > before["shoal_generation"], "it")
    less = gone_back(before, after, kinds)
    assert not less, "\n".join(f"{k}: {was} -> {now}" for k, (was, now) in less.items())
    counted = only_grow(before, kinds)
    assert sum(v > 0 for v in counted.values()) > 100, "little was counted"
    assert after["shoal_start_timestamp_seconds"] == began
    key = 'shoal_reloads_total{mode="upgrade",result="done"}'
    assert (before[key], after[key]) == (0, 1)
    assert after['shoal_reloads_total{mode="rolling",result="done"}'] == 1
    assert after["shoal_last_reload_timestamp_seconds"] > before[
        "shoal_last_reload_timestamp_seconds"]
    # What was told before it is told to nobody again: those who ask are told that.
    with Control(d.socket) as control:
        control.call("events.subscribe", since_seq=0)
        lost = control.until_event("events.lost")["data"]["lost"]
    key = "shoal_control_events_lost_total"
    assert lost > 0
    d.after(lambda now: now[key] == after[key] + lost, "the events that were lost")
