"""What the native path must know of a stream that it does not translate: when content begins, errors, the terminal marker.

One row per dialect. ``read`` tells what one event means; it is asked of every event until content has begun. After that bytes only
pass, and ``suspects`` is asked of each run of events: a few substring searches, which cost less than a microsecond. They look for
words and may err on the safe side (a model may write "message_stop"): a suspected run is then read event by event, so
nothing that is quoted inside a text ever counts.

Content also "begins" with a terminal marker: a stream that ends without any has nothing left to wait for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.dialects import anthropic_messages, openai_chat, openai_responses
from monorelay.dialects.interface import StreamError
from monorelay.dialects.object_ids import first_id
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error, read_error

_PARSED = 256 * 1024  # an event beyond it is judged by its name alone; those that decide something early are far smaller
_LONG = 8 * 1024  # beyond it an event that cannot be parsed is one that was too long to be kept whole, and so holds content
_TYPE = re.compile(rb'\{\s*"type"\s*:\s*"([^"\\]{1,100})"')


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one event told. ``announced`` holds the id, and what else is known, of the object that the stream creates."""

    content: bool = False
    finished: bool = False
    error: StreamError | None = None
    announced: Mapping[str, Any] | None = None


_NOTHING = Sighting()
_CONTENT = Sighting(content=True)
_FINISHED = Sighting(finished=True)


@dataclass(frozen=True, slots=True)
class Watcher:
    """``terminal`` names the marker that must be seen, for the sentence that misses it; "" where the transport's end is enough."""

    terminal: str
    read: Callable[[Event], Sighting]
    suspects: Callable[[bytes], bool]


def watcher_for(capability: str) -> Watcher:
    """Total: an operator's own capability gets a watcher that knows no marker."""
    return _WATCHERS.get(capability, _UNKNOWN)


def is_over(capability: str, chunk: bytes) -> bool:
    """Whether a finished stream, of which this came last, has said all. Behind the finish_reason of one choice of a chat there may
    be other choices, and the usage; only its last word is the last."""
    return _WATCHERS.get(capability) is not _CHAT or chunk.rstrip().endswith(openai_chat.DONE)


def _fields(event: Event) -> dict[str, Any]:
    data = event.data
    if len(data) > _PARSED or not data.lstrip().startswith(b"{"):
        return {}
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_cut_content(event: Event, fields: Mapping[str, Any]) -> bool:
    return not fields and len(event.data) > _LONG


def _kind(event: Event, fields: Mapping[str, Any]) -> str:
    kind = fields.get("type")
    if isinstance(kind, str):
        return kind
    match = None if fields or event.name else _TYPE.match(event.data)
    return match[1].decode("utf-8", "replace") if match else event.name


# Searches by ``find``, because ``in`` costs half as much again on bytes: it first tries to take its operand for a number.


# chat/completions, completions

_FINISH_REASON = b'"finish_reason"'
_FINISHED_IN_BYTES = re.compile(rb'"finish_reason"\s*:\s*"[^"]')  # a key for certain: inside a string its quotes would be escaped


def _read_chat(event: Event) -> Sighting:
    if event.data.strip() == openai_chat.DONE:
        return _FINISHED
    fields = _fields(event)
    error = find_error(event, fields)
    if error is not None:
        return Sighting(error=error)
    if _is_cut_content(event, fields):
        return Sighting(content=True, finished=_FINISHED_IN_BYTES.search(event.data) is not None)
    content = finished = False
    choices = fields.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if isinstance(choice.get("error"), dict):
            return Sighting(error=read_error(choice["error"]))
        content = content or bool(choice.get("text")) or _holds_content(choice.get("delta") or choice.get("message"))
        finished = finished or bool(choice.get("finish_reason"))
    return Sighting(content, finished)


def _holds_content(delta: object) -> bool:
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key not in openai_chat.ROLE_ONLY)


def _suspects_chat(run: bytes) -> bool:
    at = run.rfind(_FINISH_REASON)
    while at >= 0:
        if not run.startswith((b":null", b": null"), at + len(_FINISH_REASON)):
            return True
        at = run.rfind(_FINISH_REASON, 0, at)
    return run.find(openai_chat.DONE) >= 0 or run.find(b"error") >= 0


# responses


def _read_responses(event: Event) -> Sighting:
    fields = _fields(event)
    kind = _kind(event, fields)
    if kind in (openai_responses.COMPLETED, openai_responses.INCOMPLETE):
        return _FINISHED
    response = fields.get("response")
    response = response if isinstance(response, dict) else {}
    if kind == openai_responses.FAILED:
        return Sighting(error=read_error(response.get("error") or {}))
    error = find_error(event, fields)
    if error is not None:
        return Sighting(error=error)
    if kind in openai_responses.ANNOUNCING:
        return Sighting(announced=_announced(response) or {"id": first_id(event.data)})
    return Sighting(content=_is_cut_content(event, fields) or _is_response_content(kind, fields))


def _announced(fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: fields.get(name) for name in ("id", "created_at", "model", "thread_id")}
    return {name: value for name, value in known.items() if isinstance(value, str | int | float)}


def _is_response_content(kind: str, fields: Mapping[str, Any]) -> bool:
    """Whatever belongs to an output item, but for empty shells. Events about none (keep-alives, rate limits) are not content."""
    if "output_index" not in fields and "item_id" not in fields:
        return False
    if kind.endswith("_part.added"):
        return False
    if kind == "response.output_item.added":
        item = fields.get("item")
        return isinstance(item, dict) and item.get("type") not in openai_responses.EMPTY_ITEMS
    return fields.get("delta") != ""


def _suspects_responses(run: bytes) -> bool:
    return (
        run.find(b"response.completed") >= 0
        or run.find(b"response.incomplete") >= 0
        or run.find(b"response.failed") >= 0
        or run.find(b"error") >= 0
    )


# messages


def _read_messages(event: Event) -> Sighting:
    fields = _fields(event)
    error = find_error(event, fields)
    if error is not None:
        return Sighting(error=error)
    kind = _kind(event, fields)
    if kind == anthropic_messages.MESSAGE_STOP:
        return _FINISHED
    if _is_cut_content(event, fields):
        return _CONTENT
    if kind == anthropic_messages.BLOCK_START:
        block = fields.get("content_block")
        return Sighting(content=isinstance(block, dict) and _is_filled(block))
    if kind == anthropic_messages.BLOCK_DELTA:
        delta = fields.get("delta")
        return Sighting(content=isinstance(delta, dict) and any(value for key, value in delta.items() if key != "type"))
    return _NOTHING


def _is_filled(block: Mapping[str, Any]) -> bool:
    text = anthropic_messages.EMPTY_BLOCKS.get(str(block.get("type")))
    return text is None or bool(block.get(text))


def _suspects_messages(run: bytes) -> bool:
    return run.find(b"message_stop") >= 0 or run.find(b"error") >= 0


# images, audio: every event but an error is content


def _read_media(event: Event) -> Sighting:
    if event.data.strip() == openai_chat.DONE:
        return _FINISHED
    fields = _fields(event)
    error = find_error(event, fields)
    if error is not None:
        return Sighting(error=error)
    kind = _kind(event, fields)
    return Sighting(content=True, finished=kind in _MEDIA_DONE or kind.endswith(".completed"))


_MEDIA_DONE = frozenset({"transcript.text.done", "speech.audio.done"})


def _suspects_media(run: bytes) -> bool:
    return run.find(b".completed") >= 0 or run.find(b".done") >= 0 or run.find(openai_chat.DONE) >= 0 or run.find(b"error") >= 0


# assistants: a run changes its thread from the first event on, so a repeat would run twice; whatever comes first commits


def _read_assistants(event: Event) -> Sighting:
    if event.name == "done":
        return _FINISHED
    fields = _fields(event)
    if event.name == "error" or not event.name:
        error = find_error(event, fields)
        if error is not None:
            return Sighting(error=error)
    announced = _announced(fields) if event.name in ("thread.created", "thread.run.created") else None
    return Sighting(content=True, announced=announced)


def _suspects_assistants(run: bytes) -> bool:
    return run.find(b"done") >= 0 or run.find(b".created") >= 0 or run.find(b"error") >= 0


# an operator's own capability


def _read_unknown(event: Event) -> Sighting:
    error = find_error(event, _fields(event))
    return _CONTENT if error is None else Sighting(error=error)


def _suspects_nothing(run: bytes) -> bool:
    return False


_CHAT = Watcher("[DONE] or a finish_reason", _read_chat, _suspects_chat)
_MEDIA = Watcher("its last event", _read_media, _suspects_media)
_UNKNOWN = Watcher("", _read_unknown, _suspects_nothing)
_WATCHERS = {
    "openai.chat": _CHAT,
    "openai.completions": _CHAT,
    "openai.responses": Watcher("response.completed", _read_responses, _suspects_responses),
    "openai.images.generations": _MEDIA,
    "openai.images.edits": _MEDIA,
    "openai.audio.transcriptions": _MEDIA,
    "openai.audio.translations": _MEDIA,
    "openai.audio.speech": _MEDIA,
    "openai.assistants": Watcher("event: done", _read_assistants, _suspects_assistants),
    "anthropic.messages": Watcher("message_stop", _read_messages, _suspects_messages),
}
