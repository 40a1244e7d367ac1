"""Streams that ended without a word because of a filter, in every dialect that has one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.filtered_streams import is_filtered_stream


def events(*fields: dict[str, Any] | str) -> bytes:
    told = [each if isinstance(each, str) else json.dumps(each) for each in fields]
    return "".join(f"data: {each}\n\n" for each in told).encode()


def choice(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def incomplete(reason: str) -> dict[str, Any]:
    return {"type": "response.incomplete", "response": {"id": "r", "incomplete_details": {"reason": reason}}}


def delta(reason: str | None) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}}


START = {"type": "message_start", "message": {"content": []}}
WORD = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I"}}
CREATED = {"type": "response.created", "response": {"id": "r"}}

STREAMS: list[tuple[str, bytes, bool]] = [
    ("openai.chat", events(choice(role="assistant", content=""), choice("content_filter"), "[DONE]"), True),
    ("openai.chat", events({"choices": [], "prompt_filter_results": []}, choice("content_filter")), True),
    ("openai.chat", events(choice(content="I"), choice("content_filter")), False),
    ("openai.chat", events(choice("content_filter"), choice("stop", 1)), False),
    ("openai.chat", events(choice("stop")), False),
    ("openai.chat", events(choice(role="assistant")), False),
    ("openai.chat", b"", False),
    ("openai.chat", events("[1]", "{", {"choices": 7}), False),
    ("openai.completions", events({"choices": [{"text": "", "finish_reason": "content_filter"}]}), True),
    ("openai.completions", events({"choices": [{"text": "a", "finish_reason": "content_filter"}]}), False),
    ("openai.responses", events(CREATED, incomplete("content_filter")), True),
    ("openai.responses", events(CREATED, incomplete("max_output_tokens")), False),
    ("openai.responses", events(CREATED, {"type": "response.completed", "response": {}}), False),
    ("anthropic.messages", events(START, delta("refusal"), {"type": "message_stop"}), True),
    ("anthropic.messages", events(START, WORD, delta("refusal"), {"type": "message_stop"}), False),
    ("anthropic.messages", events(START, delta("end_turn"), {"type": "message_stop"}), False),
    ("anthropic.messages", events(START, delta(None)), False),
    ("openai.images.generations", events(choice("content_filter")), False),
]


@pytest.mark.parametrize(("capability", "heard", "is_one"), STREAMS)
def test_filtered(capability: str, heard: bytes, is_one: bool) -> None:
    """Only one that is over, and said nothing at all."""
    assert is_filtered_stream(capability, heard) is is_one
