"""Anthropic's SDK on a chat upstream: what that upstream is sent, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay
from story_upstream import Recorder
from translation_answers import chat_says
from translation_stage import PDF, PNG, WEATHER, Stage, assistant, user


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


OK = chat_says({"content": "fine"})
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
IMAGE_URL = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}}
PNG_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
URL_PART = {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def use(name: str, given: Any, use_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


def result(use_id: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": use_id, **({} if content is None else {"content": content}), **more}


def called(*calls: tuple[str, str, str], content: str | None = None) -> dict[str, Any]:
    """An assistant's message with calls: (id, name, arguments)."""
    functions = [{"id": each, "type": "function", "function": {"name": name, "arguments": given}} for each, name, given in calls]
    return {"role": "assistant", "content": content, "tool_calls": functions}


def told(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


WEATHER_TOOL = {"name": "get_weather", "description": "Weather of a city", "input_schema": WEATHER}
WEATHER_FUNCTION = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather of a city", "parameters": WEATHER},
}
LOOP = [user("Weather in Paris?"), assistant([use("get_weather", {"city": "Paris"}, "toolu_1")])]
LOOPED = [user("Weather in Paris?"), called(("toolu_1", "get_weather", '{"city":"Paris"}'))]

# case → (what the client asks, the messages that go up)
MESSAGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "a string": ({"messages": [user("hi")]}, [user("hi")]),
    "one block": ({"messages": [user([text("hi")])]}, [user("hi")]),
    "several blocks": ({"messages": [user([text("one"), text("two")])]}, [user("one\n\ntwo")]),
    "letters of all scripts": ({"messages": [user('naïve 日本語 🎉 \u2028 \\n "q"')]}, [user('naïve 日本語 🎉 \u2028 \\n "q"')]),
    "several turns": (
        {"messages": [user("a"), assistant("b"), user("c"), assistant([text("d")]), user("e")]},
        [user("a"), assistant("b"), user("c"), assistant("d"), user("e")],
    ),
    "a prefilled answer": ({"messages": [user("a"), assistant("The answer is")]}, [user("a"), assistant("The answer is")]),
    "system as a string": ({"system": "Be brief."}, [{"role": "system", "content": "Be brief."}, user("hi")]),
    "system in blocks, with marks for the cache": (
        {"system": [text("Be brief."), text("Be kind.", cache_control={"type": "ephemeral"})]},
        [{"role": "system", "content": "Be brief.\n\nBe kind."}, user("hi")],
    ),
    "a billing block is no part of the system prompt": (
        {"system": [text("x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli;"), text("You are an agent.")]},
        [{"role": "system", "content": "You are an agent."}, user("hi")],
    ),
    "system in the middle": (
        {"messages": [user("hi"), {"role": "system", "content": "Tools changed."}, user("go on")]},
        [user("hi"), {"role": "system", "content": "Tools changed."}, user("go on")],
    ),
    "an empty system prompt": ({"system": ""}, [user("hi")]),
    "marks for the cache in messages": (
        {"messages": [user([text("hi", cache_control={"type": "ephemeral", "ttl": "1h"})])]},
        [user("hi")],
    ),
    "an image": ({"messages": [user([text("what?"), IMAGE])]}, [user([text("what?"), PNG_PART])]),
    "an image by its URL": ({"messages": [user([IMAGE_URL, text("what?")])]}, [user([URL_PART, text("what?")])]),
    "several images": ({"messages": [user([IMAGE, IMAGE_URL])]}, [user([PNG_PART, URL_PART])]),
    "a PDF": (
        {
            "messages": [
                user(
                    [
                        {
                            "type": "document",
                            "title": "report.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        },
                        text("sum up"),
                    ]
                )
            ]
        },
        [
            user(
                [
                    {"type": "file", "file": {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                    text("sum up"),
                ]
            )
        ],
    ),
    "thinking of earlier turns": (
        {"messages": [user("a"), assistant([{"type": "thinking", "thinking": "hm", "signature": "s"}, text("b")]), user("c")]},
        [user("a"), assistant("b"), user("c")],
    ),
    "redacted thinking of earlier turns": (
        {"messages": [user("a"), assistant([{"type": "redacted_thinking", "data": "xx"}, text("b")]), user("c")]},
        [user("a"), assistant("b"), user("c")],
    ),
    "a tool loop": ({"messages": [*LOOP, user([result("toolu_1", "18 C")])]}, [*LOOPED, told("toolu_1", "18 C")]),
    "a result in blocks": (
        {"messages": [*LOOP, user([result("toolu_1", [text("18 C"), text("windy")])])]},
        [*LOOPED, told("toolu_1", "18 C\n\nwindy")],
    ),
    "a result with nothing in it": ({"messages": [*LOOP, user([result("toolu_1")])]}, [*LOOPED, told("toolu_1", "")]),
    "an empty list as a result": ({"messages": [*LOOP, user([result("toolu_1", [])])]}, [*LOOPED, told("toolu_1", "")]),
    "words behind a result": (
        {"messages": [*LOOP, user([result("toolu_1", "18 C"), text("and in F?")])]},
        [*LOOPED, told("toolu_1", "18 C"), user("and in F?")],
    ),
    "words before a result": (
        {"messages": [*LOOP, user([text("here:"), result("toolu_1", "18 C")])]},
        [*LOOPED, told("toolu_1", "18 C"), user("here:")],
    ),
    "text before a call": (
        {
            "messages": [
                user("Weather?"),
                assistant([text("Let me look."), use("get_weather", {"city": "Oslo"}, "toolu_9")]),
                user([result("toolu_9", "3 C")]),
            ]
        },
        [
            user("Weather?"),
            called(("toolu_9", "get_weather", '{"city":"Oslo"}'), content="Let me look."),
            told("toolu_9", "3 C"),
        ],
    ),
    "calls side by side, results in another order": (
        {
            "messages": [
                user("Both?"),
                assistant([use("get_weather", {"city": "A"}, "toolu_1"), use("get_weather", {"city": "B"}, "toolu_2")]),
                user([result("toolu_2", "2"), result("toolu_1", "1")]),
            ]
        },
        [
            user("Both?"),
            called(("toolu_1", "get_weather", '{"city":"A"}'), ("toolu_2", "get_weather", '{"city":"B"}')),
            told("toolu_2", "2"),
            told("toolu_1", "1"),
        ],
    ),
    "a call without input": (
        {"messages": [user("Now?"), assistant([use("now", {}, "toolu_1")]), user([result("toolu_1", "noon")])]},
        [user("Now?"), called(("toolu_1", "now", "{}")), told("toolu_1", "noon")],
    ),
    "letters and nesting in a call's input": (
        {"messages": [user("x"), assistant([use("f", {"a": [1, {"b": 'ü " \\ \n'}], "c": None}, "t")]), user([result("t", "y")])]},
        [user("x"), called(("t", "f", '{"a":[1,{"b":"ü \\" \\\\ \\n"}],"c":null}')), told("t", "y")],
    ),
    "a long loop keeps every id": (
        {
            "messages": [
                *LOOP,
                user([result("toolu_1", "18 C")]),
                assistant([text("And Rome:"), use("get_weather", {"city": "Rome"}, "toolu_2")]),
                user([result("toolu_2", "25 C")]),
                assistant("Paris 18, Rome 25."),
                user("Thanks"),
            ]
        },
        [
            *LOOPED,
            told("toolu_1", "18 C"),
            called(("toolu_2", "get_weather", '{"city":"Rome"}'), content="And Rome:"),
            told("toolu_2", "25 C"),
            assistant("Paris 18, Rome 25."),
            user("Thanks"),
        ],
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(stage: Stage, case: str) -> None:
    """Turns, parts, calls and results, each in the place that a chat upstream takes it."""
    asked, expected = MESSAGES[case]
    _, sent = stage.message("whole", OK, **asked)
    assert sent == {"model": "up-model", "messages": expected, "max_tokens": 1024}


def test_a_failed_tool_says_so(stage: Stage) -> None:
    """A tool message has no field for it, so its text does."""
    _, sent = stage.message("whole", OK, messages=[*LOOP, user([result("toolu_1", "no such city", is_error=True)])])
    (failed,) = (each for each in sent["messages"] if each["role"] == "tool")
    assert failed["tool_call_id"] == "toolu_1" and "no such city" in failed["content"] and "error" in failed["content"].lower()


def test_an_image_that_a_tool_brought(stage: Stage) -> None:
    """A tool message holds text only: the image follows in a user's message, behind all results."""
    messages = [
        user("look"),
        assistant([use("shot", {}, "t1"), use("shot", {}, "t2")]),
        user([result("t1", [text("done"), IMAGE]), result("t2", "nothing")]),
    ]
    _, sent = stage.message("whole", OK, messages=messages)
    roles = [each["role"] for each in sent["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "user"]
    assert [each["content"] for each in sent["messages"][2:4]] == ["done", "nothing"]
    assert PNG_PART in sent["messages"][4]["content"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "It rained."}, "It rained."),
        ({"type": "content", "content": [text("It rained."), text("A lot.")]}, "A lot."),
        ({"type": "content", "content": "It rained."}, "It rained."),
    ],
)
def test_a_document_of_text_is_text(stage: Stage, source: Any, expected: str) -> None:
    """With its title, and nothing of it lost."""
    document = {"type": "document", "title": "Diary", "context": "from 1999", "source": source}
    _, sent = stage.message("whole", OK, messages=[user([document, text("sum up")])])
    (message,) = sent["messages"]
    assert all(word in message["content"] for word in ("Diary", "from 1999", expected, "sum up"))


def test_a_search_result_is_text(stage: Stage) -> None:
    """Source, title and words of what the client's own search found."""
    found = {"type": "search_result", "source": "https://e.com/a", "title": "A page", "content": [text("Cats purr.")]}
    _, sent = stage.message("whole", OK, messages=[user([found, text("why?")])])
    assert all(word in sent["messages"][0]["content"] for word in ("https://e.com/a", "A page", "Cats purr.", "why?"))


TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a tool": ({"tools": [WEATHER_TOOL]}, {"tools": [WEATHER_FUNCTION]}),
    "a custom tool by its type": ({"tools": [{**WEATHER_TOOL, "type": "custom"}]}, {"tools": [WEATHER_FUNCTION]}),
    "a mark for the cache": (
        {"tools": [{**WEATHER_TOOL, "cache_control": {"type": "ephemeral"}}]},
        {"tools": [WEATHER_FUNCTION]},
    ),
    "auto": ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "auto"}}, {"tools": [WEATHER_FUNCTION], "tool_choice": "auto"}),
    "any": ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "any"}}, {"tools": [WEATHER_FUNCTION], "tool_choice": "required"}),
    "none": ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "none"}}, {"tools": [WEATHER_FUNCTION], "tool_choice": "none"}),
    "one by its name": (
        {"tools": [WEATHER_TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}},
        {"tools": [WEATHER_FUNCTION], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    ),
    "one call at a time": (
        {"tools": [WEATHER_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [WEATHER_FUNCTION], "tool_choice": "auto", "parallel_tool_calls": False},
    ),
    "one call of one tool": (
        {"tools": [WEATHER_TOOL], "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}},
        {
            "tools": [WEATHER_FUNCTION],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "parallel_tool_calls": False,
        },
    ),
    "no description": (
        {"tools": [{"name": "now", "input_schema": {"type": "object"}}]},
        {"tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]},
    ),
    "the vendor's own tools are left out": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}, WEATHER_TOOL]},
        {"tools": [WEATHER_FUNCTION]},
    ),
}


@pytest.mark.parametrize("case", TOOLS)
def test_tools(stage: Stage, case: str) -> None:
    """Tools become functions, and the choice among them keeps its meaning."""
    asked, expected = TOOLS[case]
    _, sent = stage.message("whole", OK, **asked)
    assert {name: value for name, value in sent.items() if name not in ("model", "messages", "max_tokens")} == expected


LONG_ID = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "0d52b0d2-3c4b-4a0c-9a79-6a1d8f1b3c11"})
CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stop_sequences": ({"stop_sequences": ["END", "\n\n"]}, {"stop": ["END", "\n\n"]}),
    "more stop_sequences than chat takes": ({"stop_sequences": list("abcdef")}, {"stop": list("abcd")}),
    "sampling": ({"extra_body": {"temperature": 0.3, "top_p": 0.9}}, {"temperature": 0.3, "top_p": 0.9}),
    "temperature zero": ({"extra_body": {"temperature": 0}}, {"temperature": 0}),
    "metadata": ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
    "no metadata": ({"metadata": {"user_id": None}}, {}),
    "thinking, little": ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
    "thinking, more": ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, {"reasoning_effort": "medium"}),
    "thinking, much": ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"reasoning_effort": "high"}),
    "effort": ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
    "effort alone": ({"output_config": {"effort": "medium"}}, {"reasoning_effort": "medium"}),
    "structured output": (
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": CLOSED, "strict": True}}},
    ),
    "tiers": ({"service_tier": "standard_only", "container": None}, {}),
    "Claude Code's own": (
        {"extra_body": {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}},
        {},
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields(stage: Stage, case: str) -> None:
    """Everything else that a request says."""
    asked, expected = FIELDS[case]
    _, sent = stage.message("whole", OK, **asked)
    assert sent == {"model": "up-model", "messages": [user("hi")], "max_tokens": 1024, **expected}


def test_a_long_user_id_fits_into_the_field_for_it(stage: Stage) -> None:
    """64 characters at most, and the same ones every time."""
    sent = [stage.message("whole", OK, metadata={"user_id": LONG_ID})[1]["user"] for _ in range(2)]
    assert sent[0] == sent[1] and 0 < len(sent[0]) <= 64


def test_a_stream_asks_for_usage(stage: Stage) -> None:
    """Chat upstreams tell it only to those who ask."""
    _, sent = stage.message("events", OK)
    assert sent["stream"] is True and sent["stream_options"] == {"include_usage": True}


QUIRKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "completion",
        {"system": "S"},
        {"messages": [{"role": "developer", "content": "S"}, user("hi")], "max_completion_tokens": 1024},
    ),
    ("thinker", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinking": {"type": "enabled"}}),
    ("plain", {"thinking": {"type": "enabled", "budget_tokens": 2000}, "system": "S"}, {"messages": [user("S"), user("hi")]}),
    ("picky", {"metadata": {"user_id": "u"}, "extra_body": {"top_p": 0.5, "temperature": 1}}, {"temperature": 1}),
]


@pytest.mark.parametrize(("provider", "asked", "expected"), QUIRKS)
def test_quirks(stage: Stage, provider: str, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    """What the provider file says about its upstream is honoured, and nothing else changes."""
    _, sent = stage.message("whole", OK, provider=provider, **asked)
    whole = {
        "model": "up-model",
        "messages": [user("hi")],
        **({} if provider == "completion" else {"max_tokens": 1024}),
        **expected,
    }
    assert sent == whole


def test_thinking_goes_back_where_it_is_wanted(stage: Stage) -> None:
    """Such upstreams refuse a turn of calls without the thoughts that led to them."""
    messages = [
        user("Weather?"),
        assistant([{"type": "thinking", "thinking": "I must look.", "signature": ""}, use("get_weather", {"city": "P"}, "t1")]),
        user([result("t1", "18 C")]),
    ]
    _, sent = stage.message("whole", OK, provider="echoing", messages=messages)
    assert sent["messages"][1]["reasoning_content"] == "I must look."
    _, sent = stage.message("whole", OK, messages=messages)
    assert "reasoning_content" not in sent["messages"][1]
