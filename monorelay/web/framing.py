"""Where a request's body ends: a length, or chunks, or neither; never a guess (RFC 9112 section 6).

Tornado reads the body, and its versions differ in what they take for a number or a coding. What is not plain is refused here
before that, and its connection closed: two parties on the way that disagree about the end of a body let one client write into
another's requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from monorelay.errors import INVALID_REQUEST, RelayError

_LENGTH = re.compile(r"([0-9]{1,18})(,[ \t]*\1)*")  # proxies repeat it sometimes; equal ones are one


class Unframed(RelayError):
    """Nobody can say where this request ends, so nothing that follows it on its connection can be read."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_REQUEST, message)


def body_length(fields: Mapping[str, str]) -> int | None:
    """The announced bytes, 0 without a body, None when they come in chunks. ``fields``: names in lower case, repeated ones joined.

    >>> body_length({"content-length": "12"})
    12
    """
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Unframed("The request has both a Content-Length and a Transfer-Encoding; one of them must go.")
        if coding.lower() != "chunked":
            raise Unframed("The only Transfer-Encoding that is understood is 'chunked'.")
        return None
    if length is None:
        return 0
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise Unframed("The Content-Length is not one plain number.")
    return int(match[1])
