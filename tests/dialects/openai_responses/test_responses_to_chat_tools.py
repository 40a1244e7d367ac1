"""Tools of openai.responses as the functions of openai.chat, and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest
from responses_stage import TOOL, USER, begin, function_call, function_result, messages, told

SPACE = {
    "type": "namespace",
    "name": "space",
    "description": "About space.",
    "tools": [{"type": "function", "name": "g", "description": "G."}, {"type": "custom", "name": "h"}],
}


def tools(*offered: Any, **beside: Any) -> Any:
    return told({"input": "Hi", "tools": list(offered), **beside})


def test_functions() -> None:
    """As they are; a schema that says nothing is one of an object without properties."""
    strict = {
        "type": "function",
        "name": "s",
        "description": "d",
        "parameters": {"type": "object", "properties": {}, "required": []},
        "strict": True,
    }
    found = tools(strict, {"type": "function", "name": "n", "parameters": None, "strict": False, "description": None})
    assert [each["function"] for each in found["tools"]] == [
        {"name": "s", "description": "d", "parameters": strict["parameters"], "strict": True},
        {"name": "n", "parameters": {"type": "object", "properties": {}}},
    ]


def test_a_custom_tool_is_a_function_with_one_string() -> None:
    """Its grammar is described, which is reported."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    body = {"input": "Hi", "tools": [{"type": "custom", "name": "patch", "description": "Patches.", "format": grammar}]}
    function = told(body)["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"] and "start: x" in function["description"]
    assert begin(body).lost == ("tools.custom.format",)


def test_a_namespace_is_flattened() -> None:
    """What it is for is said before its first tool."""
    found = tools(SPACE)
    assert [each["function"]["name"] for each in found["tools"]] == ["space__g", "space__h"]
    assert found["tools"][0]["function"]["description"] == "About space.\n\nG."
    called = messages(USER, function_call("a", "g", namespace="space"), function_result("a"), tools=[SPACE])
    assert called[1]["tool_calls"][0]["function"]["name"] == "space__g"


def test_names_that_meet_or_are_too_long() -> None:
    """Stay two, have 64 characters at most, and are the same in the history."""
    long = "x" * 70
    space = {"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "b"}, {"type": "function", "name": long}]}
    found = [each["function"]["name"] for each in tools({**TOOL, "name": "a__b"}, space)["tools"]]
    assert len(set(found)) == 3 and all(len(name) <= 64 for name in found) and found[0] == "a__b"
    called = messages(
        USER,
        function_call("1", "b", namespace="a"),
        function_call("2", long, namespace="a"),
        tools=[{**TOOL, "name": "a__b"}, space],
    )
    assert [each["function"]["name"] for each in called[1]["tool_calls"]] == found[1:]


def test_tools_inside_the_input() -> None:
    """Are offered like the others; the last of a name counts."""
    items = [
        {"type": "additional_tools", "role": "developer", "tools": [SPACE, {**TOOL, "description": "later"}]},
        {
            "type": "tool_search_output",
            "call_id": "t",
            "execution": "client",
            "status": "completed",
            "tools": [{**TOOL, "name": "found"}],
        },
        USER,
    ]
    found = told({"input": items, "tools": [TOOL]})
    assert [each["function"]["name"] for each in found["tools"]] == ["f", "space__g", "space__h", "found"]
    assert found["tools"][0]["function"]["description"] == "later" and found["messages"] == [USER]


def test_settings_inside_the_input() -> None:
    """The last ones hold."""
    items = [
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        USER,
        {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": {"format": {"type": "json_object"}}},
    ]
    found = told({"input": items, "reasoning": {"effort": "medium", "summary": "auto"}})
    assert found["reasoning_effort"] == "high" and found["response_format"] == {"type": "json_object"}


def test_tools_that_the_vendor_runs() -> None:
    """Are dropped, and reported; what is left can be chosen."""
    offered = [
        TOOL,
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x"},
        {"type": "shell", "environment": {"type": "container_auto"}},
    ]
    body = {"input": "Hi", "tools": offered, "tool_choice": {"type": "web_search_preview"}}
    translation = begin(body)
    assert translation.lost == ("tools.web_search", "tools.mcp", "tools.shell", "tool_choice")
    assert len(told(body)["tools"]) == 1 and "tool_choice" not in told(body)
    alone = {"input": "Hi", "tools": [{"type": "web_search"}], "tool_choice": "required", "parallel_tool_calls": True}
    assert told(alone).keys() == {"model", "messages"} and begin(alone).lost == ("tools.web_search", "tool_choice")


@pytest.mark.parametrize(
    "choice, expected",
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "name": "g", "namespace": "space"}, {"type": "function", "function": {"name": "space__g"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
        ({"type": "shell"}, {"type": "function", "function": {"name": "shell"}}),
    ],
)
def test_choices(choice: Any, expected: Any) -> None:
    """A tool is chosen by the name it is told by."""
    found = tools(
        TOOL, SPACE, {"type": "custom", "name": "patch"}, {"type": "shell"}, tool_choice=choice, parallel_tool_calls=False
    )
    assert found["tool_choice"] == expected and found["parallel_tool_calls"] is False


def test_allowed_tools() -> None:
    """Are the only ones that are offered."""
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}, {"type": "image_generation"}],
    }
    found = tools(TOOL, SPACE, tool_choice=allowed)
    assert [each["function"]["name"] for each in found["tools"]] == ["f"] and found["tool_choice"] == "required"
