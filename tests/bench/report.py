"""Turns the samples of a run into tables, on a terminal and in docs/PERFORMANCE.md.

SPDX-License-Identifier: MIT
"""

from statistics import median

COLUMNS = ("server", "requests/s", "p50", "p99", "CPU us/request", "RSS MiB", "errors")


def middle(samples):
    """The median of each figure over the rounds; errors are summed."""
    names = ("rps", "p50_us", "p99_us", "cpu_us", "rss_mib")
    figures = {name: median(getattr(sample, name) for sample in samples) for name in names}
    figures["errors"] = sum(sample.errors for sample in samples)
    return figures


def duration(us):
    if not us:
        return "-"  # wrk has none when it pipelines
    return f"{us:.0f} us" if us < 10_000 else f"{us / 1000:.1f} ms"


def count(number):
    return f"{number:,.0f}".replace(",", " ")


def row(name, figures, base):
    cells = [name, count(figures["rps"]), duration(figures["p50_us"]), duration(figures["p99_us"])]
    cells += [f"{figures['cpu_us']:.1f}", f"{figures['rss_mib']:.0f}", str(figures["errors"])]
    if base:
        ratio = base["rps"] / figures["rps"] if figures["rps"] else 0
        cpu = figures["cpu_us"] / base["cpu_us"] if base["cpu_us"] else 0
        cells += [f"{ratio:.2f} x", f"{cpu:.2f} x"]
    return cells


def table(result, base_name="shoal"):
    """(header, rows) of one workload: {server: samples or the reason there are none}."""
    figures = {name: middle(found) for name, found in result.items() if isinstance(found, list)}
    base = figures.get(base_name)
    header = list(COLUMNS)
    if base:
        header += [f"{base_name}'s rps", f"{base_name}'s saving of CPU"]
    rows = [row(name, found, base) for name, found in figures.items()]
    for name, found in result.items():
        if not isinstance(found, list):
            rows.append([name, found] + [""] * (len(header) - 2))
    return header, rows


def markdown_table(header, rows):
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("| " + " | ".join(["---"] + ["---:"] * (len(header) - 1)) + " |")
    lines += ["| " + " | ".join(map(str, cells)) + " |" for cells in rows]
    return "\n".join(lines)


def text_table(header, rows):
    """The same for a terminal; a reason instead of figures may run over its column."""
    whole = [cells for cells in rows if cells[2:3] != [""]]
    widths = [max(len(str(cells[i])) for cells in [header, *whole]) for i in range(len(header))]
    widths[0] = max(widths[0], *(len(str(cells[0])) for cells in rows))
    lines = []
    for cells in [header, *rows]:
        padded = [str(cells[0]).ljust(widths[0])]
        padded += [str(c).rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def replace_between(path, marker, text):
    """Rewrites the part of a page between <!-- marker:begin --> and <!-- marker:end -->."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    page = path.read_text()
    if begin not in page or end not in page:
        raise SystemExit(f"bench: {path} has no '{begin}' ... '{end}' to rewrite")
    head, rest = page.split(begin, 1)
    _, tail = rest.split(end, 1)
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")
