"""What a request's head says: its fields, its target, and where its body ends. Pure.

Where a body ends is never guessed (RFC 9112 section 6): a length, or chunks, or neither. Tornado reads the body, and its versions
differ in what they take for a number or a coding. What is not plain is refused here before that, and its connection closed: two
parties on the way that disagree about the end of a body let one client write into another's requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tornado.httputil import HTTPHeaders

from monorelay.errors import INVALID_REQUEST, RelayError

_LENGTH = re.compile(r"([0-9]{1,18})(,[ \t]*\1)*")  # proxies repeat it sometimes; equal ones are one
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UNWRITABLE = re.compile(r"[^\x21-\x7e]")


def fields_of(headers: HTTPHeaders) -> dict[str, str]:
    """Names in lower case, repeated fields joined, control characters as blanks (RFC 9110 section 5.5)."""
    fields: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in headers.get_all():
        name = name.lower()
        if not value.isprintable():
            value = _CONTROLS.sub(" ", value)
        if name in fields:
            repeated.setdefault(name, [fields[name]]).append(value)
        else:
            fields[name] = value
    for name, values in repeated.items():
        fields[name] = ", ".join(values)  # once: joining at each repetition would take quadratic time
    return fields


def target_of(target: str) -> tuple[str, str]:
    """Path and query of a request target; the absolute form (RFC 9112 section 3.2.2) loses its origin.

    A byte that no URL may hold, such as one of an unescaped UTF-8 character, becomes its escape: Tornado reads bytes as Latin-1.
    """
    if not (target.isascii() and target.isprintable()):
        target = _UNWRITABLE.sub(lambda found: f"%{ord(found[0]):02X}", target)
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if separator and scheme.lower() in ("http", "https"):
            slash = rest.find("/")
            target = rest[slash:] if slash >= 0 else "/"
    path, _, query = target.partition("?")
    return path.partition("#")[0], query.partition("#")[0]


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
