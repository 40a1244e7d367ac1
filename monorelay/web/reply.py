"""The client's side of one exchange, over Tornado's HTTP1Connection: head, chunks, end, back-pressure, and who left.

Heads and chunk frames are written as finished bytes: building Tornado's header objects and one Future more per chunk costs
more than the relaying itself. Everything else about the connection (reading, keep-alive, pipelining, closing) stays Tornado's.

While nothing waits in Tornado's buffer, bytes go straight to the socket, which almost always takes them all: that is half the
cost of ``IOStream.write`` and its Future. What the socket does not take goes through the stream, and the last bytes of an
answer then through ``connection.write``, because ``finish`` waits for what went that way before it closes.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http.client import responses
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.iostream import SSLIOStream, StreamClosedError

HIGH_WATER = 128 * 1024  # unsent bytes from which the upstream is paused
SWALLOW_BYTES = 8 * 1024 * 1024  # of a body that nobody wants, so that its sender can read the answer
SWALLOW_SECONDS = 5.0

_STATUS_LINES = {status: f"HTTP/1.1 {status} {text}\r\n" for status, text in responses.items()}
_BODILESS = (204, 304)

# What an upstream calls a header field may be none, and its value may hold a bare CR, which some clients take for a line's end.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@lru_cache(1024)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


class DateLine:
    """The ``date`` field, rendered once a second. Mutable: the second and its line."""

    __slots__ = ("_second", "_line")

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def __call__(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


_date_line = DateLine()


class TornadoReply:
    """Implements ``relay.call.Reply``.

    Mutable: ``begun``, ``ended`` and ``gone`` only ever turn True; ``_unsent`` counts bytes the socket has not taken;
    ``body_read`` is set by the delegate; ``on_resume`` and ``on_gone`` belong to whoever answers at the moment.
    """

    __slots__ = (
        "on_resume",
        "on_gone",
        "begun",
        "ended",
        "gone",
        "body_read",
        "expects",
        "extra",
        "_connection",
        "_stream",
        "_socket",
        "_head_only",
        "_old",
        "_keep",
        "_chunked",
        "_left",
        "_last",
        "_unsent",
        "_swallowed",
        "_timer",
    )

    def __init__(self, connection: HTTP1Connection, version: str, method: str, connection_field: str) -> None:
        self.on_resume: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.begun = False
        self.ended = False
        self.gone = False
        self.body_read = False
        self.expects = False  # the client waits for "100 Continue" before it sends its body
        self.extra = ""  # finished header lines that every answer to this request carries (CORS)
        self._connection = connection
        self._stream: Any = connection.stream
        # Bytes may go to the socket itself only where the stream would send them as they are (not TLS).
        self._socket: Any = None if isinstance(connection.stream, SSLIOStream) else connection.stream.socket
        self._head_only = method == "HEAD"
        self._old = version != "HTTP/1.1"
        wish = connection_field.lower()
        self._keep = wish == "keep-alive" if self._old else wish != "close"
        self._chunked = False
        self._left: int | None = None  # bytes still owed to a promised length
        self._last: asyncio.Future[None] | None = None
        self._unsent = 0
        self._swallowed = 0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Reply begun {self.begun} ended {self.ended} gone {self.gone} unsent {self._unsent}>"

    @property
    def paused(self) -> bool:
        return self._unsent >= HIGH_WATER

    # ------------------------------------------------------------------ answering

    def head(self, status: int, headers: Sequence[tuple[str, str]], length: int | None) -> None:
        if self.begun or self.gone:
            return
        self._stream.set_nodelay(True)  # Tornado turns Nagle's algorithm on again after each answer
        self._write(self._head_bytes(status, headers, length))

    def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        if self.begun or self.gone:
            return
        length = None if status in _BODILESS else len(body)
        data = self._head_bytes(status, headers, length)
        if not self._head_only and length:
            data += body
        self._finish(data)

    def chunk(self, data: bytes) -> None:
        if not data or self.gone or self.ended or self._head_only:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._left is not None:
            if len(data) > self._left:
                self.cut()
                return
            self._left -= len(data)
        self._write(data)

    def end(self) -> None:
        if self.gone or self.ended:
            return
        if self._left:
            self.cut()  # fewer bytes than promised: the client must not take it for whole
            return
        self._finish(b"0\r\n\r\n" if self._chunked else b"")

    def cut(self) -> None:
        """Closes without the end that the head promised."""
        if not self.ended and not self.gone:
            self.ended = True
            self._cancel_timer()
            self._connection.close()

    def _head_bytes(self, status: int, headers: Sequence[tuple[str, str]], length: int | None) -> bytes:
        self.begun = True
        if self._connection.params.no_keep_alive:
            self._keep = False
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status {status}\r\n", _date_line(), self.extra]
        for name, value in headers:
            if _is_name(name):
                lines.append(f"{name}: {value if value.isprintable() else _CONTROLS.sub(' ', value)}\r\n")
        if length is not None:
            lines.append(f"content-length: {length}\r\n")
            self._left = length
        elif status not in _BODILESS:
            if self._old:
                self._keep = False  # HTTP/1.0 knows no chunks: the end of the connection is the end of the body
            else:
                self._chunked = True
                lines.append("transfer-encoding: chunked\r\n")
        if self.expects and not self.body_read:
            self._keep = False
        if not self._keep:
            lines.append("connection: close\r\n")
        elif self._old:
            lines.append("connection: keep-alive\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1", "replace")

    def _send(self, data: bytes) -> bytes:
        """Hands bytes to the socket; the rest that it did not take, which must go through the stream."""
        if self._socket is None or self._unsent or self._stream.writing() or self._stream.closed():
            return data
        try:
            sent = self._socket.send(data)
        except OSError:
            return data  # full, or gone: the stream finds out which, and says so in its own way
        return data[sent:] if sent < len(data) else b""

    def _write(self, data: bytes) -> None:
        data = self._send(data)
        if not data:
            return
        try:
            sent = self._stream.write(data)
        except StreamClosedError:
            self.left()
            return
        if not sent.done():
            size = len(data)
            self._unsent += size
            sent.add_done_callback(lambda _: self._flushed(size))

    def _flushed(self, size: int) -> None:
        was_paused = self.paused
        self._unsent -= size
        if was_paused and not self.paused and self.on_resume is not None and not self.gone:
            self.on_resume()

    def _finish(self, data: bytes) -> None:
        self.ended = True
        data = self._send(data) if data else data
        if data or self._unsent:  # an empty write makes finish() wait for what is still in the buffer
            self._last = self._connection.write(data)
        if self.body_read or self.gone or self.expects:
            # A client that waits for "100 Continue" has sent no body: finishing now keeps Tornado from asking for it.
            self._close_exchange()
        else:
            self._timer = asyncio.get_running_loop().call_later(SWALLOW_SECONDS, self._close_exchange)

    def _close_exchange(self) -> None:
        """Tells Tornado that the answer is over. Before the request's end was read, this closes the connection."""
        self._cancel_timer()
        if self.gone:
            return
        if self._old and not self._keep:
            # Tornado may have promised this HTTP/1.0 client to keep the connection, but only its end ends the body.
            if self._last is not None:
                self._last.add_done_callback(lambda _: self._connection.close())
            else:
                self._connection.close()
        else:
            self._connection.finish()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ------------------------------------------------------------------ the request's side

    def close_after(self) -> None:
        """This answer is the connection's last, and its exchange ends at once: nothing more of the request is read."""
        self._keep = False
        self.body_read = True

    def swallow(self, size: int) -> None:
        """Body bytes that came after the answer was decided."""
        self._swallowed += size
        if self._swallowed > SWALLOW_BYTES and self.ended:
            self._close_exchange()

    def request_ended(self) -> None:
        """The whole request has been read."""
        self.body_read = True
        if self.ended and self._timer is not None:
            self._close_exchange()

    def left(self) -> None:
        """The client went away."""
        if self.gone:
            return
        self.gone = True
        self._cancel_timer()
        if self.on_gone is not None and not self.ended:
            self.on_gone()
