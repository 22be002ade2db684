"""The zoo behind wsgiref's validator, which is strict on servers as well.

SPDX-License-Identifier: MIT
"""

from wsgiref.validate import validator

import zoo

checked = validator(zoo.application)


def application(environ, start_response):
    """Without eventlet's headers_raw: PEP 3333 keeps names without a dot for strings."""
    environ.pop("headers_raw", None)
    return checked(environ, start_response)
