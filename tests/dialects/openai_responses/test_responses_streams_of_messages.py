"""Streams from anthropic.messages, event by event: what opens, what closes when, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_stage import (
    BODY,
    MESSAGES,
    Told,
    begin,
    closed,
    delta,
    event,
    names,
    opened,
    run,
    start,
    stop,
)

from monorelay.dialects.interface import Usage


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
