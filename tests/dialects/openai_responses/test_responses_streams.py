"""Streams towards openai.responses, event by event: what opens, what closes when, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_stage import CHAT, DONE, ERROR, MESSAGES, USAGE, Told, begin, call, chunk, event, run, said

from monorelay.dialects.interface import Truncated, Usage
from monorelay.dialects.sse import read_events

BODY: dict[str, Any] = {
    "model": "m",
    "input": "Hi",
    "stream": True,
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "space", "description": "d", "tools": [{"type": "function", "name": "g"}]},
        {"type": "shell"},
        {"type": "local_shell"},
        {"type": "apply_patch"},
    ],
}


def start(**usage: int) -> bytes:
    return event(type="message_start", message={"id": "msg_1", "model": "m-1", "content": [], "usage": usage})


def opened(index: int, **block: Any) -> bytes:
    return event(type="content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **piece: Any) -> bytes:
    return event(type="content_block_delta", index=index, delta={"type": kind, **piece})


def closed(index: int) -> bytes:
    return event(type="content_block_stop", index=index)


def stop(reason: str, **beside: Any) -> bytes:
    usage = beside.pop("usage", {"output_tokens": 7})
    return event(type="message_delta", delta={"stop_reason": reason, **beside}, usage=usage) + event(type="message_stop")


def names(out: bytes) -> list[str]:
    return [each.name.removeprefix("response.") for each in read_events(out)]


# ---------------------------------------------------------------------- from openai.chat


def test_every_event_goes_out_as_soon_as_it_is_known() -> None:
    """Nothing waits but the end, for the usage behind it."""
    stream = begin(BODY).stream()
    steps: list[tuple[bytes, list[str]]] = [
        (b": comment\n\n", []),
        (chunk({"role": "assistant", "content": ""}), ["created", "in_progress"]),
        (
            chunk({"reasoning_content": "hm"}),
            ["output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"],
        ),
        (chunk({"reasoning_content": " so"}), ["reasoning_summary_text.delta"]),
        (
            chunk({"content": "Hel"}),
            [
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
            ],
        ),
        (chunk({"content": "lo"}), ["output_text.delta"]),
        (chunk(call(0, "c1", "f", "")), ["output_text.done", "content_part.done", "output_item.done", "output_item.added"]),
        (chunk(call(0, None, None, '{"a":')), ["function_call_arguments.delta"]),
        (chunk(call(0, None, None, "1}")), ["function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]),
        (chunk({}, "tool_calls"), []),
        (b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n", ["completed"]),
        (DONE, []),
    ]
    whole = b""
    for fed, expected in steps:
        out = stream.feed(fed)
        assert names(out) == expected
        whole += out
    assert stream.close() == b"" and stream.finished and stream.opened
    response = Told(whole).response
    assert response is not None
    assert response["id"] == "resp_chatcmpl-1" and response["model"] == "m-1"
    assert response["usage"]["input_tokens"] == 12 and response["usage"]["input_tokens_details"]["cached_tokens"] == 4
    assert stream.usage == Usage(input=8, cache_read=4, output=7)


def test_it_opens_with_content_and_not_before() -> None:
    """The relay commits at the first text, thought or call."""
    for content in ({"content": "x"}, {"reasoning": "x"}, {"refusal": "x"}, call(0, "c", "f", "")):
        stream = begin(BODY).stream()
        stream.feed(chunk({"role": "assistant", "content": ""}))
        assert not stream.opened
        stream.feed(chunk(content))
        assert stream.opened


def test_interleaved_calls_are_open_side_by_side() -> None:
    """Each closes with its last brace, and comes out at its place."""
    stream = begin(BODY).stream()
    pieces = [
        chunk(call(0, "a", "f", '{"x":')),
        chunk(call(1, "b", "space__g", '{"y":')),
        chunk(call(0, None, None, "1}")),
        chunk(call(1, None, None, "2}")),
        chunk({}, "tool_calls"),
        DONE,
    ]
    read = Told(run(stream, *pieces))
    assert read.response is not None
    assert said(read.response) == [
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call", "call_id": "b", "name": "g", "namespace": "space", "arguments": '{"y":2}'},
    ]


@pytest.mark.parametrize(
    "pieces, arguments",
    [
        (["", ""], "{}"),
        (["{}", '{"a":1}'], '{"a":1}'),
        (['{"a":1}', '{"a":1}'], '{"a":1}'),
        (["{}"], "{}"),
        (["null"], "{}"),
        (["[1"], "[1"),
        (['"{\\"a\\":1}"'], '{"a":1}'),
        (["{", "}", ""], "{}"),
    ],
)
def test_odd_arguments(pieces: list[str], arguments: str) -> None:
    """Nothing becomes an empty object, what is sent twice is told once, and what is no object is told as it came."""
    fed = [chunk(call(0, "a", "f", None)), *(chunk(call(0, None, None, piece)) for piece in pieces), chunk({}, "stop"), DONE]
    read = Told(run(begin(BODY).stream(), *fed))
    assert read.response is not None and read.response["output"][0]["arguments"] == arguments


def test_calls_with_the_same_id_stay_two() -> None:
    """A client finds a call by its id, so the second gets another."""
    fed = [chunk(call(0, "same", "f", "{}")), chunk(call(1, "same", "f", '{"a":1}')), chunk(call(2, None, "f", "{}")), DONE]
    read = Told(run(begin(BODY).stream(), *fed))
    assert read.response is not None
    ids = [item["call_id"] for item in read.response["output"]]
    assert ids[0] == "same" and len(set(ids)) == 3 and all(ids)


def test_a_custom_tool_hears_its_text() -> None:
    """Unwrapped while it streams, escapes and all."""
    pieces = ['{"in', 'put": "*** Beg', "in\\", 'n+ü \\"q\\" \\ud83d', '\\ude00"', "}"]
    fed = [
        chunk(call(0, "c1", "patch", "")),
        *(chunk(call(0, None, None, piece)) for piece in pieces),
        chunk({}, "tool_calls"),
        DONE,
    ]
    stream = begin(BODY).stream()
    assert b"custom_tool_call_input.delta" in stream.feed(b"".join(fed[:3]))
    read = Told(run(begin(BODY).stream(), *fed))
    assert read.response is not None
    text = '*** Begin\n+ü "q" 😀'
    assert said(read.response) == [{"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": text}]
    assert read.names.count("response.custom_tool_call_input.done") == 1


@pytest.mark.parametrize(
    "name, arguments, item",
    [
        (
            "shell",
            '{"commands":["ls","pwd"],"timeout_ms":5}',
            {"type": "shell_call", "action": {"commands": ["ls", "pwd"], "timeout_ms": 5, "max_output_length": None}},
        ),
        (
            "local_shell",
            '{"command":"ls","working_directory":"/w"}',
            {
                "type": "local_shell_call",
                "action": {"type": "exec", "command": ["ls"], "env": {}, "working_directory": "/w"},
            },
        ),
        (
            "apply_patch",
            '{"type":"create_file","path":"a","diff":"+x"}',
            {"type": "apply_patch_call", "operation": {"type": "create_file", "path": "a", "diff": "+x"}},
        ),
        (
            "apply_patch",
            '{"type":"delete_file","path":"a"}',
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
        ),
    ],
)
def test_the_clients_own_kinds_of_tools(name: str, arguments: str, item: dict[str, Any]) -> None:
    """They come back as the calls that the client knows."""
    fed = [chunk(call(0, "c1", name, arguments[:9])), chunk(call(0, None, None, arguments[9:])), chunk({}, "tool_calls"), DONE]
    read = Told(run(begin(BODY).stream(), *fed))
    assert read.response is not None
    assert said(read.response) == [{"call_id": "c1", **item}]


def test_a_forgotten_namespace_is_found() -> None:
    """Where one tool alone has the name."""
    read = Told(run(begin(BODY).stream(), chunk(call(0, "c", "g", "{}")), DONE))
    assert read.response is not None and read.response["output"][0]["namespace"] == "space"


@pytest.mark.parametrize(
    "finish, status, reason",
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("eos", "completed", None),
    ],
)
def test_finish_reasons(finish: str, status: str, reason: str | None) -> None:
    """The response is completed, or says why it is not; so does its last message."""
    read = Told(run(begin(BODY).stream(), chunk({"content": "x"}), chunk({}, finish)))
    assert read.response is not None
    assert read.response["status"] == read.response["output"][0]["status"] == status
    assert read.response["incomplete_details"] == (reason and {"reason": reason})


def test_a_call_that_was_cut_is_not_completed() -> None:
    """Its arguments stay as they are, and its status says so; a call before it, which was whole, is."""
    fed = [chunk(call(0, "a", "f", "{}")), chunk(call(1, "b", "f", '{"x":"y')), chunk({}, "length"), DONE]
    read = Told(run(begin(BODY).stream(), *fed))
    assert read.response is not None
    assert [(item["arguments"], item["status"]) for item in read.response["output"]] == [
        ("{}", "completed"),
        ('{"x":"y', "incomplete"),
    ]


def test_an_answer_without_anything_is_completed() -> None:
    """Even without a single choice."""
    read = Told(run(begin(BODY).stream(), DONE))
    assert read.response is not None and read.response["output"] == [] and "usage" not in read.response


def test_refusals_are_parts() -> None:
    """As the SDKs look for them."""
    read = Told(run(begin(BODY).stream(), chunk({"refusal": "I can"}), chunk({"refusal": "not"}), chunk({}, "stop"), DONE))
    assert read.response is not None
    assert read.response["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot"}]


def test_logprobs_and_annotations() -> None:
    """Both belong to the text they came with."""
    logprobs = {"content": [{"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": None}]}
    cited = {"type": "url_citation", "url_citation": {"url": "https://e.org", "title": "E", "start_index": 0, "end_index": 1}}
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": logprobs}
    first = b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"
    read = Told(run(begin(BODY).stream(), first, chunk({"annotations": [cited]}), chunk({}, "stop"), DONE))
    assert read.response is not None
    part = read.response["output"][0]["content"][0]
    assert part["logprobs"] == [{"token": "x", "bytes": [120], "logprob": -0.5, "top_logprobs": []}]
    assert part["annotations"] == [{"type": "url_citation", "url": "https://e.org", "title": "E", "start_index": 0, "end_index": 1}]


# ---------------------------------------------------------------------- from anthropic.messages


def test_messages_become_items_as_they_come() -> None:
    """The same, from the other dialect; the signed thought itself travels as encrypted content."""
    stream = begin(BODY, MESSAGES).stream()
    steps = [
        (start(input_tokens=8, cache_read_input_tokens=4), ["created", "in_progress"]),
        (opened(0, type="thinking", thinking="", signature=""), []),
        (
            delta(0, "thinking_delta", thinking="hm"),
            ["output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"],
        ),
        (delta(0, "signature_delta", signature="c2ln"), []),
        (closed(0), ["reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"]),
        (event(type="ping"), []),
        (opened(1, type="text", text=""), []),
        (delta(1, "text_delta", text="Hello"), ["output_item.added", "content_part.added", "output_text.delta"]),
        (closed(1), []),
        (
            opened(2, type="tool_use", id="toolu_1", name="space__g", input={}),
            ["output_text.done", "content_part.done", "output_item.done", "output_item.added"],
        ),
        (delta(2, "input_json_delta", partial_json=""), []),
        (delta(2, "input_json_delta", partial_json='{"a":'), ["function_call_arguments.delta"]),
        (
            delta(2, "input_json_delta", partial_json="1}"),
            ["function_call_arguments.delta", "function_call_arguments.done", "output_item.done"],
        ),
        (closed(2), []),
        (stop("tool_use"), ["completed"]),
    ]
    whole = b""
    for fed, expected in steps:
        out = stream.feed(fed)
        assert names(out) == expected
        whole += out
    assert stream.close() == b""
    response = Told(whole).response
    assert response is not None and response["usage"]["input_tokens"] == 12 and response["usage"]["output_tokens"] == 7
    assert stream.usage == Usage(input=8, cache_read=4, output=7)
    assert response["output"][2]["call_id"] == "toolu_1"
    again = {**BODY, "input": [{"role": "user", "content": "Hi"}, *response["output"], _result("toolu_1")]}
    turns = json.loads(begin(again, MESSAGES).request)["messages"]
    assert turns[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "toolu_1", "name": "space__g", "input": {"a": 1}},
    ]


def _result(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "done"}


def test_redacted_and_silent_thoughts_are_items_too() -> None:
    """They have no summary, and come back as they were."""
    silent = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    blocks = [silent, {"type": "redacted_thinking", "data": "xyz"}, {"type": "text", "text": "x"}]
    fed = [part for index, block in enumerate(blocks) for part in (opened(index, **block), closed(index))]
    read = Told(run(begin(BODY, MESSAGES).stream(), start(), *fed, stop("end_turn")))
    assert read.response is not None
    assert [item.get("summary") for item in read.response["output"]] == [[], [], None]
    again = {**BODY, "input": [{"role": "user", "content": "x"}, *read.response["output"], {"role": "user", "content": "go on"}]}
    assert json.loads(begin(again, MESSAGES).request)["messages"][1]["content"] == blocks


def test_text_blocks_in_a_row_are_one_text_with_citations() -> None:
    """Positions count in the whole text."""
    fed = [
        start(),
        opened(0, type="text", text=""),
        delta(0, "text_delta", text="See "),
        closed(0),
        opened(1, type="text", text=""),
        delta(1, "citations_delta", citation={"type": "web_search_result_location", "url": "https://e.org", "title": "E"}),
        delta(1, "text_delta", text="here"),
        delta(
            1,
            "citations_delta",
            citation={
                "type": "char_location",
                "document_index": 2,
                "document_title": "D",
                "start_char_index": 0,
                "end_char_index": 3,
            },
        ),
        closed(1),
        stop("end_turn"),
    ]
    read = Told(run(begin(BODY, MESSAGES).stream(), *fed))
    assert read.response is not None
    part = read.response["output"][0]["content"][0]
    assert part["text"] == "See here"
    assert part["annotations"] == [
        {"type": "url_citation", "start_index": 4, "end_index": 8, "title": "E", "url": "https://e.org"},
        {"type": "file_citation", "file_id": "document:2", "filename": "D", "index": 8},
    ]


def test_input_that_was_not_streamed_is_told_before_the_call_closes() -> None:
    """Some servers send it whole with the block's start."""
    fed = [start(), opened(0, type="tool_use", id="t", name="f", input={"a": 1}), closed(0), stop("tool_use")]
    read = Told(run(begin(BODY, MESSAGES).stream(), *fed))
    assert read.response is not None and read.response["output"][0]["arguments"] == '{"a":1}'


def test_custom_tools_over_messages() -> None:
    """Streamed or whole, the client hears the text alone."""
    for fed in (
        [
            opened(0, type="tool_use", id="t", name="patch", input={}),
            delta(0, "input_json_delta", partial_json='{"input":"a\\nb"}'),
        ],
        [opened(0, type="tool_use", id="t", name="patch", input={"input": "a\nb"})],
    ):
        read = Told(run(begin(BODY, MESSAGES).stream(), start(), *fed, closed(0), stop("tool_use")))
        assert read.response is not None and read.response["output"][0]["input"] == "a\nb"


def test_the_structured_answers_tool_is_a_message() -> None:
    """Nobody else hears of it."""
    form = {"type": "json_schema", "name": "answer", "schema": {"type": "object", "additionalProperties": True}}
    stream = begin({**BODY, "tools": [], "text": {"format": form}}, MESSAGES).stream()
    fed = [
        start(),
        opened(0, type="tool_use", id="t", name="answer", input={}),
        delta(0, "input_json_delta", partial_json='{"a":1}'),
    ]
    read = Told(run(stream, *fed, closed(0), stop("tool_use")))
    assert read.response is not None
    assert [item["type"] for item in read.response["output"]] == ["message"]
    assert read.response["output"][0]["content"][0]["text"] == '{"a":1}'


@pytest.mark.parametrize(
    "reason, status, why",
    [
        ("end_turn", "completed", None),
        ("stop_sequence", "completed", None),
        ("pause_turn", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("model_context_window_exceeded", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_stop_reasons(reason: str, status: str, why: str | None) -> None:
    """The response is completed, or says why it is not."""
    fed = [start(), opened(0, type="text", text="x"), closed(0), stop(reason)]
    read = Told(run(begin(BODY, MESSAGES).stream(), *fed))
    assert read.response is not None
    assert read.response["status"] == status and read.response["incomplete_details"] == (why and {"reason": why})


def test_a_refusal_that_is_explained_is_a_part() -> None:
    """Where the upstream says why."""
    fed = [start(), stop("refusal", stop_details={"type": "refusal", "explanation": "Because."})]
    read = Told(run(begin(BODY, MESSAGES).stream(), *fed))
    assert read.response is not None
    assert read.response["output"][0]["content"] == [{"type": "refusal", "refusal": "Because."}]


# ---------------------------------------------------------------------- failures

CHAT_ERROR = b'data: {"error":{"message":"Slow down","type":"rate_limit_error","code":429}}\n\n'
MESSAGES_ERROR = event(type="error", error={"type": "rate_limit_error", "message": "Slow down"})
FAILURES = pytest.mark.parametrize(
    "translator, before, content, error",
    [
        (CHAT, chunk({"role": "assistant"}), chunk({"content": "x"}), CHAT_ERROR),
        (MESSAGES, start(), opened(0, type="text", text="x"), MESSAGES_ERROR),
    ],
    ids=["chat", "messages"],
)


@FAILURES
def test_an_error_before_content_fails_the_attempt(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Nothing of it is told; a relay that had to commit before tells it with the end."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before)
    assert stream.feed(error) == b"" and not stream.opened
    assert stream.error is not None and stream.error.status == 429 and stream.error.body.message == "Slow down"
    read = Told(told + stream.close())
    assert read.error is not None and read.error["code"] == "rate_limit_exceeded" and read.error["message"] == "Slow down"


@FAILURES
def test_a_last_error_without_its_blank_line(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Fails the attempt as well: the end of the stream is where it is read."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before) + stream.feed(error.removesuffix(b"\n\n"))
    with pytest.raises(Truncated, match="Slow down"):
        stream.close()
    read = Told(told + stream.fail(ERROR))
    assert read.error is not None


@FAILURES
def test_an_error_after_content_is_told(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """As response.failed, with what is open left open, and nothing behind it."""
    stream = begin(BODY, translator).stream()
    told = b"".join(stream.feed(each) for each in (before, content, error, content))
    assert stream.finished and stream.error is not None
    read = Told(told + stream.close() + stream.fail(ERROR))
    assert read.error is not None and read.error["message"] == "Slow down" and len(read.open) == 1


@FAILURES
def test_a_cut_stream_is_no_end(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """It raises, and fails in band."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before + content)
    with pytest.raises(Truncated):
        stream.close()
    read = Told(told + stream.fail(ERROR))
    assert read.error == {"code": "server_error", "message": ERROR.message, "type": "upstream_error", "param": None}
    assert stream.fail(ERROR) == b""


@FAILURES
def test_a_failure_before_anything(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Even that is a stream by the dialect's grammar."""
    stream = begin(BODY, translator).stream()
    read = Told(stream.fail(ERROR))
    assert read.names == ["response.created", "response.in_progress", "response.failed"]
    assert stream.keepalive().startswith(b":")


def test_all_that_misses_is_the_end() -> None:
    """Behind the finish reason a failure takes nothing away."""
    stream = begin(BODY).stream()
    told = stream.feed(chunk({"content": "x"}) + chunk({}, "stop"))
    assert not stream.finished
    read = Told(told + stream.fail(ERROR))
    assert read.response is not None and read.response["status"] == "completed"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"error":{"message":"no"}}',
        b'{"type":"error","error":{"message":"no"}}',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{"error":{"message":"no"}}]}',
        b'"x"',
        b"null",
    ],
)
@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
def test_what_is_no_answer(translator: Any, body: bytes) -> None:
    """Cut JSON, errors inside a 200, and answers without any: the relay tries elsewhere."""
    with pytest.raises(Truncated):
        begin(BODY, translator).answer(body)


@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
def test_refusals_keep_what_was_said(translator: Any) -> None:
    """Message, param and code, under a type that OpenAI's clients know."""
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"Bad","param":"input","code":"c"},"request_id":"r"}'
    found = json.loads(begin(BODY, translator).refusal(400, body) or b"")
    assert found == {"error": {"message": "Bad", "type": "invalid_request_error", "code": "c", "param": "input"}, "request_id": "r"}
    assert begin(BODY, translator).refusal(502, b"<html>") is None


@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
@pytest.mark.parametrize(
    "message", ["prompt is too long: 9 tokens > 8 maximum", "This model's maximum context length is 8 tokens."]
)
def test_a_conversation_that_is_too_long(translator: Any, message: str) -> None:
    """Has the code that makes clients compact it, whatever the upstream called it."""
    error = {"type": "invalid_request_error", "message": message}
    refusal = begin(BODY, translator).refusal(400, json.dumps({"type": "error", "error": error}).encode())
    assert json.loads(refusal or b"")["error"]["code"] == "context_length_exceeded"
    stream = begin(BODY, translator).stream()
    stream.feed(event(type="error", error=error))
    assert stream.error is not None and stream.error.body.code == "context_length_exceeded"
