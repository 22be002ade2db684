"""Runs one of the servers that are libraries: peer_main.py SERVER PORT MODULE.

SPDX-License-Identifier: MIT
"""

import importlib
import sys

HOST = "127.0.0.1"


def bjoern(app, port):
    import bjoern

    bjoern.run(app, HOST, port)


def fastwsgi(app, port):
    import fastwsgi

    fastwsgi.server.tcp_nodelay = 1
    fastwsgi.server.backlog = 2048
    fastwsgi.run(app, HOST, port)


def freastal(app, port):
    import freastal

    freastal.serve(app, host=HOST, port=port)


def gevent(app, port):
    from gevent.pywsgi import WSGIServer

    WSGIServer((HOST, port), app, log=None).serve_forever()


def eventlet(app, port):
    import eventlet
    from eventlet import wsgi

    wsgi.server(eventlet.listen((HOST, port), backlog=2048), app, log_output=False)


def waitress(app, port):
    import waitress

    waitress.serve(app, host=HOST, port=port, threads=1, connection_limit=2000, backlog=2048)


if __name__ == "__main__":
    server, port, module = sys.argv[1:4]
    globals()[server](importlib.import_module(module).app, int(port))
