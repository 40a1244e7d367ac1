"""Whatever JSON a provider answers with where a stream was asked for: it is told as one, or it is not, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.dialects.sse import read_events
from monorelay.dialects.unrolled_answers import unrolled

WORDS = ["", "é\n", "text", "thinking", "tool_use", "message", "completed", "incomplete", "failed", "function_call", "output_text"]
NAMES = ["choices", "message", "content", "tool_calls", "index", "finish_reason", "usage", "type", "text", "input", "thinking"]
NAMES += ["signature", "citations", "output", "status", "id", "summary", "arguments", "name", "annotations", "logprobs", "error"]
LEAF = some.none() | some.booleans() | some.sampled_from([0, -1, 1.5, float("inf"), 10**30]) | some.sampled_from(WORDS)
VALUE = some.recursive(
    LEAF,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
OBJECTS = some.lists(some.dictionaries(some.sampled_from(NAMES), VALUE, max_size=6) | VALUE, max_size=3)
ANSWERS = some.one_of(
    some.tuples(some.sampled_from(["openai.chat", "openai.completions"]), some.fixed_dictionaries({"choices": OBJECTS})),
    some.tuples(some.just("anthropic.messages"), some.fixed_dictionaries({"content": OBJECTS})),
    some.tuples(some.just("openai.responses"), some.fixed_dictionaries({"output": OBJECTS, "status": VALUE, "error": VALUE})),
)


@given(ANSWERS, some.dictionaries(some.sampled_from(NAMES), VALUE, max_size=4), VALUE)
def test_any_answer(answer: tuple[str, dict[str, Any]], more: dict[str, Any], options: Any) -> None:
    """Every event of what is told is JSON, and nobody raises."""
    capability, fields = answer
    told = unrolled(capability, {"stream_options": options}, json.dumps({**more, **fields}).encode())
    if isinstance(told, bytes):
        for event in read_events(told):
            assert event.data == b"[DONE]" or isinstance(json.loads(event.data), dict)


@pytest.mark.parametrize("status", [[], {}, None, 1, ["completed"]])
def test_a_status_that_is_no_word_is_no_answer(status: Any) -> None:
    assert unrolled("openai.responses", {}, json.dumps({"output": [], "status": status}).encode()) is None
