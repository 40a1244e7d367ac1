"""Streams as a dialogue: what is told when, which deltas belong together, and how a stream ends."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from messages_to_chat_stage import DONE, USAGE, Told, begin, call, chunk, event

from monorelay.dialects.interface import Transducer, Truncated, Usage
from monorelay.errors import ErrorBody

ERROR = ErrorBody("upstream_error", "[p] The stream broke off: reset")
USAGE_CHUNK = chunk(usage=USAGE)


def start(**body: Any) -> Transducer:
    return begin({"stream": True, **body}).stream()


def message(*chunks: bytes, **body: Any) -> dict[str, Any]:
    """The message that these chunks, all of a stream, tell."""
    transducer = start(**body)
    told = b"".join([*map(transducer.feed, chunks), transducer.close()])
    read = Told(told)
    assert read.is_whole and read.message is not None
    return read.message


def calls(*deltas: dict[str, Any]) -> list[tuple[str, str, Any]]:
    content = message(*(chunk(each) for each in deltas), chunk({}, "tool_calls"), DONE)["content"]
    return [(block["id"], block["name"], block["input"]) for block in content]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning_content": "a"},
        {"refusal": "a"},
        call(0, "c", "f", ""),
        {"function_call": {"name": "f"}},
        {"content": [{"type": "text", "text": "a"}]},
    ],
)
def test_content_opens_at_once(delta: dict[str, Any]) -> None:
    """The first piece of content goes out with the chunk that brought it, behind the message's start."""
    transducer = start()
    assert transducer.feed(chunk({"role": "assistant", "content": ""})) == b""
    assert not transducer.opened
    told = transducer.feed(chunk(delta))
    assert transducer.opened and not transducer.finished
    assert told.startswith(b"event: message_start\n") and b"content_block_start" in told


@pytest.mark.parametrize(
    "delta", [{}, {"role": "assistant"}, {"content": None}, {"content": ""}, {"reasoning_content": ""}, {"tool_calls": []}]
)
def test_empty_deltas_open_nothing(delta: dict[str, Any]) -> None:
    """Until there is content another attempt may be made."""
    transducer = start()
    assert transducer.feed(chunk(delta)) == b""
    assert not transducer.opened


def test_the_end_waits_for_the_usage_only() -> None:
    """Blocks close with the finish reason; the message ends with the usage behind it."""
    transducer = start()
    transducer.feed(chunk({"content": "a"}))
    assert transducer.feed(chunk({}, "stop")).count(b"event: ") == 1
    assert not transducer.finished
    told = transducer.feed(USAGE_CHUNK)
    assert transducer.finished
    assert b'"input_tokens":20' in told and told.endswith(b'data: {"type":"message_stop"}\n\n')
    assert transducer.usage == Usage(input=20, cache_read=100, output=30, reasoning=8)
    assert transducer.feed(DONE) == b""
    assert transducer.feed(chunk({"content": "more"})) == b""
    assert transducer.close() == b""


@pytest.mark.parametrize(
    "ending",
    [
        [chunk({}, "stop"), USAGE_CHUNK, DONE],
        [chunk({}, "stop", usage=USAGE), DONE],
        [chunk({}, "stop", usage=USAGE)],
        [chunk({}, "stop"), chunk({}, None, usage=USAGE)],
        [USAGE_CHUNK, chunk({}, "stop")],
        [USAGE_CHUNK, DONE],
        [event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}), DONE],
        [chunk({}, "stop"), USAGE_CHUNK.rstrip()],
    ],
)
def test_usage_on_any_chunk(ending: list[bytes]) -> None:
    """Wherever the figures come, the client gets them, and the message ends."""
    found = message(chunk({"content": "a"}), *ending)
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (20, 30)
    assert found["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    "deltas, told",
    [
        # as the reference has it
        ([call(0, "a", "f", ""), call(0, None, None, '{"x"'), call(0, None, None, ":1}")], [("a", "f", {"x": 1})]),
        # whole, or without arguments
        ([call(0, "a", "f", '{"x":1}')], [("a", "f", {"x": 1})]),
        ([call(0, "a", "f")], [("a", "f", {})]),
        ([call(0, "a", "f", ""), call(1, "b", "g", "")], [("a", "f", {}), ("b", "g", {})]),
        # an object instead of text
        ([call(0, "a", "f", {"x": 1})], [("a", "f", {"x": 1})]),
        # everything under one index
        ([call(0, "a", "f", "{}"), call(0, "b", "f", "{}")], [("a", "f", {}), ("b", "f", {})]),
        # no index
        ([call(None, "a", "f", '{"x":'), call(None, None, None, "1}")], [("a", "f", {"x": 1})]),
        (
            [call(None, "a", "f", '{"x":'), call(None, "a", None, "1}"), call(None, "b", "f", "{}")],
            [("a", "f", {"x": 1}), ("b", "f", {})],
        ),
        # no id
        ([call(0, None, "f", '{"x":1}'), call(1, None, "g", "")], [("call_made", "f", {"x": 1}), ("call_made", "g", {})]),
        # neither
        ([call(None, None, "f", '{"x":'), call(None, None, None, "1}")], [("call_made", "f", {"x": 1})]),
        (
            [call(None, None, "f", '{"x":1}'), call(None, None, "f", '{"x":2}')],
            [("call_made", "f", {"x": 1}), ("call_made", "f", {"x": 2})],
        ),
        ([call(None, None, "f", ""), call(None, None, "g", "")], [("call_made", "f", {}), ("call_made", "g", {})]),
        # id and name in every delta; a new id in every delta
        ([call(0, "a", "f", '{"x"'), call(0, "a", "f", ":1}")], [("a", "f", {"x": 1})]),
        ([call(0, "a", "f", '{"x"'), call(0, "b", None, ":1}")], [("a", "f", {"x": 1})]),
        ([call(0, None, "f", '{"x"'), call(0, None, "f", ":1}")], [("call_made", "f", {"x": 1})]),
        # the name later than the id, and than arguments
        ([call(0, "a"), call(0, None, None, '{"x":'), call(0, None, "f", "1}")], [("a", "f", {"x": 1})]),
        # an empty object before the real one; the whole once more at the end
        ([call(0, "a", "f", "{}"), call(0, None, None, '{"x":'), call(0, None, None, "1}")], [("a", "f", {"x": 1})]),
        ([call(0, "a", "f", '{"x":1}'), call(0, "a", "f", '{"x":1}')], [("a", "f", {"x": 1})]),
        ([call(0, "a", "f", "  "), call(0, None, None, ' {"x":1} \n')], [("a", "f", {"x": 1})]),
    ],
)
def test_which_call_a_delta_belongs_to(deltas: list[dict[str, Any]], told: list[tuple[str, str, Any]]) -> None:
    """However a server numbers its calls, none is lost, split or glued."""
    assert calls(*deltas) == told


def test_arguments_in_the_last_chunk() -> None:
    """They may come with the finish reason, or even behind it."""
    found = message(chunk(call(0, "a", "f", "")), chunk(call(0, None, None, '{"x":1}'), "tool_calls"), DONE)
    assert found["content"][0]["input"] == {"x": 1}


def test_text_behind_a_call_waits_for_it() -> None:
    """Blocks never overlap: text between two halves of a call is told when the call is whole."""
    found = message(
        chunk({"content": "a"}),
        chunk(call(0, "c", "f", '{"x"')),
        chunk({"content": "b"}),
        chunk(call(0, None, None, ":1}")),
        chunk({"content": "c"}),
        chunk({}, "stop"),
        DONE,
    )
    assert [block.get("text", block.get("input")) for block in found["content"]] == ["a", {"x": 1}, "bc"]


def test_thinking_and_text_take_turns() -> None:
    """Each turn is a block of its own, in the order in which it came."""
    deltas = [
        {"reasoning_content": "r"},
        {"content": "t"},
        {"reasoning_content": "s"},
        {"reasoning_content": "s"},
        {"content": "u"},
    ]
    found = message(*map(chunk, deltas), chunk({}, "stop"), DONE)
    assert [block[block["type"]] for block in found["content"]] == ["r", "t", "ss", "u"]


def test_a_cut_call_stays_cut() -> None:
    """Where the tokens ran out in the middle of arguments, the client gets what there was, as Anthropic does it."""
    found = message(chunk(call(0, "c", "f", '{"x": "ab')), chunk({}, "length"), DONE)
    assert found["stop_reason"] == "max_tokens"
    assert found["content"][0]["input"] == {"cut": '{"x": "ab'}


@pytest.mark.parametrize("body", [{"thinking": {"type": "disabled"}}, {"thinking": {"type": "adaptive", "display": "omitted"}}])
def test_thinking_that_is_not_wanted(body: dict[str, Any]) -> None:
    """Who switched it off does not get it; it is no content either."""
    transducer = start(**body)
    assert transducer.feed(chunk({"reasoning_content": "r"})) == b"" and not transducer.opened
    assert message(chunk({"reasoning_content": "r"}), chunk({"content": "t"}), DONE, **body)["content"] == [
        {"type": "text", "text": "t"}
    ]


def test_citations_follow_their_text() -> None:
    """Sources come as citations of the text before them."""
    cited = {
        "annotations": [
            {"type": "url_citation", "url_citation": {"url": "https://e", "title": "E", "start_index": 0, "end_index": 1}}
        ]
    }
    found = message(chunk({"content": "a"}), chunk(cited), chunk({}, "stop"), DONE)
    assert [each["url"] for each in found["content"][0]["citations"]] == ["https://e"]


def test_a_second_choice_is_not_told() -> None:
    """There is no place for it, and nobody asked."""
    other = event({"id": "x", "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}]})
    assert message(chunk({"content": "a"}), other, chunk({}, "stop"), DONE)["content"] == [{"type": "text", "text": "a"}]


ERRORS = [
    ({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}, 429, "rate_limit_error"),
    ({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429, "rate_limit_error"),
    ({"error": {"message": "busy", "code": 503}}, 503, "overloaded_error"),
    ({"error": {"message": "bad key", "code": "invalid_api_key"}}, 401, "authentication_error"),
    ({"error": {"message": "x", "type": "server_error"}, "choices": []}, 500, "api_error"),
    ({"error": "words"}, 500, "api_error"),
    ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, 400, "invalid_request_error"),
    (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "gone"}}]},
        502,
        "api_error",
    ),
]


@pytest.mark.parametrize("data, status, kind", ERRORS)
def test_an_error_before_content(data: dict[str, Any], status: int, kind: str) -> None:
    """It fails the attempt, and nothing of it is told; a relay that had already committed gets it at the end."""
    transducer = start()
    assert transducer.feed(chunk({"role": "assistant", "content": ""})) == b""
    assert transducer.feed(event(data)) == b""
    assert not transducer.opened and transducer.finished
    assert transducer.error is not None
    assert (transducer.error.status, transducer.error.body.type) == (status, kind)
    told = Told(transducer.close())
    assert told.message is None and told.error is not None and told.error["type"] == kind


@pytest.mark.parametrize("data, status, kind", ERRORS)
def test_an_error_behind_content(data: dict[str, Any], status: int, kind: str) -> None:
    """It is told in this dialect, and ends the stream."""
    transducer = start()
    told = transducer.feed(chunk({"content": "a"})) + transducer.feed(event(data))
    assert transducer.opened and transducer.finished and transducer.error is not None
    told += transducer.feed(chunk({"content": "b"})) + transducer.feed(DONE) + transducer.close()
    read = Told(told)
    assert read.error is not None and read.error["type"] == kind
    assert transducer.fail(ERROR) == b""


def test_an_error_that_lacks_its_blank_line() -> None:
    """It fails the attempt all the same."""
    transducer = start()
    assert transducer.feed(event({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).rstrip()) == b""
    with pytest.raises(Truncated, match="slow down"):
        transducer.close()


def test_an_event_called_error() -> None:
    """Whatever its data is."""
    transducer = start()
    transducer.feed(b"event: error\ndata: all is lost\n\n")
    assert transducer.error is not None and transducer.error.body.message == "all is lost"


@pytest.mark.parametrize(
    "chunks", [[], [chunk({"content": "a"})], [chunk({"role": "assistant"}), USAGE_CHUNK], [chunk(call(0, "c", "f", "{"))]]
)
def test_a_cut_stream(chunks: list[bytes]) -> None:
    """Without a finish reason or [DONE] it was cut; the relay's error then ends the client's stream."""
    transducer = start()
    told = b"".join(map(transducer.feed, chunks))
    with pytest.raises(Truncated):
        transducer.close()
    assert not transducer.finished
    read = Told(told + transducer.fail(ERROR))
    assert read.error == {"message": ERROR.message, "type": "upstream_error"}
    assert transducer.finished
    assert transducer.fail(ERROR) == b""


def test_a_failure_behind_the_finish_reason() -> None:
    """Nothing of the answer is missing then, so the message ends, without an error."""
    transducer = start()
    told = transducer.feed(chunk({"content": "a"})) + transducer.feed(chunk({}, "stop")) + transducer.fail(ERROR)
    assert Told(told).is_whole and transducer.finished


def test_done_alone_is_an_end() -> None:
    """Servers that tell no finish reason do exist."""
    assert message(chunk({"content": "a"}), DONE)["stop_reason"] == "end_turn"
    assert message(chunk(call(0, "c", "f", "{}")), DONE)["stop_reason"] == "tool_use"
    assert message(chunk({"role": "assistant"}), DONE)["content"] == []


def test_keepalives_are_pings() -> None:
    """Between any two events."""
    transducer = start()
    told = transducer.keepalive() + transducer.feed(chunk({"content": "a"})) + transducer.keepalive() + transducer.feed(DONE)
    assert Told(told).pings == 2
    assert transducer.at_boundary and transducer.object_ids == ()


@pytest.mark.parametrize(
    "junk",
    [
        b"data: {broken\n\n",
        b"data: []\n\n",
        b"data: null\n\n",
        b"data: \xff\xfe\n\n",
        b": comment\n\n",
        b"\n\n\n",
        event({"choices": "x"}),
        event({"choices": [7]}),
        event({"choices": [{"delta": []}]}),
        event(
            {"choices": [{"delta": {"content": 7, "tool_calls": [7, {"function": 8}, {}], "reasoning": {}, "annotations": [1]}}]}
        ),
        event({"usage": "x"}),
        event({"usage": [1]}),
    ],
)
def test_junk_is_skipped(junk: bytes) -> None:
    """What cannot be read harms nothing around it."""
    found = message(junk, chunk({"content": "a"}), junk, chunk({"content": "b"}), chunk({}, "stop"), junk, DONE, junk)
    assert found["content"] == [{"type": "text", "text": "ab"}]


def test_memory_does_not_grow() -> None:
    """A stream keeps nothing of the text and of the arguments that it told."""
    transducer = start()
    transducer.feed(chunk({"content": "a"}))
    text, arguments = chunk({"content": "x" * 1000}), chunk(call(0, None, None, "x" * 1000))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(500):
        transducer.feed(text)
    transducer.feed(chunk(call(0, "c", "f", '{"x":"')))
    for _ in range(500):
        transducer.feed(arguments)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000
