"""The hooks of a gunicorn.conf.py that a worker calls, and the objects they are given.

Compiled into the plugin behind boot.py; its names are called from C (state_call_boot).
SPDX-License-Identifier: MIT
"""

import http
import inspect
import os
import signal
import sys
import traceback

LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 4}
# gunicorn's names of settings that are options of another name here.
SETTINGS = {
    "accesslog": "access_logfile",
    "access_log_format": "access_logformat",
    "control_socket_disable": "no_control_socket",
    "errorlog": "error_logfile",
    "keepalive": "keep_alive",
    "loglevel": "log_level",
    "pidfile": "pid",
    "raw_env": "env",
    "reload_extra_files": "reload_extra_file",
    "tmp_upload_dir": "body_dir",
}


class HookLog:
    """What hooks know as a logger; it writes to the error log."""

    def __init__(self, write):
        self._write = write

    def log(self, level, msg, *args, exc_info=None, **_):
        if isinstance(level, int):  # the logging module's
            level = ("debug", "info", "warning", "error", "critical")[
                min(max(level // 10 - 1, 0), 4)
            ]
        text = str(msg)
        if args:
            text %= args[0] if len(args) == 1 and isinstance(args[0], dict) else args
        if exc_info:
            if isinstance(exc_info, BaseException):
                exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
            elif not isinstance(exc_info, tuple):
                exc_info = sys.exc_info()
            text += "\n" + "".join(traceback.format_exception(*exc_info))
        self._write(LEVELS[level], text)

    def debug(self, msg, *args, **kwargs):
        self.log("debug", msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.log("info", msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.log("warning", msg, *args, **kwargs)

    warn = warning

    def error(self, msg, *args, **kwargs):
        self.log("error", msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.log("error", msg, *args, **{"exc_info": True, **kwargs})

    def critical(self, msg, *args, **kwargs):
        self.log("critical", msg, *args, **kwargs)


class HookCfg:
    """The settings in effect, by gunicorn's names and by Shoal's."""

    def __init__(self, options):
        self.settings = options

    def __getattr__(self, name):
        options = self.__dict__["settings"]
        if name == "preload_app":
            return options["preload"] == "on"
        if name == "proc_name":
            return options["name"] or options["app"]
        key = SETTINGS.get(name, name)
        if key not in options:
            raise AttributeError(f"there is no setting {name!r}")
        return options[key]


class HookServer:
    """The master, as far as a worker knows it."""

    def __init__(self, cfg, log, workers):
        self.cfg, self.log = cfg, log
        self.num_workers = workers
        self.proc_name = cfg.proc_name
        self.WORKERS = {}

    @property
    def pid(self):
        return os.getppid()

    @property
    def address(self):
        return list(self.cfg.bind)


class HookWorker:
    """This process."""

    def __init__(self, cfg, log, slot, epoch, workers):
        self.cfg, self.log = cfg, log
        self.age = slot + 1 + (epoch - 1) * workers
        self.slot = slot
        self.pid, self.ppid = os.getpid(), os.getppid()
        self.nr = 0
        self.alive, self.booted, self.aborted = True, False, False
        self.timeout = cfg.timeout
        self.wsgi = None

    def __str__(self):
        return f"<Worker {self.pid}>"


class HookRequest:
    """A request as its head said it."""

    def __init__(self, environ):
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ["RAW_URI"]
        self.path, _, self.query = self.uri.partition("?")
        self.fragment = ""
        self.scheme = environ["wsgi.url_scheme"]

    @property
    def version(self):
        major, _, minor = self._environ["SERVER_PROTOCOL"].rpartition("/")[2].partition(".")
        return int(major), int(minor or 0)

    @property
    def headers(self):
        return [(name.upper(), value) for name, value in self._environ["headers_raw"]]

    @property
    def remote_addr(self):
        host, port = self._environ["REMOTE_ADDR"], self._environ["REMOTE_PORT"]
        return (host, int(port)) if port and port.isdigit() else (host, 0)

    peer_addr = remote_addr


class HookResponse:
    """The answer, as far as it has come."""

    def __init__(self, transfer):
        self._transfer = transfer
        self._status = None
        self.headers = []

    def _begin(self, status, headers):
        self._status, self.headers = status, list(headers)

    @property
    def status(self):
        code = self._transfer.status
        if self._status is not None and self._status[:3] == str(code):
            return self._status
        try:
            return f"{code} {http.HTTPStatus(code).phrase}"
        except ValueError:
            return str(code) if code else self._status

    @property
    def status_code(self):
        return self._transfer.status

    @property
    def headers_sent(self):
        return self._transfer.head > 0

    @property
    def sent(self):
        return self._transfer.body

    @property
    def response_length(self):
        for name, value in self.headers:
            if name.lower() == "content-length":
                return int(value)
        return None


class Hooks:
    """One configuration file: evaluated once, before the application is loaded."""

    def __init__(self, path, options, write):
        self.functions = {}
        self.path = path
        self.log = HookLog(write)
        self.cfg = HookCfg(options)
        self.server = self.worker = None

    def evaluate(self):
        namespace = {
            "__name__": "__config__",
            "__file__": self.path,
            "__builtins__": __builtins__,
        }
        with open(self.path, "rb") as source:
            exec(compile(source.read(), self.path, "exec"), namespace)
        self.functions = {k: v for k, v in namespace.items() if callable(v)}

    def begin(self, slot, epoch, workers):
        """In the worker itself: it has a number and a process."""
        self.server = HookServer(self.cfg, self.log, workers)
        self.worker = HookWorker(self.cfg, self.log, slot, epoch, workers)
        self.server.WORKERS[self.worker.pid] = self.worker
        self.call("post_fork", self.server, self.worker)

    def call(self, name, *args):
        function = self.functions.get(name)
        if function is not None:
            function(*args)

    def call_safely(self, name, *args):
        try:
            self.call(name, *args)
        except Exception:
            self.log.exception("Exception in %s hook", name)

    def own_signals(self):
        """SIGINT is the terminal's, and the master sees to the end; QUIT asks for it here."""

        def on_quit(number, _frame):
            self.call_safely("worker_int", self.worker)
            if number == signal.SIGQUIT:
                os._exit(0)

        def on_abort(number, _frame):
            self.worker.aborted = True
            self.call_safely("worker_abort", self.worker)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        if "worker_int" in self.functions:
            signal.signal(signal.SIGINT, on_quit)
            signal.signal(signal.SIGQUIT, on_quit)
        if "worker_abort" in self.functions:
            signal.signal(signal.SIGABRT, on_abort)


def take_four(function):
    """gunicorn calls post_request with as many of its four arguments as it takes."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    count = sum(p.kind in kinds for p in parameters)
    if count in (2, 3) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return lambda *args: function(*args[:count])
    return function


def wrap_requests(app, worker, before, after):
    """The application between the two hooks; either may be None, not both."""

    def finish(_environ, request, box):
        after(worker, request, *box)

    def hooked(environ, start_response):
        worker.nr += 1
        request = HookRequest(environ)
        # What gunicorn gives to post_request when pre_request raised.
        box = [{}, None]
        if after is not None:
            environ["shoal.delivered_hooks"].append((finish, (request, box), {}))
        if before is not None:
            before(worker, request)
        if after is None:
            return app(environ, start_response)
        response = HookResponse(environ["shoal.transfer"])
        box[:] = environ, response

        def respond(status, headers, *exc_info):
            write = start_response(status, headers, *exc_info)
            response._begin(status, headers)
            return write

        return app(environ, respond)

    return hooked


the_hooks = None


def hooks_configure(path, options, write):
    global the_hooks
    the_hooks = Hooks(path, options, write)


def hooks_before_app(number):
    """After the environment and the path are set. number: of a worker; None in a mold."""
    if the_hooks is None:
        return
    the_hooks.evaluate()
    if number is not None:
        the_hooks.begin(*number)


def hooks_start(app, number):
    """In a worker that has its application; number: when it was forked from a mold."""
    hooks = the_hooks
    if number is not None:
        hooks.begin(*number)
    hooks.worker.wsgi = app
    hooks.call("post_worker_init", hooks.worker)
    hooks.worker.booted = True
    hooks.own_signals()
    before = hooks.functions.get("pre_request")
    after = hooks.functions.get("post_request")
    if before is None and after is None:
        return app
    return wrap_requests(app, hooks.worker, before, after and take_four(after))


def hooks_end():
    hooks = the_hooks
    if hooks is not None and hooks.worker is not None:
        hooks.worker.alive = False
        hooks.call_safely("worker_exit", hooks.server, hooks.worker)
