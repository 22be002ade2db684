"""A gateway that answers from a table: the dashboard with any number of workers, or any text.

SPDX-License-Identifier: MIT
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COUNTS = (
    "requests", "aborted", "responses_1xx", "responses_2xx", "responses_3xx", "responses_4xx",
    "responses_5xx", "in_head", "in_body", "in_framing", "in_tls", "out_head", "out_body",
    "out_framing", "out_tls", "out_undelivered", "connections", "in_flight", "queued",
    "loop_lag_us",
)
SERIES = (
    "rps", "bytes_in", "bytes_out", "bytes_out_body", "bytes_out_tls", "errors_4xx", "errors_5xx",
    "aborted", "in_flight", "queued", "rss_bytes", "p50_us", "p90_us", "p99_us", "p999_us",
    "bytes_undelivered", "nic_in", "nic_out",
)
NOW = 1_700_000_000.0
STEP = 0.2  # seconds between frames


def worker(slot, state="idle", generation=1, epoch=1):
    return {"slot": slot, "pid": 1000 + slot, "generation": generation, "epoch": epoch,
            "state": state, "counts": dict.fromkeys(COUNTS, 1)}


def route(name):
    return {"route": name, "requests": 9, "errors": 1, "p50_us": 812.0, "p99_us": 22000.0,
            "sum_s": 0.5}


def busy_one(name):
    return {"key": name, "requests": 9, "sent_bytes": 900, "errors": 1, "error": 2}


def account(name):
    names = ("in_head", "in_body", "in_framing", "in_tls", "out_head", "out_body", "out_framing",
             "out_tls", "out_undelivered", "aborted", "err5xx", "requests")
    return {"account": name, **dict.fromkeys(names, 5)}


class FakeGateway:
    """page: {path: (fields, bytes)} as the real one gave it; the rest may be changed."""

    def __init__(self, page, fields, workers=0):
        self.page, self.fields = page, fields
        self.workers = [worker(n) for n in range(workers)]
        self.events, self.requests, self.alerts = [], [], []
        self.accounts, self.quotas, self.routes, self.busiest = [], [], [], []
        self.streams = 0  # that are open
        self.started, self.instance, self.role = NOW, "shop", "master"
        self.frames = 0
        self.over = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self):
                fake.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def frame(self, number):
        totals = {name: number * 10 for name in COUNTS}
        after = number * STEP
        return {"mono": 100.0 + after, "t": NOW + after, "seq": number, "totals": totals,
                "status": {"200": number}, "workers": self.workers,
                "nic": {"in": number * 9, "out": number * 12},
                "latency": {"p50": 900, "p90": 2000, "p99": 30000, "p999": None, "max": 40000}}

    def table(self):
        n = len(self.workers)
        more = {"age_s": 10.5, "booted": True, "rss_bytes": 2**24, "cpu_s": 1.5, "restarts": 0,
                "in_flight": 1, "loop_lag_us": 500, "last_exit": None}
        return {
            "/v1/status": {
                "instance": self.instance, "state": "running", "ready": n > 0, "generation": 1,
                "version": "0.1.0", "started": self.started, "uptime_s": 10.0,
                "workers": {"target": n, "ready": n}, "last_reload": None, "alerts": self.alerts},
            "/v1/workers": {"workers": [{**w, **more} for w in self.workers]},
            "/v1/processes": {
                "processes": [{"role": role, "worker": slot, "rss_bytes": 3e7, "pss_bytes": 1e7,
                               "fds": 17}
                              for role, slot in [(self.role, ""), *[
                                  ("worker", w["slot"]) for w in self.workers]]],
                "cpu": [{"role": self.role, "worker": "", "mode": "user", "seconds": 1.0}]},
            "/v1/listeners": {"listeners": [
                {"name": "a", "backlog": 2048, "accept_queue": 3, "accept_queue_max": 9}]},
            "/v1/requests": {"requests": self.requests, "total": len(self.requests)},
            "/v1/events/history": {"events": self.events, "seq": len(self.events)},
            "/v1/accounts": {"accounts": self.accounts, "total": len(self.accounts)},
            "/v1/routes": {"routes": self.routes, "total": len(self.routes)},
            "/v1/top": {"by": "client", "entries": self.busiest, "total": len(self.busiest)},
            "/v1/quotas": {"quotas": self.quotas},
            "/v1/accounting/status": {"ledger": "ok", "lag_s": 0.5, "failed_flushes": 0},
            "/v1/stats/histogram": {
                "t": NOW + self.frames * STEP, "name": "request", "count": self.frames * 4,
                "native": {"schema": 4, "offset": -120, "counts": [self.frames * n
                                                                  for n in (1, 0, 2, 1)]}},
            "/v1/stats/heatmap": {
                "name": "request", "t0": NOW - 60, "step_s": 10, "schema": 1, "columns": [
                    None, *[{"offset": -20, "counts": [5, 0, 9], "p50_us": 1500.0,
                             "p99_us": 1900.0, "p999_us": 1950.0}] * 5]},
            "/v1/stats/history": {
                "t0": NOW - 60, "step_s": 1, "series": {
                    name: [50.0 if name == "rps" else 5.0] * 60 for name in SERIES}},
            "/v1/stats": self.frame(self.frames),
        }

    def answer(self, handler):
        path = urlsplit(handler.path).path
        if path == "/":
            self.send(handler, self.page, self.fields)
        elif path == "/v1/stats/stream":
            self.stream(handler)
        else:
            body = json.dumps(self.table()[path]).encode()
            self.send(handler, body, {"Content-Type": "application/json"})

    @staticmethod
    def send(handler, body, fields):
        handler.send_response(200)
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def stream(self, handler):
        self.send(handler, b"", {"Content-Type": "text/event-stream"})
        self.streams += 1
        try:
            while not self.over.is_set():
                self.frames += 1
                data = json.dumps(self.frame(self.frames))
                handler.wfile.write(f"event: stats\ndata: {data}\n\n".encode())
                self.over.wait(STEP)
        except OSError:
            pass  # the page has left
        finally:
            self.streams -= 1

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
