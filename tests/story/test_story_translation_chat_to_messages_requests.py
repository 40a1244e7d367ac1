"""OpenAI's SDK on an Anthropic upstream: tools, settings, headers and refusals, to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay  # noqa: E402
from story_upstream import Recorder  # noqa: E402
from translation_answers import messages_say, text  # noqa: E402
from translation_stage import WEATHER, Stage, assistant, user  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


OK = messages_say([text("fine")])
SYSTEM = {"role": "system", "content": "S"}


def function(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "Weather of a city", "parameters": WEATHER, **more}}


TOOL = {"name": "get_weather", "description": "Weather of a city", "input_schema": WEATHER}
CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a function": ({"tools": [function()]}, {"tools": [TOOL]}),
    "auto": ({"tools": [function()], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": {"type": "auto"}}),
    "required": ({"tools": [function()], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "any"}}),
    "none": ({"tools": [function()], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": {"type": "none"}}),
    "one by its name": (
        {"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}},
    ),
    "one call at a time": (
        {"tools": [function()], "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "one required call": (
        {"tools": [function()], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    ),
    "several calls at a time": ({"tools": [function()], "parallel_tool_calls": True}, {"tools": [TOOL]}),
    "no parameters": (
        {"tools": [{"type": "function", "function": {"name": "now"}}]},
        {"tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    "a strict function": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": CLOSED, "strict": True}}]},
        {"tools": [{"name": "f", "strict": True, "input_schema": CLOSED}]},
    ),
    "allowed tools": (
        {
            "tools": [function(), function("other")],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]},
            },
        },
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
    ),
    "functions of old": (
        {
            "functions": [{"name": "get_weather", "description": "Weather of a city", "parameters": WEATHER}],
            "function_call": "auto",
        },
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "a choice without tools": ({"tool_choice": "none", "tools": []}, {}),
}


@pytest.mark.parametrize("case", TOOLS)
def test_tools(stage: Stage, case: str) -> None:
    """Functions become tools, and the choice among them keeps its meaning."""
    asked, expected = TOOLS[case]
    _, sent = stage.chat("whole", OK, **asked)
    assert {name: value for name, value in sent.items() if name not in ("model", "messages", "max_tokens")} == expected


SCHEMA = {"name": "answer", "schema": CLOSED, "strict": True}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_tokens": ({"max_tokens": 77}, {"max_tokens": 77}),
    "max_completion_tokens": ({"max_completion_tokens": 78}, {"max_tokens": 78}),
    "both": ({"max_completion_tokens": 78, "max_tokens": 77}, {"max_tokens": 78}),
    "stop, a string": ({"stop": "END"}, {"stop_sequences": ["END"]}),
    "stop, a list": ({"stop": ["END", "STOP"]}, {"stop_sequences": ["END", "STOP"]}),
    "stop with white space alone": ({"stop": ["\n", "END"]}, {"stop_sequences": ["END"]}),
    "no stop": ({"stop": None}, {}),
    "sampling": ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3, "top_p": 0.9}),
    "temperature zero": ({"temperature": 0}, {"temperature": 0}),
    "a temperature above one": ({"temperature": 1.7}, {"temperature": 1}),
    "top_k": ({"extra_body": {"top_k": 40}}, {"top_k": 40}),
    "user": ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
    "safety_identifier": ({"safety_identifier": "s-1"}, {"metadata": {"user_id": "s-1"}}),
    "metadata": ({"metadata": {"user_id": "m-1", "trace": "x"}}, {"metadata": {"user_id": "m-1"}}),
    "one choice": ({"n": 1}, {}),
    "what Anthropic does not know": (
        {
            "seed": 7,
            "presence_penalty": 0.5,
            "frequency_penalty": 0.5,
            "logit_bias": {"1": 1},
            "logprobs": True,
            "top_logprobs": 2,
            "store": True,
            "verbosity": "low",
            "prompt_cache_key": "k",
        },
        {},
    ),
    "service_tier": ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    "text alone": ({"response_format": {"type": "text"}, "modalities": ["text"]}, {}),
    "a schema for the answer": (
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
    "no effort": ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    "effort": (
        {"reasoning_effort": "low", "max_tokens": 8192},
        {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    "Anthropic's own thinking": (
        {"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "max_tokens": 4000},
        {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields(stage: Stage, case: str) -> None:
    """Everything else that a request says."""
    asked, expected = FIELDS[case]
    _, sent = stage.chat("whole", OK, **asked)
    assert sent == {"model": "up-model", "max_tokens": 4096, "messages": [user("hi")], **expected}


def test_headers(stage: Stage) -> None:
    """The upstream's own credential and version; nothing of OpenAI's."""
    stage._script("whole", OK)
    stage.openai.chat.completions.create(model="up-model@claude", messages=[user("hi")], extra_headers={"openai-beta": "x=1"})
    recorded = stage.recorded()
    assert recorded.target == "/claude/v1/messages" and recorded.header("x-api-key") == "sk-up-a"
    assert recorded.header("anthropic-version") == "2023-06-01" and recorded.header("content-type") == "application/json"
    assert "authorization" not in recorded.names and "openai-beta" not in recorded.names


@pytest.mark.parametrize("way", ("whole", "events"))
@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh"])
def test_budgets_stay_below_the_limit(stage: Stage, effort: str, way: Any) -> None:
    """Anthropic refuses a budget that is not smaller than max_tokens, a small one, another temperature and a forced tool."""
    _, sent = stage.chat(
        way, OK, reasoning_effort=effort, max_completion_tokens=4000, temperature=0.5, tools=[function()], tool_choice="required"
    )
    assert 1024 <= sent["thinking"]["budget_tokens"] < sent["max_tokens"] == 4000
    assert "temperature" not in sent and sent["tool_choice"]["type"] == "auto"
    _, sent = stage.chat(way, OK, reasoning_effort=effort)
    assert sent["thinking"]["budget_tokens"] < sent["max_tokens"]


QUIRKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "adaptive",
        {"reasoning_effort": "high", "max_tokens": 5000},
        {"max_tokens": 5000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    ("thoughtless", {"reasoning_effort": "high"}, {"max_tokens": 2048}),
    ("fussy", {"user": "u", "service_tier": "auto"}, {"max_tokens": 4096}),
    (
        "adaptive",
        {"messages": [user("a"), assistant("b"), SYSTEM, user("c")]},
        {"max_tokens": 4096, "messages": [user("a"), assistant("b"), SYSTEM, user("c")]},
    ),
]


@pytest.mark.parametrize(("provider", "asked", "expected"), QUIRKS)
def test_quirks(stage: Stage, provider: str, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    """What the provider file says about its upstream is honoured, and nothing else changes."""
    _, sent = stage.chat("whole", OK, provider=provider, **asked)
    assert sent == {"model": "up-model", "messages": [user("hi")], **expected}


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("n", {"n": 2}),
        ("input_audio", {"messages": [user([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])]}),
        ("image_url", {"messages": [user([{"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}])]}),
        ("messages", {"messages": []}),
        ("role", {"messages": [{"role": "wizard", "content": "x"}]}),
    ],
)
def test_what_cannot_be_said_is_refused(stage: Stage, field: str, asked: dict[str, Any]) -> None:
    """400 in OpenAI's envelope, with the field and the provider, and nothing goes up."""
    with pytest.raises(openai.BadRequestError) as raised:
        stage.openai.chat.completions.create(**{"model": "up-model@claude", "messages": [user("hi")], **asked})
    assert field in (raised.value.param or "") and "claude" in raised.value.message and raised.value.type == "invalid_request_error"
    assert not stage.upstream.requests


def test_json_objects_are_asked_for_in_words(stage: Stage) -> None:
    """Anthropic has no such mode."""
    _, sent = stage.chat("whole", OK, messages=[SYSTEM, user("hi")], response_format={"type": "json_object"})
    assert sent["system"][0] == text("S") and "JSON" in sent["system"][1]["text"]


def test_a_schema_where_none_is_offered_becomes_a_tool(stage: Stage) -> None:
    """It is forced, and its input will be the answer."""
    form = {"type": "json_schema", "json_schema": SCHEMA}
    _, sent = stage.chat("whole", OK, provider="thoughtless", response_format=form)
    (tool,) = sent["tools"]
    assert tool["input_schema"] == CLOSED and sent["tool_choice"]["type"] == "tool" and sent["tool_choice"]["name"] == tool["name"]
    assert "output_config" not in sent
