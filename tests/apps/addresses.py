"""Answers with the four address keys of the environ.

SPDX-License-Identifier: MIT
"""

import json

KEYS = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT")


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([environ[key] for key in KEYS]).encode()]
