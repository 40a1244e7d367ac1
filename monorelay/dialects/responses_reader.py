"""A stream of openai.responses for a client of another dialect: read here, event by event, and told by the pair's writer.

| event | what is read of it |
| --- | --- |
| response.created, queued, in_progress | id, model |
| output_item.added | a call begins |
| output_text, refusal, reasoning_summary_text, reasoning_text, function_call_arguments, custom_tool_call_input: .delta | a piece |
| the same: .done | what was not told of it in pieces |
| output_text.annotation.added | a source |
| output_item.done | the rest of the item; its end |
| response.completed, incomplete | the rest of everything; usage; the end |
| response.failed, error | before any content the attempt fails; later the error is told |
| all others: parts, keep-alives, tools that the vendor runs | nothing |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from monorelay.dialects.envelopes import in_band_error, keepalive
from monorelay.dialects.interface import StreamError, Truncated, Usage
from monorelay.dialects.json_events import JsonEvents, Parsed
from monorelay.dialects.refusals import common_error
from monorelay.dialects.responses_items import Fields, OutputItems, Teller
from monorelay.dialects.responses_output import CALL, CUSTOM, incomplete_reason
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error
from monorelay.dialects.usage import merge_usage, read_usage
from monorelay.errors import ErrorBody

C = TypeVar("C")
ErrorIn = Callable[[str, Fields], StreamError | None]


class Writer(Teller[C], Protocol[C]):
    """A client's stream being written. ``has_content`` is true from the first text, thought or call on."""

    @property
    def has_content(self) -> bool: ...
    def take(self) -> bytes:
        """What was written since the last time: whole events."""
        ...

    def start(self, response: Fields) -> None:
        """The response as it announces itself; may come several times, or only with its end."""
        ...

    def end(self, response: Fields, incomplete: str | None, usage: Usage | None) -> None: ...


def error_in(name: str, fields: Fields) -> StreamError | None:
    """The error that an event is; None where it is none."""
    error = find_error(Event(name, b"", b""), fields)
    return None if error is None else StreamError(error.status, common_error(error.status, error.body))


class ResponsesReader:
    """The transducer. Mutable, changed by ``feed``, ``close`` and ``fail``: what was seen so far. ``finished`` is true when the
    client has been told the end, or the relay an error.
    """

    at_boundary = True
    object_ids: tuple[str, ...] = ()  # nobody keeps the response

    __slots__ = ("_client", "_error_in", "_events", "_items", "_writer", "error", "finished", "usage")

    def __init__(self, client: str, writer: Writer[Any], error_in: ErrorIn = error_in) -> None:
        self._client = client
        self._writer = writer
        self._error_in = error_in
        self._events = JsonEvents()
        self._items: OutputItems[Any] = OutputItems(writer)
        self.usage: Usage | None = None
        self.error: StreamError | None = None
        self.finished = False

    def __repr__(self) -> str:
        return f"<ResponsesReader for {self._client} opened={self.opened} finished={self.finished}>"

    @property
    def opened(self) -> bool:
        return self._writer.has_content or (self.finished and self.error is None)

    def feed(self, chunk: bytes) -> bytes:
        if self.finished:
            return b""
        self._take_all(self._events.feed(chunk))
        return self._written()

    def close(self) -> bytes:
        if self.finished:
            if self.error is None or self.opened:
                return b""
            # Told after all: the relay that still asks had committed before there was content, and could not try elsewhere.
            return in_band_error(self._client, self.error.body, at_boundary=True)
        self._take_all(self._events.finish())
        if not self.finished:
            raise Truncated("the stream ended without response.completed")
        if self.error is not None and not self.opened:
            self.finished = False  # so that the attempt still fails, or the client is told by ``fail``
            raise Truncated(self.error.body.message)
        return self._written()

    def fail(self, error: ErrorBody) -> bytes:
        """The error that ends the client's stream; nothing where that has ended already."""
        if self.finished:
            return b""
        self.finished = True
        return in_band_error(self._client, error, at_boundary=True)

    def keepalive(self) -> bytes:
        return keepalive(self._client)

    # ------------------------------------------------------------------ events

    def _take_all(self, events: Sequence[Parsed]) -> None:
        for name, fields in events:
            if fields is not None and not self.finished:
                self._take(name, fields)

    def _written(self) -> bytes:
        """What was told; the error behind it, unless it came before any content: then the attempt fails."""
        told = self._writer.take()
        return (
            told if self.error is None or not self.opened else told + in_band_error(self._client, self.error.body, at_boundary=True)
        )

    def _take(self, name: str, fields: Fields) -> None:
        kind = fields.get("type")
        take = _EVENTS.get(kind if isinstance(kind, str) else name)
        if take is not None:
            take(self, fields)
        elif kind == "error" or name == "error" or "error" in fields:
            self.error = self._error_in(name, fields)
            self.finished = self.error is not None

    def _start(self, fields: Fields) -> None:
        response = fields.get("response")
        if isinstance(response, dict):
            self._writer.start(response)

    def _end(self, fields: Fields) -> None:
        response = fields.get("response")
        response = response if isinstance(response, dict) else {}
        told = response.get("usage")
        if isinstance(told, dict):
            self.usage = merge_usage(self.usage, read_usage(told))
        self.finished = True
        kind, status = fields.get("type"), response.get("status")
        if kind in _FAILURES or status in ("failed", "cancelled"):
            inside = response.get("error") or fields.get("error") or {"code": status if isinstance(status, str) else "failed"}
            self.error = self._error_in("error", {"error": inside})
            return
        self._writer.start(response)
        incomplete = incomplete_reason(response, kind == "response.incomplete")
        self._items.settle(response, incomplete is not None)
        self._writer.end(response, incomplete, self.usage)


_FAILURES = ("response.failed", "response.cancelled")


def _items(take: Callable[..., None], *more: str) -> Callable[[ResponsesReader, Fields], None]:
    return lambda reader, fields: take(reader._items, fields, *more)


_SUMMARY, _CONTENT = ("summary", "summary_index"), ("content", "content_index")
_EVENTS: Mapping[str, Callable[[ResponsesReader, Fields], None]] = {
    "response.created": ResponsesReader._start,
    "response.queued": ResponsesReader._start,
    "response.in_progress": ResponsesReader._start,
    "response.output_item.added": _items(OutputItems.add),
    "response.output_item.done": _items(OutputItems.end),
    "response.output_text.delta": _items(OutputItems.text),
    "response.output_text.done": _items(OutputItems.end_text),
    "response.output_text.annotation.added": _items(OutputItems.annotate),
    "response.refusal.delta": _items(OutputItems.refusal),
    "response.refusal.done": _items(OutputItems.end_refusal),
    "response.reasoning_summary_text.delta": _items(OutputItems.think, *_SUMMARY),
    "response.reasoning_summary_text.done": _items(OutputItems.end_thinking, *_SUMMARY),
    "response.reasoning_text.delta": _items(OutputItems.think, *_CONTENT),
    "response.reasoning_text.done": _items(OutputItems.end_thinking, *_CONTENT),
    "response.function_call_arguments.delta": _items(OutputItems.argue, CALL),
    "response.function_call_arguments.done": _items(OutputItems.end_arguing, CALL),
    "response.custom_tool_call_input.delta": _items(OutputItems.argue, CUSTOM),
    "response.custom_tool_call_input.done": _items(OutputItems.end_arguing, CUSTOM),
    "response.completed": ResponsesReader._end,
    "response.done": ResponsesReader._end,  # what some relays call it
    "response.incomplete": ResponsesReader._end,
    "response.failed": ResponsesReader._end,
    "response.cancelled": ResponsesReader._end,
}
