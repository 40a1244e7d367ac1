"""anthropic.messages on openai.responses, the way up: what each field becomes, what is lost, and what is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from to_responses_stage import MESSAGES, USER, answer, begin, call, lost, request

SAID = {"type": "message", "role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
CLOCK = {"name": "clock", "description": "The time.", "input_schema": SCHEMA}
FLAT_CLOCK = {"type": "function", "name": "clock", "description": "The time.", "parameters": SCHEMA, "strict": False}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ENCRYPTED = ["reasoning.encrypted_content"]
AUTO = {"summary": "auto"}


def told(body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    """What a request adds to the least that is ever sent."""
    found = request(MESSAGES, {"max_tokens": 100, **body}, **quirks)
    assert found.pop("model") == "up-model" and found.pop("store") is False
    if "max_tokens" not in body:
        assert found.pop("max_output_tokens") == 100
    if "messages" not in body:
        assert found.pop("input") == [SAID]
    return found


def items(*messages: dict[str, Any], **quirks: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request(MESSAGES, {"messages": list(messages)}, **quirks)["input"]
    return found


def use(use_id: str = "toolu_1", name: str = "clock", given: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": {"n": 1} if given is None else given}


def result(use_id: str = "toolu_1", content: Any = "12:00", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": use_id, "content": content, **more}


def called(call_id: str = "toolu_1") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "clock", "arguments": '{"n":1}'}


def brought(call_id: str = "toolu_1", output: Any = "12:00") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def shown(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"max_tokens": 32000}, {"max_output_tokens": 32000}),
    ({"stream": True}, {"stream": True}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"temperature": 1}, {"temperature": 1}),
    ({"metadata": {"user_id": "u"}}, {"user": "u"}),
    ({"metadata": {"user_id": "u" * 65}}, {"user": sha256(b"u" * 65).hexdigest()}),
    ({"metadata": {"user_id": None}, "service_tier": "auto", "cache_control": {"type": "ephemeral"}, "stop_sequences": []}, {}),
    ({"context_management": {"edits": []}, "betas": ["x"], "mcp_servers": []}, {}),
    # the system prompt
    ({"system": "Be brief."}, {"instructions": "Be brief."}),
    ({"system": [text("A", cache_control={"type": "ephemeral"}), text("B")]}, {"instructions": "A\n\nB"}),
    ({"system": [text("x-anthropic-billing-header: cc_version=1;"), text("B")]}, {"instructions": "B"}),
    ({"system": ""}, {}),
    # thinking
    ({"thinking": {"type": "disabled"}}, {}),
    ({"thinking": {"type": "adaptive"}}, {"reasoning": {"effort": "high", **AUTO}, "include": ENCRYPTED}),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "temperature": 1},
        {"reasoning": {"effort": "max", **AUTO}, "include": ENCRYPTED},
    ),
    ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"reasoning": {"effort": "low", **AUTO}, "include": ENCRYPTED}),
    ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"reasoning": {"effort": "high", **AUTO}, "include": ENCRYPTED}),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"reasoning": {"effort": "high"}, "include": ENCRYPTED}),
    ({"output_config": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
    ({"output_config": {"effort": "low"}, "thinking": {"type": "disabled"}}, {}),
    # the form of the answer
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}},
    ),
    # tools
    ({"tools": [CLOCK]}, {"tools": [FLAT_CLOCK]}),
    ({"tools": [{**CLOCK, "strict": True, "type": "custom"}]}, {"tools": [{**FLAT_CLOCK, "strict": True}]}),
    (
        {"tools": [{"name": "now", "input_schema": {"type": "object"}}]},
        {"tools": [{"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False}]},
    ),
    ({"tools": [CLOCK], "tool_choice": {"type": "auto"}}, {"tools": [FLAT_CLOCK], "tool_choice": "auto"}),
    ({"tools": [CLOCK], "tool_choice": {"type": "any"}}, {"tools": [FLAT_CLOCK], "tool_choice": "required"}),
    ({"tools": [CLOCK], "tool_choice": {"type": "none"}}, {"tools": [FLAT_CLOCK], "tool_choice": "none"}),
    (
        {"tools": [CLOCK], "tool_choice": {"type": "tool", "name": "clock", "disable_parallel_tool_use": True}},
        {"tools": [FLAT_CLOCK], "tool_choice": {"type": "function", "name": "clock"}, "parallel_tool_calls": False},
    ),
    (
        {
            "tools": [
                {**SEARCH, "allowed_domains": ["a.org"], "max_uses": 3, "user_location": {"type": "approximate", "city": "Ulm"}}
            ]
        },
        {
            "tools": [
                {
                    "type": "web_search",
                    "user_location": {"type": "approximate", "city": "Ulm"},
                    "filters": {"allowed_domains": ["a.org"]},
                }
            ],
            "max_tool_calls": 3,
        },
    ),
    (
        {"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        {"tools": [{"type": "web_search"}], "tool_choice": "required"},
    ),
    ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, {"tools": [{"type": "web_search"}], "tool_choice": "required"}),
    (
        {"tools": [CLOCK, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        {
            "tools": [FLAT_CLOCK, {"type": "web_search"}],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
        },
    ),
]


@pytest.mark.parametrize("body, expected", FIELDS)
def test_fields(body: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each field says the same in the other dialect, and nothing is lost."""
    assert told(body) == expected
    assert lost(MESSAGES, body) == ()


PNG = {"type": "base64", "media_type": "image/png", "data": "AA"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "AA"}
BLOCKS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (text("x", cache_control={"type": "ephemeral"}), [shown("x")]),
    (text(""), []),
    ({"type": "image", "source": PNG}, [{"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"}]),
    (
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        [{"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.png"}],
    ),
    (
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        [{"type": "input_image", "detail": "auto", "file_id": "file_1"}],
    ),
    (
        {"type": "document", "source": PDF, "title": "Report"},
        [{"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "Report.pdf"}],
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "context": "Old."},
        [shown("Old."), {"type": "input_file", "file_url": "https://example.com/a.pdf"}],
    ),
    ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, [{"type": "input_file", "file_id": "file_1"}]),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words"}, "title": "T"},
        [shown('<document title="T">\nWords\n</document>')],
    ),
    (
        {"type": "search_result", "source": "https://e.org", "title": "T", "content": [text("Found")]},
        [shown('<search_result source="https://e.org" title="T">\nFound\n</search_result>')],
    ),
]


@pytest.mark.parametrize("block, expected", BLOCKS)
def test_blocks(block: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    """Of a user, and of the result of a tool, which holds images and files here."""
    (found,) = items({"role": "user", "content": [text("Look:"), text("Here"), block]})
    assert found == {"type": "message", "role": "user", "content": [shown("Look:"), shown("Here"), *expected]}
    conversation = [{"role": "assistant", "content": [use()]}, {"role": "user", "content": [result(content=[text("See"), block])]}]
    output = items(*conversation)[1]["output"]
    if all(part["type"] == "input_text" for part in expected):
        assert output == "\n\n".join(["See", *(part["text"] for part in expected)])
    else:
        assert output == [shown("See"), *expected]


TURNS: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    ([USER, {"role": "assistant", "content": "Yes."}], [SAID, {"type": "message", "role": "assistant", "content": "Yes."}]),
    (
        [USER, {"role": "assistant", "content": [text("A "), text("cited"), text(" text.")]}],
        [SAID, {"type": "message", "role": "assistant", "content": "A cited text."}],
    ),
    (
        [
            USER,
            {"role": "assistant", "content": [text("First."), use("a"), text("Then."), use("b")]},
            {"role": "user", "content": [result("b"), result("a"), text("Well?")]},
        ],
        [
            SAID,
            {"type": "message", "role": "assistant", "content": "First."},
            called("a"),
            {"type": "message", "role": "assistant", "content": "Then."},
            called("b"),
            brought("b"),
            brought("a"),
            {"type": "message", "role": "user", "content": "Well?"},
        ],
    ),
    (
        [{"role": "assistant", "content": [use()]}, {"role": "user", "content": [result(is_error=True)]}],
        [called(), brought(output="Error: 12:00")],
    ),
    (
        [{"role": "assistant", "content": [use()]}, {"role": "user", "content": [result(content=None, is_error=True)]}],
        [called(), brought(output="Error")],
    ),
    (
        [{"role": "assistant", "content": [use()]}, {"role": "user", "content": [result(content="")]}],
        [called(), brought(output="")],
    ),
    # instructions in mid-conversation
    (
        [USER, {"role": "system", "content": "Late."}, USER],
        [SAID, {"type": "message", "role": "system", "content": "Late."}, SAID],
    ),
    (
        [{"role": "system", "content": "Then.", "clear_at": "next_user_message"}, USER, {"role": "system", "content": "Now."}],
        [SAID, {"type": "message", "role": "system", "content": "Now."}],
    ),
    # a result of no call
    (
        [{"role": "user", "content": [result("gone")]}],
        [{"type": "message", "role": "user", "content": [shown("Result of the tool call gone:"), shown("12:00")]}],
    ),
    # thoughts of others, and nothing but a thought
    (
        [
            USER,
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, text("So.")]},
            USER,
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]},
            USER,
        ],
        [SAID, {"type": "message", "role": "assistant", "content": "So."}, SAID, SAID],
    ),
    # input that is no object
    (
        [{"role": "assistant", "content": [{**use(), "input": "n"}]}, {"role": "user", "content": [result()]}],
        [{**called(), "arguments": '{"INVALID_JSON":"n"}'}, brought()],
    ),
    # an id that another upstream's calls were given
    (
        [
            {"role": "assistant", "content": [use("b64-ZjowAHsiYSI6MX0")]},
            {"role": "user", "content": [result("b64-ZjowAHsiYSI6MX0")]},
        ],
        [called("f:0"), brought("f:0")],
    ),
]


@pytest.mark.parametrize("messages, expected", TURNS)
def test_turns(messages: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Every turn is told, in its place and order."""
    assert items(*messages) == expected
    assert lost(MESSAGES, {"messages": messages}) == ()


def test_changes_of_tools() -> None:
    """The tools are those that stand at the end of the conversation."""
    change = {"type": "tool_addition", "tool": {"type": "tool", "definition": {**CLOCK, "name": "late"}}}
    removal = {"type": "tool_removal", "tool": {"type": "tool", "name": "clock"}}
    body = {"tools": [CLOCK], "messages": [USER, {"role": "system", "content": [change, removal]}]}
    assert request(MESSAGES, body)["tools"] == [{**FLAT_CLOCK, "name": "late"}]


def test_long_names() -> None:
    """A name that the upstream would refuse is told short, and found again."""
    name = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_name_that_is_longer_still"
    body = {"tools": [{**CLOCK, "name": name}], "messages": [USER, {"role": "assistant", "content": [use(name=name)]}]}
    found = request(MESSAGES, body)
    short = found["tools"][0]["name"]
    assert len(short) == 64 and found["input"][1]["name"] == short
    back = json.loads(begin(MESSAGES, body).answer(answer(call(short, "{}"))))
    assert back["content"][0]["name"] == name
