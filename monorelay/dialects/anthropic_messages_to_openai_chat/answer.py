"""The answer: a chat.completion becomes a message. The stream reads the same fields, so what reads one of them stands here.

| openai.chat | anthropic.messages |
| --- | --- |
| id, model | id with the prefix msg_, model |
| message: reasoning_content, reasoning, thinking parts | a thinking block, without a signature |
| message: content, text or parts | text blocks |
| message: refusal | a text block, and stop_reason refusal |
| message: annotations (url_citation) | citations of the text |
| message: tool_calls, function_call | tool_use blocks |
| finish_reason | stop_reason |
| usage | usage, what came from the cache taken out of the input |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.calls import use_id
from monorelay.dialects.anthropic_messages_to_openai_chat.request import Asked
from monorelay.dialects.chat_answers import calls_of, function_of, reasoning_of, text_of
from monorelay.dialects.interface import Hints, Usage
from monorelay.dialects.tool_input import read_arguments
from monorelay.dialects.usage_shapes import messages_usage

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    # Words of servers that are nearly compatible.
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "safety": "refusal",
    "refusal": "refusal",
}


def stop_of(
    finish: object, choice: Mapping[str, Any], asked: Asked, *, has_calls: bool, has_refused: bool
) -> tuple[str, str | None]:
    """stop_reason and stop_sequence. Some servers say which of the client's sequences matched."""
    reason = STOP_REASONS.get(finish.lower(), "end_turn") if isinstance(finish, str) else "end_turn"
    if reason in ("end_turn", "stop_sequence"):
        for name in ("stop_reason", "matched_stop", "stop_sequence"):
            if choice.get(name) in asked.stops:
                return "stop_sequence", choice[name]
    if reason in ("end_turn", "tool_use"):
        reason = "refusal" if has_refused else "tool_use" if has_calls else "end_turn"
    if reason == "stop_sequence":
        return reason, asked.stops[0] if len(asked.stops) == 1 else None
    return reason, None


def message_of(
    fields: Mapping[str, Any], choice: Mapping[str, Any], usage: Usage | None, asked: Asked, hints: Hints
) -> dict[str, Any]:
    """The message for the client."""
    told = choice.get("message") or choice.get("delta")
    told = told if isinstance(told, dict) else {}
    content: list[dict[str, Any]] = []
    thoughts = reasoning_of(told)
    if thoughts and not asked.hides_thinking:
        content.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    text = text_of(told.get("content"))
    refusal = told.get("refusal")
    if isinstance(refusal, str) and refusal:
        text += refusal
    if text:
        block: dict[str, Any] = {"type": "text", "text": text}
        citations = list(citations_of(told.get("annotations"), text))
        content.append({**block, "citations": citations} if citations else block)
    calls = [_use(call, asked, hints) for call in calls_of(told)]
    content += calls
    reason, sequence = stop_of(choice.get("finish_reason"), choice, asked, has_calls=bool(calls), has_refused=bool(refusal))
    return {
        "id": message_id(fields, hints),
        "type": "message",
        "role": "assistant",
        "model": model_of(fields, hints),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": messages_usage(usage),
    }


def message_id(fields: Mapping[str, Any], hints: Hints) -> str:
    """The upstream's id under the prefix that this dialect's ids have."""
    found = fields.get("id")
    if not isinstance(found, str) or not found:
        return hints.new_id("msg_")
    return found if found.startswith("msg_") else f"msg_{found}"


def model_of(fields: Mapping[str, Any], hints: Hints) -> str:
    found = fields.get("model")
    return found if isinstance(found, str) and found else hints.model


def _use(call: Mapping[str, Any], asked: Asked, hints: Hints) -> dict[str, Any]:
    name, arguments = function_of(call)
    return {"type": "tool_use", "id": call_id(call, hints), "name": asked.names.own(name), "input": read_arguments(arguments)}


def call_id(call: Mapping[str, Any], hints: Hints) -> str:
    """The id for the client; a call without one is given one."""
    found = call.get("id")
    return use_id(found if isinstance(found, str) and found else hints.new_id("call_"), call)


def citations_of(annotations: object, text: str) -> Iterator[dict[str, Any]]:
    """The sources that a search model names. ``text`` is what their positions count in; "" where that is not at hand."""
    for annotation in annotations if isinstance(annotations, list) else ():
        cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
            continue
        start, end = cited.get("start_index"), cited.get("end_index")
        yield {
            "type": "web_search_result_location",
            "url": cited["url"],
            "title": cited.get("title"),
            "encrypted_index": "",
            "cited_text": text[start:end] if type(start) is int and type(end) is int and 0 <= start < end else "",
        }
