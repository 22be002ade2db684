"""Every method of common/ctl.def: wrong parameters and roles are named before anything is
done, and the examples of shoal-control(7) are true.

SPDX-License-Identifier: MIT
"""

import json
import re

import pytest
from control_client import Control, Failed
from shoal_harness import ROOT

# A C string may be written in pieces.
PIECES = r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*'
EXAMPLE = re.compile(rf"^EXAMPLE\((\w+),\s*(NULL|{PIECES}),\s*({PIECES})\)", re.M)
ROLES = ["observer", "operator", "admin"]
# A method whose parameters the table allows and that does nothing (its job is not there).
MANY = list(range(1025))


ALL = """
server.hello server.ping server.version server.status server.health server.drain
server.undrain server.stop server.upgrade schema.get session.whoami session.lower
listeners.list workers.list workers.get workers.scale workers.recycle workers.pause
workers.resume workers.kill workers.trace requests.inflight stats.get stats.schema
stats.subscribe stats.history reload.check reload.start reload.rollback jobs.list
jobs.get jobs.wait jobs.cancel logs.reopen logs.level logs.subscribe config.get
config.check config.diff config.schema events.subscribe events.history unsubscribe
accounts.list routes.list top.list metrics.get metrics.durations metrics.server stats.histogram
stats.heatmap metrics.accounts metrics.http metrics.workers accounting.query
accounting.status accounting.flush accounting.export accounting.adjust quota.set
quota.unset quota.list quota.get
"""
OPERATORS = """
server.drain server.undrain workers.scale workers.recycle workers.pause workers.resume
workers.trace requests.inflight reload.check reload.start reload.rollback jobs.cancel
logs.reopen logs.level logs.subscribe config.get config.check config.diff
accounts.list top.list accounting.flush accounting.export quota.list quota.get
"""


@pytest.fixture(scope="module")
def path(module_server):
    one = module_server("hello:application", workers=2)
    yield one.tmp / "shoal.sock"


@pytest.fixture
def control(path):
    with Control(path) as client:
        yield client


@pytest.fixture(scope="module")
def methods(path):
    with Control(path) as client:
        return {m["method"]: m for m in client.call("schema.get")["methods"]}


def good(schema):
    """A value the schema of a parameter allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return []
    return {"string": "x" * max(schema.get("minLength", 0), 1), "boolean": True,
            "integer": max(schema.get("minimum", 0), 0),
            "number": max(schema.get("minimum", 0), 0)}[schema["type"]]


def bad(schema):
    """Values it does not allow."""
    kind = schema["type"]
    yield from (None, {}, {"a": 1})
    if kind == "array":
        yield from (1, "x", True, [None], [[]], MANY)
        for value in bad(schema["items"]):
            yield [value]
        return
    yield []
    if kind != "boolean":
        yield True
    if kind == "string":
        yield from (0, 1.5)
        if "enum" in schema:
            yield from ("", "nonsense", schema["enum"][0] + " ", schema["enum"][0].swapcase(),
                        "|".join(schema["enum"][:2]) if len(schema["enum"]) > 1 else "|")
        else:
            yield "x" * (schema["maxLength"] + 1)
            if schema["minLength"] > 0:
                yield ""
    elif kind == "boolean":
        yield from (0, 1, "true")
    else:
        yield from ("1", "", float(schema["minimum"]) - 0.5)
        yield schema["minimum"] - 1
        # The largest number has none above it in JSON's integers here.
        if schema["maximum"] < 2**62:
            yield schema["maximum"] + 1
        if kind == "integer":
            yield from (1.0, 0.5)


def state(control):
    """What a call could have changed."""
    status = control.call("server.status")
    return (status["generation"], status["workers"], status["state"], status["job"],
            control.call("jobs.list"), control.call("logs.level", level="info")["was"],
            [w["pid"] for w in control.call("workers.list", fields=["state"])["workers"]])


def refuse(control, method, params):
    with pytest.raises(Failed) as e:
        control.call(method, **params)
    return e.value


def test_every_wrong_parameter_is_named_and_nothing_happens(control, methods):
    before = state(control)
    seq = control.call("events.history")["seq"]
    tried = 0
    for name, method in methods.items():
        schema = method["params"]
        fine = {p: good(schema["properties"][p]) for p in schema["required"]}
        error = refuse(control, name, fine | {"no_such_parameter": 1})
        assert (error.kind, error.data["param"]) == ("invalid_params", "no_such_parameter")
        for wanted in schema["required"]:
            error = refuse(control, name, {k: v for k, v in fine.items() if k != wanted})
            assert (error.kind, error.data["param"]) == ("invalid_params", wanted), name
        for wrong, described in schema["properties"].items():
            for value in bad(described):
                tried += 1
                error = refuse(control, name, fine | {wrong: value})
                what = f"{name} {wrong}={str(value)[:60]}"
                assert error.kind == "invalid_params", f"{what}: {error.kind}"
                assert error.data["param"] == wrong, what
                assert error.data["expected"] and wrong in str(error), what
    assert tried > 400
    assert state(control) == before
    # Refused calls of those who may are written down; nothing else came of them.
    while (page := control.call("events.history", since_seq=seq, limit=1000))["events"]:
        seq = page["events"][-1]["seq"]
        assert {e["type"] for e in page["events"]} <= {"control.call", "log.level"}


def test_a_misspelt_parameter_is_guessed(control, methods):
    for name, method in methods.items():
        for param in method["params"]["properties"]:
            if len(param) > 4:
                error = refuse(control, name, {param[:-1] + "~": 1})
                assert error.data["did_you_mean"] == param, f"{name} {param}"


@pytest.mark.parametrize("role", ["observer", "operator"])
def test_the_role_comes_before_the_parameters(path, methods, role):
    with Control(path) as control:
        before = state(control)
        control.call("session.lower", role=role)
        refused = 0
        for name, method in methods.items():
            error = refuse(control, name, {"no_such_parameter": 1})
            if ROLES.index(method["role"]) > ROLES.index(role):
                refused += 1
                assert error.kind == "permission_denied", name
                assert error.data["role"] == role and error.data["needs"] == method["role"]
            else:
                assert error.kind == "invalid_params", name
        assert refused >= 3
    with Control(path) as control:
        assert state(control) == before


@pytest.mark.parametrize("name", [
    "", "server", "server.", ".ping", "server.ping ", "Server.Ping", "v2.ping",
    "server.ping\n", "x" * 100000, "\u00e4.\u00f6", "quota.sets", "workers.gc",
])
def test_no_such_method(control, name):
    with pytest.raises(Failed) as e:
        control.call(name)
    assert e.value.kind == "unknown_method"
    assert len(str(e.value)) < 400
    assert control.call("server.ping")


def test_every_method_of_this_version_is_there(methods):
    """control.md's names; who reads a name there must find it."""
    assert set(methods) == set(ALL.split())
    roles = {m: methods[m]["role"] for m in methods}
    assert [m for m, role in roles.items() if role == "admin"] == [
        "server.stop", "server.upgrade", "workers.kill",
        "accounting.adjust", "quota.set", "quota.unset"]
    assert {m for m, role in roles.items() if role == "operator"} == set(OPERATORS.split())


# ---- the examples of the manual ----


def unquote(text):
    pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return json.loads('"' + "".join(pieces) + '"')


def examples():
    text = (ROOT / "docs/gen/control_examples.def").read_text()
    found = EXAMPLE.findall(text)
    assert len(found) == text.count("\nEXAMPLE("), "an example this test cannot read"
    return {
        ident: ({} if params == "NULL" else json.loads(unquote(params)),
                json.loads(unquote(result)))
        for ident, params, result in found
    }


def fits(value, schema):
    kind = schema["type"]
    if kind == "array":
        return isinstance(value, list) and all(fits(v, schema["items"]) for v in value)
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    if not isinstance(value, types[kind]) or (kind != "boolean" and isinstance(value, bool)):
        return False
    if "enum" in schema:
        return value in schema["enum"]
    if kind == "string":
        return schema["minLength"] <= len(value.encode()) <= schema["maxLength"]
    return kind == "boolean" or schema["minimum"] <= value <= schema["maximum"]


KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
         "number": (int, float), "null": type(None)}


def conforms(value, schema, where):
    """Whether a result is what the schema says."""
    kinds = schema.get("type", list(KINDS))
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if isinstance(value, KINDS[kind]) and (kind == "boolean") == isinstance(value, bool):
            break
    else:
        raise AssertionError(f"{where} is {value!r}, and should be {kinds}")
    for i, one in enumerate(value if "items" in schema else ()):
        conforms(one, schema["items"], f"{where}[{i}]")
    if "properties" in schema:
        assert set(schema["required"]) <= set(value), where
        for name, one in value.items():
            assert name in schema["properties"], f"{where}.{name} is not in ctl_results.def"
            conforms(one, schema["properties"][name], f"{where}.{name}")


def test_each_method_has_an_example_that_is_valid(methods):
    shown = examples()
    idents = {name.replace(".", "_"): method for name, method in methods.items()}
    assert set(shown) == set(idents)
    manual = (ROOT / "docs/man/shoal-control.7").read_text()
    for ident, (params, result) in shown.items():
        schema = idents[ident]["params"]
        assert set(schema["required"]) <= set(params), ident
        for name, value in params.items():
            assert fits(value, schema["properties"][name]), f"{ident}: {name}"
        assert ident == "unsubscribe" or idents[ident]["result"]["properties"], (
            f"common/ctl_results.def has no row for {ident}")
        conforms(result, idents[ident]["result"], ident)
        assert f'"method":"{idents[ident]["method"]}"' in manual, ident


# What may be called on any instance, with the parameters of its example or with these.
LIVE = {
    "server.hello": None, "server.ping": None, "server.version": None, "server.status": None,
    "server.health": None, "schema.get": None, "session.whoami": None, "session.lower": None,
    "listeners.list": None, "workers.list": None, "workers.get": None, "workers.trace": None,
    "requests.inflight": None, "stats.get": None, "stats.schema": None, "stats.history": None,
    "stats.subscribe": None, "reload.check": None, "jobs.list": None, "logs.reopen": None,
    "logs.level": {"level": "info", "ttl_s": 1}, "logs.subscribe": None, "config.get": None,
    "config.check": {}, "config.diff": None, "config.schema": None, "events.subscribe": None,
    "events.history": None, "workers.recycle": None,
}  # fmt: skip


def same_shape(shown, live, where):
    """Every member the manual shows is in a real answer, with its type."""
    if isinstance(shown, dict) and isinstance(live, dict):
        for key, value in shown.items():
            # Keyed by what there is: another instance has others.
            if where.endswith((".options", ".status", ".fields", ".series")) and key not in live:
                continue
            assert key in live, f"{where}.{key} is shown, and {sorted(live)} is answered"
            same_shape(value, live[key], f"{where}.{key}")
    elif isinstance(shown, list) and isinstance(live, list):
        if shown and live:
            same_shape(shown[0], live[0], f"{where}[]")
    elif shown is not None and live is not None:
        numbers = (int, float)
        both = isinstance(shown, numbers) and isinstance(live, numbers)
        assert both or type(shown) is type(live), f"{where}: {shown!r} is shown, is {live!r}"


@pytest.mark.parametrize("name", LIVE)
def test_an_example_is_what_is_answered(control, methods, name):
    params, result = examples()[name.replace(".", "_")]
    live = control.call(name, **(params if LIVE[name] is None else LIVE[name]))
    conforms(live, methods[name]["result"], name)
    same_shape(result, live, name)
    # A member that is nowhere in the manual would have to be guessed.
    if name not in ("config.schema", "stats.schema", "stats.get", "stats.history", "server.health"):
        assert set(live) <= set(result), f"{name}: the manual does not show all members"
