"""The architecture's rules as functions: sources in, sentences about violations out.

SPDX-License-Identifier: MIT
"""

import re
from pathlib import PurePosixPath

FILE_LINES = 500
FUNCTION_LINES = 60
PURPOSE_LENGTH = 20

# Which layer's headers a layer may include; a name ending in .h is that one header.
LAYERS = {
    "common": {"common"},
    "common/http": {"common", "common/http"},
    "master": {"common", "master", "master/ctl/ctl.h"},
    "master/ctl": {"common", "master", "master/ctl"},
    "master/cli": {"common", "master/cli"},
    "master/ledger": {"common", "master/ledger"},
    "master/gateway": {"common", "common/http", "master/gateway"},
    "worker": {"common", "worker", "worker/net", "worker/py"},
    "worker/net": {"common", "common/http", "worker/net", "worker/logw.h", "worker/worker.h"},
    "worker/py": {
        "common",
        "common/http",
        "worker/py",
        "worker/net/app_ops.h",
        "worker/net/req.h",
        "worker/launch.h",
        "worker/mold.h",
        "worker/worker.h",
    },
}

# Which layers may use a library, by the headers it is known by.
LIBRARIES = {
    "Python.h": {"worker/py"},
    "event2/": {"common", "master", "master/ctl", "master/gateway", "worker", "worker/net"},
    "openssl/": {"worker", "worker/net"},
    "jansson.h": {
        "common",
        "master",
        "master/ctl",
        "master/cli",
        "master/gateway",
        "master/ledger",
        "worker",
    },
    "sqlite3.h": {"master/ledger"},
    "pthread.h": {"common", "worker", "worker/net", "worker/py"},
}

OWN_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)
ANY_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">]', re.MULTILINE)
# Split, so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
# A comment may break its line inside.
LICENCE = re.compile(r"SPDX-License-Identifier:[\s*]+MIT")
SLEEP = re.compile(r"\bu?sleep" + r"\(")


def layer(path):
    """The longest layer name that is a folder of the path; None outside the product."""
    folder = str(PurePosixPath(path).parent)
    fitting = [name for name in LAYERS if folder == name or folder.startswith(name + "/")]
    return max(fitting, key=len, default=None)


def includes(text):
    """The project's own headers a source names; what the build generates ends in .inc."""
    return [name for name in OWN_INCLUDE.findall(text) if not name.endswith(".inc")]


def forbidden_includes(path, text):
    """Headers of layers this layer must not know."""
    here = layer(path)
    if here is None:
        return []
    return [
        f"{path}: {here} may not include {name}"
        for name in includes(text)
        if not {name, layer(name)} & LAYERS[here]
    ]


def forbidden_libraries(path, text):
    """Library headers where the library has no business."""
    here = layer(path)
    if here is None:
        return []
    return [
        f"{path}: {here} may not use {library}"
        for name in ANY_INCLUDE.findall(text)
        for library, where in LIBRARIES.items()
        if name.startswith(library) and here not in where
    ]


def include_cycles(sources):
    """Each cycle among the headers of {path: text}, once."""
    found, done = [], set()

    def visit(path, trail):
        if path in trail:
            cycle = [*trail[trail.index(path) :], path]
            found.append("include cycle: " + " -> ".join(cycle))
            return
        if path in done or path not in sources:
            return
        for name in includes(sources[path]):
            visit(name, [*trail, path])
        done.add(path)

    for path in sorted(sources):
        if path.endswith(".h"):
            visit(path, [])
    return found


def long_file(path, text):
    lines = len(text.splitlines())
    return [f"{path}: {lines} lines, the cap is {FILE_LINES}"] if lines > FILE_LINES else []


def long_functions(path, text):
    """C functions: the style puts their braces alone in the first column."""
    found, start = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            length = number - start + 1
            if length > FUNCTION_LINES:
                name = lines[start - 2].split("(")[0]
                found.append(
                    f"{path}:{start}: {name} has {length} lines, the cap is {FUNCTION_LINES}"
                )
            start = None
    return found


def no_purpose(path, text):
    """The first line (the second after #!) says in a sentence what the file is for."""
    if not text:  # a package's empty __init__.py
        return []
    lines = text.splitlines()
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    marks = {".c": "/*", ".h": "/*", ".py": '"""'}
    mark = marks.get(PurePosixPath(path).suffix, "#")
    if first.startswith(mark) and len(first) - len(mark) >= PURPOSE_LENGTH:
        return []
    return [f"{path}: does not begin with a sentence about its purpose"]


def no_licence(path, text):
    head = "\n".join(text.splitlines()[:12])
    if not text or LICENCE.search(head):
        return []
    return [f"{path}: no SPDX-License-Identifier in its first comment"]


def unfinished_words(path, text):
    return [
        f"{path}:{number}: {match.group()}: finish it or file it"
        for number, line in enumerate(text.splitlines(), 1)
        if (match := UNFINISHED.search(line))
    ]


def sleeps(path, text):
    """Tests wait for a condition with a deadline instead."""
    return [
        f"{path}:{number}: a test sleeps"
        for number, line in enumerate(text.splitlines(), 1)
        if SLEEP.search(line)
    ]
