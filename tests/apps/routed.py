"""Names its routes as Flask knows them. SPDX-License-Identifier: MIT"""

from flask import Flask, request

site = Flask(__name__)


@site.before_request
def name_route():
    if request.url_rule is not None:
        request.environ["shoal.route"] = request.url_rule.rule


@site.get("/item/<int:number>")
def item(number):
    return f"item {number}"


@site.get("/fails")
def fails():
    raise RuntimeError("on purpose")


NAMES = {
    "newline": 'a\n"}b',
    "long": "/" + "y" * 200,
    "other": "~other",
    "empty": "",
    "none": None,
    "wrong": 42,
    "surrogate": "\udcff",
}


def application(environ, start_response):
    first, _, rest = environ["PATH_INFO"][1:].partition("/")
    if first == "named":
        environ["shoal.route"] = rest
    elif first == "hostile":
        environ["shoal.route"] = NAMES[rest]
    elif first == "crash":
        environ["shoal.route"] = "/crash"
        raise RuntimeError("on purpose")
    else:
        return site(environ, start_response)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
