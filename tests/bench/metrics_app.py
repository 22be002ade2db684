"""An application that times its own counting: shoal.metrics beside prometheus_client.

SPDX-License-Identifier: MIT
"""

import json
from timeit import Timer

import prometheus_client as prometheus
from shoal import metrics

ROUNDS, TIMES = 21, 20000
OURS = {
    "count": metrics.counter("bench_total"),
    "labelled": metrics.counter("bench_labels_total", "", ["shop", "kind"]),
    "timed": metrics.histogram("bench_seconds"),
}
THEIRS = {
    "count": prometheus.Counter("a", "a"),
    "labelled": prometheus.Counter("b", "b", ["shop", "kind"]),
    "timed": prometheus.Histogram("c", "c"),
}
STEPS = {
    "`counter.inc()`": ("count.inc()", "count.inc()"),
    "`counter.inc()`, two labels": (
        "labelled.inc(shop='north', kind='web')",
        "labelled.labels(shop='north', kind='web').inc()",
    ),
    "`histogram.observe()`": ("timed.observe(0.03)", "timed.observe(0.03)"),
}


def best(statement, names):
    """Nanoseconds, of the fastest round, the loop's own taken off."""
    empty = min(Timer("pass").repeat(ROUNDS, TIMES))
    return (min(Timer(statement, globals=names).repeat(ROUNDS, TIMES)) - empty) / TIMES * 1e9


def app(environ, start_response):
    found = {
        name: [best(ours, OURS), best(theirs, THEIRS)] for name, (ours, theirs) in STEPS.items()
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
