"""Requests of openai.responses as anthropic.messages has them: what differs from the way to openai.chat."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_stage import MESSAGES, PIXEL, TOOL, USER, begin, function_call, function_result, told

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.sealed_thoughts import seal

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def sealed(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": seal("anthropic.messages", block)}


def turns(*items: Any, **beside: Any) -> Any:
    quirks = beside.pop("quirks", {})
    return told({"input": list(items), **beside}, MESSAGES, **quirks)["messages"]


@pytest.mark.parametrize(
    "field, expected",
    [
        ({"max_output_tokens": 99}, {"max_tokens": 99}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"safety_identifier": "s", "user": "u"}, {"metadata": {"user_id": "s"}}),
        ({"stream": True}, {"stream": True}),
        ({"reasoning": {"effort": "none"}}, {"thinking": {"type": "disabled"}}),
        ({"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}, {}),
        (
            {"reasoning": {"effort": "low"}, "max_output_tokens": 9000},
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        ({"stop": ["x"], "top_k": 4}, {"stop_sequences": ["x"], "top_k": 4}),
        ({"instructions": "x"}, {"system": [{"type": "text", "text": "x"}]}),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "n",
                        "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
                    }
                }
            },
            {
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
                    }
                }
            },
        ),
    ],
)
def test_fields(field: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each becomes this, and nothing is lost."""
    body = {"model": "m", "input": "Hi", **field}
    assert told(body, MESSAGES) == {"model": "up-model", "max_tokens": 4096, "messages": [USER], **expected}
    assert begin(body, MESSAGES).lost == ()


@pytest.mark.parametrize(
    "field, lost",
    [
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"temperature": 1.5}, "temperature"),
        ({"truncation": "auto"}, "truncation"),
        ({"seed": 4}, "seed"),
        ({"store": True}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools.web_search"),
        ({"reasoning": {"effort": "high"}, "max_output_tokens": 100}, "reasoning.effort"),
        ({"tools": [{**TOOL, "strict": True, "parameters": {"type": "object", "additionalProperties": True}}]}, "tools.strict"),
        ({"input": [USER, function_call("a", arguments="no JSON"), function_result("a")]}, "input.function_call.arguments"),
        ({"input": [USER, {"type": "web_search_call"}]}, "input.web_search_call"),
        ({"input": [USER, {"type": "item_reference", "id": "rs_1"}]}, "input.item_reference"),
    ],
)
def test_what_is_lost_has_the_clients_name(field: dict[str, Any], lost: str) -> None:
    """And a strict route refuses it by that name."""
    assert begin({"input": "Hi", **field}, MESSAGES).lost == (lost,)
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field}, MESSAGES, strict=True)
    assert refused.value.field == lost and f"`{lost}`" in str(refused.value)


@pytest.mark.parametrize(
    "field, name",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.item_reference"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "input.input_audio"),
        ({"input": []}, "input"),
        ({"tool_choice": "maybe"}, "tool_choice"),
    ],
)
def test_what_cannot_be_said(field: dict[str, Any], name: str) -> None:
    """Is refused with the client's name for it."""
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field}, MESSAGES)
    assert refused.value.field == name


def test_parts() -> None:
    """Images, documents and files, also inside results."""
    image = {"type": "input_image", "image_url": PIXEL}
    pdf = {"type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,AAAA"}
    shown = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    found = turns(
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "see"}, image, pdf, {"type": "input_image", "image_url": "https://e.org/x"}],
        },
        function_call("a"),
        function_result("a", [{"type": "input_text", "text": "t"}, image]),
    )
    assert found[0]["content"] == [
        {"type": "text", "text": "see"},
        shown,
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, "title": "x.pdf"},
        {"type": "image", "source": {"type": "url", "url": "https://e.org/x"}},
    ]
    assert found[2]["content"] == [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "t"}, shown]}]


def test_thoughts_stay_where_they_were() -> None:
    """Signed blocks go back untouched, between the calls that they came between."""
    second = {**THOUGHT, "thinking": "so"}
    found = turns(
        USER, sealed(THOUGHT), function_call("a"), sealed(second), function_call("b"), function_result("a"), function_result("b")
    )
    use = {"type": "tool_use", "name": "f", "input": {}}
    assert found[1]["content"] == [THOUGHT, {**use, "id": "a"}, second, {**use, "id": "b"}]
    assert [block["tool_use_id"] for block in found[2]["content"]] == ["a", "b"]


def test_thoughts_of_others() -> None:
    """Are no use here, unless the provider takes unsigned ones."""
    foreign = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAA"}
    unsigned = {**foreign, "encrypted_content": seal("anthropic.messages", {"type": "thinking", "thinking": "s", "signature": ""})}
    for item in (foreign, unsigned):
        items = [USER, item, {"role": "assistant", "content": "x"}, USER]
        assert turns(*items)[1]["content"] == "x"
        assert begin({"input": items}, MESSAGES).lost == ()
        echoed = turns(*items, quirks={"echo_reasoning": True})[1]["content"]
        assert echoed[0] == {"type": "thinking", "thinking": "s", "signature": ""}


def test_a_thought_that_came_to_nothing() -> None:
    """Is left out: a turn cannot end in one."""
    assert turns(USER, sealed(THOUGHT), {"role": "user", "content": "hello?"}) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "hello?"}]}
    ]


def test_custom_tools_and_results() -> None:
    """A custom tool's text is the one string of a tool's input; a failed patch is an error."""
    found = told(
        {
            "input": [
                USER,
                {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "text"},
                {
                    "type": "apply_patch_call",
                    "call_id": "p",
                    "operation": {"type": "delete_file", "path": "x"},
                    "status": "completed",
                },
                {"type": "custom_tool_call_output", "call_id": "c", "output": "C"},
                {"type": "apply_patch_call_output", "call_id": "p", "status": "failed", "output": "no such file"},
            ],
            "tools": [{"type": "custom", "name": "patch"}, {"type": "apply_patch"}],
            "tool_choice": {"type": "custom", "name": "patch"},
            "parallel_tool_calls": False,
        },
        MESSAGES,
    )
    assert found["tool_choice"] == {"type": "tool", "name": "patch", "disable_parallel_tool_use": True}
    assert [tool["name"] for tool in found["tools"]] == ["patch", "apply_patch"]
    assert found["messages"][1]["content"][0] == {"type": "tool_use", "id": "c", "name": "patch", "input": {"input": "text"}}
    assert found["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c", "content": "C"},
        {"type": "tool_result", "tool_use_id": "p", "content": "no such file", "is_error": True},
    ]


def test_ids_that_the_upstream_would_refuse() -> None:
    """Are written so that it takes them, alike for a call and its result."""
    found = turns(USER, function_call("functions.f:0"), function_result("functions.f:0"))
    use_id = found[1]["content"][0]["id"]
    assert use_id == found[2]["content"][0]["tool_use_id"] and ":" not in use_id


def test_a_cache_key_marks_what_the_next_request_begins_with() -> None:
    """The instructions and the last message; a client that sets its own marks is obeyed."""
    body = {"instructions": "i", "input": [USER, {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]}
    assert b"cache_control" not in begin(body, MESSAGES).request
    found = told({**body, "prompt_cache_key": "k"}, MESSAGES)
    mark = {"type": "ephemeral"}
    assert found["system"] == [{"type": "text", "text": "i", "cache_control": mark}]
    assert found["messages"][-1]["content"] == [{"type": "text", "text": "y", "cache_control": mark}]
    assert json.dumps(found).count("cache_control") == 2
    own = {"role": "user", "content": [{"type": "input_text", "text": "y", "prompt_cache_breakpoint": {"mode": "explicit"}}]}
    found = told({"instructions": "i", "input": [own, USER], "prompt_cache_key": "k"}, MESSAGES)
    assert json.dumps(found).count("cache_control") == 1
