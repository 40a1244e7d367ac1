"""OpenAI's SDK on an Anthropic upstream: the turns that it is sent, to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay
from story_upstream import Recorder
from translation_answers import messages_say, text
from translation_stage import PDF, PNG, WEATHER, Stage, assistant, user


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


OK = messages_say([text("fine")])
PNG_URL = f"data:image/png;base64,{PNG}"
PNG_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
URL_BLOCK = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}}
PDF_BLOCK = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}


def system(content: Any, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def calling(*calls: tuple[str, str, str], content: str | None = None) -> dict[str, Any]:
    functions = [{"id": each, "type": "function", "function": {"name": name, "arguments": given}} for each, name, given in calls]
    return {"role": "assistant", "content": content, "tool_calls": functions}


def told(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def use(name: str, given: Any, use_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


def result(use_id: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": use_id, **({} if content is None else {"content": content}), **more}


ASKED = user("Weather in Paris?")
CALLED = calling(("call_1", "get_weather", '{"city": "Paris"}'))
USED = assistant([use("get_weather", {"city": "Paris"}, "call_1")])

# case → (the client's messages; the upstream's messages, and its system where there is one)
MESSAGES: dict[str, tuple[list[Any], list[Any], Any]] = {
    "a string": ([user("hi")], [user("hi")], None),
    "one part": ([user([text("hi")])], [user("hi")], None),
    "several parts": ([user([text("a"), text("b")])], [user([text("a"), text("b")])], None),
    "letters of all scripts": ([user('naïve 日本語 🎉 \u2028 \\n "q"')], [user('naïve 日本語 🎉 \u2028 \\n "q"')], None),
    "several turns": ([user("a"), assistant("b"), user("c")], [user("a"), assistant("b"), user("c")], None),
    "a system message": ([system("S"), user("hi")], [user("hi")], [text("S")]),
    "a developer's message": ([system("D", "developer"), user("hi")], [user("hi")], [text("D")]),
    "several at the beginning": ([system("S"), system("D", "developer"), user("hi")], [user("hi")], [text("S"), text("D")]),
    "a system message in parts": ([system([text("S"), text("T")]), user("hi")], [user("hi")], [text("S"), text("T")]),
    "a system message later": (
        [user("a"), assistant("b"), system("S"), user("c")],
        [user("a"), assistant("b"), user([text("S"), text("c")])],
        None,
    ),
    "neighbours of one role": (
        [user("a"), user("b"), assistant("c"), assistant("d"), user("e")],
        [user([text("a"), text("b")]), assistant([text("c"), text("d")]), user("e")],
        None,
    ),
    "an answer begun": ([user("a"), assistant("The answer is ")], [user("a"), assistant("The answer is")], None),
    "empty texts": (
        [system(""), user([text(""), text("hi")]), assistant(""), user("go on")],
        [user([text("hi"), text("go on")])],
        None,
    ),
    "an image": ([user([text("what?"), image(PNG_URL)])], [user([text("what?"), PNG_BLOCK])], None),
    "an image with detail": ([user([image(PNG_URL, detail="high"), text("what?")])], [user([PNG_BLOCK, text("what?")])], None),
    "an image by its URL": ([user([image("https://example.com/cat.jpg")])], [user([URL_BLOCK])], None),
    "a PDF": (
        [
            user(
                [{"type": "file", "file": {"filename": "r.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}, text("sum up")]
            )
        ],
        [user([{**PDF_BLOCK, "title": "r.pdf"}, text("sum up")])],
        None,
    ),
    "marks for the cache": (
        [system([text("S", cache_control={"type": "ephemeral"})]), user([text("hi", cache_control={"type": "ephemeral"})])],
        [user([text("hi", cache_control={"type": "ephemeral"})])],
        [text("S", cache_control={"type": "ephemeral"})],
    ),
    "a tool loop": ([ASKED, CALLED, told("call_1", "18 C")], [ASKED, USED, user([result("call_1", "18 C")])], None),
    "a result in parts": (
        [ASKED, CALLED, told("call_1", [text("18 C"), text("windy")])],
        [ASKED, USED, user([result("call_1", [text("18 C"), text("windy")])])],
        None,
    ),
    "a result with an image": (
        [ASKED, CALLED, told("call_1", [text("see"), image(PNG_URL)])],
        [ASKED, USED, user([result("call_1", [text("see"), PNG_BLOCK])])],
        None,
    ),
    "an empty result": ([ASKED, CALLED, told("call_1", "")], [ASKED, USED, user([result("call_1")])], None),
    "words behind a result": (
        [ASKED, CALLED, told("call_1", "18 C"), user("and in F?")],
        [ASKED, USED, user([result("call_1", "18 C"), text("and in F?")])],
        None,
    ),
    "text before a call": (
        [ASKED, {**CALLED, "content": "Let me look."}, told("call_1", "1")],
        [ASKED, assistant([text("Let me look."), use("get_weather", {"city": "Paris"}, "call_1")]), user([result("call_1", "1")])],
        None,
    ),
    "calls side by side": (
        [
            user("Both?"),
            calling(("c1", "get_weather", '{"city":"A"}'), ("c2", "get_weather", '{"city":"B"}')),
            told("c2", "2"),
            told("c1", "1"),
        ],
        [
            user("Both?"),
            assistant([use("get_weather", {"city": "A"}, "c1"), use("get_weather", {"city": "B"}, "c2")]),
            user([result("c2", "2"), result("c1", "1")]),
        ],
        None,
    ),
    "a call without arguments": (
        [user("Now?"), calling(("c1", "now", "")), told("c1", "noon")],
        [user("Now?"), assistant([use("now", {}, "c1")]), user([result("c1", "noon")])],
        None,
    ),
    "tricky arguments": (
        [
            user("x"),
            calling(("c1", "f", '{"a":[1,{"b":"ü \\" \\\\ \\n"}],"c":null,"d":1.50,"e":12345678901234567890}')),
            told("c1", "y"),
        ],
        [
            user("x"),
            assistant([use("f", {"a": [1, {"b": 'ü " \\ \n'}], "c": None, "d": 1.5, "e": 12345678901234567890}, "c1")]),
            user([result("c1", "y")]),
        ],
        None,
    ),
    "a long loop keeps every id": (
        [
            ASKED,
            CALLED,
            told("call_1", "18 C"),
            calling(("call_2", "get_weather", '{"city":"Rome"}'), content="And:"),
            told("call_2", "25 C"),
            assistant("18 and 25."),
            user("Thanks"),
        ],
        [
            ASKED,
            USED,
            user([result("call_1", "18 C")]),
            assistant([text("And:"), use("get_weather", {"city": "Rome"}, "call_2")]),
            user([result("call_2", "25 C")]),
            assistant("18 and 25."),
            user("Thanks"),
        ],
        None,
    ),
    "thinking blocks come first, untouched": (
        [
            ASKED,
            {
                **CALLED,
                "content": "Let me look.",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "eHg="},
                ],
            },
            told("call_1", "18 C"),
        ],
        [
            ASKED,
            assistant(
                [
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "eHg="},
                    text("Let me look."),
                    use("get_weather", {"city": "Paris"}, "call_1"),
                ]
            ),
            user([result("call_1", "18 C")]),
        ],
        None,
    ),
    "reasoning without a signature stays away": (
        [user("a"), assistant("b", reasoning_content="hm"), user("c")],
        [user("a"), assistant("b"), user("c")],
        None,
    ),
    "an earlier refusal": ([user("a"), assistant(None, refusal="No."), user("b")], [user("a"), assistant("No."), user("b")], None),
    "the function of old": (
        [
            user("Now?"),
            {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
            {"role": "function", "name": "now", "content": "noon"},
        ],
        [user("Now?"), assistant([use("now", {}, "function_call")]), user([result("function_call", "noon")])],
        None,
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(stage: Stage, case: str) -> None:
    """System blocks, alternating turns, blocks, calls and results, each as Anthropic's reference wants it."""
    messages, turns, blocks = MESSAGES[case]
    tools = [{"type": "function", "function": {"name": name, "parameters": WEATHER}} for name in ("get_weather", "now", "f")]
    _, sent = stage.chat("whole", OK, messages=messages, tools=tools)
    sent.pop("tools")
    expected = {"model": "up-model", "max_tokens": 4096, "messages": turns, **({} if blocks is None else {"system": blocks})}
    assert sent == expected


def test_a_failed_tool(stage: Stage) -> None:
    """OpenAI has no field for it; a client that sends Anthropic's gets it through."""
    _, sent = stage.chat("whole", OK, messages=[ASKED, CALLED, {**told("call_1", "no such city"), "is_error": True}])
    assert sent["messages"][2] == user([result("call_1", "no such city", is_error=True)])


def test_a_history_of_calls_without_tools(stage: Stage) -> None:
    """Anthropic refuses tool_use blocks in a request without tools."""
    _, sent = stage.chat("whole", OK, messages=[ASKED, CALLED, told("call_1", "18 C")])
    assert [tool["name"] for tool in sent["tools"]] == ["get_weather"] and sent["tool_choice"] == {"type": "none"}


def test_an_id_that_anthropic_would_refuse(stage: Stage) -> None:
    """Letters, digits, _ and - alone; call and result still match."""
    _, sent = stage.chat("whole", OK, messages=[ASKED, calling(("functions.f:0", "f", "{}")), told("functions.f:0", "ok")])
    (used,), (back,) = sent["messages"][1]["content"], sent["messages"][2]["content"]
    assert used["id"] == back["tool_use_id"] and all(letter.isalnum() or letter in "_-" for letter in used["id"])
