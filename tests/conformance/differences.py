"""Cases on which Shoal and the corpus they come from differ, and why.

SPDX-License-Identifier: MIT
"""

FRAGMENT = "a fragment never belongs in a request target (RFC 9112 3.2)"
NO_HOST = "an HTTP/1.1 request needs a Host (RFC 9112 3.2)"
CODING = "an honest list of codings that we do not implement is a 501 (RFC 9112 6.1)"
CODING_TWICE = "two Transfer-Encoding fields are refused"
IDENTITY = "identity is no transfer coding since RFC 7230"
USERINFO = "user information in a target is refused (RFC 9110 4.2.4)"
CONNECT = "CONNECT is not implemented"
ASTERISK = "* is the target of OPTIONS alone (RFC 9112 3.2.4)"
NO_VERSION = "a request line without a version is HTTP/0.9"
BYTES = "a request target is made of visible ASCII (RFC 3986)"
BOTH = "Content-Length and Transfer-Encoding together are refused (RFC 9112 6.1)"

# Served by the corpus: status here, why.
REFUSED = {
    "gunicorn:valid/005": (400, FRAGMENT),
    "gunicorn:valid/009": (400, FRAGMENT),
    "gunicorn:valid/025": (400, CODING_TWICE),
    "gunicorn:valid/025_line": (501, CODING),
    "gunicorn:valid/027": (400, BYTES),
    "gunicorn:valid/029": (400, CODING_TWICE),
    "gunicorn:valid/030": (400, CODING_TWICE),
    "gunicorn:valid/rfc9112_smuggle_gzip_chunked_01": (501, CODING),
    "gunicorn:valid/rfc9112_smuggle_te_identity_chunked_01": (400, IDENTITY),
    "gunicorn:valid/rfc9112_target_absolute_userinfo_01": (400, USERINFO),
    "gunicorn:valid/rfc9112_target_authority_connect_01": (501, CONNECT),
    "gunicorn:valid/rfc9112_target_authority_ipv6_01": (501, CONNECT),
    "h1spec:Conflicting Transfer-Encoding and Content-Length in varying case": (400, BOTH),
    "llhttp:method:29 CONNECT request": (501, CONNECT),
    "llhttp:method:64 CONNECT request with CAPS": (501, CONNECT),
    "llhttp:method:98 CONNECT with body": (501, CONNECT),
    "llhttp:method:137 M-SEARCH request": (400, ASTERISK),
    "llhttp:sample:293 Prefix newline": (400, NO_HOST),
    "llhttp:sample:316 No HTTP version": (400, NO_VERSION),
    "llhttp:sample:480 Request starting with CRLF": (400, NO_HOST),
    "llhttp:transfer-encoding:753 POST with `chunked` as last transfer-encoding": (400, FRAGMENT),
    "llhttp:transfer-encoding:795 POST with `chunked` as last transfer-encoding (mul": (
        400,
        FRAGMENT,
    ),
    "llhttp:uri:167 Fragment in URI": (400, FRAGMENT),
    "llhttp:uri:190 Underscore in hostname": (501, CONNECT),
    "llhttp:uri:224 `host:port` and basic auth": (400, USERINFO),
}

METHOD = "any token is a method, and the application decides (RFC 9110 9.1)"
LINE_LIMIT = "request lines of 8190 bytes are served by default (RFC 9112 3 asks for 8000)"
NO_LIMIT = "a limit of 0 bounds a field by the size of the whole head only"
UPGRADE = "Upgrade is ignored (RFC 9110 7.8), and nothing is switched"

# Refused by the corpus for a rule that is its own: whole messages here, why.
SERVED = {
    "gunicorn:valid/031compat": (1, METHOD),
    "gunicorn:valid/031compat2": (1, METHOD),
    "gunicorn:invalid/003c": (1, METHOD),
    "gunicorn:invalid/006": (1, LINE_LIMIT),
    "gunicorn:invalid/limit_header_default_01": (1, NO_LIMIT),
    "llhttp:connection:544 Multiple tokens with folding and LWS": (1, UPGRADE),
    "llhttp:connection:681 Setting a flag and pausing": (1, UPGRADE),
    "llhttp:connection:715 Emitting part of body and pausing": (1, UPGRADE),
    "llhttp:connection:755 Upgrade GET request": (1, UPGRADE),
    "llhttp:connection:814 Upgrade POST request": (1, UPGRADE),
    "llhttp:invalid:68 HTTP protocol and ANNOUNCE method": (1, METHOD),
    "llhttp:invalid:358 Invalid method": (1, METHOD),
}

LINE_OPEN = "a line is judged when its LF is there: nothing has been run"

# Refused by the corpus before the bytes that end the line came.
WAITING = {
    "gunicorn:invalid/rfc9112_chunked_missing_final_crlf_01": LINE_OPEN,
    "llhttp:content-length:77 Error on `Content-Length` overflow": "the head is not complete",
    "llhttp:content-length:495 Missing CRLF-CRLF before body": LINE_OPEN,
    "llhttp:invalid:492 Invalid HTTP version": LINE_OPEN,
    "llhttp:invalid:511 Invalid space after start line": LINE_OPEN,
    "http-garden:server.25": "the start of a chunked request: there is nothing to refuse yet",
}
