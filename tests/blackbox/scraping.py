"""Reading /metrics: its lines, and what must never happen to them.

SPDX-License-Identifier: MIT
"""

import contextlib
import re
import socket
import urllib.request

from control_client import call
from deploy import Deployment
from shoal_harness import SLOW
from waiting import wait_for

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def samples(text):
    """{name{labels}: value}; every line is a comment or a sample."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        key = f"{match[1]}{{{match[2]}}}" if match[2] else match[1]
        assert key not in found, f"twice: {key}"
        found[key] = float(match[3])
    return found


def types(text):
    lines = (line.split() for line in text.splitlines() if line.startswith("# TYPE "))
    return {line[2]: line[3] for line in lines}


def names_in(text):
    """What looks like one of our metrics, without the suffixes of histograms."""
    found = set(re.findall(r"\bshoal_\w+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def only_grow(found, kinds):
    """Those of the samples that may never become less."""
    def grows(key):
        name = key.split("{")[0]
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        return kinds.get(name) == "counter" or kinds.get(base) == "histogram"

    return {key: value for key, value in found.items() if grows(key)}


def gone_back(before, after, kinds):
    """{sample: (was, is)} of what became less, or is not there any more."""
    return {
        key: (value, after.get(key)) for key, value in only_grow(before, kinds).items()
        if key not in after or after[key] < value
    }


class Scraped:
    """The /metrics of an instance whose gateway listens on the port."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.last = None

    def text(self):
        return get(self.url)[1]

    def scrape(self):
        """A text newer than the one before: they are made once a second."""
        def newer():
            try:
                text = self.text()
            except OSError:  # the gateway is just being replaced
                return None
            if text == self.last:
                return None
            self.last = text
            return samples(text)

        return wait_for(newer, 10 * SLOW, "a scrape")


ENDS = ("done", "failed", "rolled_back", "cancelled")


class Watched(Deployment, Scraped):
    """A deployment whose gateway listens."""

    def __init__(self, start, folder, *options, **named):
        port = free_port()
        Deployment.__init__(self, start, folder, "--gateway", f"127.0.0.1:{port}",
                            "--reload-keep", "0", *options, **named)
        Scraped.__init__(self, port)

    def call(self, method, /, **params):
        return call(self.socket, method, **params)

    def after(self, condition, what):
        """The first scrape that fits."""
        return wait_for(lambda: (now := self.scrape()) and condition(now) and now,
                        15 * SLOW, what)

    def job(self, method, **params):
        """Starts it and waits for its end: the job."""
        started = self.call(method, **params)["job"]

        def ended():
            with contextlib.suppress(OSError, AssertionError):  # the socket of an old image
                job = self.call("jobs.get", job=started)
                return job["state"] in ENDS and job
            return None

        return wait_for(ended, 30 * SLOW, f"the end of {started}")
