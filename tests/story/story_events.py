"""Streams of each dialect, the ways in which they may be cut into chunks, and the event that ends a broken one."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

STREAM = {"model": "gpt-acme", "stream": True}
CLAUDE_STREAM = {"model": "claude-acme", "stream": True}


def event(data: bytes, *, named: bool = True) -> bytes:
    """``{"type": "ping"}`` as an event of that name, or of none."""
    name = b"event: %b\n" % json.loads(data)["type"].encode() if named else b""
    return b"%bdata: %b\n\n" % (name, data)


CHAT_EVENTS = [
    b": OPENROUTER PROCESSING\n\n",
    b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"n":1.0}\n\n',
    b'event: strange\nid: 7\nretry: 10\ndata: {"unknown":true}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\u00e9 \xf0\x9f\x98\x80"},"logprobs":null}]}\n\n',
    b'data:{"choices":[],\ndata: "x":1}\n\n',
    b"\n\n",
    b": keep\n\n",
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
]
MESSAGES_EVENTS = [
    event(b'{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3}}}'),
    event(b'{"type": "ping"}'),
    event(b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
    event(b'{"type":"new_thing","n":1.50}'),
    event(b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\xc3\xa9"}}'),
    b": comment\n\n",
    event(b'{"type":"content_block_stop","index":0}'),
    event(b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}'),
    event(b'{"type":"message_stop"}'),
]
RESPONSES_EVENTS = [
    event(b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_s","status":"in_progress"}}'),
    event(b'{"type":"response.output_item.added","output_index":0,"item":{"type":"message"},"sequence_number":1}'),
    event(b'{"type":"response.output_text.delta","item_id":"m","output_index":0,"delta":"h\xc3\xa9","sequence_number":2}'),
    event(b'{"type":"response.rate_limits","x":1.0}'),
    event(b'{"type":"response.completed","sequence_number":3,"response":{"id":"resp_s","status":"completed"}}'),
]
TRANSCRIPT_EVENTS = [
    event(b'{"type":"transcript.text.delta","delta":"hi"}', named=False),
    event(b'{"type":"transcript.text.done","text":"hi"}', named=False),
]
STREAMS = {
    "chat": ("/v1/chat/completions", STREAM, CHAT_EVENTS),
    "completions": ("/v1/completions", STREAM, CHAT_EVENTS),
    "messages": ("/v1/messages", CLAUDE_STREAM, MESSAGES_EVENTS),
    "responses": ("/v1/responses", STREAM, RESPONSES_EVENTS),
    "images": ("/v1/images/generations", STREAM, [event(b'{"type":"image_generation.completed"}')]),
}


def crlf(event: bytes) -> bytes:
    return event.replace(b"\n", b"\r\n")


def cr(event: bytes) -> bytes:
    return event.replace(b"\n", b"\r")


def cut_oddly(events: list[bytes]) -> list[bytes]:
    """Chunks of 1, 2, 3, … bytes: they end in the middle of names, of escapes and of characters."""
    whole, cuts = b"".join(events), []
    at = 0
    for size in itertools.cycle((1, 2, 3, 5, 8, 13, 21, 34)):
        if at >= len(whole):
            return cuts
        cuts.append(whole[at : at + size])
        at += size
    raise AssertionError


CHUNKINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "events": list,
    "whole": lambda events: [b"".join(events)],
    "oddly": cut_oddly,
    "crlf": lambda events: [crlf(event) for event in events],
    "crlf oddly": lambda events: cut_oddly([crlf(event) for event in events]),
    "cr": lambda events: [cr(event) for event in events],
    "bom": lambda events: [b"\xef\xbb\xbf", *events],
}


def in_band(stream: str, rest: bytes) -> dict[str, Any]:
    """The one error event that ends a stream of this dialect, and nothing behind it."""
    pattern = {
        "chat": rb"data: (\{.*\})\n\n",
        "messages": rb"event: error\ndata: (\{.*\})\n\n",
        "responses": rb"event: response\.failed\ndata: (\{.*\})\n\n",
    }[stream]
    match = re.fullmatch(pattern, rest)
    assert match is not None, rest
    event = json.loads(match[1])
    if stream == "messages":
        assert event["type"] == "error"
    if stream == "responses":
        assert (
            event["type"] == "response.failed" and event["response"]["status"] == "failed" and event["response"]["id"] == "resp_s"
        )
        return event["response"]["error"]  # type: ignore[no-any-return]
    return event["error"]  # type: ignore[no-any-return]
