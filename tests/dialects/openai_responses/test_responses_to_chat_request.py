"""Fields of openai.responses as openai.chat has them, what is lost of them, and what cannot be said."""

from __future__ import annotations

from typing import Any

import pytest
from responses_stage import TOOL, USER, begin, told

from monorelay.dialects.interface import Untranslatable


@pytest.mark.parametrize(
    "field, expected",
    [
        ({"max_output_tokens": 99}, {"max_tokens": 99}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": None}}, {}),
        ({"user": "u"}, {"user": "u"}),
        ({"safety_identifier": "s", "user": "u"}, {"user": "s"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"service_tier": "auto"}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, {"logprobs": True}),
        ({"stop": ["x"], "seed": 4}, {"stop": ["x"], "seed": 4}),
        ({"store": False, "truncation": "disabled", "metadata": {"a": "b"}, "prompt_cache_key": "k"}, {}),
        ({"background": False, "previous_response_id": None, "conversation": None, "prompt": None}, {}),
        ({"parallel_tool_calls": False, "tool_choice": "auto"}, {}),
        ({"client_metadata": {"x": "y"}, "stream_options": {"include_obfuscation": False}}, {}),
    ],
)
def test_fields(field: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each becomes this, and nothing is lost."""
    translation = begin({"model": "m", "input": "Hi", **field})
    assert told({"model": "m", "input": "Hi", **field}) == {"model": "up-model", "messages": [USER], **expected}
    assert translation.lost == ()


def test_a_schema() -> None:
    """With its name and strictness; in words where the provider knows none."""
    form = {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}, "description": None}
    body = {"input": "Hi", "text": {"format": form}}
    inner = {"name": "n", "strict": True, "schema": {"type": "object"}}
    assert told(body)["response_format"] == {"type": "json_schema", "json_schema": inner}
    found = told(body, json_schema=False)
    assert found["response_format"] == {"type": "json_object"} and '{"type":"object"}' in found["messages"][0]["content"]
    assert begin(body, json_schema=False).lost == ("text.format",)


@pytest.mark.parametrize(
    "reasoning, effort, expected, lost",
    [
        ("effort", "high", {"reasoning_effort": "high"}, ()),
        ("thinking", "high", {"thinking": {"type": "enabled"}}, ("reasoning.effort",)),
        ("thinking", "none", {"thinking": {"type": "disabled"}}, ()),
        ("none", "high", {}, ("reasoning.effort",)),
        ("none", "none", {}, ()),
    ],
)
def test_how_a_provider_is_asked_to_think(reasoning: str, effort: str, expected: Any, lost: tuple[str, ...]) -> None:
    """By its file."""
    body = {"input": "Hi", "reasoning": {"effort": effort}}
    assert told(body, reasoning=reasoning) == {"model": "up-model", "messages": [USER], **expected}
    assert begin(body, reasoning=reasoning).lost == lost


def test_what_the_provider_rejects_is_dropped_under_the_clients_name() -> None:
    """What the relay adds of itself is nobody's loss."""
    body = {"input": "Hi", "stream": True, "max_output_tokens": 5, "reasoning": {"effort": "low"}}
    translation = begin(
        body, drop=("max_completion_tokens", "reasoning_effort", "stream_options"), max_tokens_field="max_completion_tokens"
    )
    assert translation.lost == ("max_output_tokens", "reasoning.effort")
    assert b"max_" not in translation.request and b"stream_options" not in translation.request


@pytest.mark.parametrize(
    "field",
    [
        {"truncation": "auto"},
        {"store": True},
        {"max_tool_calls": 3},
        {"moderation": {"model": "x"}},
        {"context_management": [{"type": "compaction"}]},
        {"future_field": 1},
    ],
)
def test_what_is_lost_is_reported(field: dict[str, Any]) -> None:
    """Under its own name; a strict route refuses it."""
    assert begin({"input": "Hi", **field}).lost == tuple(field)
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field}, strict=True)
    assert refused.value.field == next(iter(field))


def test_a_reference_to_reasoning_can_be_missed() -> None:
    """Clients that believe the vendor keeps everything send one in every loop of tools; it says nothing that was said."""
    items = [USER, {"type": "item_reference", "id": "rs_1"}]
    assert begin({"input": items}).lost == ("input.item_reference",) and told({"input": items})["messages"] == [USER]
    with pytest.raises(Untranslatable):
        begin({"input": items}, strict=True)


@pytest.mark.parametrize(
    "field, name",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.item_reference"),
        ({"input": [{"id": "msg_1"}]}, "input.item_reference"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input.compaction"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input.input_image"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://e.org"}]}]}, "input.input_file"),
        ({"instructions": 5}, "instructions"),
        ({"tools": "x"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "never", "tools": [TOOL]}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ],
)
def test_what_cannot_be_said(field: dict[str, Any], name: str) -> None:
    """Is refused with its name, and a sentence that says what to do."""
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field})
    assert refused.value.field == name and str(refused.value).endswith(".")
