"""The application's own metrics: counters, gauges and histograms of the whole server.

Each worker counts in shared memory; the server adds the workers up, those that are gone
included. The names come out of GET /metrics and shoalctl as they are given here.
SPDX-License-Identifier: MIT
"""

import re
import threading

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z", re.ASCII)
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z", re.ASCII)
KINDS = ("counter", "gauge", "histogram")
MODES = ("sum", "last", "min", "max")
# As common/metric.h has them.
NAME_MAX, LABEL_MAX, LABELS_MAX, HELP_MAX = 128, 64, 8, 300
SUFFIXES = ("_bucket", "_count", "_sum")

__all__ = ["counter", "gauge", "histogram"]
_make = _limit = None  # by the worker: makes a metric; most series there can be
_known = {}  # name -> (what it was declared as, metric)
_lock = threading.Lock()


def _check_name(name):
    if not isinstance(name, str) or not NAME.match(name):
        raise ValueError(f"{name!r} is no name of a metric: letters, digits, _ and :")
    if len(name) > NAME_MAX:
        raise ValueError(f"metric {name!r}: a name has at most {NAME_MAX} characters")
    if name.startswith("shoal_"):
        raise ValueError(f"metric {name!r}: names with shoal_ are the server's own")


def _check_labels(name, labels, kind):
    if isinstance(labels, str):
        raise ValueError(f"metric {name!r}: labels is a list of names, not {labels!r}")
    labels = tuple(labels)
    for label in labels:
        if not isinstance(label, str) or not LABEL.match(label) or len(label) > LABEL_MAX:
            raise ValueError(f"metric {name!r}: {label!r} is no name of a label")
        if kind == "histogram" and label == "le":
            raise ValueError(f"metric {name!r}: a histogram has its own label 'le'")
    if len(labels) > LABELS_MAX or len(set(labels)) < len(labels):
        raise ValueError(f"metric {name!r}: at most {LABELS_MAX} labels, each once")
    return labels


def _check_neighbours(name, kind):
    """A histogram's series have names of their own, and a counter's family one without
    _total in OpenMetrics: no other metric may have these."""
    taken = [name + s for s in SUFFIXES] if kind == "histogram" else []
    if name.endswith("_total") and kind == "counter":
        taken.append(name[: -len("_total")])
    if _known.get(name + "_total", (("",),))[0][0] == "counter":
        taken.append(name + "_total")
    for suffix in SUFFIXES:
        base = name[: -len(suffix)] if name.endswith(suffix) else ""
        if base in _known and _known[base][0][0] == "histogram":
            taken.append(base)
    for other in taken:
        if other in _known:
            raise ValueError(f"metric {name!r} would be taken for {other!r}")


def _clean_help(text):
    text = "".join(c if c.isprintable() else " " for c in str(text))
    return text.encode("utf-8", "replace")[:HELP_MAX].decode("utf-8", "ignore")


def _declare(kind, name, help, labels, mode="sum"):
    _check_name(name)
    labels = _check_labels(name, labels, kind)
    declared = (kind, labels, mode)
    with _lock:
        before, metric = _known.get(name, (declared, None))
        if before != declared:
            raise ValueError(
                f"metric {name!r} is there already, as a {before[0]} with the labels"
                f" {before[1]!r}" + (f" and mode {before[2]!r}" if kind == "gauge" else "")
            )
        if metric is None:
            _check_neighbours(name, kind)
            head = "\0".join((name, _clean_help(help), *labels)) + "\0"
            metric = _make(KINDS.index(kind), MODES.index(mode), name, head.encode(), labels)
            # Who makes up names without end finds no room in the table either.
            if len(_known) < _limit:
                _known[name] = declared, metric
    return metric


def counter(name, help="", labels=()):
    """What only grows: .inc(amount=1, **labels)."""
    return _declare("counter", name, help, labels)


def gauge(name, help="", labels=(), mode="sum"):
    """What goes up and down: .set(value), .inc(), .dec(). Of several workers the sum, the
    last one set, the min or the max."""
    if mode not in MODES:
        raise ValueError(f"gauge {name!r}: mode is one of {', '.join(MODES)}, not {mode!r}")
    return _declare("gauge", name, help, labels, mode)


def histogram(name, help="", labels=()):
    """How long things take: .observe(seconds, **labels)."""
    return _declare("histogram", name, help, labels)
