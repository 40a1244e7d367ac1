"""OpenAI's SDK with responses on a chat upstream: what that upstream is sent, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay  # noqa: E402
from story_upstream import Recorder  # noqa: E402
from translation_answers import chat_says  # noqa: E402
from translation_stage import PDF, PNG, WEATHER, Stage, assistant, user  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


OK = chat_says({"content": "fine"})
PNG_URL = f"data:image/png;base64,{PNG}"
PDF_URL = f"data:application/pdf;base64,{PDF}"


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def answered(words: str, item_id: str = "msg_1") -> dict[str, Any]:
    part = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": [part]}


def called(name: str, arguments: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
        **more,
    }


def output(call_id: str, told: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": told}


def calling(*calls: tuple[str, str, str], content: str | None = None) -> dict[str, Any]:
    functions = [{"id": each, "type": "function", "function": {"name": name, "arguments": given}} for each, name, given in calls]
    return {"role": "assistant", "content": content, "tool_calls": functions}


def tool(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def system(words: str) -> dict[str, Any]:
    return {"role": "system", "content": words}


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAAB"}
PARIS = '{"city":"Paris"}'

# case → (input and instructions; the messages that go up)
INPUTS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a string": ({"input": "hi"}, [user("hi")]),
    "instructions": ({"instructions": "Be brief.", "input": "hi"}, [system("Be brief."), user("hi")]),
    "messages without a type": ({"input": [user("hi")]}, [user("hi")]),
    "parts": ({"input": [said([text("a"), text("b")])]}, [user("a\n\nb")]),
    "letters of all scripts": ({"input": 'naïve 日本語 🎉 \u2028 \\n "q"'}, [user('naïve 日本語 🎉 \u2028 \\n "q"')]),
    "several turns": ({"input": [said("a"), said("b", "assistant"), said("c")]}, [user("a"), assistant("b"), user("c")]),
    "an earlier answer as it came": ({"input": [said("a"), answered("b"), said("c")]}, [user("a"), assistant("b"), user("c")]),
    "a developer's message": ({"input": [said("D", "developer"), said("hi")]}, [system("D"), user("hi")]),
    "instructions and a developer's message": (
        {"instructions": "I", "input": [said("D", "developer"), said("hi")]},
        [system("I\n\nD"), user("hi")],
    ),
    "a system message later": ({"input": [said("a"), said("S", "system"), said("b")]}, [user("a"), system("S"), user("b")]),
    "an image": (
        {"input": [said([text("what?"), {"type": "input_image", "image_url": PNG_URL, "detail": "auto"}])]},
        [user([{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "auto"}}])],
    ),
    "an image by its URL": (
        {"input": [said([{"type": "input_image", "image_url": "https://e.com/a.png"}])]},
        [user([{"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}])],
    ),
    "a PDF": (
        {"input": [said([{"type": "input_file", "filename": "r.pdf", "file_data": PDF_URL}, text("sum up")])]},
        [user([{"type": "file", "file": {"filename": "r.pdf", "file_data": PDF_URL}}, {"type": "text", "text": "sum up"}])],
    ),
    "a tool loop": (
        {"input": [said("Weather?"), called("get_weather", PARIS, "call_1"), output("call_1", "18 C")]},
        [user("Weather?"), calling(("call_1", "get_weather", PARIS)), tool("call_1", "18 C")],
    ),
    "text before a call": (
        {"input": [said("Weather?"), answered("Let me look."), called("get_weather", PARIS, "call_1"), output("call_1", "18 C")]},
        [user("Weather?"), calling(("call_1", "get_weather", PARIS), content="Let me look."), tool("call_1", "18 C")],
    ),
    "calls side by side": (
        {
            "input": [
                said("Both?"),
                called("get_weather", PARIS, "call_1"),
                called("now", "{}", "call_2"),
                output("call_1", "18 C"),
                output("call_2", "noon"),
            ]
        },
        [
            user("Both?"),
            calling(("call_1", "get_weather", PARIS), ("call_2", "now", "{}")),
            tool("call_1", "18 C"),
            tool("call_2", "noon"),
        ],
    ),
    "a result in parts": (
        {"input": [said("W?"), called("get_weather", PARIS, "call_1"), output("call_1", [text("18 C"), text("windy")])]},
        [user("W?"), calling(("call_1", "get_weather", PARIS)), tool("call_1", "18 C\n\nwindy")],
    ),
    "an empty result": (
        {"input": [said("W?"), called("get_weather", PARIS, "call_1"), output("call_1", "")]},
        [user("W?"), calling(("call_1", "get_weather", PARIS)), tool("call_1", "")],
    ),
    "a call without arguments": (
        {"input": [said("W?"), called("now", "", "call_1"), output("call_1", "noon")]},
        [user("W?"), calling(("call_1", "now", "{}")), tool("call_1", "noon")],
    ),
    "reasoning stays away": ({"input": [said("a"), THOUGHT, answered("b"), said("c")]}, [user("a"), assistant("b"), user("c")]),
    "reasoning before a call": (
        {"input": [said("W?"), THOUGHT, called("now", "{}", "call_1"), output("call_1", "noon")]},
        [user("W?"), calling(("call_1", "now", "{}")), tool("call_1", "noon")],
    ),
    "words after a loop": (
        {"input": [said("W?"), called("now", "{}", "call_1"), output("call_1", "noon"), answered("Noon."), said("Thanks")]},
        [user("W?"), calling(("call_1", "now", "{}")), tool("call_1", "noon"), assistant("Noon."), user("Thanks")],
    ),
    "two loops keep their ids": (
        {
            "input": [
                said("W?"),
                called("now", "{}", "call_1"),
                output("call_1", "noon"),
                called("get_weather", PARIS, "call_2"),
                output("call_2", "18 C"),
            ]
        },
        [
            user("W?"),
            calling(("call_1", "now", "{}")),
            tool("call_1", "noon"),
            calling(("call_2", "get_weather", PARIS)),
            tool("call_2", "18 C"),
        ],
    ),
    "an earlier refusal": (
        {"input": [said("a"), {**answered(""), "content": [{"type": "refusal", "refusal": "No."}]}, said("b")]},
        [user("a"), assistant("No."), user("b")],
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_input(stage: Stage, case: str) -> None:
    """Items become messages, and results stand behind their calls."""
    asked, messages = INPUTS[case]
    _, sent = stage.response("whole", OK, **asked)
    assert sent == {"model": "up-model", "messages": messages}


def test_a_result_with_an_image(stage: Stage) -> None:
    """A tool message holds text only: the image follows in a user's message."""
    items = [said("look"), called("shot", "{}", "c"), output("c", [text("done"), {"type": "input_image", "image_url": PNG_URL}])]
    _, sent = stage.response("whole", OK, input=items)
    assert sent["messages"][2] == tool("c", "done")
    assert {"type": "image_url", "image_url": {"url": PNG_URL}} in sent["messages"][3]["content"]


def function(**more: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": WEATHER,
        "strict": None,
        **more,
    }


FUNCTION = {"name": "get_weather", "description": "Weather of a city", "parameters": WEATHER}
TOLD = {"type": "function", "function": FUNCTION}
CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a function": ({"tools": [function()]}, {"tools": [TOLD]}),
    "a strict function": (
        {"tools": [{"type": "function", "name": "f", "parameters": CLOSED, "strict": True}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": CLOSED, "strict": True}}]},
    ),
    "auto": ({"tools": [function()], "tool_choice": "auto"}, {"tools": [TOLD], "tool_choice": "auto"}),
    "required": ({"tools": [function()], "tool_choice": "required"}, {"tools": [TOLD], "tool_choice": "required"}),
    "none": ({"tools": [function()], "tool_choice": "none"}, {"tools": [TOLD], "tool_choice": "none"}),
    "one by its name": (
        {"tools": [function()], "tool_choice": {"type": "function", "name": "get_weather"}},
        {"tools": [TOLD], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    ),
    "one call at a time": ({"tools": [function()], "parallel_tool_calls": False}, {"tools": [TOLD], "parallel_tool_calls": False}),
    "hosted tools are left out": (
        {"tools": [function(), {"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [TOLD]},
    ),
    "a limit": ({"max_output_tokens": 77}, {"max_tokens": 77}),
    "sampling": ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3, "top_p": 0.9}),
    "temperature zero": ({"temperature": 0}, {"temperature": 0}),
    "effort": ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
    "no reasoning": ({"reasoning": None}, {}),
    "text alone": ({"text": {"format": {"type": "text"}}}, {}),
    "verbosity": ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    "a schema for the answer": (
        {"text": {"format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": CLOSED, "strict": True}}},
    ),
    "a JSON object": ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    "user": ({"user": "u-1"}, {"user": "u-1"}),
    "safety_identifier": ({"safety_identifier": "s-1"}, {"user": "s-1"}),
    "bookkeeping": (
        {
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "metadata": {"a": "b"},
            "prompt_cache_key": "k",
            "truncation": "disabled",
        },
        {},
    ),
    "logprobs": ({"include": ["message.output_text.logprobs"], "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields(stage: Stage, case: str) -> None:
    """Tools, choices, limits and settings."""
    asked, expected = FIELDS[case]
    _, sent = stage.response("whole", OK, **asked)
    assert sent == {"model": "up-model", "messages": [user("hi")], **expected}


def test_a_stream_asks_for_usage(stage: Stage) -> None:
    """Chat upstreams tell it only to those who ask."""
    _, sent = stage.response("events", OK)
    assert sent["stream"] is True and sent["stream_options"] == {"include_usage": True}


def test_quirks(stage: Stage) -> None:
    """What the provider file says about its upstream is honoured."""
    _, sent = stage.response("whole", OK, provider="completion", instructions="S", max_output_tokens=9)
    assert sent == {
        "model": "up-model",
        "messages": [{"role": "developer", "content": "S"}, user("hi")],
        "max_completion_tokens": 9,
    }
    _, sent = stage.response("whole", OK, provider="thinker", reasoning={"effort": "high"})
    assert sent["thinking"] == {"type": "enabled"} and "reasoning_effort" not in sent
    _, sent = stage.response("events", OK, provider="plain", reasoning={"effort": "high"}, user="u")
    assert sent == {"model": "up-model", "messages": [user("hi")], "user": "u", "stream": True}
    items = [said("W?"), THOUGHT, called("now", "{}", "call_1"), output("call_1", "noon")]
    _, sent = stage.response("whole", OK, provider="echoing", input=items)
    assert sent["messages"][1]["reasoning_content"] == "hm"


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("previous_response_id", {"previous_response_id": "resp_123"}),
        ("background", {"background": True}),
        ("conversation", {"conversation": "conv_1"}),
        ("prompt", {"prompt": {"id": "pmpt_1"}}),
        ("item_reference", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("input_image", {"input": [said([{"type": "input_image", "file_id": "file-1", "detail": "auto"}])]}),
        ("input_file", {"input": [said([{"type": "input_file", "file_url": "https://e.com/a.pdf"}])]}),
    ],
)
def test_what_cannot_be_said_is_refused(stage: Stage, field: str, asked: dict[str, Any]) -> None:
    """400 with the field and the provider, and nothing goes up."""
    with pytest.raises(openai.BadRequestError) as raised:
        stage.openai.responses.create(**{"model": "up-model@chat", "input": "hi", **asked})
    assert field in (raised.value.param or "") and "chat" in raised.value.message
    assert not stage.upstream.requests


def test_tools_of_codex(stage: Stage) -> None:
    """Custom tools, namespaces and a local shell become functions, each with a name of its own."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    tools = [
        {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": grammar},
        {
            "type": "namespace",
            "name": "agents",
            "description": "Others.",
            "tools": [{"type": "function", "name": "spawn", "parameters": WEATHER}],
        },
        {"type": "local_shell"},
        {"type": "web_search"},
    ]
    _, sent = stage.response("whole", OK, tools=tools)
    functions = {each["function"]["name"]: each["function"] for each in sent["tools"]}
    assert list(functions) == ["apply_patch", "agents__spawn", "local_shell"]
    patch = functions["apply_patch"]
    assert [each["type"] for each in patch["parameters"]["properties"].values()] == ["string"] and "start: /.+/" in patch[
        "description"
    ]
    history = [
        said("go"),
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin\nü\n"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
        called("spawn", "{}", "c2", namespace="agents"),
        output("c2", "ok"),
        {
            "type": "local_shell_call",
            "id": "l",
            "call_id": "c3",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        },
        {"type": "local_shell_call_output", "id": "c3", "call_id": "c3", "output": "a.txt"},
    ]
    _, sent = stage.response("whole", OK, tools=tools, input=history)
    calls = [call for each in sent["messages"] for call in each.get("tool_calls", ())]
    assert [call["function"]["name"] for call in calls] == ["apply_patch", "agents__spawn", "local_shell"]
    (argument,) = json.loads(calls[0]["function"]["arguments"]).values()
    assert argument == "*** Begin\nü\n" and json.loads(calls[2]["function"]["arguments"])["command"] == ["ls"]
    assert [each["tool_call_id"] for each in sent["messages"] if each["role"] == "tool"] == [call["id"] for call in calls]
