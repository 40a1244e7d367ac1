"""The answer: a response becomes a message. The events take what they share from here.

| openai.responses | anthropic.messages |
| --- | --- |
| id, model | id with the prefix msg_, model |
| reasoning | a thinking block: its text where the client wants it, the whole item as the signature where it can be sent back |
| message: output_text, refusal | a text block; its citations |
| function_call | a tool_use block |
| what the upstream did for itself (web_search_call, …) | nothing |
| usage | usage, what came from the cache taken out of the input |

| status | stop_reason |
| --- | --- |
| completed | refusal where it refused, tool_use where it calls, else end_turn |
| incomplete: max_output_tokens | max_tokens |
| incomplete: content_filter | refusal |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.answer import message_id, model_of
from monorelay.dialects.anthropic_messages_to_openai_responses.request import Asked
from monorelay.dialects.call_ids import plain_id
from monorelay.dialects.interface import Usage
from monorelay.dialects.responses_output import (
    CALL,
    CUSTOM,
    MESSAGE,
    REASONING,
    annotations_of,
    arguments_of,
    citations_of,
    incomplete_reason,
    items_of,
    refusal_of,
    texts_of,
    thought_of,
    word_of,
)
from monorelay.dialects.sealed_thoughts import seal
from monorelay.dialects.tool_input import read_arguments
from monorelay.dialects.usage_shapes import messages_usage

_INCOMPLETE = {"max_output_tokens": "max_tokens", "content_filter": "refusal", "steered": "end_turn"}


def message_of(response: Mapping[str, Any], usage: Usage | None, asked: Asked) -> dict[str, Any]:
    """The message for the client."""
    content: list[dict[str, Any]] = []
    has_refused = False
    for item in items_of(response):
        kind = item.get("type")
        if kind == MESSAGE:
            has_refused = has_refused or bool(refusal_of(item))
            content += _text(item)
        elif kind == REASONING:
            content += _thinking(item, asked)
        elif kind in (CALL, CUSTOM) and word_of(item, "name"):
            given = read_arguments(arguments_of(item))
            content.append({"type": "tool_use", "id": use_id(item, asked), "name": use_name(item, asked), "input": given})
    has_calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": message_id(response, asked.hints),
        "type": "message",
        "role": "assistant",
        "model": model_of(response, asked.hints),
        "content": content,
        "stop_reason": stop_reason(incomplete_reason(response, False), has_calls=has_calls, has_refused=has_refused),
        "stop_sequence": None,
        "usage": messages_usage(usage),
    }


def _text(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parts = texts_of(item)
    text = "".join(part["text"] for part in parts) + refusal_of(item)
    if text:
        block = {"type": "text", "text": text}
        cited = [each for part in parts for each in citations(annotations_of(part))]
        yield {**block, "citations": cited} if cited else block


def _thinking(item: Mapping[str, Any], asked: Asked) -> Iterator[dict[str, Any]]:
    thought = thought_of(item) if asked.shows_thoughts else ""
    sealed = signature(item, asked)
    if thought or sealed:
        yield {"type": "thinking", "thinking": thought, "signature": sealed}


def signature(item: Mapping[str, Any], asked: Asked) -> str:
    """What a thinking block needs to be sent back; "" where it cannot be."""
    encrypted = word_of(item, "encrypted_content")
    if not asked.carries_thoughts or not (encrypted or (asked.hints.quirks.echo_reasoning and word_of(item, "id"))):
        return ""
    return seal("openai.responses", {name: value for name, value in item.items() if name != "status" and value is not None})


def use_id(item: Mapping[str, Any], asked: Asked) -> str:
    """The id for the client; a call without one is given one."""
    return plain_id(word_of(item, "call_id") or word_of(item, "id") or asked.hints.new_id("call_"))


def use_name(item: Mapping[str, Any], asked: Asked) -> str:
    return asked.names.own(word_of(item, "name"))


def citations(annotations: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pages that a text names. What stands there is not told: the cited characters are those of the answer."""
    for cited in citations_of(annotations):
        title = word_of(cited, "title") or None
        yield {"type": "web_search_result_location", "url": cited["url"], "title": title, "encrypted_index": "", "cited_text": ""}


def stop_reason(incomplete: str | None, *, has_calls: bool, has_refused: bool) -> str:
    """Total: whatever else stopped a response short, it is not whole."""
    if incomplete is not None:
        return _INCOMPLETE.get(incomplete, "max_tokens")
    return "refusal" if has_refused else "tool_use" if has_calls else "end_turn"
