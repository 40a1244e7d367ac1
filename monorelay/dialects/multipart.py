"""One field of a multipart/form-data body: found with its byte span, so that it can be replaced and nothing else is touched.

The whole body is walked from delimiter to delimiter (RFC 2046 section 5.1, RFC 7578), because one that was cut must be refused
before it is sent on. Nothing is copied but the headers of each part. Files may hold anything, bytes that begin like the boundary
too: a delimiter is a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

HEADERS_LIMIT = 16 * 1024
PARTS_LIMIT = 10_000

_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_REST_OF_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")


class MultipartBroken(Exception):
    """The body is not the multipart/form-data that its content type promises; the text says why, for the client."""


@dataclass(frozen=True, slots=True)
class Field:
    """A plain field; its value is ``body[start:end]``."""

    value: str
    start: int
    end: int


def find_field(body: bytes, content_type: str, name: str) -> Field | None:
    """The plain field (no file) of that name. Raises MultipartBroken, also when the field comes twice."""
    wanted = name.encode()
    found: tuple[int, int] | None = None
    for headers, start, end in _parts(body, _boundary(content_type)):
        parameters = _form_parameters(headers)
        if parameters.get(b"name") != wanted or b"filename" in parameters or b"filename*" in parameters:
            continue
        if found is not None:
            raise MultipartBroken(f"The form field {name!r} comes twice.")
        found = start, end
    if found is None:
        return None
    try:
        return Field(body[slice(*found)].decode(), *found)
    except UnicodeDecodeError as error:
        raise MultipartBroken(f"The form field {name!r} is not UTF-8.") from error


def splice(body: bytes, field: Field, value: str) -> bytes:
    """The body with another value in the field; every other byte as it was."""
    whole = memoryview(body)
    return b"".join((whole[: field.start], value.encode(), whole[field.end :]))


def _boundary(content_type: str) -> bytes:
    kind, semicolon, rest = content_type.encode("latin-1", "replace").partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise MultipartBroken("The body must be multipart/form-data.")
    boundary = _parameters(semicolon + rest).get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise MultipartBroken("The content type multipart/form-data needs a boundary of 1 to 70 characters.")
    return boundary


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Headers, start and end of each part's content."""
    delimiter = b"\r\n--" + boundary
    line_end, is_last = _next_delimiter(body, delimiter, 0, at_start=body.startswith(delimiter[2:]))[1:]
    count = 0
    while not is_last:
        count += 1
        if count > PARTS_LIMIT:
            raise MultipartBroken(f"The multipart body has more than {PARTS_LIMIT} parts.")
        # A part without headers begins with the blank line: it and the delimiter's own line end are then the pair we look for.
        blank = body.find(b"\r\n\r\n", line_end - 2, line_end + HEADERS_LIMIT)
        headers = body[line_end : max(line_end, blank)]
        if blank < 0 or (b"\r\n" + headers).find(delimiter) >= 0:
            raise MultipartBroken("The multipart body has a part whose headers do not end.")
        end, line_end, is_last = _next_delimiter(body, delimiter, blank + 2)
        if end >= blank + 4:  # else there is no content at all, not even an empty one
            yield headers, blank + 4, end


def _next_delimiter(body: bytes, delimiter: bytes, start: int, at_start: bool = False) -> tuple[int, int, bool]:
    """Where the next delimiter begins and where its line ends, and whether it closes the body."""
    at = -2 if at_start else body.find(delimiter, start)
    while at != -1:
        match = _REST_OF_DELIMITER.match(body, at + len(delimiter))
        if match and (match[1] or match.end() < len(body)):
            return at, match.end(), match[1] is not None
        at = body.find(delimiter, at + len(delimiter) if at >= 0 else 0)
    raise MultipartBroken("The multipart body ends without its closing boundary: it was cut, or the boundary is another.")


def _form_parameters(headers: bytes) -> dict[bytes, bytes]:
    for line in re.sub(rb"\r\n[ \t]+", b" ", headers).split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            kind, semicolon, rest = value.partition(b";")
            return _parameters(semicolon + rest) if kind.strip().lower() == b"form-data" else {}
    return {}


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """``; name=value`` pairs by lower-case name; the first of equal names stays."""
    found: dict[bytes, bytes] = {}
    for match in _PARAMETER.finditer(text):
        value = match[2].strip()
        if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
            value = _ESCAPED.sub(rb"\1", value[1:-1])
        found.setdefault(match[1].lower(), value)
    return found
