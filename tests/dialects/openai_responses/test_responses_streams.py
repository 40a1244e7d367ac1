"""Streams from openai.chat, event by event: what opens, what closes when, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_stage import (
    BODY,
    DONE,
    USAGE,
    Told,
    begin,
    call,
    chunk,
    names,
    run,
    said,
)

from monorelay.dialects.interface import Usage


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
    """As long as there is one."""
    read = Told(run(begin(BODY).stream(), chunk({"role": "assistant"}), DONE))
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
