"""Says who is billed, in each way there is. SPDX-License-Identifier: MIT"""

from flask import Flask, Response, request

site = Flask(__name__)


@site.get("/environ/<name>")
def by_environ(name):
    request.environ["shoal.account"] = name
    return "x" * 1000


@site.get("/header/<name>")
def by_header(name):
    return Response("x" * 1000, headers={"X-SHOAL-Account": name})


@site.get("/both")
def by_both():
    request.environ["shoal.account"] = "environ"
    return Response("x" * 1000, headers={"X-Shoal-Account": "header"})


@site.get("/none")
def by_nobody():
    return "x" * 1000


@site.get("/error/<name>")
def error(name):
    request.environ["shoal.account"] = name
    raise RuntimeError("on purpose")


@site.get("/wrong")
def wrong():
    request.environ["shoal.account"] = 42
    return "x" * 1000


@site.get("/late")
def late():
    environ = request.environ
    environ["shoal.account"] = "first"

    def body():
        yield b"x" * 500
        environ["shoal.account"] = "second"
        yield b"x" * 500

    return Response(body(), headers={"Content-Length": "1000"})


def application(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        environ["shoal.account"] = "crashed"
        raise RuntimeError("on purpose")
    return site(environ, start_response)
