"""The zoo behind wsgiref's validator, which is strict on servers as well.

SPDX-License-Identifier: MIT
"""

from wsgiref.validate import validator

import zoo


def plain(environ, start_response):
    """The validator wants an exact Content-Type on every answer."""
    return zoo.application(environ, start_response)


application = validator(plain)
