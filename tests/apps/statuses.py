"""Answers with the status its path names. SPDX-License-Identifier: MIT"""


def application(environ, start_response):
    start_response(f"{environ['PATH_INFO'][1:] or 200} As Asked", [("Content-Length", "2")])
    return [b"ok"]
