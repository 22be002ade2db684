"""With --reload: which source files this process has loaded, each told once.

Compiled into the plugin behind boot.py; its names are called from C (state_call_boot).
SPDX-License-Identifier: MIT
"""

import os
import sys
import threading
import time
import traceback

PACKET_MAX = 32 * 1024

files_known = set()
files_waiting = []  # packets the master had no room for


def source_of(module):
    """The absolute path of a module's source; None without one."""
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or not path:
        return None
    return path[:-1] if path.endswith((".pyc", ".pyo")) else path


def learn_files(paths):
    """Puts those not told yet into packets of lines."""
    packet, size = [], 0
    for path in paths:
        if not path or path in files_known:
            continue
        files_known.add(path)
        line = os.fsencode(os.path.abspath(path))
        if b"\n" in line or not os.path.isfile(line):
            continue
        if packet and size + len(line) + 1 > PACKET_MAX:
            files_waiting.append(b"\n".join(packet))
            packet, size = [], 0
        packet.append(line)
        size += len(line) + 1
    if packet:
        files_waiting.append(b"\n".join(packet))


def tell_files(send):
    learn_files([source_of(module) for module in list(sys.modules.values())])
    while files_waiting and send(files_waiting[0]):
        del files_waiting[0]


def learn_failure(error):
    """The files of a failed load: the broken one is in no module, but must be watched."""
    seen = set()
    while isinstance(error, BaseException) and error not in seen:
        seen.add(error)
        learn_files([frame.filename for frame in traceback.extract_tb(error.__traceback__)])
        if isinstance(error, SyntaxError):
            learn_files([error.filename])
        error = error.__cause__ or error.__context__


def start_telling(send):
    """Modules imported by requests are told a second later at most."""

    def run():
        while True:
            time.sleep(1)
            tell_files(send)

    threading.Thread(target=run, name="shoal-files", daemon=True).start()
