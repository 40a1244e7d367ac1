"""The seam between the relay and the network: one small push interface, two engines behind it.

An engine sends an ``UpstreamRequest`` and tells a ``Receiver`` what comes back, as it comes back. It knows no dialect, no YAML
and no key: headers arrive as finished lines. ``curl.py`` is the real engine, ``scripted.py`` its stand-in for tests; the same
contract suite runs on both.

The rules, for every engine:

* ``head``, ``chunk``, ``end`` and ``failed`` may be called from inside libcurl and from inside ``resume()``, never from inside
  ``start()`` and never after ``abort()``. Exactly one of ``end`` and ``failed`` comes, and it is the last.
* ``head`` comes once, for the final status (informational 1xx heads are swallowed), and before any ``chunk``. No chunk is
  empty, none is delivered twice.
* All calls on the engine and the exchange are legal at any time, inside a receiver's method too: what libcurl forbids there is
  deferred to the next turn of the loop. ``pause()`` takes effect before the next chunk. All three are harmless when repeated or
  when the exchange is over.
* No redirects, no decompression of relayed bytes, no path clean-up: what the request says is what goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from monorelay.upstream.upload import Upload

Phase = Literal["connect", "tls", "send", "first_byte", "idle", "total", "body"]


class Timeouts(Protocol):
    """Four limits in seconds; None means no limit.

    ``connect`` covers DNS, TCP and TLS; ``first_byte`` runs from the moment the request is sent up whole (for a streamed upload:
    since the last byte taken) to the first byte of the final head; ``idle`` between any two reads after that, not counting the
    time the receiver itself has paused; ``total`` covers everything.
    """

    @property
    def connect(self) -> float | None: ...
    @property
    def first_byte(self) -> float | None: ...
    @property
    def idle(self) -> float | None: ...
    @property
    def total(self) -> float | None: ...


# Frozen by convention: a dataclass that enforces it takes microseconds more to make, and one is made for every request.
@dataclass(slots=True, eq=False)
class UpstreamRequest:
    """One request, ready to send.

    ``headers`` are finished lines (``"Name: value"``), without Host, Content-Length and Transfer-Encoding, which the engine writes;
    it adds nothing else. ``body`` is bytes, an ``Upload`` that is still arriving (sent on a fresh connection, and only once), or
    None for no body at all (no Content-Length either, unless the method is POST, PUT or PATCH: then ``Content-Length: 0``).
    The repr leaves headers, body and the query out: they may hold credentials and prompts.
    """

    method: str
    url: str
    headers: tuple[str, ...]
    body: bytes | Upload | None
    timeouts: Timeouts

    def __repr__(self) -> str:
        return f"<UpstreamRequest {self.method} {self.url.partition('?')[0]}>"


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """Why an exchange ended without a whole answer. ``reason`` is a short sentence; it never holds a header, a key or a query."""

    phase: Phase
    reason: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the start of the exchange, as libcurl measured them; 0.0 where a phase did not happen.

    ``sent`` is the moment when the connection was there and the request began to go out.
    """

    name_lookup: float
    connect: float
    tls: float
    sent: float
    first_byte: float
    total: float
    reused: bool
    http_version: str
    remote_ip: str


class Receiver(Protocol):
    """Who hears of an exchange. Its methods must not raise: an exception is logged and turned into abort + ``failed('body')``."""

    def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The final status line and header fields: names in lower case, in order, repeated ones repeated."""
        ...

    def chunk(self, data: bytes) -> None:
        """Bytes of the body, never empty, as they came (de-chunked, not decoded)."""
        ...

    def end(self) -> None:
        """The body is complete by the transport's own measure (length, last chunk, or an orderly close where HTTP allows it)."""
        ...

    def failed(self, failure: UpstreamFailure) -> None: ...


class Exchange(Protocol):
    """One request in flight."""

    def pause(self) -> None:
        """Stop delivering chunks; the upstream is slowed down by TCP (or the HTTP/2 window)."""
        ...

    def resume(self) -> None: ...

    def abort(self) -> None:
        """Close it now; the receiver hears nothing any more. The upstream sees it within milliseconds."""
        ...

    def timings(self) -> Timings:
        """Legal from ``head`` on, until the receiver's ``end`` or ``failed`` returns; RuntimeError after that.

        Inside ``head`` and ``chunk`` only ``first_byte`` and ``total`` are known yet, and the rest is 0.0: libcurl cannot be
        asked there.
        """
        ...


class Engine(Protocol):
    def start(self, request: UpstreamRequest, receiver: Receiver) -> Exchange: ...

    def shut(self) -> None:
        """Abort every exchange and close every connection. The engine cannot be used afterwards."""
        ...
