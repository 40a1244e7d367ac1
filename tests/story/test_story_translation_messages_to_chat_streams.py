"""Anthropic's SDK on a chat upstream: streams as servers of that dialect really send them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay
from story_upstream import Recorder
from translation_answers import CHAT_USAGE, DONE, Said, chunk, data
from translation_stage import STREAMS, WEATHER, Stage, Way


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


TOOLS = [{"name": "get_weather", "input_schema": WEATHER}, {"name": "now", "input_schema": {"type": "object", "properties": {}}}]
ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
CALLS = chunk({}, "tool_calls")
USAGE = chunk(None, usage=CHAT_USAGE)


def opened(index: int | None, name: str, call_id: str | None, arguments: str | None = "", **more: Any) -> dict[str, Any]:
    told = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}
    return {key: value for key, value in told.items() if value is not None or key == "function"}


def more(index: int | None, arguments: str, **fields: Any) -> dict[str, Any]:
    return {**({} if index is None else {"index": index}), "function": {"arguments": arguments}, **fields}


def calling(*calls: dict[str, Any], **fields: Any) -> bytes:
    return chunk({"tool_calls": list(calls), **fields})


def use(name: str, given: Any, use_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


def said(message: Any) -> list[Any]:
    """Calls as (name, input, id), texts as themselves, thoughts in a tuple."""
    found: list[Any] = []
    for block in message.content:
        if block.type == "tool_use":
            found.append((block.name, block.input, block.id))
        else:
            found.append(block.text if block.type == "text" else (block.thinking,))
    return found


PARIS, ROME = ("get_weather", {"city": "Paris"}, "call_1"), ("get_weather", {"city": "Rome"}, "call_2")

# case → (the events, what the client is told in the end)
STREAMED: dict[str, tuple[Sequence[bytes], list[Any]]] = {
    "calls interleaved, piece by piece": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1")),
            calling(opened(1, "get_weather", "call_2")),
            calling(more(0, '{"city":')),
            calling(more(1, '{"city":"Ro')),
            calling(more(0, '"Par')),
            calling(more(1, 'me"}')),
            calling(more(0, 'is"}')),
            CALLS,
            USAGE,
            DONE,
        ],
        [PARIS, ROME],
    ),
    "several calls in one chunk": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1", '{"city":"Paris"}'), opened(1, "get_weather", "call_2", '{"city":"Rome"}')),
            CALLS,
            DONE,
        ],
        [PARIS, ROME],
    ),
    "a whole call in one chunk": ([ROLE, calling(opened(0, "get_weather", "call_1", '{"city":"Paris"}')), CALLS, DONE], [PARIS]),
    "a call in the last chunk": (
        [ROLE, chunk({"tool_calls": [opened(0, "get_weather", "call_1", '{"city":"Paris"}')]}, "tool_calls"), DONE],
        [PARIS],
    ),
    "arguments as an object": (
        [
            ROLE,
            calling({**opened(0, "get_weather", "call_1"), "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}),
            CALLS,
            DONE,
        ],
        [PARIS],
    ),
    "arguments that never come": ([ROLE, calling(opened(0, "now", "call_1", None)), CALLS, DONE], [("now", {}, "call_1")]),
    "empty pieces of arguments": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1")),
            calling(more(0, "")),
            calling(more(0, '{"city":"Paris"}')),
            calling(more(0, "")),
            CALLS,
            DONE,
        ],
        [PARIS],
    ),
    "id and name in every piece": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1", '{"city":')),
            calling(opened(0, "get_weather", "call_1", '"Paris"}')),
            CALLS,
            DONE,
        ],
        [PARIS],
    ),
    "empty id and name in later pieces": (
        [ROLE, calling(opened(0, "get_weather", "call_1", '{"city":')), calling(more(0, '"Paris"}', id="")), CALLS, DONE],
        [PARIS],
    ),
    "no index at all": (
        [
            ROLE,
            calling(opened(None, "get_weather", "call_1", '{"city":"Paris"}')),
            calling(opened(None, "get_weather", "call_2", '{"city":"Rome"}')),
            CALLS,
            DONE,
        ],
        [PARIS, ROME],
    ),
    "index 0 for every call": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1", '{"city":"Paris"}')),
            calling(opened(0, "get_weather", "call_2", '{"city":"Rome"}')),
            CALLS,
            DONE,
        ],
        [PARIS, ROME],
    ),
    "indexes that begin with one": (
        [
            ROLE,
            calling(opened(1, "get_weather", "call_1", '{"city":"Paris"}')),
            calling(opened(2, "get_weather", "call_2", '{"city":"Rome"}')),
            CALLS,
            DONE,
        ],
        [PARIS, ROME],
    ),
    "an empty object first, the arguments after it": (
        [ROLE, calling(opened(0, "get_weather", "call_1", "{}")), calling(more(0, '{"city":"Paris"}')), CALLS, DONE],
        [PARIS],
    ),
    "a type that is missing": (
        [
            ROLE,
            calling({"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}),
            CALLS,
            DONE,
        ],
        [PARIS],
    ),
    "text between calls": (
        [
            ROLE,
            chunk({"content": "First "}),
            calling(opened(0, "get_weather", "call_1", '{"city":"Paris"}')),
            chunk({"content": "then "}),
            calling(opened(1, "get_weather", "call_2", '{"city":"Rome"}')),
            CALLS,
            DONE,
        ],
        ["First ", PARIS, "then ", ROME],
    ),
    "text while a call is still open": (
        [
            ROLE,
            calling(opened(0, "get_weather", "call_1", '{"city":')),
            chunk({"content": "hm"}),
            calling(more(0, '"Paris"}')),
            CALLS,
            DONE,
        ],
        [PARIS, "hm"],
    ),
    "reasoning, text, reasoning": (
        [
            ROLE,
            chunk({"reasoning_content": "a"}),
            chunk({"content": "b"}),
            chunk({"reasoning_content": "c"}),
            chunk({"content": "d"}),
            STOP,
            DONE,
        ],
        [("a",), "b", ("c",), "d"],
    ),
    "reasoning and text in one chunk": ([ROLE, chunk({"reasoning_content": "a", "content": "b"}), STOP, DONE], [("a",), "b"]),
    "null beside every field": (
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": None, "tool_calls": None}),
            chunk({"content": "b", "reasoning_content": None, "tool_calls": None}),
            STOP,
            DONE,
        ],
        ["b"],
    ),
    "reasoning_details": (
        [ROLE, chunk({"reasoning_details": [{"type": "reasoning.text", "text": "a"}]}), chunk({"content": "b"}), STOP, DONE],
        [("a",), "b"],
    ),
    "reasoning twice over": (
        [
            ROLE,
            chunk({"reasoning": "a", "reasoning_content": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}),
            chunk({"content": "b"}),
            STOP,
            DONE,
        ],
        [("a",), "b"],
    ),
    "content in parts": ([ROLE, chunk({"content": [{"type": "text", "text": "b"}]}), STOP, DONE], ["b"]),
    "no role, no first chunk": ([chunk({"content": "b"}), STOP, DONE], ["b"]),
    "the role in every chunk": (
        [chunk({"role": "assistant", "content": "a"}), chunk({"role": "assistant", "content": "b"}), STOP, DONE],
        ["ab"],
    ),
    "a filter's report before the first choice": (
        [
            chunk(None, prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}]),
            ROLE,
            chunk({"content": "b"}),
            STOP,
            DONE,
        ],
        ["b"],
    ),
    "comments and blank lines": (
        [b": OPENROUTER PROCESSING\n\n", b":\n\n", ROLE, b"\n\n", chunk({"content": "b"}), b": ping\n\n", STOP, DONE],
        ["b"],
    ),
    "CRLF": ([each.replace(b"\n", b"\r\n") for each in (ROLE, chunk({"content": "b"}), STOP, DONE)], ["b"]),
    "no space after the colon": (
        [each.replace(b"data: ", b"data:") for each in (ROLE, chunk({"content": "b"}), STOP, DONE)],
        ["b"],
    ),
    "an event's name and id": ([b"id: 1\nevent: message\n" + chunk({"content": "b"}), STOP, DONE], ["b"]),
    "an event that is no JSON": ([ROLE, b"data: {oops\n\n", chunk({"content": "b"}), STOP, DONE], ["b"]),
    "events of no meaning": ([ROLE, data([1]), data("x"), data({}), chunk({"content": "b"}), STOP, DONE], ["b"]),
    "no DONE behind the end": ([ROLE, chunk({"content": "b"}), STOP, USAGE], ["b"]),
    "DONE without a finish_reason": ([ROLE, chunk({"content": "b"}), DONE], ["b"]),
    "text with the finish_reason": ([ROLE, chunk({"content": "b"}, "stop"), DONE], ["b"]),
    "a finish_reason twice": ([ROLE, chunk({"content": "b"}), STOP, STOP, DONE], ["b"]),
    "an empty finish_reason": ([ROLE, chunk({"content": "b"}, ""), STOP, DONE], ["b"]),
    "one byte at a time": ([bytes([each]) for each in ROLE + chunk({"content": "né 日本"}) + STOP + DONE], ["né 日本"]),
    "all at once": ([ROLE + chunk({"content": "a"}) + chunk({"content": "b"}) + STOP + USAGE + DONE], ["ab"]),
    "the function_call of old": (
        [
            ROLE,
            chunk({"function_call": {"name": "now", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk({}, "function_call"),
            DONE,
        ],
        [],
    ),
}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("case", STREAMED)
def test_streams(stage: Stage, case: str, way: Way) -> None:
    """However the upstream cuts and orders its pieces, the client gets whole blocks, one at a time."""
    events, expected = STREAMED[case]
    message, _ = stage.message(way, Said(None, events), tools=TOOLS)
    if case == "the function_call of old":
        (block,) = message.content
        assert (block.name, block.input, message.stop_reason) == ("now", {}, "tool_use")
        return
    assert said(message) == expected
    assert message.stop_reason == (
        "tool_use" if any(len(each) == 3 for each in expected if isinstance(each, tuple)) else "end_turn"
    )


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    ("events", "figures"),
    [
        ([ROLE, chunk({"content": "b"}), STOP, USAGE, DONE], (10, 30, 12)),
        ([ROLE, chunk({"content": "b"}), chunk({}, "stop", usage=CHAT_USAGE), DONE], (10, 30, 12)),
        (
            [
                chunk({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 1}),
                chunk({"content": "b"}, usage={"prompt_tokens": 9, "completion_tokens": 2}),
                chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2}),
                DONE,
            ],
            (9, None, 2),
        ),
        ([chunk({"content": "b"}, usage={"prompt_tokens": 9, "completion_tokens": 0}), STOP, DONE], (9, None, 0)),
        ([ROLE, chunk({"content": "b"}), STOP, chunk({"content": ""}, None, usage=CHAT_USAGE), DONE], (10, 30, 12)),
        ([ROLE, chunk({"content": "b"}), STOP, DONE], (0, None, 0)),
    ],
    ids=["last chunk", "with the finish_reason", "every chunk", "first chunk", "an empty delta beside it", "missing"],
)
def test_usage_on_any_chunk(stage: Stage, events: Sequence[bytes], figures: Any, way: Way) -> None:
    """Wherever the upstream tells it, the end of the message does too."""
    message, _ = stage.message(way, Said(None, events))
    told = message.usage
    assert (told.input_tokens, told.cache_read_input_tokens, told.output_tokens) == figures
