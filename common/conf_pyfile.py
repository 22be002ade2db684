"""Evaluates a gunicorn.conf.py and hands its settings over as JSON.

Run by the server in a process of its own: python -c SCRIPT FILE. The JSON goes to the
descriptor that was standard output; what FILE prints goes to standard error.
SPDX-License-Identifier: MIT
"""

import json
import os
import sys
import traceback
import types

SPLIT = ("bind", "raw_env")


def plain(name, value):
    """The value as JSON knows it; TypeError for what cannot be handed over."""
    if name in SPLIT and isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (tuple, set, frozenset)):
        return [plain("", item) for item in value]
    json.dumps(value, allow_nan=False)
    return value


def collect(namespace):
    """Sorts the names of the file into values and what cannot be handed over."""
    values, opaque = {}, []
    for name, value in namespace.items():
        if name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        try:
            values[name] = plain(name, value)
        except (TypeError, ValueError, RecursionError):
            opaque.append(name)
    return {"values": values, "opaque": opaque}


def main():
    path = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.argv = [path]
    sys.path.insert(0, os.getcwd())
    namespace = {"__name__": "__config__", "__file__": path, "__builtins__": __builtins__}
    try:
        with open(path, "rb") as source:
            exec(compile(source.read(), path, "exec"), namespace)
    except Exception as error:
        # From the file's own frame on: this script is nothing the reader knows.
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)
        sys.exit(1)
    json.dump(collect(namespace), out)
    out.close()


main()
