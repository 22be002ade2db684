"""What counting a request in its account costs, in nanoseconds.

SPDX-License-Identifier: MIT
"""

import subprocess

import report
from peers import ROOT

PROGRAM = ROOT / "build" / "release" / "bin" / "accounts_cost"


def run(say):
    """Prints the table; returns it for the page."""
    say("bench: accounts")
    out = subprocess.run([PROGRAM], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    header = ["step", "ns"]
    intro = "4096 rows, 2048 accounts in no order, one thread; the fastest of 401 rounds."
    print(f"{intro}\n\n{report.text_table(header, rows)}")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"
