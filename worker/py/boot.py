"""The parts of the plugin where Python is clearer than C and speed does not matter.

Compiled into the plugin; its names are called from C (state_call_boot).
SPDX-License-Identifier: MIT
"""

import ast
import atexit
import faulthandler
import gc
import importlib
import importlib.util
import io
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
import types


class LoadError(Exception):
    """A sentence for the operator: what is wrong with APP and what would be right."""

    shoal_says = True


def format_exception(kind, value, tb):
    if value is not None and not isinstance(value, BaseException):
        value = None
    return printable("".join(traceback.TracebackException(kind, value, tb).format()))


def printable(text):
    """As UTF-8 can hold it: names of files may have bytes that decode to lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def describe_failure(kind, value, tb):
    """The whole text of a failed load: a sentence alone if it is one of ours."""
    if getattr(value, "shoal_says", False) is True:
        return printable(str(value))
    return format_exception(kind, value, tb)


def prepare(app, chdir, pythonpath):
    sys.argv[:] = [app]
    if chdir:
        os.chdir(chdir)
    # `python -c` (exec launch) leaves "" in front; the absolute directory stays right
    # when the application changes directory later.
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    where = os.getcwd()
    if where in sys.path:
        sys.path.remove(where)
    sys.path.insert(0, where)
    for path in reversed([p for p in (pythonpath or "").split(",") if p]):
        path = os.path.abspath(path)
        if path not in sys.path:
            sys.path.insert(0, path)


def split_app(spec):
    """`module[:attr]` or `path/file.py[:attr]` -> (module or path, attr or None)."""
    module, colon, attr = spec.partition(":")
    if not module or (colon and not attr):
        raise LoadError(
            f"APP {spec!r} is not of the form MODULE[:ATTRIBUTE] or FILE.py[:ATTRIBUTE]"
        )
    return module, attr or None


def import_module(name):
    if not (name.endswith(".py") and (os.sep in name or os.path.isfile(name))):
        return importlib.import_module(name)
    path = os.path.abspath(name)
    stem = os.path.basename(path)[: -len(".py")]
    if not os.path.isfile(path):
        raise LoadError(f"APP names the file {name!r}, which is not there (in {os.getcwd()})")
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(stem, None)
        raise
    return module


def literal_call(expression, spec):
    """The dotted name, and for `name(1, a=2)` its arguments, of an attribute expression."""
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise LoadError(f"APP {spec!r}: {expression!r} is neither a name nor a call") from None
    args = kwargs = None
    if isinstance(node, ast.Call):
        try:
            args = [ast.literal_eval(a) for a in node.args]
            kwargs = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
            if len(kwargs) != len(node.keywords):
                raise ValueError
        except ValueError:
            raise LoadError(
                f"APP {spec!r}: the arguments of {expression!r} must be literals"
            ) from None
        node = node.func
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise LoadError(f"APP {spec!r}: {expression!r} is neither a name nor a call")
    names.append(node.id)
    return names[::-1], args, kwargs


def find_attribute(module, names, spec):
    found = module
    for i, name in enumerate(names):
        try:
            found = getattr(found, name)
        except AttributeError:
            missing = ".".join(names[: i + 1])
            raise LoadError(
                f"APP {spec!r}: {module.__name__!r} has no attribute {missing!r}"
            ) from None
    return found


def default_attribute(module, spec):
    for name in ("application", "app"):
        if hasattr(module, name):
            return getattr(module, name)
    raise LoadError(
        f"APP {spec!r}: {module.__name__!r} has neither 'application' nor 'app'; "
        f"name the attribute as in {spec}:NAME"
    )


def find_app(spec, factory):
    module_name, expression = split_app(spec)
    module = import_module(module_name)
    if expression is None:
        app, args, kwargs = default_attribute(module, spec), None, None
    else:
        names, args, kwargs = literal_call(expression, spec)
        app = find_attribute(module, names, spec)
    if args is not None or factory:
        if not callable(app):
            raise LoadError(f"APP {spec!r}: {expression or 'the factory'} is not callable")
        app = app(*(args or ()), **(kwargs or {}))
    if app is None:
        raise LoadError(f"APP {spec!r} is None; did a factory forget its return statement?")
    if not callable(app):
        raise LoadError(f"APP {spec!r} is {type(app).__name__!r}, which cannot be called")
    return app


def wrap(app, middleware):
    for dotted in middleware:
        module_name, _, attr = dotted.replace(":", ".").rpartition(".")
        if not module_name:
            raise LoadError(f"--middleware {dotted!r} is not of the form MODULE.CALLABLE")
        module = importlib.import_module(module_name)
        if not hasattr(module, attr):
            raise LoadError(f"--middleware {dotted!r}: {module_name!r} has no attribute {attr!r}")
        app = getattr(module, attr)(app)
        if not callable(app):
            raise LoadError(
                f"--middleware {dotted!r} returned {type(app).__name__!r}, which cannot be called"
            )
    return app


def buffer_lines():
    """In a pipe or a file, what is printed shows when its line ends: not 8 KiB later, and not
    never, when the worker crashes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def load(
    spec, chdir, pythonpath, env, factory, middleware, green, threads, switch_interval, number
):
    for item in env:
        key, _, value = item.partition("=")
        os.environ[key] = value
    prepare(spec, chdir, pythonpath)
    if green:
        green_patch(green)
    buffer_lines()
    hooks_before_app(number)  # noqa: F821 (gunicorn.py, embedded into the same namespace)
    app = wrap(find_app(spec, factory), middleware)
    if threads > 1 and switch_interval > 0:
        sys.setswitchinterval(switch_interval)
    # What loading made lives as long as the process: the collector need not look at it.
    gc.collect()
    gc.freeze()
    return app


def green_patch(library):
    """The standard library as the hub needs it, before the application imports any of it."""
    option = f"--worker-class {library}"
    try:
        if library == "eventlet":
            importlib.import_module("eventlet").monkey_patch()
        else:
            importlib.import_module("gevent.monkey").patch_all()
        greenlet = importlib.import_module("greenlet")
    except Exception as error:
        raise LoadError(
            f"{option} needs the package {library!r}, which {sys.executable} cannot import "
            f"({type(error).__name__}: {error}); install it for this interpreter, or choose "
            "another one with --python or --venv"
        ) from None
    if not getattr(greenlet, "GREENLET_USE_CONTEXT_VARS", False):
        raise LoadError(
            f"{option} needs greenlet 1.0 or newer, which keeps a context for each greenlet; "
            f"{sys.executable} has {greenlet.__version__}"
        )


def green_attach(library, fd, turn):
    """Has the hub call turn() when fd can be read.

    Returns the type of greenlets, what tells the current one, what lets others run, and
    what takes fd away again.
    """
    from greenlet import getcurrent, greenlet

    if library == "eventlet":
        from eventlet.hubs import get_hub

        hub = get_hub()
        listener = hub.add(hub.READ, fd, turn, turn, lambda: None)
        return greenlet, getcurrent, hub.switch, lambda: hub.remove(listener)
    from gevent import get_hub

    hub = get_hub()
    watcher = hub.loop.io(fd, 1)
    watcher.start(turn)
    return greenlet, getcurrent, hub.switch, watcher.stop


def crash_register(fd):
    """A fatal signal leaves the stacks where the master looks; an application that has turned
    faulthandler on for itself, by environment or later, wants them elsewhere."""
    if not faulthandler.is_enabled():
        faulthandler.enable(file=fd, all_threads=True)


def leave_trace_to_worker(fd):
    """Processes the application forks must not write the worker's last words.

    Something else may have the number by then: a daemon closes what it inherits.
    """
    ours = os.fstat(fd)

    def in_child():
        try:
            if os.path.samestat(ours, os.fstat(fd)):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, fd, inheritable=False)
                os.close(null)
        except OSError:
            pass

    os.register_at_fork(after_in_child=in_child)


def trace_register(signum, fd, own_signum, own_fd):
    leave_trace_to_worker(fd)
    faulthandler.register(signum, file=fd, all_threads=True)
    faulthandler.register(own_signum, file=own_fd, all_threads=True)


def interrupt_register(signum, handler):
    signal.signal(signum, handler)


def start_threads(run, n):
    threads = [
        threading.Thread(target=run, args=(i,), name=f"shoal-{i}", daemon=True) for i in range(1, n)
    ]
    for t in threads:
        t.start()
    return threads


def join_threads(threads):
    for t in threads:
        t.join()


def real_file(filelike):
    """(descriptor, position) of a file the kernel can send as it is; None otherwise.

    Exact types: a GzipFile has a fileno() too, and means something else by it.
    """
    if isinstance(filelike, tempfile._TemporaryFileWrapper):
        filelike = filelike.file
    raw = filelike.raw if type(filelike) in (io.BufferedReader, io.BufferedRandom) else filelike
    if type(raw) is not io.FileIO or filelike.closed:
        return None
    if type(filelike) is io.BufferedRandom:
        filelike.flush()
    return filelike.fileno(), filelike.tell()


def add_metrics(source, limit, make, after_fork):
    """Makes `from shoal import metrics` work; there is no file of that name."""
    package = types.ModuleType("shoal", "The server this application runs in.")
    package.__path__ = []
    package.metrics = module = types.ModuleType("shoal.metrics")
    module.__package__ = "shoal"
    exec(compile(source, "<shoal metrics.py>", "exec"), module.__dict__)
    module._make, module._limit = make, limit
    sys.modules["shoal"], sys.modules["shoal.metrics"] = package, module
    os.register_at_fork(after_in_child=after_fork)


def watch_collector(ran, after_fork):
    gc.callbacks.append(ran)
    os.register_at_fork(after_in_child=after_fork)


def make_socket(fd):
    return socket.socket(fileno=fd)


def end():
    """What the interpreter does at its end, without taking it apart."""
    shutdown = getattr(threading, "_shutdown", None)
    if shutdown is not None:
        shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
