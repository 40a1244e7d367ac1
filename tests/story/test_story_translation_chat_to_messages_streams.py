"""OpenAI's SDK on an Anthropic upstream: streams as servers of that dialect really send them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from story_process import Relay
from story_upstream import Recorder
from translation_answers import PING, Said, block_start, block_stop, delta, event, message_end, message_start, text, thinking
from translation_stage import STREAMS, WEATHER, Stage, Way


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]
START, STOP = message_start(), event("message_stop")
HI = [block_start(0, text("")), delta(0, "text_delta", text="hi"), block_stop(0)]
END, CALLED = message_end("end_turn"), message_end("tool_use")


def opened(index: int, name: str, use_id: str, given: Any = None) -> bytes:
    return block_start(index, {"type": "tool_use", "id": use_id, "name": name, "input": given or {}})


def more(index: int, piece: str) -> bytes:
    return delta(index, "input_json_delta", partial_json=piece)


PARIS, ROME = ("get_weather", {"city": "Paris"}, "t1"), ("get_weather", {"city": "Rome"}, "t2")

# case → (the events; content, reasoning, calls)
STREAMED: dict[str, tuple[Sequence[bytes], tuple[str, str, list[Any]]]] = {
    "pings anywhere": ([PING, START, PING, HI[0], PING, HI[1], PING, HI[2], PING, *END], ("hi", "", [])),
    "no ping": ([START, *HI, *END], ("hi", "", [])),
    "comments": ([b": hello\n\n", START, b":\n", *HI, b": still here\n\n", *END], ("hi", "", [])),
    "CRLF": ([each.replace(b"\n", b"\r\n") for each in (START, *HI, *END)], ("hi", "", [])),
    "one byte at a time": ([bytes([each]) for each in b"".join((START, *HI, *END))], ("hi", "", [])),
    "all at once": ([b"".join((START, PING, *HI, *END))], ("hi", "", [])),
    "no names of events": ([each.partition(b"\n")[2] for each in (START, *HI, *END)], ("hi", "", [])),
    "no space after the colon": (
        [each.replace(b"data: ", b"data:").replace(b"event: ", b"event:") for each in (START, *HI, *END)],
        ("hi", "", []),
    ),
    "events and deltas that nobody knows": (
        [START, event("weather", sun=True), *HI[:2], delta(0, "hologram_delta", rays=7), HI[2], event("block_party"), *END],
        ("hi", "", []),
    ),
    "an event that is no JSON": ([START, HI[0], b"event: content_block_delta\ndata: {oops\n\n", *HI[1:], *END], ("hi", "", [])),
    "text with the block's beginning": (
        [START, block_start(0, text("h")), delta(0, "text_delta", text="i"), block_stop(0), *END],
        ("hi", "", []),
    ),
    "empty deltas": ([START, HI[0], delta(0, "text_delta", text=""), *HI[1:], *END], ("hi", "", [])),
    "thinking with the block's beginning": (
        [START, block_start(0, thinking("hm", "s")), block_stop(0), *HI, *END],
        ("hi", "hm", []),
    ),
    "thinking without a signature": (
        [START, block_start(0, thinking("", "")), delta(0, "thinking_delta", thinking="hm"), block_stop(0), *HI, *END],
        ("hi", "hm", []),
    ),
    "a signature alone": (
        [START, block_start(0, thinking("", "")), delta(0, "signature_delta", signature="c2ln"), block_stop(0), *HI, *END],
        ("hi", "", []),
    ),
    "input with the block's beginning": (
        [START, opened(0, "get_weather", "t1", {"city": "Paris"}), block_stop(0), *CALLED],
        ("", "", [PARIS]),
    ),
    "input in one piece": (
        [START, opened(0, "get_weather", "t1"), more(0, '{"city":"Paris"}'), block_stop(0), *CALLED],
        ("", "", [PARIS]),
    ),
    "input that never comes": ([START, opened(0, "now", "t1"), block_stop(0), *CALLED], ("", "", [("now", {}, "t1")])),
    "an empty piece of input": (
        [START, opened(0, "now", "t1"), more(0, ""), block_stop(0), *CALLED],
        ("", "", [("now", {}, "t1")]),
    ),
    "an empty object of input": (
        [START, opened(0, "now", "t1"), more(0, "{}"), block_stop(0), *CALLED],
        ("", "", [("now", {}, "t1")]),
    ),
    "empty pieces between": (
        [
            START,
            opened(0, "get_weather", "t1"),
            more(0, ""),
            more(0, '{"city"'),
            more(0, ""),
            more(0, ':"Paris"}'),
            block_stop(0),
            *CALLED,
        ],
        ("", "", [PARIS]),
    ),
    "blocks side by side": (
        [
            START,
            opened(0, "get_weather", "t1"),
            opened(1, "get_weather", "t2"),
            more(0, '{"city":'),
            more(1, '{"city":'),
            more(0, '"Paris"}'),
            more(1, '"Rome"}'),
            block_stop(0),
            block_stop(1),
            *CALLED,
        ],
        ("", "", [PARIS, ROME]),
    ),
    "indexes with gaps": (
        [
            START,
            opened(3, "get_weather", "t1"),
            more(3, '{"city":"Paris"}'),
            block_stop(3),
            opened(7, "get_weather", "t2"),
            more(7, '{"city":"Rome"}'),
            block_stop(7),
            *CALLED,
        ],
        ("", "", [PARIS, ROME]),
    ),
    "blocks that are never stopped": (
        [START, *HI[:2], opened(1, "get_weather", "t1"), more(1, '{"city":"Paris"}'), *CALLED],
        ("hi", "", [PARIS]),
    ),
    "two message_deltas": (
        [START, *HI, event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 5}), *END],
        ("hi", "", []),
    ),
    "no message_delta": ([START, *HI, STOP], ("hi", "", [])),
    "no message_start": ([*HI, *END], ("hi", "", [])),
    "a search of its own between texts": (
        [
            START,
            *HI,
            block_start(1, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
            more(1, '{"query":"cats"}'),
            block_stop(1),
            block_start(2, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
            block_stop(2),
            block_start(3, text("")),
            delta(3, "text_delta", text=" there"),
            block_stop(3),
            *END,
        ],
        ("hi there", "", []),
    ),
}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("case", STREAMED)
def test_streams(stage: Stage, case: str, way: Way) -> None:
    """However the upstream cuts and orders its events, the client gets a whole completion."""
    events, (content, reasoning, expected) = STREAMED[case]
    asked = {"tools": TOOLS} if expected else {}
    completion, _ = stage.chat(way, Said(None, events), **asked)
    (choice,) = completion.choices
    message = choice.message.to_dict()
    calls = [
        (each["function"]["name"], json.loads(each["function"]["arguments"]), each["id"])
        for each in message.get("tool_calls") or ()
    ]
    assert (message["content"] or "", message.get("reasoning_content") or "", calls) == (content, reasoning, expected)
    assert choice.finish_reason == ("tool_calls" if expected else "stop")


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    ("events", "figures"),
    [
        ([message_start({"input_tokens": 9}), *HI, *message_end("end_turn", usage={"output_tokens": 3})], (39, 3, 23)),
        (
            [
                message_start({"input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}),
                *HI,
                *message_end("end_turn", usage={"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 3}),
            ],
            (14, 3, 5),
        ),
        ([message_start({"input_tokens": 9}), *HI, STOP], (39, 1, 23)),
        (
            [
                START,
                *HI,
                event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
                event("message_delta", delta={}, usage={"output_tokens": 4, "input_tokens": 11}),
                STOP,
            ],
            (41, 4, 23),
        ),
    ],
    ids=["beginning and end", "the end corrects the beginning", "the beginning alone", "behind the stop_reason"],
)
def test_usage_wherever_it_is_told(stage: Stage, events: Sequence[bytes], figures: Any, way: Way) -> None:
    """What the last event says counts, and what it does not say stays."""
    completion, _ = stage.chat(way, Said(None, events))
    told = completion.usage
    assert (told.prompt_tokens, told.completion_tokens, told.prompt_tokens_details.cached_tokens) == figures
    assert told.total_tokens == told.prompt_tokens + told.completion_tokens
