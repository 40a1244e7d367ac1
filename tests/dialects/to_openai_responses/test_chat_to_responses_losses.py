"""openai.chat on openai.responses: what is lost, what is refused, what providers want otherwise, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_chat_to_responses_requests import CLOCK, SAID, SCHEMA, brought, calls, items, result, told
from to_responses_stage import CHAT, USER, answer, begin, call, custom, hints, lost, message, request, thought

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.openai_chat_to_openai_responses import DROPPED, TRANSLATOR

LOST: list[tuple[dict[str, Any], str]] = [
    ({"stop": ["\n"]}, "stop"),
    ({"stop": "END"}, "stop"),
    ({"seed": 3}, "seed"),
    ({"frequency_penalty": 0.1}, "frequency_penalty"),
    ({"presence_penalty": 0.1}, "presence_penalty"),
    ({"logit_bias": {"5": 1}}, "logit_bias"),
    ({"audio": {"voice": "x"}}, "audio"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"moderation": {"model": "m"}}, "moderation"),
    ({"store": True}, "store"),
    ({"max_tokens": 1}, "max_tokens"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"messages": [{**USER, "name": "Ann"}]}, "messages.name"),
    ({"messages": [USER, {"role": "assistant", "content": "x", "audio": {"id": "a"}}]}, "messages.audio"),
    ({"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": "t"}]}, "messages.reasoning_content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "x"}]}]},
        "messages.content.hologram",
    ),
    ({"future_field": 1}, "future_field"),
]


@pytest.mark.parametrize("body, field", LOST)
def test_what_is_lost(body: dict[str, Any], field: str) -> None:
    """Named once, with a reason; and refused where nothing may be lost."""
    assert lost(CHAT, body) == (field,)
    assert field in DROPPED or field in ("future_field", "messages.content.hologram")
    with pytest.raises(Untranslatable) as refused:
        begin(CHAT, body, strict=True)
    assert refused.value.field == field and field in str(refused.value)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"messages": None}, "messages"),
    ({"messages": ["x"]}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.content"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.content.image_url"),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "x"}}]}]}, "messages.content.file"),
    ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "messages.content.input_audio"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{}]}]}, "messages.tool_calls"),
    ({"tools": "x"}, "tools"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools"),
    ({"functions": [{}]}, "functions"),
    ({"tools": [CLOCK], "tool_choice": "always"}, "tool_choice"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
]


@pytest.mark.parametrize("body, field", REFUSED)
def test_what_is_refused(body: dict[str, Any], field: str) -> None:
    """A request that cannot be said is refused by the name of its field, in a sentence."""
    with pytest.raises(Untranslatable) as refused:
        TRANSLATOR.begin({"messages": [USER], **body}, b"", hints())
    assert refused.value.field == field and str(refused.value).endswith((".", "several times."))


def test_deep_requests() -> None:
    """Deeper than anything can be read is refused, not a fault."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"properties": deep}
    with pytest.raises(Untranslatable):
        begin(CHAT, {"tools": [{"type": "function", "function": {"name": "f", "parameters": deep}}]})


# ---------------------------------------------------------------------- quirks


def test_a_provider_that_cannot_be_told_to_think() -> None:
    """Nothing is asked for that models without thought would refuse."""
    assert told({"reasoning_effort": "high"}, reasoning="none") == {}
    assert lost(CHAT, {"reasoning_effort": "high"}, reasoning="none") == ("reasoning_effort",)
    assert lost(CHAT, {"reasoning_effort": "none"}, reasoning="none") == ()


def test_a_provider_that_cannot_be_held_to_a_schema() -> None:
    """It is asked in words, behind the instructions."""
    body = {
        "messages": [{"role": "system", "content": "Be brief."}, USER],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    }
    found = request(CHAT, body, json_schema=False)
    assert found["text"] == {"format": {"type": "json_object"}} and "instructions" not in found
    first, second = found["input"]
    assert first["role"] == "system" and second == SAID
    assert first["content"].startswith("Be brief.\n\nAnswer with one JSON object")
    assert json.dumps(SCHEMA, separators=(",", ":")) in first["content"]
    assert lost(CHAT, body, json_schema=False) == ("response_format",)


def test_any_json_object() -> None:
    """The word that the upstream looks for may stand in the instructions: they go where it looks."""
    body = {"messages": [{"role": "system", "content": "Answer in JSON."}, USER], "response_format": {"type": "json_object"}}
    found = request(CHAT, body)
    assert "instructions" not in found
    assert found["input"] == [{"type": "message", "role": "system", "content": "Answer in JSON."}, SAID]
    assert lost(CHAT, body) == ()


def test_fields_that_a_provider_rejects() -> None:
    """Also within a field; what the client asked for is reported under its own name, what the relay asked for is not."""
    body = {"temperature": 0.5, "max_tokens": 99, "reasoning_effort": "low"}
    quirks = {"drop": ("temperature", "max_output_tokens", "reasoning.summary", "include", "seed")}
    assert told(body, **quirks) == {"reasoning": {"effort": "low"}}
    assert lost(CHAT, body, **quirks) == ("temperature", "max_tokens")


def test_the_role_that_instructs() -> None:
    """Late instructions come from whom the provider listens to."""
    found = items(USER, {"role": "system", "content": "Late."}, system_role="developer")
    assert found[1]["role"] == "developer"


# ---------------------------------------------------------------------- there and back


def test_thoughts_come_back() -> None:
    """As they were, under their own ids, before what they led to; also when the client has put a stream together."""
    first = [thought("A", "B", item_id="rs_1"), thought(encrypted="gBBB", item_id="rs_2"), message("So."), call("clock", '{"n":1}')]
    said = json.loads(begin(CHAT, {"reasoning_effort": "low"}).answer(answer(*first)))["choices"][0]["message"]
    assert said["reasoning_content"] == "A\n\nB"
    found = items(USER, said, result("call_1"))
    assert found == [
        SAID,
        {**first[0], "type": "reasoning"},
        {**first[1], "type": "reasoning"},
        {"type": "message", "role": "assistant", "content": "So."},
        {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": '{"n":1}'},
        brought("call_1"),
    ]
    assert lost(CHAT, {"messages": [USER, said, result("call_1")]}) == ()


def test_thoughts_that_cannot_go_back() -> None:
    """Another vendor's stay away; those that led to nothing, too."""
    foreign = {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "index": 0}
    assert items(USER, {"role": "assistant", "content": "x", "reasoning_details": [foreign]})[1:] == [
        {"type": "message", "role": "assistant", "content": "x"}
    ]
    own = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    assert items(USER, {"role": "assistant", "content": "", "reasoning_details": [own]}, USER) == [SAID, SAID]


def test_thoughts_of_a_provider_that_wants_them_in_plain_text() -> None:
    """They go back under an id that stays the same, whether the client returns them in full or as text."""
    item = thought("Hm", field="content", encrypted=None)
    said = json.loads(begin(CHAT, {}, echo_reasoning=True).answer(answer(item, message("So."))))["choices"][0]["message"]
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    ]
    returned = items(USER, said, echo_reasoning=True)[1]
    plain = items(USER, {"role": "assistant", "content": "So.", "reasoning_content": "Hm"}, echo_reasoning=True)[1]
    assert returned == plain
    assert returned["content"] == [{"type": "reasoning_text", "text": "Hm"}] and returned["summary"] == []
    assert "reasoning_details" not in json.loads(begin(CHAT).answer(answer(item, message("So."))))["choices"][0]["message"]


def test_calls_come_back() -> None:
    """Names, arguments and ids, of functions and custom tools."""
    made = [call("clock", '{"n": 1}', "functions.clock:0"), custom("sql", "select 1", "call_2")]
    said = json.loads(begin(CHAT).answer(answer(*made)))["choices"][0]["message"]
    assert said["content"] is None
    found = items(USER, said, result("functions.clock:0"), result("call_2"))
    assert found[1:] == [
        {"type": "function_call", "call_id": "functions.clock:0", "name": "clock", "arguments": '{"n": 1}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "select 1"},
        brought("functions.clock:0"),
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "12:00"},
    ]


def test_long_ids() -> None:
    """An id that the upstream would refuse is the same in the call and in its result."""
    found = items(USER, calls("x" * 100), result("x" * 100))
    assert found[1]["call_id"] == found[2]["call_id"] and len(found[1]["call_id"]) <= 64


def test_functions_are_answered_as_functions() -> None:
    """The client of old finds its function_call."""
    body = {"functions": [{"name": "clock"}]}
    found = json.loads(begin(CHAT, body).answer(answer(call("clock", '{"n":1}'))))["choices"][0]
    assert found["finish_reason"] == "function_call"
    assert found["message"]["function_call"] == {"name": "clock", "arguments": '{"n":1}'}
