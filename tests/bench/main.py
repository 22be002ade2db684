"""The benchmark: servers against each other, interleaved, on one core each for server and load.

SPDX-License-Identifier: MIT
"""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import accounting
import accounts
import idle
import instructions
import loggers
import mold
import own_metrics
import report
from measure import run_wrk, wrk_command, wrong_answer
from peers import LOG, PEERS, QUICK, ROOT, WORK, Server, install, machine
from workloads import QUICK as QUICK_WORKLOADS
from workloads import WORKLOADS


def say(text):
    print(text, file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    says = "accounting: what access logs say of downloads that were broken off"
    parser.add_argument("what", nargs="?", choices=["accounting"], help=says)
    parser.add_argument("--rounds", type=int, help="rounds per server and workload (3)")
    parser.add_argument("--seconds", type=int, help="length of one round (3)")
    parser.add_argument("--only", metavar="PEERS", help="comma-separated servers; shoal always")
    parser.add_argument("--workloads", metavar="NAMES", help="comma-separated workloads")
    parser.add_argument("--quick", action="store_true", help="a few of both, under two minutes")
    parser.add_argument("--idle", action="store_true", help="memory of idle servers, connections")
    parser.add_argument("--mold", action="store_true", help="what preloading saves")
    parser.add_argument("--instructions", action="store_true", help="instructions per request")
    parser.add_argument("--accounts", action="store_true", help="cost of counting per account")
    parser.add_argument("--own-metrics", action="store_true", help="cost of shoal.metrics")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="rewrite FILE's tables")
    parser.add_argument("--list", action="store_true", help="list servers and workloads")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (1 if chosen.quick else 3)
    return chosen


def pick(named, all_of, fallback, what):
    """Those of all_of called for by a comma-separated list."""
    names = named.split(",") if named else fallback
    known = {one.name for one in all_of}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"bench: no {what} '{unknown[0]}'; there are {', '.join(sorted(known))}")
    return [one for one in all_of if one.name in names]


def lua_file(workload):
    script = workload.lua()
    if not script:
        return None
    path = WORK / f"{workload.name}.lua"
    path.write_text(script)
    return path


def run_workload(workload, peers, chosen):
    """{server: samples or why there are none}, the servers taking turns."""
    result, running = {}, []
    script = lua_file(workload)
    LOG.unlink(missing_ok=True)
    try:
        for peer in peers:
            if workload.access_log and not peer.log_options:
                result[peer.name] = "no access log"
                continue
            server = Server(peer, workload)
            running.append(server)
            trouble = server.wait_ready() or wrong_answer(workload, server.port)
            result[peer.name] = trouble or []
        for _ in range(chosen.rounds):
            for server in running:
                samples = result[server.peer.name]
                if isinstance(samples, list):
                    port = server.port
                    samples.append(run_wrk(server.pid, workload, port, chosen.seconds, script))
    finally:
        for server in running:
            server.stop()
    for name, samples in result.items():
        if isinstance(samples, list) and not any(sample.rps for sample in samples):
            result[name] = "no request was completed"
    return result


def caption(versions, missing, chosen):
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("[")[0]
    lines = [
        f"{machine()}. {time.strftime('%Y-%m-%d')}. Load by {wrk.strip()}.",
        f"One worker each, pinned to a core, the load on another; {chosen.rounds} rounds of"
        f" {chosen.seconds} s, the servers taking turns; medians. CPU is of the whole process"
        " tree.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    if missing:
        gone = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        lines.append(f"Not measured: {gone}.")
    return "\n\n".join(lines)


def command_lines(peers, workload):
    lines = [shlex.join(peer.arguments("PORT", workload)) for peer in peers]
    lines.append(shlex.join(wrk_command(workload, "PORT", 3, None)))
    return "\n".join(lines).replace(f"{ROOT}/", "")


def speed(chosen, peers, versions, missing):
    """Runs the workloads; returns the page."""
    names = QUICK_WORKLOADS if chosen.quick else [one.name for one in WORKLOADS]
    workloads = pick(chosen.workloads, WORKLOADS, names, "workload")
    page = [caption(versions, missing, chosen)]
    print(page[0], end="\n\n")
    for workload in workloads:
        say(f"bench: {workload.name}")
        header, rows = report.table(run_workload(workload, peers, chosen))
        print(f"{workload.name}: {workload.says}\n{report.text_table(header, rows)}\n", flush=True)
        page.append(f"### {workload.name}: {workload.says}")
        page.append(report.markdown_table(header, rows))
    page.append("The command lines:\n\n```\n" + command_lines(peers, WORKLOADS[0]) + "\n```")
    return "\n\n".join(page)


def finish(chosen, marker, page):
    if chosen.markdown:
        made = f"Made by `scripts/bench {shlex.join(sys.argv[1:])}`."
        report.replace_between(chosen.markdown, marker, f"{made}\n\n{page}")


def main():
    # Ended from outside: the servers are still stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = arguments()
    if chosen.accounts:
        finish(chosen, "bench:accounts", accounts.run(say))
        return
    if chosen.own_metrics:
        WORK.mkdir(parents=True, exist_ok=True)
        finish(chosen, "bench:own-metrics", own_metrics.run(say))
        return
    if chosen.list:
        print("servers:  ", ", ".join(peer.name for peer in PEERS))
        print("workloads:", ", ".join(workload.name for workload in WORKLOADS))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    only = chosen.only and f"shoal,{chosen.only}"
    if chosen.what == "accounting":
        all_of = [peer.name for peer in loggers.LOGGERS]
        peers = pick(only, loggers.LOGGERS, all_of, "server")
        holds, pages = accounting.run(peers, chosen.rounds, say)
        for marker, page in pages.items():
            finish(chosen, marker, page)
        sys.exit(0 if holds else 1)
    names = QUICK if chosen.quick else [peer.name for peer in PEERS]
    peers = pick(only, PEERS, names, "server")
    versions, missing = install(peers, say)
    peers = [peer for peer in peers if peer.name in versions]
    if chosen.instructions:
        marker, page = "bench:instructions", instructions.run(peers, say)
    elif chosen.idle:
        marker, page = "bench:idle", idle.run(peers, say)
    elif chosen.mold:
        marker, page = "bench:mold", mold.run(say)
    else:
        marker, page = "bench", speed(chosen, peers, versions, missing)
    finish(chosen, marker, page)


if __name__ == "__main__":
    main()
