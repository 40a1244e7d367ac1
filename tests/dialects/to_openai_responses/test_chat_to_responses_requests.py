"""openai.chat on openai.responses, the way up: what each field becomes, what is lost, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from to_responses_stage import CHAT, USER, lost, request

SAID = {"type": "message", "role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "The time.", "parameters": SCHEMA}}
FLAT_CLOCK = {"type": "function", "name": "clock", "description": "The time.", "parameters": SCHEMA, "strict": False}


def told(body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    """What a request adds to the least that is ever sent."""
    found = request(CHAT, body, **quirks)
    assert found.pop("model") == "up-model" and found.pop("store") is False
    if "messages" not in body:
        assert found.pop("input") == [SAID]
    return found


def items(*messages: dict[str, Any], **quirks: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request(CHAT, {"messages": list(messages)}, **quirks)["input"]
    return found


def calls(*ids: str, **more: Any) -> dict[str, Any]:
    made = [{"id": each, "type": "function", "function": {"name": "clock", "arguments": '{"n":1}'}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": made, **more}


def result(call_id: str, content: Any = "12:00") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def called(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "clock", "arguments": '{"n":1}'}


def brought(call_id: str, output: Any = "12:00") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"stream": False}, {}),
    ({"max_tokens": 50}, {"max_output_tokens": 50}),
    ({"max_completion_tokens": 60, "max_tokens": 50}, {"max_output_tokens": 60}),
    ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
    ({"temperature": None, "n": 1, "stop": None, "logprobs": False, "seed": None}, {}),
    ({"user": "u", "safety_identifier": "s"}, {"user": "u", "safety_identifier": "s"}),
    ({"metadata": {"a": "b"}, "service_tier": "flex"}, {"metadata": {"a": "b"}, "service_tier": "flex"}),
    ({"prompt_cache_key": "k", "prompt_cache_retention": "24h"}, {"prompt_cache_key": "k", "prompt_cache_retention": "24h"}),
    ({"store": False, "modalities": ["text"], "presence_penalty": 0, "logit_bias": {}}, {}),
    ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    ({"logprobs": True}, {"include": ["message.output_text.logprobs"]}),
    ({"logprobs": True, "top_logprobs": 3}, {"include": ["message.output_text.logprobs"], "top_logprobs": 3}),
    # thinking
    (
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    ),
    ({"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}),
    (
        {"reasoning": {"effort": "low", "summary": "detailed"}},
        {"reasoning": {"effort": "low", "summary": "detailed"}, "include": ["reasoning.encrypted_content"]},
    ),
    ({"reasoning": {"summary": "auto"}}, {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}),
    (
        {"reasoning": {"max_tokens": 9000}},
        {"reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    ),
    (
        {"reasoning_effort": "low", "logprobs": True},
        {
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        },
    ),
    # the form of the answer
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    (
        {
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
            "verbosity": "low",
        },
        {"text": {"verbosity": "low", "format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}},
    ),
    # tools
    ({"tools": [CLOCK]}, {"tools": [FLAT_CLOCK]}),
    ({"tools": []}, {}),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}], "parallel_tool_calls": False},
        {
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}],
            "parallel_tool_calls": False,
        },
    ),
    (
        {"tools": [{"type": "custom", "custom": {"name": "sql", "description": "d"}}], "tool_choice": "required"},
        {"tools": [{"type": "custom", "name": "sql", "description": "d"}], "tool_choice": "required"},
    ),
    (
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {"name": "sql", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
                }
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "sql"}},
        },
        {
            "tools": [{"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}],
            "tool_choice": {"type": "custom", "name": "sql"},
        },
    ),
    ({"tools": [{"type": "web_search"}], "tool_choice": "auto"}, {"tools": [{"type": "web_search"}], "tool_choice": "auto"}),
    ({"tools": [CLOCK], "tool_choice": "none"}, {"tools": [FLAT_CLOCK], "tool_choice": "none"}),
    (
        {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "clock"}}},
        {"tools": [FLAT_CLOCK], "tool_choice": {"type": "function", "name": "clock"}},
    ),
    (
        {
            "tools": [CLOCK],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "clock"}}]},
            },
        },
        {
            "tools": [FLAT_CLOCK],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "clock"}]},
        },
    ),
    (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
            }
        },
        {"tools": [{"type": "web_search", "user_location": {"type": "approximate", "city": "Ulm"}, "search_context_size": "low"}]},
    ),
    (
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}},
        {
            "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": False,
        },
    ),
]


@pytest.mark.parametrize("body, expected", FIELDS)
def test_fields(body: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each field says the same in the other dialect, and nothing is lost."""
    assert told(body) == expected
    assert lost(CHAT, body) == ()


MESSAGES: list[tuple[list[dict[str, Any]], str, list[dict[str, Any]]]] = [
    ([{"role": "system", "content": "Be brief."}, USER], "Be brief.", [SAID]),
    (
        [{"role": "system", "content": "A"}, {"role": "developer", "content": [{"type": "text", "text": "B"}]}, USER],
        "A\n\nB",
        [SAID],
    ),
    ([{"role": "system", "content": "Alone."}], "", [{"type": "message", "role": "system", "content": "Alone."}]),
    (
        [USER, {"role": "system", "content": "Late."}, USER],
        "",
        [SAID, {"type": "message", "role": "system", "content": "Late."}, SAID],
    ),
    (
        [USER, {"role": "assistant", "content": "Yes."}, {"role": "assistant", "content": [{"type": "text", "text": "No."}]}],
        "",
        [
            SAID,
            {"type": "message", "role": "assistant", "content": "Yes."},
            {"type": "message", "role": "assistant", "content": "No."},
        ],
    ),
    (
        [USER, {"role": "assistant", "content": None, "refusal": "No."}],
        "",
        [SAID, {"type": "message", "role": "assistant", "content": "No."}],
    ),
    ([USER, {"role": "assistant", "content": ""}], "", [SAID]),
    ([{"role": "user", "content": ""}], "", [{"type": "message", "role": "user", "content": ""}]),
    (
        [USER, calls("a", "b", content="Let me see."), result("b"), result("a")],
        "",
        [
            SAID,
            {"type": "message", "role": "assistant", "content": "Let me see."},
            called("a"),
            called("b"),
            brought("b"),
            brought("a"),
        ],
    ),
    # ids that come again, in the same turn or a later one, and one that is too long
    (
        [USER, calls("a"), result("a"), calls("a"), result("a", "13:00")],
        "",
        [SAID, called("a"), brought("a"), called("a-2"), brought("a-2", "13:00")],
    ),
    ([USER, calls("a", "a"), result("a"), result("a")], "", [SAID, called("a"), called("a-2"), brought("a"), brought("a-2")]),
    # a result that answers no call
    (
        [USER, result("x")],
        "",
        [
            SAID,
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Result of the tool call x:"},
                    {"type": "input_text", "text": "12:00"},
                ],
            },
        ],
    ),
    # results in parts
    (
        [USER, calls("a"), result("a", [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}])],
        "",
        [SAID, called("a"), brought("a", "1\n\n2")],
    ),
    ([USER, calls("a"), result("a", None)], "", [SAID, called("a"), brought("a", "")]),
    (
        [
            USER,
            calls("a"),
            result("a", [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]),
        ],
        "",
        [
            SAID,
            called("a"),
            brought(
                "a",
                [
                    {"type": "input_text", "text": "See"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"},
                ],
            ),
        ],
    ),
    # functions, as they were before tools
    (
        [
            USER,
            {"role": "assistant", "content": None, "function_call": {"name": "clock", "arguments": '{"n":1}'}},
            {"role": "function", "name": "clock", "content": "12:00"},
        ],
        "",
        [SAID, called("function_call"), brought("function_call")],
    ),
    # custom tools
    (
        [
            USER,
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]},
            result("c"),
        ],
        "",
        [
            SAID,
            {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "12:00"},
        ],
    ),
    # arguments that are missing
    (
        [USER, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "clock"}}]}],
        "",
        [SAID, {"type": "function_call", "call_id": "c", "name": "clock", "arguments": "{}"}],
    ),
]


@pytest.mark.parametrize("messages, instructions, expected", MESSAGES)
def test_messages(messages: list[dict[str, Any]], instructions: str, expected: list[dict[str, Any]]) -> None:
    """Every turn is told, in its place."""
    found = request(CHAT, {"messages": messages})
    assert found.get("instructions", "") == instructions
    assert found["input"] == expected
    assert lost(CHAT, {"messages": messages}) == ()


PARTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}, {"type": "input_text", "text": "x"}),
    (
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    (
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        {"type": "input_image", "detail": "high", "image_url": "https://example.com/a.png"},
    ),
    (
        {"type": "image_url", "image_url": "data:image/png;base64,AA"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"},
    ),
    ({"type": "input_image", "file_id": "file_1"}, {"type": "input_image", "detail": "auto", "file_id": "file_1"}),
    (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
    ),
    ({"type": "file", "file": {"file_id": "file_1"}}, {"type": "input_file", "file_id": "file_1"}),
    (
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    ),
]


@pytest.mark.parametrize("part, expected", PARTS)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Text, images and files, beside each other."""
    beside = {"type": "text", "text": "Look:"}
    (found,) = items({"role": "user", "content": [beside, part]})
    assert found == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look:"}, expected]}


def test_a_single_text_is_plain() -> None:
    """Also where it comes as a part; and an empty one says nothing."""
    content = [{"type": "text", "text": "x"}, {"type": "text", "text": ""}]
    assert items({"role": "user", "content": content}) == [{"type": "message", "role": "user", "content": "x"}]
