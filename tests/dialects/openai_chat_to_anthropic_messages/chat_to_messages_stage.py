"""What these tests share: a translation to look at, and events to feed."""

from __future__ import annotations

import json
from typing import Any

from monorelay.dialects.interface import Hints, Translation
from monorelay.dialects.openai_chat_to_anthropic_messages import TRANSLATOR
from monorelay.dialects.quirks import Quirks

USER = {"role": "user", "content": "Hi"}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def hints(strict: bool = False, **quirks: Any) -> Hints:
    return Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(**quirks), strict)


def begin(body: dict[str, Any], strict: bool = False, **quirks: Any) -> Translation:
    return TRANSLATOR.begin({"model": "m", "messages": [USER], **body}, b"", hints(strict, **quirks))


def upstream(body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    """The translated request."""
    found: dict[str, Any] = json.loads(begin(body, **quirks).request)
    return found


def lost(body: dict[str, Any], **quirks: Any) -> tuple[str, ...]:
    return begin(body, **quirks).lost


def turns(*messages: dict[str, Any], **quirks: Any) -> list[dict[str, Any]]:
    """The turns that these messages become."""
    found: list[dict[str, Any]] = upstream({"messages": list(messages)}, **quirks)["messages"]
    return found


def calls(*ids: str, name: str = "clock", **more: Any) -> dict[str, Any]:
    """An assistant's message that calls a tool, once per id."""
    told = [{"id": each, "type": "function", "function": {"name": name, "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": told, **more}


def result(call_id: str, content: Any = "12:00") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def start(**usage: int) -> bytes:
    told = {"input_tokens": 25, "output_tokens": 1, **usage}
    return event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "usage": told})


def block(index: int, kind: str, *deltas: tuple[str, str, str], **fields: Any) -> bytes:
    """A whole block: its start, its deltas as (type, field, value), its stop."""
    told = [event("content_block_start", index=index, content_block={"type": kind, **fields})]
    told += [event("content_block_delta", index=index, delta={"type": each, field: value}) for each, field, value in deltas]
    return b"".join([*told, event("content_block_stop", index=index)])


def text(index: int, *pieces: str) -> bytes:
    return block(index, "text", *(("text_delta", "text", piece) for piece in pieces), text="")


def end(reason: str = "end_turn", **usage: int) -> bytes:
    told = {"output_tokens": 9, **usage}
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=told) + event("message_stop")


def message(*content: dict[str, Any], reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    """A whole answer of the upstream."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 9},
        **fields,
    }
