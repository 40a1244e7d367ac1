"""What is told to a delivery (deliver.py) before its exchange begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monorelay.dialects.interface import StreamError, Translation
from monorelay.relay.call import Reply
from monorelay.relay.outcome import Headers


# Frozen by convention: a dataclass that enforces it takes microseconds more to make, and one is made for every request.
@dataclass(slots=True, eq=False)
class Delivering:
    """What one delivery needs to know. ``commit`` makes the client's header fields from the upstream's status and fields."""

    reply: Reply
    translation: Translation
    commit: Callable[[int, Headers], list[tuple[str, str]]]
    where: str  # "[provider]", for error messages
    checked: bool  # whether a whole JSON answer must look whole
    native: bool  # whether bytes go through as they came; otherwise every answer is read
    keepalive: float  # seconds; 0 = off
    stream: bool  # whether a stream was asked for
    capability: str  # whose objects the answer may name
    upstream: str  # the capability in whose words the upstream answers
    unrolls: Callable[[bytes], bytes | StreamError | None] | None = None  # tells a whole answer as the stream that was asked for
    refuses: Callable[[bytes], bool] | None = None  # whether a whole answer says no more than that its content was filtered
    refuses_stream: Callable[[bytes], bool] | None = None  # the same of a stream, of what was heard so far
