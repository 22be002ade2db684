"""The long form of the reliability tests: a server under load, and every trouble in turn.

SPDX-License-Identifier: MIT
"""

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "blackbox"), str(HERE.parent / "bench")]

import report as tables  # noqa: E402 - found on the path above
from parts import PARTS  # noqa: E402
from peers import machine  # noqa: E402

PAGE = ROOT / "docs" / "RELIABILITY.md"
HEADER = ["trouble", "times", "minutes", "requests", "failed", "p50", "p99", "longest", "verdict"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument(
        "part", nargs="*", metavar="PART",
        help=f"{', '.join(PARTS)} or all (all)",
    )
    parser.add_argument(
        "--minutes", type=float, metavar="N",
        help="each part goes on for so long, instead of the number of times it is meant for",
    )
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/RELIABILITY.md"
    )
    chosen = parser.parse_args()
    if unknown := [part for part in chosen.part if part not in (*PARTS, "all")]:
        parser.error(f"no part '{unknown[0]}'; there are {', '.join(PARTS)} and all")
    if not chosen.part or "all" in chosen.part:
        chosen.part = list(PARTS)
    return chosen


def run(name, minutes):
    """(row of the table, what went wrong)."""
    folder = Path(tempfile.mkdtemp(prefix=f"shoal-soak-{name}-"))
    began = time.monotonic()
    try:
        found = PARTS[name](folder, minutes and minutes * 60)
    except Exception as error:  # noqa: BLE001 - one part's end is not the other parts'
        text = f"{type(error).__name__}: {error}"
        return [name, "-", *["" for _ in HEADER[3:]], "broken off"], [text[-4000:]]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    load, latency = found.load, [found.load[key] for key in ("p50_us", "p99_us", "p100_us")]
    row = [found.what, tables.count(found.count), f"{(time.monotonic() - began) / 60:.1f}"]
    row += [tables.count(load["requests"]), found.failed]
    row += [tables.duration(us) for us in latency]
    return [*row, "NOT HELD" if found.wrong else "held"], found.wrong


def main():
    # Ended from outside: what was started is still stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = arguments()
    rows, trouble = [], []
    for name in chosen.part:
        say(f"soak: {name}")
        row, wrong = run(name, chosen.minutes)
        rows.append(row)
        trouble += [f"{name}: {text}" for text in wrong]
        for text in wrong[:5]:
            say(f"soak: {name}: {text}")
    print(tables.text_table(HEADER, rows))
    if chosen.write:
        made = f"Made by `scripts/soak {shlex.join(sys.argv[1:])}`."
        caption = f"{machine()}. {time.strftime('%Y-%m-%d')}."
        table = tables.markdown_table(HEADER, rows)
        tables.replace_between(PAGE, "soak", f"{made} {caption}\n\n{table}")
    print(f"soak: {'FAILED' if trouble else 'passed'}, {len(trouble)} complaints")
    sys.exit(1 if trouble else 0)


if __name__ == "__main__":
    main()
