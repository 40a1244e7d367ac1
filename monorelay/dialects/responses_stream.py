"""The frame of a transducer towards openai.responses: what is the same whatever the upstream speaks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from monorelay.dialects.envelopes import keepalive
from monorelay.dialects.interface import Hints, StreamError, Truncated, Usage
from monorelay.dialects.json_events import JsonEvents
from monorelay.dialects.refusals import openai_error
from monorelay.dialects.responses_writer import ResponseWriter
from monorelay.dialects.usage import merge_usage, read_usage
from monorelay.errors import ErrorBody


class ResponseStream(ABC):
    """A pair's stream fills in ``_take``, and says what ``terminal`` it waits for.

    Mutable, changed by ``feed``, ``close`` and ``fail``: what was seen so far. ``finished`` is only true when the client has been
    told the end.
    """

    at_boundary = True
    object_ids: tuple[str, ...] = ()  # nobody keeps the response
    terminal = ""

    __slots__ = ("_events", "_writer", "error", "finished", "usage")

    def __init__(self, repeated: Mapping[str, Any], hints: Hints, seal: Callable[[str], str] | None = None) -> None:
        self._events = JsonEvents()
        self._writer = ResponseWriter(repeated, hints, seal)
        self.usage: Usage | None = None
        self.error: StreamError | None = None
        self.finished = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} opened={self.opened} finished={self.finished}>"

    @property
    def opened(self) -> bool:
        return self._writer.has_content or self._is_all_told or self._writer.whole is not None

    @property
    def whole(self) -> dict[str, Any] | None:
        """The response, once it has ended."""
        return self._writer.whole

    def feed(self, chunk: bytes) -> bytes:
        for name, fields in self._events.feed(chunk):
            if not self.finished:
                self._take(name, fields)
        if self.error is not None and not self.opened:
            return b""
        return self._writer.take()

    def close(self) -> bytes:
        had_failed = self.error is not None
        for name, fields in self._events.finish():
            if not self.finished:
                self._take(name, fields)
        if self.error is not None and not self.opened:
            if not had_failed:
                self.finished = False  # the client was told nothing of it, and the attempt can still fail
                raise Truncated(self.error.body.message)
            # Told after all: the relay that still asks had committed before there was content, and could not try elsewhere.
            self._writer.fail(self.error.body, self.usage)
        elif not self.finished:
            if not self._is_all_told:
                raise Truncated(f"the stream ended without {self.terminal}")
            self._end()
        return self._writer.take()

    def fail(self, error: ErrorBody) -> bytes:
        """The error; but where the upstream had told all, nothing of the answer is missing, and the response just ends."""
        if self.finished:
            return b""
        if self._is_all_told:
            self._end()
        else:
            self.finished = True
            self._writer.fail(error, self.usage)
        return self._writer.take()

    def keepalive(self) -> bytes:
        return keepalive("openai.responses")

    # ------------------------------------------------------------------ for the pairs

    @property
    def _is_all_told(self) -> bool:
        """Whether only the bookkeeping is missing."""
        return False

    @abstractmethod
    def _take(self, name: str, fields: Mapping[str, Any] | None) -> None:
        """One event of the upstream's; None in the place of its data is ``[DONE]``."""

    @abstractmethod
    def _end(self) -> None:
        """Tells the client the end."""

    def _tell(self, usage: object) -> None:
        if isinstance(usage, dict):
            self.usage = merge_usage(self.usage, read_usage(usage))

    def _break(self, error: StreamError) -> None:
        """The upstream's error: for the relay before any content, for the client after it."""
        self.error = StreamError(error.status, openai_error(error.status, error.body))
        self.finished = True
        if self.opened:
            self._writer.fail(self.error.body, self.usage)
