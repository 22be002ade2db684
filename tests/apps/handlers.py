"""Counts signals while idle; notes what runs at the end of the worker.

SPDX-License-Identifier: MIT
"""

import atexit
import signal
import sys
import threading

from record import note

count = 0


def on_usr2(number, frame):
    global count
    count += 1
    note("usr2")


def last_words():
    threading.main_thread().join()
    note("thread")


signal.signal(signal.SIGUSR2, on_usr2)
atexit.register(note, "atexit")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/hook":
        environ["eventlet.posthooks"].append((lambda env: note("hook"), (), {}))
        threading.Thread(target=last_words).start()
        sys.stdout.write("unflushed words")
    start_response("200 OK", [])
    return [b"handled %d" % count]
