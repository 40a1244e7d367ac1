"""Reading a request's head: in linear time, and strictly, whichever Tornado reads it.

Tornado looks for the end of a head in all that has come, at each byte anew, and makes an object of every line before anybody can
count them: one connection without a credential could keep a worker busy with a megabyte and a trickle. Versions before 6.5 take
a blank before a field's colon, or a control character beside its value, where a proxy in front sees another field or none. Newer
ones refuse that by a bare 400, and quote the field in the log, be it a credential.
"""

from __future__ import annotations

import re
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders
from tornado.iostream import BaseIOStream

HEAD_LIMIT = 64 * 1024  # bytes of the request line and all header fields
LINES_LIMIT = 1000
_SMALL = 4096  # bytes that may be searched as often as Tornado likes

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_HEAD = re.compile(  # RFC 9112; possessive, so that nothing is looked at twice
    rb"(?:\r?\n)*+%b [!-~\x80-\xff]++ HTTP/1\.[0-9]\r?\n(?:%b:[\t -~\x80-\xff]*+\r?\n)*+\r?\n" % (_TOKEN, _TOKEN)
)
_START = re.compile(rb"(?:\r?\n)*[^\n]*\n")
# What an answer to a head that is too long still depends on.
_KEPT = re.compile(
    rb"^(?:host|connection|expect|content-length|transfer-encoding|origin|access-control-request-method|anthropic-version):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_KEPT = 16


class HeadReader:
    """Takes the place of a connection's own parser for one request.

    Mutable: ``size``, ``is_malformed`` and ``is_too_long``, told by the head. A malformed one is given out as an empty request; of
    one that is too long only the fields that an answer depends on are parsed.
    """

    __slots__ = ("size", "is_malformed", "is_too_long")

    def __init__(self, connection: Any) -> None:
        self.size = 0
        self.is_malformed = self.is_too_long = False
        connection._parse_headers = self

    def __call__(self, data: bytes) -> tuple[str, HTTPHeaders]:
        self.size = len(data)
        self.is_malformed = _HEAD.fullmatch(data) is None
        if not self.is_malformed and (self.size > HEAD_LIMIT or data.count(b"\n") > LINES_LIMIT):
            self.is_too_long = True
            kept = _KEPT.findall(data)
            self.is_malformed = len(kept) > _MOST_KEPT
            data = _START.findall(data)[0] + b"".join(kept)
        if self.is_malformed:
            return "GET / HTTP/1.1", HTTPHeaders()
        parsed: tuple[str, HTTPHeaders] = HTTP1Connection._parse_headers(None, data)  # type: ignore[arg-type]  # it needs no self
        return parsed


class LinearSearch(BaseIOStream):
    """A stream for which bytes in which the end of a head was searched in vain are not searched again.

    Mutable: ``_awaited`` (the read that waits) and ``_searched`` (bytes of the buffer).
    """

    _awaited: object = None
    _searched = 0

    def _find_read_pos(self) -> int | None:
        regex, buffer = self._read_regex, self._read_buffer
        if regex is None or len(buffer) < _SMALL:
            return super()._find_read_pos()
        begin: int = getattr(self, "_read_buffer_pos", 0)  # up to Tornado 6.4
        if self._awaited is not self._read_future:
            self._awaited, self._searched = self._read_future, begin
        match = regex.search(buffer, max(begin, self._searched - 3))  # it may lie across the seam
        size = (len(buffer) if match is None else match.end()) - begin
        self._check_max_bytes(regex, size)
        if match is None:
            self._searched = len(buffer)
            return None
        self._awaited = None
        return size
