"""What a dialect room gives the relay: translators, the translation of one attempt, and its transducer for streams.

Everything here is pure and sans-io: bytes in, bytes out; no clock, no randomness, no logging. One ``Translator`` per
(client capability, upstream capability) pair; ``passthrough.py`` is the pair of a capability with itself.

The way of one attempt:

    translation = translator.begin(body, raw, hints)      # may raise Untranslatable
    send translation.request
    a whole answer   → translation.answer(body)           # may raise Truncated
    a refusal        → translation.refusal(status, body)
    a stream         → transducer = translation.stream(); feed … feed, close   (close may raise Truncated)
                       at any time transducer.fail(error) gives the in-band error that ends the stream
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monorelay.dialects.quirks import Quirks
from monorelay.errors import ErrorBody


class Truncated(Exception):
    """The upstream's answer ended before its own end: a missing terminal marker, or JSON that was cut."""


class Untranslatable(Exception):
    """The client's request cannot be said in the upstream's dialect. ``field`` names what is in the way."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None = nobody told. ``input`` excludes what was read from or written to a prompt cache."""

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """Everything a translation may know beyond the body; made by the relay.

    ``model`` is the name the upstream is to see, ``created`` seconds since the epoch, ``new_id`` makes an id with a prefix.
    """

    model: str
    created: int
    new_id: Callable[[str], str]
    quirks: Quirks
    strict: bool


@dataclass(frozen=True, slots=True)
class StreamError:
    """An error event that an upstream sent inside a 200 stream, seen before the first content.

    ``status`` is the HTTP status the upstream would have used (429 for a rate limit, 401 for a bad key, 400 for the caller's
    fault, else 500 or 529), so that one verdict table serves both.
    """

    status: int
    body: ErrorBody


class Transducer(Protocol):
    """One stream on its way to the client. Feeding never raises, whatever the bytes.

    ``opened``      the first content event (text, thinking, tool call) has passed, or the stream is over without any: the relay
                    commits here
    ``error``       an error event came; before ``opened`` it fails the attempt, after it the bytes have passed as they were
    ``finished``    the terminal marker (or an error event) of the upstream's dialect was seen
    ``at_boundary`` the bytes given out so far end with a whole event: only there may the relay write between them
    ``usage``       the latest figures the stream told
    ``object_ids``  ids of the objects that the stream announced (a response, a run and its thread), to be remembered
    """

    @property
    def opened(self) -> bool: ...
    @property
    def error(self) -> StreamError | None: ...
    @property
    def finished(self) -> bool: ...
    @property
    def at_boundary(self) -> bool: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def object_ids(self) -> tuple[str, ...]: ...

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes:
        """The upstream's body is over: the rest to send, often b"". Raises Truncated where the terminal marker is missing."""
        ...

    def fail(self, error: ErrorBody) -> bytes:
        """The in-band error event of the client's dialect; begins with a blank line when the stream was cut in mid-event."""
        ...

    def keepalive(self) -> bytes:
        """What keeps a silent stream open in the client's dialect: an SSE comment, or ``event: ping``."""
        ...


class Translation(Protocol):
    """One attempt's worth of a pair; remembers what the way back needs."""

    @property
    def request(self) -> bytes: ...
    @property
    def lost(self) -> tuple[str, ...]: ...
    @property
    def usage(self) -> Usage | None:
        """Known after ``answer``; found lazily on the native path (only when somebody asks)."""
        ...

    def answer(self, body: bytes) -> bytes:
        """The whole answer for the client. Raises Truncated when the body was cut."""
        ...

    def refusal(self, status: int, body: bytes) -> bytes | None:
        """The upstream's own error in the client's dialect, or None when it has no ``error`` object (the relay then wraps it)."""
        ...

    def stream(self) -> Transducer: ...


class Translator(Protocol):
    """One pair; stateless. ``native`` means bytes are relayed as they are."""

    @property
    def client(self) -> str: ...
    @property
    def upstream(self) -> str: ...
    @property
    def native(self) -> bool: ...

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> Translation: ...
