"""OpenAI's SDK with responses on a chat upstream: what it makes of an answer, whole, by its helper, and event by event."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from pydantic import BaseModel  # noqa: E402
from story_process import KEY, Relay  # noqa: E402
from story_upstream import Recorder, streamed  # noqa: E402
from translation_answers import CHAT_USAGE, DONE, Said, call, chat_says, chunk, data, pieces  # noqa: E402
from translation_stage import STREAMS, WAYS, WEATHER, Stage, Way  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


TOOLS = [
    {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False},
    {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False},
]
PARIS = call("get_weather", '{"city":"Paris"}')


def said(response: Any) -> list[Any]:
    """Texts, (refusals,), [thoughts], and calls as (name, arguments, call_id)."""
    found: list[Any] = []
    for item in response.output:
        if item.type == "message":
            found += [part.text if part.type == "output_text" else (part.refusal,) for part in item.content]
        elif item.type == "function_call":
            found.append((item.name, json.loads(item.arguments), item.call_id))
        else:
            found.append(["".join(part.text for part in item.summary)])
    return found


WEATHER_CALL = ("get_weather", {"city": "Paris"}, "call_abc123")
ANSWERS: dict[str, tuple[dict[str, Any], str, list[Any], str | None]] = {
    "text": ({"content": "Hello there, friend."}, "stop", ["Hello there, friend."], None),
    "letters of all scripts": (
        {"content": 'naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\'},
        "stop",
        ['naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\'],
        None,
    ),
    "nothing": ({"content": ""}, "stop", [], None),
    "cut by the limit": ({"content": "Once upon"}, "length", ["Once upon"], "max_output_tokens"),
    "filtered": ({"content": "I can"}, "content_filter", ["I can"], "content_filter"),
    "refused": ({"refusal": "I can't help."}, "stop", [("I can't help.",)], None),
    "a call": ({"tool_calls": [PARIS]}, "tool_calls", [WEATHER_CALL], None),
    "a call after text": ({"content": "Let me look.", "tool_calls": [PARIS]}, "tool_calls", ["Let me look.", WEATHER_CALL], None),
    "a call that ends with stop": ({"tool_calls": [PARIS]}, "stop", [WEATHER_CALL], None),
    "calls side by side": (
        {"tool_calls": [PARIS, call("get_weather", '{"city": "Rome"}', "call_2"), call("now", "{}", "call_3")]},
        "tool_calls",
        [WEATHER_CALL, ("get_weather", {"city": "Rome"}, "call_2"), ("now", {}, "call_3")],
        None,
    ),
    "a call without arguments": ({"tool_calls": [call("now", "")]}, "tool_calls", [("now", {}, "call_abc123")], None),
    "tricky arguments": (
        {"tool_calls": [call("get_weather", '{"city": "S\\u00e3o \\"P\\"", "n": "a\\\\b\\n{}[]"}')]},
        "tool_calls",
        [("get_weather", {"city": 'São "P"', "n": "a\\b\n{}[]"}, "call_abc123")],
        None,
    ),
    "reasoning": ({"reasoning_content": "The user greets.", "content": "Hello!"}, "stop", [["The user greets."], "Hello!"], None),
    "reasoning by its other name": ({"reasoning": "Hm, hm.", "content": "Hi"}, "stop", [["Hm, hm."], "Hi"], None),
    "reasoning, then a call": (
        {"reasoning_content": "I must look.", "tool_calls": [PARIS]},
        "tool_calls",
        [["I must look."], WEATHER_CALL],
        None,
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ANSWERS)
def test_output_and_status(stage: Stage, case: str, way: Way) -> None:
    """Streamed or not, the same response comes out of the same answer."""
    told, finish, expected, incomplete = ANSWERS[case]
    response, _ = stage.response(way, chat_says(told, finish), tools=TOOLS)
    assert said(response) == expected
    assert response.status == ("completed" if incomplete is None else "incomplete")
    assert (response.incomplete_details and response.incomplete_details.reason) == incomplete
    assert (response.model, response.object, response.error) == ("up-model-2026-08-07", "response", None)
    assert response.id == "resp_chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT" and response.created_at == 1741569952
    assert all(
        item.status == ("completed" if incomplete is None else "incomplete") for item in response.output if item.type != "reasoning"
    )
    assert "".join(each for each in expected if isinstance(each, str)) == response.output_text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("usage", "figures"),
    [
        (CHAT_USAGE, (40, 30, 12, 5, 52)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}, (9, 0, 3, 0, 12)),
    ],
)
def test_usage(stage: Stage, usage: Any, figures: tuple[int, ...], way: Way) -> None:
    """With its details, which this dialect demands."""
    response, _ = stage.response(way, chat_says({"content": "hi"}, usage=usage))
    told = response.usage
    details = (told.input_tokens_details.cached_tokens, told.output_tokens, told.output_tokens_details.reasoning_tokens)
    assert (told.input_tokens, *details, told.total_tokens) == figures


@pytest.mark.parametrize("way", WAYS)
def test_usage_that_nobody_told(stage: Stage, way: Way) -> None:
    """Unknown is not zero."""
    response, _ = stage.response(way, chat_says({"content": "hi"}, usage=None))
    assert response.usage is None and response.status == "completed"


@pytest.mark.parametrize("way", WAYS)
def test_what_was_asked_is_repeated(stage: Stage, way: Way) -> None:
    """As the vendor's own responses do; but nothing is stored."""
    asked = {
        "instructions": "Be brief.",
        "temperature": 0.5,
        "max_output_tokens": 99,
        "metadata": {"a": "b"},
        "tool_choice": "auto",
    }
    response, _ = stage.response(way, chat_says({"content": "hi"}), tools=TOOLS, store=True, parallel_tool_calls=False, **asked)
    assert (response.instructions, response.temperature, response.max_output_tokens) == ("Be brief.", 0.5, 99)
    assert (response.metadata, response.tool_choice, response.parallel_tool_calls) == ({"a": "b"}, "auto", False)
    assert [tool.name for tool in response.tools] == ["get_weather", "now"] and response.to_dict()["store"] is False


@pytest.mark.parametrize("way", WAYS)
def test_citations_of_a_search_model(stage: Stage, way: Way) -> None:
    """Sources stay with the text."""
    cited = {"start_index": 0, "end_index": 4, "title": "Cats", "url": "https://e.com/cats"}
    told = {"content": "Cats purr.", "annotations": [{"type": "url_citation", "url_citation": cited}]}
    response, _ = stage.response(way, chat_says(told))
    ((annotation,),) = [part.annotations for item in response.output for part in item.content]
    assert annotation.to_dict() == {"type": "url_citation", **cited}


class Answer(BaseModel):
    n: int


@pytest.mark.parametrize("way", ("whole", "helper"))
def test_structured_output_parses(stage: Stage, way: Way) -> None:
    """The SDK's own parsing."""
    stage._script(way, chat_says({"content": '{"n": 7}'}))
    asked: dict[str, Any] = {"model": "m@chat", "input": "n?", "text_format": Answer}
    if way == "whole":
        response = stage.openai.responses.parse(**asked)
    else:
        with stage.openai.responses.stream(**asked) as stream:
            response = stream.get_final_response()
    assert response.output_parsed == Answer(n=7)
    assert stage.sent()["response_format"]["json_schema"]["schema"]["properties"]["n"]["type"] == "integer"


SPACE = {
    "type": "namespace",
    "name": "agents",
    "description": "Others.",
    "tools": [{"type": "function", "name": "spawn", "parameters": WEATHER, "strict": False}],
}


@pytest.mark.parametrize("way", WAYS)
def test_tools_of_codex_come_back_as_they_were_offered(stage: Stage, way: Way) -> None:
    """A custom tool's input as text, a function of a namespace by both its names."""
    tools = [{"type": "custom", "name": "apply_patch"}, SPACE]
    _, sent = stage.response("whole", chat_says({"content": "ok"}), tools=tools)
    (argument,) = sent["tools"][0]["function"]["parameters"]["properties"]
    calls = [call("apply_patch", json.dumps({argument: '*** Begin\n+"ü" \\\n'})), call("agents__spawn", '{"city":"x"}', "call_2")]
    response, _ = stage.response(way, chat_says({"tool_calls": calls}, "tool_calls"), tools=tools)
    custom, spawned = response.output
    assert (custom.type, custom.name, custom.input, custom.call_id) == (
        "custom_tool_call",
        "apply_patch",
        '*** Begin\n+"ü" \\\n',
        "call_abc123",
    )
    assert (spawned.type, spawned.name, spawned.to_dict()["namespace"], spawned.call_id) == (
        "function_call",
        "spawn",
        "agents",
        "call_2",
    )


def test_a_tool_loop(stage: Stage) -> None:
    """Ask, call, answer, finish, with the output items themselves sent back."""
    items: list[Any] = [{"role": "user", "content": "Weather?"}]
    for answer in (
        chat_says({"content": "Looking.", "reasoning_content": "hm", "tool_calls": [PARIS]}, "tool_calls"),
        chat_says({"content": "18 C"}),
    ):
        response, sent = stage.response("helper", answer, input=items, tools=TOOLS)
        items += [{key: value for key, value in item.to_dict().items() if key != "parsed_arguments"} for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": each.call_id, "output": "18 C"}
            for each in response.output
            if each.type == "function_call"
        ]
    assert response.output_text == "18 C"
    assert sent["messages"][1:] == [
        {"role": "assistant", "content": "Looking.", "tool_calls": [PARIS]},
        {"role": "tool", "tool_call_id": "call_abc123", "content": "18 C"},
    ]


@pytest.mark.parametrize("way", STREAMS)
def test_pieces_arrive_as_the_upstream_makes_them(stage: Stage, way: Way) -> None:
    """Text and arguments; nothing is held back until an item is whole."""
    go_on = threading.Event()
    first = [chunk({"role": "assistant", "content": "Hel"})]
    opening = {"index": 0, "id": "c", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    rest = [chunk({"content": "lo"}), chunk({"tool_calls": [opening]})]
    rest += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces('{"city":"Paris"}')]
    stage.upstream.answer(streamed(*first, go_on, *rest, chunk({}, "tool_calls"), DONE))
    asked: dict[str, Any] = {"model": "m@chat", "input": "hi", "tools": TOOLS}
    got: dict[str, list[str]] = {"response.output_text.delta": [], "response.function_call_arguments.delta": []}

    def read(events: Any) -> None:
        for each in events:
            if each.type in got:
                got[each.type].append(each.delta)
                go_on.set()

    if way == "helper":
        with stage.openai.responses.stream(**asked) as stream:
            read(stream)
    else:
        read(stage.openai.responses.create(**asked, stream=True))
    assert list(got.values()) == [["Hel", "lo"], pieces('{"city":"Paris"}')]


def test_async_client(stage: Stage) -> None:
    """The asynchronous SDK reads the same."""

    async def main() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{stage.relay.url}/v1", api_key=KEY, max_retries=0) as client:
            stage.upstream.answer(streamed(*chat_says({"content": "Hello", "tool_calls": [PARIS]}, "tool_calls").events))
            async with client.responses.stream(model="m@chat", input="hi", tools=TOOLS) as stream:
                return await stream.get_final_response()

    assert said(asyncio.run(main())) == ["Hello", WEATHER_CALL]


ROLE, STOP = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")


def calling(*calls: tuple[int, str | None, str | None, str]) -> bytes:
    """A chunk with pieces of calls: (index, id, name, arguments)."""
    told = []
    for index, call_id, name, arguments in calls:
        opening = {} if call_id is None else {"id": call_id, "type": "function"}
        told.append({"index": index, **opening, "function": {**({} if name is None else {"name": name}), "arguments": arguments}})
    return chunk({"tool_calls": told})


TWO = [("get_weather", {"city": "Paris"}, "c1"), ("get_weather", {"city": "Rome"}, "c2")]
STREAMED: dict[str, tuple[Sequence[bytes], list[Any]]] = {
    "calls interleaved": (
        [
            ROLE,
            calling((0, "c1", "get_weather", "")),
            calling((1, "c2", "get_weather", "")),
            calling((0, None, None, '{"city":'), (1, None, None, '{"city":"Ro')),
            calling((1, None, None, 'me"}')),
            calling((0, None, None, '"Paris"}')),
            chunk({}, "tool_calls"),
            DONE,
        ],
        TWO,
    ),
    "whole calls in one chunk": (
        [
            calling((0, "c1", "get_weather", '{"city":"Paris"}'), (1, "c2", "get_weather", '{"city":"Rome"}')),
            chunk({}, "tool_calls"),
            DONE,
        ],
        TWO,
    ),
    "index 0 for every call": (
        [
            calling((0, "c1", "get_weather", '{"city":"Paris"}')),
            calling((0, "c2", "get_weather", '{"city":"Rome"}')),
            chunk({}, "tool_calls"),
            DONE,
        ],
        TWO,
    ),
    "reasoning, text, reasoning, text": (
        [
            ROLE,
            chunk({"reasoning_content": "a"}),
            chunk({"content": "b"}),
            chunk({"reasoning_content": "c"}),
            chunk({"content": "d"}),
            STOP,
            DONE,
        ],
        [["a"], "b", ["c"], "d"],
    ),
    "text between calls": (
        [
            calling((0, "c1", "get_weather", '{"city":"Paris"}')),
            chunk({"content": "and"}),
            calling((1, "c2", "get_weather", '{"city":"Rome"}')),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [TWO[0], "and", TWO[1]],
    ),
    "text, then a refusal": (
        [chunk({"content": "a"}), chunk({"refusal": "No"}), chunk({"refusal": "."}), STOP, DONE],
        ["a", ("No.",)],
    ),
    "comments, CRLF, no JSON": (
        [b": hi\r\n\r\n", ROLE.replace(b"\n", b"\r\n"), b"data: {oops\n\n", data([1]), chunk({"content": "b"}), STOP, DONE],
        ["b"],
    ),
    "one byte at a time": ([bytes([each]) for each in ROLE + chunk({"content": "né 日本"}) + STOP + DONE], ["né 日本"]),
    "no DONE": ([ROLE, chunk({"content": "b"}), STOP], ["b"]),
    "DONE without a finish_reason": ([ROLE, chunk({"content": "b"}), DONE], ["b"]),
    "text with the finish_reason": ([ROLE, chunk({"content": "b"}, "stop"), DONE], ["b"]),
    "nothing but an end": ([ROLE, STOP, DONE], []),
}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("case", STREAMED)
def test_streams(stage: Stage, case: str, way: Way) -> None:
    """However the upstream cuts and orders its pieces, the client gets whole items."""
    events, expected = STREAMED[case]
    response, _ = stage.response(way, Said(None, events), tools=TOOLS)
    assert said(response) == expected and response.status == "completed"
