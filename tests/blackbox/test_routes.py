"""Requests by the route the application names: routes.list, and what becomes of it.

SPDX-License-Identifier: MIT
"""

import os
import signal

import pytest
from control_client import call
from shoalctl_harness import run
from waiting import wait_for


class Routes:
    def __init__(self, server, tmp_path, *options, **more):
        self.path = tmp_path / "c.sock"
        self.server = server("routed:application", "--control-socket", self.path, *options, **more)

    def list(self):
        return {r["route"]: r for r in call(self.path, "routes.list")["routes"]}

    def requests(self):
        return {name: r["requests"] for name, r in self.list().items()}

    def all_requests(self):
        return call(self.path, "stats.get")["totals"]["requests"]

    def ask(self, *targets):
        asked = self.all_requests()
        got = [self.server.ask(t) for t in targets]
        wait_for(lambda: self.all_requests() == asked + len(targets))
        return got


@pytest.fixture
def routes(server, tmp_path):
    return lambda *options, **kw: Routes(server, tmp_path, *options, **kw)


def test_templates_of_flask(routes):
    one = routes()
    one.server.allow_log("on purpose|Exception on /fails|app: wsgi.errors")
    assert one.requests() == {}
    got = one.ask("/item/1", "/item/2", "/fails", "/nowhere")
    assert [g.status for g in got] == [200, 200, 500, 404]
    # The most asked for first; what no route answered is none.
    assert list(one.requests().items()) == [("/item/<int:number>", 2), ("/fails", 1)]
    item, fails = one.list().values()
    assert (item["errors"], fails["errors"]) == (0, 1)
    assert 0 < item["p50_us"] <= item["p99_us"] < 60e6
    assert item["sum_s"] > 0
    assert sum(item["classic"]["counts"]) == 2
    assert len(item["classic"]["counts"]) == len(item["classic"]["bounds_s"]) + 1


def test_shoalctl_shows_them(routes):
    one = routes()
    assert run("-s", one.path, "routes").stdout.splitlines()[1:] == []
    one.ask("/item/1", "/item/2", "/named/x")
    names, *rows = [r.split("\t") for r in run("-s", one.path, "routes").stdout.splitlines()]
    assert names[:3] == ["route", "requests", "errors"]
    assert [r[:3] for r in rows] == [["/item/<int:number>", "2", "0"], ["x", "1", "0"]]
    names, *rows = [r.split("\t") for r in run("-s", one.path, "accounts").stdout.splitlines()]
    assert names[:2] == ["account", "requests"]
    assert [r[:2] for r in rows] == [["~none", "3"]]


def test_an_application_that_fails_has_its_route(routes):
    one = routes()
    one.server.expect_log("application failed").allow_log("RuntimeError")
    assert one.ask("/crash")[0].status == 500
    assert one.requests() == {"/crash": 1}
    assert one.list()["/crash"]["errors"] == 1


def test_more_routes_than_are_kept(routes):
    one = routes()
    one.ask(*[f"/named/r{n}" for n in range(66)], "/named/r0", "/named/r65")
    requests = one.requests()
    assert len(requests) == 65
    assert requests["r0"] == 2
    assert requests["r63"] == 1
    assert requests["~other"] == 3


def test_any_bytes_make_a_name(routes):
    one = routes()
    one.server.expect_log("shoal.route is no route's name")
    words = ("newline", "long", "other", "empty", "none", "wrong", "surrogate")
    assert [g.status for g in one.ask(*[f"/hostile/{w}" for w in words])] == [200] * 7
    names = sorted(one.requests())
    assert names[0] == "%7Eother"
    assert names[1].startswith("/" + "y" * 46 + "~") and len(names[1]) == 64
    assert names[2:] == ['a%0A"}b']


def test_killed_workers_leave_their_counts(routes):
    one = routes(workers=2)
    one.server.expect_log("worker died")
    for kills in range(1, 4):
        one.ask(*["/item/1"] * 10)
        before = one.server.log.count("worker ready")
        os.kill(one.server.worker_pids()[0], signal.SIGKILL)
        wait_for(lambda n=before: one.server.log.count("worker ready") > n, 20)
        assert one.requests() == {"/item/<int:number>": 10 * kills}
