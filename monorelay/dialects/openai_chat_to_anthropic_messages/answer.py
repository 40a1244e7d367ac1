"""The upstream's message as a chat completion with one choice; what the stream says too is in tables and functions of its own.

| block | becomes |
| --- | --- |
| text | content, joined; its citations are annotations |
| thinking | reasoning_content, and itself in thinking_blocks |
| redacted_thinking | itself in thinking_blocks |
| tool_use | a tool call; the structured answer's tool: content; a custom tool: its text |
| what the upstream did for itself (server_tool_use and its results) | nothing |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.finish_reasons import finish_reason_for
from monorelay.dialects.interface import Truncated, Usage
from monorelay.dialects.openai_chat_to_anthropic_messages.request import Asked
from monorelay.dialects.string_argument import unwrap
from monorelay.dialects.usage import read_usage
from monorelay.dialects.usage_shapes import chat_usage

_TIERS = {"standard": "default", "priority": "priority"}


def translate_answer(body: bytes, asked: Asked) -> tuple[bytes, Usage | None]:
    """The completion, and its usage. Raises Truncated when the body is no whole message."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise Truncated("the answer ends in the middle of its JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise Truncated(_error_in(message) or "the answer is no message")
    told = message.get("usage")
    usage = read_usage(told) if isinstance(told, dict) else None
    said = _Said(asked)
    for block in message["content"]:
        if isinstance(block, dict):
            said.add(block)
    reason = message.get("stop_reason")
    completion: dict[str, Any] = {
        "id": chat_id(message.get("id"), asked),
        "object": "chat.completion",
        "created": asked.hints.created,
        "model": model_of(message, asked),
        "choices": [
            {
                "index": 0,
                "message": said.message(refusal_text(message)),
                "logprobs": None,
                "finish_reason": finish_reason(reason, said.is_calling, asked),
            }
        ],
    }
    shape = chat_usage(usage)
    if shape is not None:
        completion["usage"] = shape
    tier = service_tier(told)
    if tier is not None:
        completion["service_tier"] = tier
    return as_json(completion), usage


class _Said:
    """Mutable: what the blocks have said so far."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._text = ""
        self._reasoning = ""
        self._thinking: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []

    @property
    def is_calling(self) -> bool:
        return bool(self._calls)

    def add(self, block: Mapping[str, Any]) -> None:
        kind = block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            start = len(self._text)
            self._text += block["text"]
            self._annotations += annotations_of(block.get("citations"), start, len(self._text))
        elif kind == "thinking":
            self._thinking.append(dict(block))
            if isinstance(block.get("thinking"), str):
                self._reasoning += block["thinking"]
        elif kind == "redacted_thinking":
            self._thinking.append(dict(block))
        elif kind == "tool_use":
            if block.get("name") == self._asked.answer_tool:
                self._text += arguments(block.get("input"))
            else:
                self._calls.append(_call(block, self._asked))

    def message(self, refusal: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"role": "assistant", "content": self._text or (None if self._calls or refusal else "")}
        found["refusal"] = refusal
        if self._reasoning:
            found["reasoning_content"] = self._reasoning
        if self._thinking:
            found["thinking_blocks"] = self._thinking
        if self._annotations:
            found["annotations"] = self._annotations
        if self._calls and self._asked.legacy:
            found["function_call"] = self._calls[0]["function"]
        elif self._calls:
            found["tool_calls"] = self._calls
        return found


def _call(block: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    name = str(block.get("name"))
    if name in asked.custom:
        return {"id": block.get("id"), "type": "custom", "custom": {"name": name, "input": unwrap(block.get("input"))}}
    return {"id": block.get("id"), "type": "function", "function": {"name": name, "arguments": arguments(block.get("input"))}}


def arguments(given: object) -> str:
    """The input of a tool call as OpenAI's clients parse it."""
    return as_json({} if given is None or given == "" else given).decode()


def finish_reason(stop_reason: object, is_calling: bool, asked: Asked) -> str:
    """Total. Whoever calls tools stops for them, whatever the upstream named it; one that called only the answer's tool is done."""
    reason = finish_reason_for(stop_reason)
    if reason in ("stop", "tool_calls"):
        return ("function_call" if asked.legacy else "tool_calls") if is_calling else "stop"
    return reason


def refusal_text(message: Mapping[str, Any]) -> str | None:
    """Why the model refused, where the upstream says it."""
    details = message.get("stop_details")
    text = details.get("explanation") if isinstance(details, dict) and message.get("stop_reason") == "refusal" else None
    return text if isinstance(text, str) and text else None


def chat_id(given: object, asked: Asked) -> str:
    if not isinstance(given, str) or not given:
        return asked.hints.new_id("chatcmpl-")
    return given if given.startswith("chatcmpl-") else f"chatcmpl-{given}"


def model_of(message: Mapping[str, Any], asked: Asked) -> str:
    model = message.get("model")
    return model if isinstance(model, str) and model else asked.hints.model


def service_tier(usage: object) -> str | None:
    tier = usage.get("service_tier") if isinstance(usage, dict) else None
    return _TIERS.get(tier) if isinstance(tier, str) else None


def annotations_of(citations: object, start: int, end: int) -> list[dict[str, Any]]:
    """The citations of a text that stands at start:end of the content."""
    found = []
    for citation in citations if isinstance(citations, list) else ():
        if isinstance(citation, dict):
            cited = {"start_index": start, "end_index": end, "title": _title(citation), "url": _place(citation)}
            found.append({"type": "url_citation", "url_citation": cited})
    return found


def _title(citation: Mapping[str, Any]) -> str:
    title = citation.get("title") or citation.get("document_title")
    return title if isinstance(title, str) else ""


def _place(citation: Mapping[str, Any]) -> str:
    """Where the cited text is. A document of the request has no URL: it is named by its number, and the place within."""
    for name in ("url", "source"):
        if isinstance(citation.get(name), str):
            return str(citation[name])
    place = f"document:{citation.get('document_index', 0)}"
    for unit, first, last in _UNITS:
        if first in citation:
            return f"{place}#{unit}={citation[first]}-{citation.get(last)}"
    return place


_UNITS = (
    ("char", "start_char_index", "end_char_index"),
    ("page", "start_page_number", "end_page_number"),
    ("block", "start_block_index", "end_block_index"),
)


def _error_in(message: object) -> str | None:
    error = message.get("error") if isinstance(message, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return text if isinstance(text, str) and text else None
