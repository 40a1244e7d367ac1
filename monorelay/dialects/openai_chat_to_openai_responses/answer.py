"""The upstream's response as a chat completion with one choice; the chunks take what they share from here.

| item | becomes |
| --- | --- |
| message: output_text | content; its citations are annotations, its probabilities logprobs |
| message: refusal | refusal |
| reasoning | reasoning_content, reasoning_details |
| function_call, custom_tool_call | a tool call |
| what the upstream did for itself (web_search_call, …) | nothing |

| status | finish_reason |
| --- | --- |
| completed | tool_calls where it calls, else stop |
| incomplete: max_output_tokens | length |
| incomplete: content_filter | content_filter |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Usage
from monorelay.dialects.openai_chat_to_openai_responses.request import Asked
from monorelay.dialects.openai_chat_to_openai_responses.thoughts import details_of
from monorelay.dialects.responses_input import BETWEEN
from monorelay.dialects.responses_output import (
    BETWEEN_THOUGHTS,
    CALL,
    CUSTOM,
    MESSAGE,
    REASONING,
    annotations_of,
    arguments_of,
    citations_of,
    incomplete_reason,
    items_of,
    read_response,
    refusal_of,
    texts_of,
    thought_of,
    word_of,
)
from monorelay.dialects.usage import read_usage
from monorelay.dialects.usage_shapes import chat_usage

_LATEST = 1 << 40  # a time in seconds; some servers tell another unit, or a fraction
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter", "steered": "stop"}


def translate_answer(body: bytes, asked: Asked) -> tuple[bytes, Usage | None]:
    """The completion, and its usage. Raises Truncated when the body is no whole response."""
    response = read_response(body)
    told = response.get("usage")
    usage = read_usage(told) if isinstance(told, dict) else None
    said = _Said(asked)
    for item in items_of(response):
        said.add(item)
    incomplete = incomplete_reason(response, False)
    completion: dict[str, Any] = {
        **identity(response, "chat.completion", asked),
        "choices": [
            {
                "index": 0,
                "message": said.message(),
                "logprobs": said.logprobs(),
                "finish_reason": finish_reason(incomplete, said.is_calling, asked),
            }
        ],
    }
    shape = chat_usage(usage)
    if shape is not None:
        completion["usage"] = shape
    tier = service_tier(response)
    if tier is not None:
        completion["service_tier"] = tier
    return as_json(completion), usage


class _Said:
    """Mutable: what the items have said so far."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._text = ""
        self._refusal = ""
        self._thoughts: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []

    @property
    def is_calling(self) -> bool:
        return bool(self._calls)

    def add(self, item: Mapping[str, Any]) -> None:
        kind = item.get("type")
        if kind == MESSAGE:
            self._add_message(item)
        elif kind == REASONING:
            thought = thought_of(item)
            if thought:
                self._thoughts.append(thought)
            self._details += details_of(item, len(self._details), self._asked.hints.quirks)
        elif kind in (CALL, CUSTOM) and word_of(item, "name"):
            self._calls.append(call_of(item, arguments_of(item) or ("" if is_cut(item) or kind == CUSTOM else "{}"), self._asked))

    def _add_message(self, item: Mapping[str, Any]) -> None:
        parts = texts_of(item)
        if self._text and any(part["text"] for part in parts):
            self._text += BETWEEN
        for part in parts:
            self._annotations += [annotation(each, len(self._text)) for each in citations_of(annotations_of(part))]
            self._text += part["text"]
            self._logprobs += logprobs_of(part.get("logprobs")) if self._asked.logprobs else []
        self._refusal += refusal_of(item)

    def logprobs(self) -> dict[str, Any] | None:
        return {"content": self._logprobs, "refusal": None} if self._logprobs else None

    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = {"role": "assistant", "content": self._text or (None if self._calls or self._refusal else "")}
        found["refusal"] = self._refusal or None
        if self._thoughts:
            found["reasoning_content"] = BETWEEN_THOUGHTS.join(self._thoughts)
        if self._details:
            found["reasoning_details"] = self._details
        if self._annotations:
            found["annotations"] = self._annotations
        if self._calls and self._asked.legacy:
            found["function_call"] = self._calls[0]["function"]
        elif self._calls:
            found["tool_calls"] = self._calls
        return found


def identity(response: Mapping[str, Any], kind: str, asked: Asked) -> dict[str, Any]:
    """id, created and model of a completion, as the response says them: its id under this dialect's prefix."""
    found, created, model = word_of(response, "id"), response.get("created_at"), word_of(response, "model")
    if not found:
        found = asked.hints.new_id("chatcmpl-")
    is_time = isinstance(created, int | float) and 0 <= created < _LATEST
    return {
        "id": found if found.startswith("chatcmpl-") else f"chatcmpl-{found}",
        "object": kind,
        "created": int(created or 0) if is_time else asked.hints.created,
        "model": model or asked.hints.model,
    }


def service_tier(response: Mapping[str, Any]) -> str | None:
    return word_of(response, "service_tier") or None


def finish_reason(incomplete: str | None, is_calling: bool, asked: Asked) -> str:
    """Total: whatever else stopped a response short, it is not whole."""
    if incomplete is not None:
        return _INCOMPLETE.get(incomplete, "length")
    return ("function_call" if asked.legacy else "tool_calls") if is_calling else "stop"


def is_cut(item: Mapping[str, Any]) -> bool:
    return item.get("status") == "incomplete"


def call_of(item: Mapping[str, Any], given: str, asked: Asked) -> dict[str, Any]:
    """A tool call; ``given`` is what it was given so far."""
    call_id, name = word_of(item, "call_id") or word_of(item, "id") or asked.hints.new_id("call_"), word_of(item, "name")
    if item.get("type") == CUSTOM:
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": given}}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": given}}


def annotation(cited: Mapping[str, Any], start: int) -> dict[str, Any]:
    """A citation of a text that begins at ``start`` of the content."""
    where = {name: start + cited[name] if type(cited.get(name)) is int else start for name in ("start_index", "end_index")}
    return {"type": "url_citation", "url_citation": {**where, "title": word_of(cited, "title"), "url": cited["url"]}}


def logprobs_of(told: object) -> list[dict[str, Any]]:
    """Of each token: its bytes are told in a whole answer only."""
    return [_logprob(each, with_top=True) for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _logprob(told: Mapping[str, Any], with_top: bool) -> dict[str, Any]:
    found = {"token": told.get("token"), "logprob": told.get("logprob"), "bytes": told.get("bytes")}
    if with_top:
        top = told.get("top_logprobs")
        found["top_logprobs"] = [_logprob(each, False) for each in top if isinstance(each, dict)] if isinstance(top, list) else []
    return found
