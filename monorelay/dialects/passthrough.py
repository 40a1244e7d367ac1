"""A capability paired with itself: bytes go through as they came, and a watcher looks at them in passing.

``NativeTransducer`` is the hot path of every native stream: a chunk costs a few substring searches once content has begun. A stream
that cannot be read, because it is compressed, has no transducer: nothing could be seen in it, or written between its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import in_band_error, keepalive
from monorelay.dialects.interface import Hints, StreamError, Truncated, Usage
from monorelay.dialects.json_events import ENDED_AT_ONCE
from monorelay.dialects.object_ids import ids_of
from monorelay.dialects.openai_chat import DONE
from monorelay.dialects.sse import Boundary, Event, EventRuns, read_events
from monorelay.dialects.stream_errors import read_error
from monorelay.dialects.usage import find_usage, merge_usage
from monorelay.dialects.watchers import watcher_for
from monorelay.errors import ErrorBody

_USAGE = b'"usage"'
_ENDS = {b"{": b"}", b"[": b"]"}
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null', re.DOTALL)  # JSON that is neither object nor array
_SEQUENCE = re.compile(rb'"sequence_number"\s*:\s*(\d{1,18})')


class Passthrough:
    """The translator of a capability with itself.

    >>> Passthrough("openai.chat").begin({}, b'{"model":"m"}', hints).request
    b'{"model":"m"}'
    """

    native = True

    def __init__(self, capability: str) -> None:
        self.client = capability
        self.upstream = capability

    def __repr__(self) -> str:
        return f"<Passthrough {self.client}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> NativeTranslation:
        return NativeTranslation(self.client, raw, hints)


class NativeTranslation:
    """Mutable: the answer, kept so that its usage can be looked for when somebody asks."""

    __slots__ = ("_answer", "_capability", "_hints", "request")

    lost: tuple[str, ...] = ()

    def __init__(self, capability: str, raw: bytes, hints: Hints) -> None:
        self.request = raw
        self._capability = capability
        self._hints = hints
        self._answer = b""

    @property
    def usage(self) -> Usage | None:
        return find_usage(self._answer)

    def answer(self, body: bytes) -> bytes:
        """The same object. For JSON answers only: it is not parsed, but one that does not end like JSON was cut."""
        end = body[-64:].rstrip() or body.rstrip()
        if end[-1:] != _ENDS.get(body.lstrip()[:1]) and not _SCALAR.fullmatch(body.strip()):
            raise Truncated("the answer ends in the middle of its JSON")
        self._answer = body
        return body

    def refusal(self, status: int, body: bytes) -> bytes | None:
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(fields, dict) and isinstance(fields.get("error"), dict) else None

    def stream(self) -> NativeTransducer:
        return NativeTransducer(self._capability, self._hints)


class NativeTransducer:
    """Mutable, changed by ``feed`` and ``close`` only: what was seen, the open event, the last run and the last that told usage."""

    __slots__ = (
        "_announced",
        "_begun",
        "_boundary",
        "_capability",
        "_hints",
        "_latest",
        "_runs",
        "_suspects",
        "_usage",
        "_usage_run",
        "_watcher",
        "error",
        "finished",
        "opened",
    )

    def __init__(self, capability: str, hints: Hints) -> None:
        self.opened = False
        self.finished = False
        self.error: StreamError | None = None
        self._capability = capability
        self._hints = hints
        self._watcher = watcher_for(capability)
        self._suspects = self._watcher.suspects
        self._boundary = Boundary()
        self._runs = EventRuns()
        self._announced: Mapping[str, Any] = {}
        self._begun = False  # there was an event
        self._latest = b""
        self._usage: Usage | None = None
        self._usage_run = b""

    def __repr__(self) -> str:
        return f"<NativeTransducer {self._capability} opened={self.opened} finished={self.finished}>"

    @property
    def at_boundary(self) -> bool:
        return self._boundary.reached

    @property
    def usage(self) -> Usage | None:
        if self._usage_run:
            self._usage = merge_usage(self._usage, find_usage(self._usage_run))
            self._usage_run = b""
        return self._usage

    @property
    def object_ids(self) -> tuple[str, ...]:
        return ids_of(self._capability, self._announced)

    def feed(self, chunk: bytes) -> bytes:
        self._boundary.feed(chunk)
        run = self._runs.feed(chunk)
        if run:
            if not self.opened or self._suspects(run):
                self._look_at(read_events(run))
            elif run.find(_USAGE) >= 0 and _tells_usage(run):
                self._usage_run = run
            self._latest = run
        return chunk

    def close(self) -> bytes:
        """b"", or Truncated. A last event that lacks only its blank line counts: servers forget it, and nothing is missing."""
        self._look_at(_whole_events(self._runs.rest))
        if not self.finished and self._watcher.terminal:
            raise Truncated(f"the stream ended without {self._watcher.terminal}")
        self.finished = True
        return b""

    def fail(self, error: ErrorBody) -> bytes:
        return in_band_error(
            self._capability,
            error,
            at_boundary=self.at_boundary,
            response=self._response() if self._capability == "openai.responses" else None,
            sequence_number=self._next_sequence_number(),
        )

    def keepalive(self) -> bytes:
        return keepalive(self._capability)

    def _look_at(self, events: list[Event]) -> None:
        for event in events:
            if not self._begun:
                self._begun = True
                if event.data.strip() == DONE and self._watcher.terminal:  # the end of no answer
                    self.error, self.finished = read_error(ENDED_AT_ONCE), True
                    continue
            if _USAGE in event.data:
                self._usage = merge_usage(self.usage, find_usage(event.data))
            seen = self._watcher.read(event)
            if seen.error is not None and self.error is None:
                self.error = seen.error
            if seen.announced is not None:
                self._announced = seen.announced
            if seen.finished or seen.error is not None:
                self.finished = True
            if (seen.content or seen.finished) and self.error is None:
                self.opened = True

    def _response(self) -> Mapping[str, Any]:
        """The object that the stream is about: as it announced itself, else as we can best name it."""
        unsaid = {"created_at": self._hints.created, "model": self._hints.model}
        known = {**unsaid, **self._announced}
        return known if known.get("id") else {**known, "id": self._hints.new_id("resp_")}

    def _next_sequence_number(self) -> int | None:
        numbers = _SEQUENCE.findall(self._latest)
        return int(numbers[-1]) + 1 if numbers else None


def _tells_usage(run: bytes) -> bool:
    """Whether a usage in it is more than the null that every chunk of some streams carries."""
    return run.count(_USAGE) > run.count(b'"usage":null') + run.count(b'"usage": null')


def _whole_events(rest: bytes) -> list[Event]:
    """What the bytes after the last blank line would be with one behind them; nothing when they end inside their data."""
    return [event for event in read_events(rest + b"\n\n") if event.data.strip() == DONE or _is_json(event.data)]


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
