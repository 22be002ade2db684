"""Adds up the JUnit reports of one scripts/test run and prints the line of totals.

SPDX-License-Identifier: MIT
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def count(report):
    """(passed, failed, skipped) of one report; ctest and pytest both mark each case."""
    failed = skipped = cases = 0
    for case in ET.parse(report).getroot().iter("testcase"):
        cases += 1
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
    return cases - failed - skipped, failed, skipped


def main(folder, failed_parts):
    """Prints totals; a part that failed without a failing test counts as one failure."""
    totals = [0, 0, 0]
    blamed = set()
    for report in sorted(Path(folder).glob("*.xml")):
        counts = count(report)
        if counts[1]:
            blamed.add(report.stem)
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
    unexplained = [part for part in failed_parts if part not in blamed]
    for part in unexplained:
        print(f"failed without a test to name: {part}")
    totals[1] += len(unexplained)
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
