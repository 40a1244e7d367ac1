"""A whole answer as a stream of its dialect: all that it says, in its order, with the end that it names and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.interface import Hints, StreamError, Truncated
from monorelay.dialects.passthrough import NativeTransducer
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.unrolled_answers import is_unrollable, unrolled
from monorelay.dialects.usage import find_usage

HINTS = Hints("m", 1, lambda prefix: f"{prefix}1", Quirks(), False)
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1.10}'}}
CHAT = {
    "id": "x",
    "object": "chat.completion",
    "model": "m",
    "new": {"a": [1]},
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "é", "reasoning": "hm", "tool_calls": [CALL, CALL]},
            "logprobs": {"content": []},
            "finish_reason": "tool_calls",
        },
        {"index": 1, "message": {"role": "assistant", "content": None, "refusal": "no"}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 4, "completion_tokens": 5},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "new": 1,
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "é", "citations": [{"type": "char_location"}], "new": 2},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"n": [1.5, {}]}},
        {"type": "tool_use", "id": "u", "name": "g", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 4, "output_tokens": 5},
}
RESPONSE = {
    "id": "resp_1",
    "status": "completed",
    "model": "m",
    "new": 1,
    "output": [
        {
            "id": "rs",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "content": [{"type": "reasoning_text", "text": "long"}],
            "encrypted_content": "e",
        },
        {
            "id": "msg",
            "type": "message",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "é", "annotations": [{"type": "url_citation"}], "logprobs": [{"token": "é"}]},
                {"type": "refusal", "refusal": "no"},
                {"type": "new", "x": 1},
            ],
        },
        {"id": "fc", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"n": 1.10}', "status": "completed"},
        {"id": "ct", "type": "custom_tool_call", "call_id": "d", "name": "g", "input": "ls", "status": "completed"},
        {"id": "ws", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
    ],
    "usage": {"input_tokens": 4, "output_tokens": 5},
}
WHOLE = {"openai.chat": CHAT, "anthropic.messages": MESSAGE, "openai.responses": RESPONSE}


def stream_of(capability: str, whole: Any, asked: Any = None) -> bytes:
    told = unrolled(capability, asked or {}, json.dumps(whole).encode())
    assert isinstance(told, bytes)
    return told


def events_of(stream: bytes) -> list[Any]:
    """What the events say; each is one with its name, where it has one."""
    found = []
    for event in stream.decode().removesuffix("\n\n").split("\n\n"):
        *name, data = event.split("\n")
        said = data.removeprefix("data: ")
        found.append(said if said == "[DONE]" else json.loads(said))
        assert not name or name == [f"event: {found[-1]['type']}"]
    return found


@pytest.mark.parametrize("capability", WHOLE)
def test_it_is_a_stream_like_any_other(capability: str) -> None:
    """Whoever watches native streams sees content, the end, and the same usage; without its last event it is cut."""
    whole = WHOLE[capability]
    stream = stream_of(capability, whole, {"stream_options": {"include_usage": True}})
    seen = NativeTransducer(capability, HINTS)
    assert seen.feed(stream) == stream and seen.close() == b""
    assert seen.opened and seen.finished and seen.at_boundary and seen.error is None
    assert seen.usage == find_usage(json.dumps(whole).encode()) and is_unrollable(capability)
    if capability != "openai.chat":  # there a finish_reason is an end as well
        cut = NativeTransducer(capability, HINTS)
        cut.feed(stream[: stream.rindex(b"event: ")])
        with pytest.raises(Truncated):
            cut.close()


def test_a_chat() -> None:
    """What each choice says in one piece, then how it ended; fields that nobody knows stay with what they belong to."""
    events = events_of(stream_of("openai.chat", CHAT))
    assert events.pop() == "[DONE]"
    head = {"id": "x", "object": "chat.completion.chunk", "model": "m", "new": {"a": [1]}}
    assert [{name: event[name] for name in event if name != "choices"} for event in events] == [head] * 4
    first, second = CHAT["choices"]  # type: ignore[misc]
    delta = {**first["message"], "tool_calls": [{"index": 0, **CALL}, {"index": 1, **CALL}]}
    assert [event["choices"] for event in events] == [
        [{"index": 0, "logprobs": {"content": []}, "delta": delta, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}],
        [{"index": 1, "delta": second["message"], "finish_reason": None}],
        [{"index": 1, "delta": {}, "finish_reason": "stop"}],
    ]


def test_the_usage_of_a_chat_is_told_to_who_asked() -> None:
    """In a chunk of its own, the last one."""
    events = events_of(stream_of("openai.chat", CHAT, {"stream_options": {"include_usage": True}}))
    assert events[-2]["choices"] == [] and events[-2]["usage"] == CHAT["usage"]
    assert b"usage" not in stream_of("openai.chat", {**CHAT, "usage": None}, {"stream_options": {"include_usage": True}})


def test_a_completion() -> None:
    """As a chat, with its text."""
    whole = {"id": "x", "object": "text_completion", "choices": [{"text": "é", "index": 0, "finish_reason": "length"}]}
    events = events_of(stream_of("openai.completions", whole))
    assert [event["choices"][0] for event in events[:-1]] == [
        {"index": 0, "text": "é", "finish_reason": None},
        {"index": 0, "text": "", "finish_reason": "length"},
    ]


def test_a_message() -> None:
    """Every block is opened, told and closed in its turn; of a kind without deltas it opens whole."""
    events = events_of(stream_of("anthropic.messages", MESSAGE))
    begun = events[0]["message"]
    assert begun == {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 4, "output_tokens": 0}}
    told: list[Any] = []
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert event["index"] == len(told)
            told.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            (kind, value), block = list(event["delta"].items())[1], told[-1]
            if kind == "partial_json":
                block["input"] = json.loads(value)
            elif kind == "citation":
                block["citations"].append(value)
            else:
                assert block[kind] == ""
                block[kind] = value
    assert told == MESSAGE["content"]
    assert events[-2:] == [
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"input_tokens": 4, "output_tokens": 5},
        },
        {"type": "message_stop"},
    ]


def test_a_response() -> None:
    """Numbered from 0; what is told in pieces is what the items and the whole repeat."""
    events = events_of(stream_of("openai.responses", RESPONSE))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"] and kinds[-1] == "completed"
    assert events[0]["response"] == {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    assert events[-1]["response"] == RESPONSE
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == RESPONSE["output"]
    deltas = {event["type"]: event["delta"] for event in events if "delta" in event}
    assert deltas == {
        "response.reasoning_summary_text.delta": "hm",
        "response.reasoning_text.delta": "long",
        "response.output_text.delta": "é",
        "response.refusal.delta": "no",
        "response.function_call_arguments.delta": '{"n": 1.10}',
        "response.custom_tool_call_input.delta": "ls",
    }
    for event in events:
        if event["type"] == "response.output_item.added":
            item = event["item"]
            assert not item.get("content") and not item.get("arguments") and item.get("status", "in_progress") == "in_progress"
        elif "item_id" in event:
            assert RESPONSE["output"][event["output_index"]]["id"] == event["item_id"]  # type: ignore[index]
    assert kinds.count("content_part.added") == kinds.count("content_part.done") == 4
    assert events_of(stream_of("openai.responses", {**RESPONSE, "status": "incomplete"}))[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize("reason", [None, "", "missing"])
def test_no_end_is_made_up(reason: str | None) -> None:
    """Of an answer that does not say how it ended, nothing is told of that."""
    choice = {"index": 0, "message": {"content": "Hi"}, **({} if reason == "missing" else {"finish_reason": reason})}
    events = events_of(stream_of("openai.chat", {"choices": [choice]}))
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]] == [None]
    message = {**MESSAGE, "stop_reason": None}
    assert events_of(stream_of("anthropic.messages", message))[-2]["delta"]["stop_reason"] is None


@pytest.mark.parametrize(
    ("capability", "answer"),
    [
        (capability, answer)
        for capability in (*WHOLE, "openai.completions")
        for answer in (b"", b"[]", b"null", b'"x"', b"{}", b'{"a":', b'{"choices":[],"content":"x","output":{}}', b"[" * 9999)
    ]
    + [
        ("openai.chat", b'{"choices":[{"index":0,"delta":{"content":"x"}}]}'),
        ("openai.chat", b'{"choices":["x"]}'),
        ("openai.completions", b'{"choices":[{"index":0,"message":{"content":"x"}}]}'),
        ("anthropic.messages", b'{"type":"error","content":[]}'),
        ("openai.responses", b'{"output":[],"status":"in_progress"}'),
        ("openai.responses", b'{"output":[]}'),
    ],
)
def test_what_is_no_answer_is_no_stream(capability: str, answer: bytes) -> None:
    """Nothing is told of it, rather than something that might be wrong."""
    assert unrolled(capability, {}, answer) is None


DEEP = {
    "openai.chat": '{"choices":[{"message":{"content":"x","odd":%s}}]}',
    "openai.completions": '{"choices":[{"text":"x","odd":%s}]}',
    "anthropic.messages": '{"content":[{"type":"tool_use","input":{"odd":%s}}]}',
    "openai.responses": '{"status":"completed","output":[{"type":"odd","odd":%s}]}',
}


@pytest.mark.parametrize("capability", DEEP)
def test_an_answer_that_can_just_be_read(capability: str) -> None:
    """So deep that no event of it can be written: then it is no answer, and nobody raises, because nobody would hear of it."""
    for depth in range(800, 1000):  # how deep that is depends on the Python
        told = unrolled(capability, {}, (DEEP[capability] % ("[" * depth + "]" * depth)).encode())
        assert told is None or told.count(b"[") > depth


@pytest.mark.parametrize(
    ("capability", "answer"),
    [
        ("openai.chat", {"odd": "x" * 2**20, "choices": [{"message": {"content": ""}}] * 200}),
        ("openai.responses", {"status": "completed", "output": [{"id": "x" * 2**20, "summary": [{}] * 200}]}),
    ],
)
def test_what_grows_out_of_all_proportion_is_not_told(capability: str, answer: dict[str, Any]) -> None:
    """Each event names what belongs to all: a megabyte of that, and many small things, would fill the memory."""
    assert unrolled(capability, {}, json.dumps(answer).encode()) is None


def test_a_response_that_failed_is_its_error() -> None:
    """As the event would be."""
    failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    error = unrolled("openai.responses", {}, json.dumps(failed).encode())
    assert isinstance(error, StreamError) and (error.status, error.body.message) == (429, "slow")
    assert isinstance(unrolled("openai.responses", {}, b'{"status": "failed", "error": null}'), StreamError)


def test_others_are_not_told_as_streams() -> None:
    """Of images, recordings and an operator's own words nobody here knows the events of a whole."""
    assert not any(is_unrollable(word) for word in ("openai.images.generations", "openai.audio.speech", "acme.ocr", ""))
