"""Reloads under load: the good ones cost no request, the bad ones change nothing.

SPDX-License-Identifier: MIT
"""

import exercises
import pytest
from deploy import BROKEN, Deployment
from load import Load, explain
from shoal_harness import SANITIZED, SLOW
from waiting import wait_for

# Bounded here; scripts/soak does a thousand. Sanitizers stretch each to several seconds.
RELOADS = 20 if SANITIZED else 200
BROKEN_RELOADS = 20 if SANITIZED else 100
EXPECTED = (
    r"application not loaded|reload (failed|rolled back)|worker died|Traceback|Error"
    r"|(request|application) (lost|failed)|mold|did not load"
)


def deploy(server, tmp_path, *options, **named):
    return Deployment(server, tmp_path, *options, **named)


def under_load(d, work):
    """(what work returned, the load's report): eight clients ask all the while."""
    with Load(d.address, 8) as load:
        wait_for(lambda: load.report()["requests"] > 100, 10 * SLOW)
        result = work(load)
        load.phase("after")
        wait_for(lambda: load.report()["phases"]["after"]["requests"] > 100, 10 * SLOW)
        return result, load.stop()


@pytest.mark.long
def test_reloads_cost_no_request(server, tmp_path):
    d = deploy(server, tmp_path)
    before = exercises.master_size(d.server.pid)
    result, report = under_load(d, lambda load: exercises.reloads(d, load, range(RELOADS)))
    assert not result["wrong"], "\n".join(result["wrong"][:5])
    assert not report["failures"], explain(report)
    assert report["phases"]["after"]["versions"].keys() == {result["version"]}
    after = exercises.master_size(d.server.pid)
    assert after["fds"] <= before["fds"] + 4, "the previous generation's mold, no more"
    # Events (at most 2 MiB) and jobs fill their rings; a sanitizer keeps what was freed.
    assert after["rss"] - before["rss"] < (16 if SANITIZED else 2) << 20, (before, after)


@pytest.mark.long
def test_broken_reloads_change_nothing_and_say_why(server, tmp_path):
    limit = SLOW
    d = deploy(server, tmp_path, "--check-url", "/", "--load-timeout", limit)
    d.server.allow_log(EXPECTED)
    generation = d.workers()
    result, report = under_load(
        d, lambda load: exercises.broken_reloads(d, load, range(BROKEN_RELOADS))
    )
    assert not result["wrong"], "\n".join(result["wrong"][:5])
    assert not report["failures"], explain(report)
    for name, phase in report["phases"].items():
        assert set(phase["versions"]) <= {result["version"]}, name
    wait_for(lambda: d.workers() == generation, 5 * SLOW, "the old workers, untouched")
    version = d.site.good()
    assert d.reload().code == 0
    assert d.version() == version


@pytest.mark.parametrize("kind", BROKEN)
def test_each_kind_of_broken_code_without_a_mold(server, tmp_path, kind):
    d = deploy(
        server, tmp_path, "--preload=off", "--check-url", "/", "--load-timeout", SLOW, workers=1
    )
    d.server.allow_log(EXPECTED)
    worker = d.workers()
    told = d.site.broken(kind)
    outcome = d.reload()
    assert outcome.code == 1, outcome.text
    assert told.search(outcome.text), outcome.text
    if kind in ("syntax error", "import error", "exception"):
        assert "Traceback" in outcome.text or "SyntaxError" in outcome.text
    assert d.version() == "v1"
    wait_for(lambda: d.workers() == worker, 5 * SLOW, "the old worker, and no other")


def test_a_crash_after_three_requests_is_rolled_back(server, tmp_path):
    """The new code answers the check, then crashes: what it had in hand is all that is lost."""
    d = deploy(server, tmp_path, "--check-url", "/", "--reload-soak", "20")
    d.server.allow_log(EXPECTED)
    d.site.crash_after(3)
    outcome, report = under_load(d, lambda load: d.reload())
    assert outcome.code == 1, outcome.text
    assert "died" in outcome.text, outcome.text
    mine = d.workers().values()
    assert not [f for f in report["failed"] if f["pid"] in mine], explain(report)
    assert set(report["kinds"]) <= {"EOF", "ECONNRESET", "short answer", "send EPIPE"}
    assert report["phases"]["after"]["versions"].keys() == {"v1"}
    assert not report["phases"]["after"]["failures"], explain(report)
    d.wait_strength(2)


def test_errors_during_the_soak_are_rolled_back(server, tmp_path):
    """The check finds nothing, the clients do: the old code is back."""
    d = deploy(server, tmp_path, "--reload-soak", "20")
    d.server.allow_log(EXPECTED)
    d.site.good(inside="start_response('500 No', [('Content-Length', '0')]); return [b'']")
    outcome, report = under_load(d, lambda load: d.reload())
    assert outcome.code == 1, outcome.text
    assert "soak" in outcome.text and "%" in outcome.text, outcome.text
    assert set(report["kinds"]) <= {"status 500"}, explain(report)
    assert report["phases"]["after"]["versions"].keys() == {"v1"}
    assert not report["phases"]["after"]["failures"], explain(report)


def test_a_soak_that_finds_nothing_is_the_end_of_the_old(server, tmp_path):
    d = deploy(server, tmp_path, "--reload-soak", "1")
    version = d.site.good()
    outcome, report = under_load(d, lambda load: d.reload())
    assert outcome.code == 0, outcome.text
    assert "warning" not in outcome.text, outcome.text
    assert not report["failures"], explain(report)
    assert report["phases"]["after"]["versions"].keys() == {version}


@pytest.mark.parametrize("check", [(), ("--check-url", "/")])
def test_a_soak_that_nobody_asked_is_told(server, tmp_path, check):
    """It ends well, but has shown nothing; the self-check is nobody's request."""
    d = deploy(server, tmp_path, "--reload-soak", "1", *check)
    d.site.good()
    outcome = d.reload()
    assert outcome.code == 0, outcome.text
    assert "no request reached the new workers" in outcome.text
    assert "no request reached the new workers" in d.server.log
    job = d.call("jobs.list")["jobs"][-1]
    assert job["state"] == "done" and "no request" in job["warning"], job


def test_what_a_configuration_file_prints_is_logged(server, tmp_path):
    file = tmp_path / "said.conf.py"
    file.write_text("print('as it was')\n")
    d = deploy(server, tmp_path, "-c", file)
    file.write_text("print('now it is', 40 + 2)\n")
    assert d.reload().code == 0
    assert "now it is 42" in d.server.log


def test_what_waits_for_a_start_is_told_after_every_reload(server, tmp_path):
    """The next generation does not pretend to have it; what a reload can bring, it brings."""
    file = tmp_path / "shop.json"
    file.write_text("{}")
    d = deploy(server, tmp_path, "-c", file)
    running = d.call("config.get", path="backlog")
    file.write_text('{"backlog": 77, "timeout": 17}')

    def waiting():
        changes = d.call("config.diff")["changes"]
        return {c["path"]: (c["running"], c["file"], c["takes"]) for c in changes}

    restart = {"backlog": (running["value"], 77, "restart")}
    assert waiting() == {**restart, "timeout": ("30s", "17s", "reload")}
    for count in 1, 2:
        assert d.reload().code == 0
        assert waiting() == restart
        assert d.call("config.get", path="timeout")["value"] == "17s"
        assert d.call("config.get", path="backlog")["value"] == running["value"]
        assert d.server.log.count("changes with a new start only option=backlog") == count


def test_a_new_number_of_workers_comes_with_a_reload(server, tmp_path):
    """One set at run time stays as long as the configuration's own does not change."""
    file = tmp_path / "shop.json"
    file.write_text('{"workers": 1}')
    d = deploy(server, tmp_path, "-c", file, workers=1)

    def strong(count):
        status = d.call("server.status")["workers"]
        return status["target"] == status["ready"] == count

    for configured, scaled, expected in (1, 2, 2), (3, None, 3), (1, None, 1):
        if scaled:
            assert d.shoalctl("scale", scaled).code == 0
        file.write_text(f'{{"workers": {configured}}}')
        assert d.reload().code == 0
        wait_for(lambda n=expected: strong(n), 10 * SLOW)


def test_reload_by_hup_under_load(server, tmp_path):
    d = deploy(server, tmp_path)
    result, report = under_load(d, lambda load: exercises.reloads(d, load, range(5), d.hup))
    assert not result["wrong"] and not report["failures"], explain(report)
