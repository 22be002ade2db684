"""What access logs say of downloads that were broken off, beside what the client had received.

SPDX-License-Identifier: MIT
"""

import contextlib
import dataclasses
import os
import re
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import loggers
import report
from peers import HERE, HOST, Server, machine
from transfer_app import SIZE

sys.path.append(str(HERE.parent / "blackbox"))
from leaver import take, tcp_received  # noqa: E402
from link import Link  # noqa: E402

MIB = 1 << 20
SLOW = 2_000_000  # bytes a second
LOG_SECONDS = 10
JUDGED_FROM, JUDGED_LIMIT = 3 * MIB, 0.01
UNSENT = ("0", "128k", "16k")  # --notsent-lowat


@dataclass(frozen=True)
class Leave:
    """How much a client reads before it leaves, and how fast."""

    says: str
    read: int
    rate: int = 0  # 0: as fast as it comes


LEAVES = [
    Leave("all 10 MiB", 2 * SIZE),
    Leave("64 KiB", 65536),
    Leave("1 MiB", MIB),
    Leave("3 MiB", 3 * MIB),
    Leave("5 MiB", 5 * MIB),
    Leave("5 MiB at 2 MB/s", 5 * MIB, SLOW),
]
AT_5_MIB = LEAVES[4]


@dataclass
class Run:
    """One download: what the client's program read, its kernel received, the server logged."""

    read: int
    received: int
    logged: list  # a number per field, or None: no line


class Way:
    """From client to server: loopback, or a link of its own."""

    def __init__(self, link=None):
        self.link = link
        self.host = link.address if link else HOST

    def connect(self, port):
        if self.link:
            return self.link.connect(port)
        return socket.create_connection((self.host, port), 20)


def take_slowly(sock, size, rate):
    """Reads like a client whose program, not its link, is slow."""
    got, start = 0, time.monotonic()
    while got < size and (piece := sock.recv(min(16384, size - got))):
        got += len(piece)
        time.sleep(max(0, start + got / rate - time.monotonic()))
    return got


def download(way, port, target, leave):
    """-> (read, received). Closing with unread data resets the connection."""
    with way.connect(port) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
        slowly = leave.rate and take_slowly(sock, leave.read, leave.rate)
        read = slowly or take(sock, leave.read)
        return read, tcp_received(sock)


def logged(log, target, fields):
    """The numbers at the end of this request's line; None when none comes."""
    line = re.compile(rf"{re.escape(target)}(?: HTTP/1\.1)?((?: \d+){{{fields}}})$", re.MULTILINE)
    deadline = time.monotonic() + LOG_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace") if log.exists() else ""
        # What comes after the last newline is still being written.
        if found := line.search(text[: text.rfind("\n") + 1]):
            return [int(number) for number in found[1].split()]
        time.sleep(0.02)
    return None


def run_body(server, place, way, body, leaves, rounds):
    """{Leave: runs} of one server and kind of body, or why there are none."""
    runs = {leave: [] for leave in leaves}
    for turn in range(rounds):
        for number, leave in enumerate(leaves):
            target = f"/{body}?id={body}-{turn}-{number}"
            try:
                read, received = download(way, server.port, target, leave)
            except OSError as error:
                return f"{leave.says}: {type(error).__name__}: {error}"
            if read < min(leave.read, SIZE):
                return f"{leave.says}: the answer ended after {read} bytes"
            found = logged(place.log, target, len(server.peer.fields))
            runs[leave].append(Run(read, received, found))
    return runs


def run_peer(peer, way, leaves, rounds):
    """{body: {Leave: runs} or why there are none}."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # for servers that give up being root
        place = loggers.Place(way.host, Path(folder))
        (place.folder / "file").write_bytes(b"x" * SIZE)
        with Server(peer, place, env=peer.environment(), host=way.host) as server:
            if trouble := server.wait_ready():
                return dict.fromkeys(peer.bodies, trouble)
            return {
                body: run_body(server, place, way, body, leaves, rounds) for body in peer.bodies
            }


def cell(runs, index):
    """The median of what was logged, and of its ratio to what the client had received."""
    known = [run for run in runs if run.logged]
    if len(known) * 2 <= len(runs):
        return "no line"
    ratio = median(run.logged[index] / run.received for run in known)
    return f"{report.count(median(run.logged[index] for run in known))} ({ratio:.2f})"


def client_row(results):
    """The range of what the clients' kernels had received."""
    cells = []
    for leave in LEAVES:
        all_of = [run.received for runs in results if isinstance(runs, dict) for run in runs[leave]]
        low, high = (report.count(f(all_of, default=0)) for f in (min, max))
        cells.append(low if low == high else f"{low} to {high}")
    return ["the client's kernel", "received", *cells]


def table(results, missing):
    """(header, rows); results: {peer: {body: ...}}."""
    header = ["server, body", "logged", *(leave.says for leave in LEAVES)]
    rows = [client_row([runs for bodies in results.values() for runs in bodies.values()])]
    for peer, bodies in results.items():
        for body, runs in bodies.items():
            name = f"{peer.name}, {body}"
            if not isinstance(runs, dict):
                rows.append([name, f"not measured: {runs}", *[""] * len(LEAVES)])
                continue
            for index, field in enumerate(peer.fields):
                cells = [cell(runs[leave], index) for leave in LEAVES]
                rows.append([name, f"`{field}`", *cells])
    for name, reason in missing.items():
        rows.append([name, f"not measured: {reason}", *[""] * len(LEAVES)])
    return header, rows


def offs(runs, field):
    """What a field of Shoal's log differs by from what was read, in bytes."""
    index = loggers.SHOAL_FIELDS.index(field)
    return [run.logged[index] - run.read for run in runs if run.logged]


def judge(bodies):
    """(holds, sentence) about a reader at line speed over the link."""
    says, holds = [], bool(bodies)
    for body, runs in bodies.items():
        if not isinstance(runs, dict):
            return False, f"Shoal was not measured: {runs}."
        for leave in LEAVES:
            if leave.rate or not JUDGED_FROM <= leave.read < SIZE:
                continue
            off = [abs(off) / leave.read for off in offs(runs[leave], "acked")]
            share = median(off) if off else 1
            holds = holds and share <= JUDGED_LIMIT
            says.append(f"{leave.says} ({body}) {share:.2%}")
    verdict = "holds" if holds else "does **not** hold"
    return holds, (
        f"For readers at line speed that leave from 3 MiB on, the median of |acked - read| is at"
        f" most {JUDGED_LIMIT:.0%}: {verdict}. Measured: {', '.join(says)}."
    )


def lowat_page(link, rounds, say):
    """How --notsent-lowat changes what Shoal counts as sent."""
    header = ["`--notsent-lowat`", "`sent` above what was read", "`acked` beside what was read"]
    rows = []
    for value in UNSENT:
        say(f"bench: --notsent-lowat {value}")
        command = (*loggers.SHOAL.command, "--notsent-lowat", value)
        peer = dataclasses.replace(loggers.SHOAL, command=command, bodies=("pieces",))
        runs = run_peer(peer, Way(link), [AT_5_MIB], rounds)["pieces"]
        if not isinstance(runs, dict) or not offs(runs[AT_5_MIB], "sent"):
            rows.append([value, "not measured", ""])
            continue
        sent, acked = (median(offs(runs[AT_5_MIB], field)) for field in ("sent", "acked"))
        share = f"{sent / AT_5_MIB.read:.1%}"
        rows.append([value, f"{report.count(sent)} ({share})", f"{acked:+.0f}"])
    intro = (
        "A link of 100 Mbit/s, a client that asks for 10 MiB, reads 5 MiB at line speed and"
        f" leaves; medians of {rounds}, in bytes."
    )
    print(f"{intro}\n{report.text_table(header, rows)}\n")
    return f"{intro}\n\n{report.markdown_table(header, rows)}"


def kernel():
    """The settings of TCP that decide how much lies in buffers."""
    names = ("congestion_control", "wmem", "rmem", "notsent_lowat")
    found = [f"tcp_{x} {Path(f'/proc/sys/net/ipv4/tcp_{x}').read_text().strip()}" for x in names]
    return ", ".join(" ".join(text.split()) for text in found)


def caption(versions, rounds):
    return (
        f"{machine()}; {kernel()}. {time.strftime('%Y-%m-%d')}.\n\n"
        f"Medians of {rounds} downloads of 10 MiB; in brackets the median ratio to what the"
        " client's kernel had received when its program left. `list`: one bytes object; `pieces`: a"
        " generator of 64 KiB; `file`: a static file. `%(B)s` and `%(body_length)s` do not include"
        " the response's head.\n\nVersions: "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    )


@contextlib.contextmanager
def rate_limited():
    """(Link, None), or (None, why there is none)."""
    if os.geteuid() != 0:
        yield None, "network namespaces need root"
        return
    link = Link()
    try:
        trouble = link.make()
        yield (None, trouble) if trouble else (link, None)
    finally:
        link.remove()


def run_way(title, way, chosen, missing, rounds, say):
    """(results, section) of all servers over one way."""
    results = {}
    for peer in chosen:
        say(f"bench: {peer.name}, {title}")
        results[peer] = run_peer(peer, way, LEAVES, rounds)
    header, rows = table(results, missing)
    print(f"{title}\n{report.text_table(header, rows)}\n", flush=True)
    return results, f"#### {title}\n\n{report.markdown_table(header, rows)}"


def run(peers, rounds, say):
    """(whether the statement holds, {marker: page})."""
    versions, missing = loggers.install(peers, say)
    chosen = [peer for peer in peers if peer.name in versions]
    page = [caption(versions, rounds)]
    _, section = run_way("Over loopback", Way(), chosen, missing, rounds, say)
    page.append(section)
    with rate_limited() as (link, trouble):
        if not link:
            reason = f"Not measured over a rate-limited link: {trouble}."
            return True, {"bench:accounting": "\n\n".join([*page, reason]), "bench:lowat": reason}
        title = "Over a link of 100 Mbit/s"
        results, section = run_way(title, Way(link), chosen, missing, rounds, say)
        holds, sentence = judge(results.get(loggers.SHOAL, {}))
        print(f"{sentence}\n")
        page += [section, sentence]
        lowat = lowat_page(link, rounds, say)
    return holds, {"bench:accounting": "\n\n".join(page), "bench:lowat": lowat}
