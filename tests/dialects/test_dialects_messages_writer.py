"""A message written block after block: the events and their order; blocks that were begun side by side wait for each other."""

from __future__ import annotations

import json
from typing import Any

from monorelay.dialects.interface import Usage
from monorelay.dialects.messages_writer import MessageWriter
from monorelay.dialects.sse import read_events


def told(writer: MessageWriter) -> list[dict[str, Any]]:
    """What was written, each event under the name that its data says."""
    events = read_events(writer.take())
    found = [json.loads(event.data) for event in events]
    assert [event.name for event in events] == [each["type"] for each in found]
    return found


def short(writer: MessageWriter) -> list[str]:
    """The same in few words: start, stop, or what a delta adds, behind the block's index."""
    words = []
    for each in told(writer):
        delta = each.get("delta", {})
        added = next((value for name, value in delta.items() if name != "type"), each["type"].removeprefix("content_block_"))
        words.append(f"{each['index']} {added}" if "index" in each else each["type"])
    return words


def test_a_message() -> None:
    """From its start to its stop, with the usage at both ends."""
    writer = MessageWriter()
    writer.start("msg_1", "m", Usage(input=5))
    writer.thinking("hm")
    writer.sign("signed")
    writer.text('say "ü\ud800"\n')
    writer.cite({"type": "web_search_result_location", "url": "https://e"})
    call = writer.call("toolu_1", "f")
    writer.arguments(call, '{"a":1}')
    writer.stop("tool_use", None, Usage(input=5, output=7))
    events = told(writer)
    assert events[0]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 0},
    }
    assert [event["delta"] for event in events if event["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "signed"},
        {"type": "text_delta", "text": 'say "ü\ud800"\n'},
        {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "https://e"}},
        {"type": "input_json_delta", "partial_json": '{"a":1}'},
    ]
    assert events[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }
    assert events[-1] == {"type": "message_stop"}
    assert writer.has_calls and writer.has_content


def test_blocks_wait_for_each_other() -> None:
    """Of calls side by side the first flows; what the others and a text bring is kept until it is whole."""
    writer = MessageWriter()
    one, two = writer.call("1", "f"), writer.call("2", "g")
    assert short(writer) == ["0 start"]
    writer.arguments(two, '{"b":')
    writer.text("text")
    writer.arguments(one, '{"a"')
    assert short(writer) == ['0 {"a"']
    writer.arguments(one, ":1}")
    assert short(writer) == ["0 :1}", "0 stop", "1 start", '1 {"b":']
    writer.arguments(two, "2}")
    assert short(writer) == ["1 2}", "1 stop", "2 start", "2 text"]
    writer.text("more")
    assert short(writer) == ["2 more"]


def test_a_call_may_be_said_to_be_over() -> None:
    """By who knows it: then it has the arguments that were told, or none."""
    writer = MessageWriter()
    call = writer.call("1", "f")
    writer.finish_call(call)
    writer.arguments(call, '{"late":1}')
    assert short(writer) == ["0 start", "0 {}", "0 stop"]


def test_a_source_without_text() -> None:
    """There is nothing that it could belong to."""
    writer = MessageWriter()
    writer.cite({"url": "https://e"})
    writer.thinking("hm")
    writer.cite({"url": "https://e"})
    assert short(writer) == ["0 start", "0 hm"]


def test_signed_nothing() -> None:
    """A signature may come without thinking that is shown."""
    writer = MessageWriter()
    writer.sign("s")
    assert short(writer) == ["0 start", "0 s"]
