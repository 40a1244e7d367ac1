"""Streams: byte for byte, as they arrive; committed by their first content; ended honestly when they break."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from story_client import form
from story_events import (
    CHAT_EVENTS,
    CHUNKINGS,
    STREAM,
    STREAMS,
    TRANSCRIPT_EVENTS,
    cut_oddly,
    event,
    in_band,
)
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, openai_like
from story_upstream import CLOSE, HANG, RESET, Recorder, Step, streamed

AUTH = ("Authorization", f"Bearer {KEY}")


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    providers = {
        **both(origin),
        "quick": openai_like(origin, "quick", "quick-model", timeouts={"first_byte": 0.5, "idle": 0.5}),
        "claudette": anthropic_like(origin, "claudette", "quick-claude", timeouts={"first_byte": 0.5, "idle": 0.5}),
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS)


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_is_relayed_byte_for_byte(relay: Relay, upstream: Recorder, stream: str, chunking: str) -> None:
    """Comments, unknown events, ids, blank lines, line ends and characters cut in two: all survive."""
    path, body, events = STREAMS[stream]
    pieces = CHUNKINGS[chunking](events)
    upstream.answer(streamed(*pieces, kind="text/event-stream; charset=utf-8"))
    answer = relay.post(path, body)
    assert (answer.status, answer.whole) == (200, True)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert answer.body == b"".join(pieces)
    assert "content-length" not in answer.names()


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_a_stream_may_end_without_its_last_blank_line_or_with_the_connection(relay: Relay, upstream: Recorder, stream: str) -> None:
    """Its terminal marker makes it whole, whatever the framing."""
    path, body, events = STREAMS[stream]
    whole = b"".join(events)
    for content in (whole, whole[:-1], whole[:-2]):
        upstream.answer((b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + content, CLOSE))
        answer = relay.post(path, body)
        assert (answer.body, answer.whole) == (content, True)


def test_a_stream_of_a_form_route_is_relayed_too(relay: Relay, upstream: Recorder) -> None:
    """Transcriptions stream when asked."""
    body = form(("model", b"gpt-acme"), ("stream", b"true"))
    for pieces in (TRANSCRIPT_EVENTS, cut_oddly(TRANSCRIPT_EVENTS)):
        upstream.answer(streamed(*pieces))
        answer = relay.ask("POST", "/v1/audio/transcriptions", ("Content-Type", "multipart/form-data; boundary=b"), body=body)
        assert (answer.body, answer.whole) == (b"".join(TRANSCRIPT_EVENTS), True)


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_events_are_delivered_as_they_arrive(relay: Relay, upstream: Recorder, stream: str) -> None:
    """Each event after the first content reaches the client before the upstream sends the next one, in a chunk of its own."""
    path, body, events = STREAMS[stream]
    gates = [threading.Event() for _ in events]
    steps: list[Step] = []
    for one, gate in zip(events, gates, strict=True):
        steps += [gate, one]
    upstream.answer(streamed(*steps))
    opening = {"chat": 3, "messages": 4, "responses": 2}[stream]
    with relay.wire() as wire:
        wire.request("POST", path, AUTH, body=body)
        for gate in gates[: opening + 1]:
            gate.set()
        assert wire.head()[0] == 200
        received = b""
        while len(received) < len(b"".join(events[: opening + 1])):
            received += wire.chunk() or b""
        assert received == b"".join(events[: opening + 1])
        for one, gate in zip(events[opening + 1 :], gates[opening + 1 :], strict=True):
            gate.set()
            assert wire.chunk() == one
        assert wire.chunk() == b""


def test_nothing_is_sent_before_the_upstreams_head(relay: Relay, upstream: Recorder) -> None:
    """And a stream's first content commits it at once: what was held goes out with it, in order."""
    gate, second = threading.Event(), threading.Event()
    upstream.answer(streamed(CHAT_EVENTS[0], CHAT_EVENTS[1], gate, CHAT_EVENTS[3], second, *CHAT_EVENTS[6:]))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, body=STREAM)
        upstream.wait(1)
        assert wire.is_open()  # nothing came, neither head nor comment
        gate.set()
        assert wire.head()[0] == 200
        assert wire.chunk() == CHAT_EVENTS[0] + CHAT_EVENTS[1] + CHAT_EVENTS[3]
        second.set()


def test_lines_of_json_are_delivered_as_they_arrive(relay: Relay, upstream: Recorder) -> None:
    """Some servers stream without events, a JSON object to each line: that is no JSON answer to be held until it is whole."""
    for kind in ("application/x-ndjson", "application/jsonl; charset=utf-8", "application/json-seq"):
        gate = threading.Event()
        upstream.answer(streamed(b'{"a":1}\n', gate, b'{"b":', kind=kind))
        with relay.wire() as wire:
            wire.request("POST", "/v1/chat/completions", AUTH, body=STREAM)
            assert wire.head()[0] == 200
            assert wire.chunk() == b'{"a":1}\n'
            gate.set()
            assert (wire.chunk(), wire.chunk()) == (b'{"b":', b"")


def test_64_kib_that_say_nothing_commit_a_stream(relay: Relay, upstream: Recorder) -> None:
    """What was held goes out, in order, byte for byte, and nothing is held again."""
    gate = threading.Event()
    noise = [b": " + b"x" * 1000 + b"\n\n"] * 66
    upstream.answer(streamed(*noise, gate, b": more\n\n", *CHAT_EVENTS))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, body=STREAM)
        assert wire.head()[0] == 200
        received = b""
        while len(received) < 65 * 1005:
            received += wire.chunk() or b""
        gate.set()
        while piece := wire.chunk():
            received += piece
        assert received == b"".join(noise) + b": more\n\n" + b"".join(CHAT_EVENTS)


def test_a_line_of_1_mb_is_a_line(relay: Relay, upstream: Recorder) -> None:
    """A picture in an event, or a whole file in a tool call."""
    long = b'data: {"choices":[{"delta":{"content":"' + b"z" * 1_000_000 + b'"}}]}\n\n'
    upstream.answer(streamed(CHAT_EVENTS[1], long, *CHAT_EVENTS[7:]))
    assert relay.post("/v1/chat/completions", STREAM).body == CHAT_EVENTS[1] + long + b"".join(CHAT_EVENTS[7:])


def test_an_http_1_0_client_gets_its_stream_until_the_connection_ends(relay: Relay, upstream: Recorder) -> None:
    """It knows no chunks."""
    upstream.answer(streamed(*CHAT_EVENTS))
    with relay.wire() as wire:
        body = json.dumps(STREAM).encode()
        wire.send(
            b"POST /v1/chat/completions HTTP/1.0\r\nx-api-key: %b\r\nContent-Length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
        )
        status, headers, _ = wire.head()
        assert status == 200 and "transfer-encoding" not in dict(headers)
        assert wire.until(b"data: [DONE]\n\n") == b"".join(CHAT_EVENTS)
        assert wire.is_closed()


# ---------------------------------------------------------------------------------------------------- broken streams


@pytest.mark.parametrize("how", ["end", "cut", "idle", "reset"])
@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_a_truncated_stream_ends_with_an_error_event(relay: Relay, upstream: Recorder, stream: str, how: str) -> None:
    """In the client's dialect, at an event boundary, and with no made-up finish."""
    path, body, events = STREAMS[stream]
    body = {**body, "model": "quick-claude" if stream == "messages" else "quick-model"}
    sent = events[: {"chat": 5, "messages": 6, "responses": 3}[stream]]
    if how == "end":
        upstream.answer(streamed(*sent))
    elif how == "cut":
        upstream.answer(streamed(*sent, end=False))
    elif how == "idle":
        upstream.answer(streamed(*sent, HANG))
    else:
        upstream.answer(streamed(*sent, 0.05, RESET))
    answer = relay.post(path, body)
    assert answer.status == 200 and answer.whole
    whole = b"".join(sent)
    assert answer.body.startswith(whole)
    error = in_band(stream, answer.body[len(whole) :])
    assert "quick" in error["message"] or "claudette" in error["message"]
    assert b"[DONE]" not in answer.body and b"message_stop" not in answer.body and b"response.completed" not in answer.body
    if stream != "responses":
        assert error["type"] == "upstream_error"


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_after_a_cut_in_mid_event_the_error_starts_with_a_blank_line(relay: Relay, upstream: Recorder, stream: str) -> None:
    """So that it is an event of its own."""
    path, body, events = STREAMS[stream]
    sent = events[: {"chat": 4, "messages": 5, "responses": 3}[stream]]
    part = b'data: {"half'
    upstream.answer(streamed(*sent, part, end=False))
    answer = relay.post(path, body)
    rest = answer.body.removeprefix(b"".join(sent) + part)
    assert rest.startswith(b"\n\n") and in_band(stream, rest[2:])


def test_what_the_upstream_says_after_the_commit_is_relayed(relay: Relay, upstream: Recorder) -> None:
    """An error event after the first content is the upstream's own end: it passes, and ours is not added."""
    told = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
    upstream.answer(streamed(*CHAT_EVENTS[:4], told))
    answer = relay.post("/v1/chat/completions", STREAM)
    assert answer.body == b"".join(CHAT_EVENTS[:4]) + told and answer.whole


@pytest.mark.parametrize(
    ("stream", "event", "status", "kind"),
    [
        ("chat", b'data: {"error":{"message":"the sea","type":"server_error","code":500}}\n\n', 503, "upstream_error"),
        (
            "messages",
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"the sea"}}\n\n',
            503,
            "upstream_error",
        ),
        (
            "responses",
            event(b'{"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"the sea"}}}'),
            503,
            "upstream_error",
        ),
        ("responses", b'event: error\ndata: {"type":"error","code":"server_error","message":"the sea"}\n\n', 503, "upstream_error"),
        (
            "chat",
            b'data: {"error":{"message":"the sea","type":"invalid_request_error","code":400}}\n\n',
            400,
            "invalid_request_error",
        ),
        (
            "messages",
            b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error","message":"the sea"}}\n\n',
            400,
            "invalid_request_error",
        ),
    ],
)
def test_an_error_event_before_the_commit_is_a_real_status(
    relay: Relay, upstream: Recorder, stream: str, event: bytes, status: int, kind: str
) -> None:
    """Nothing of the stream reaches the client; the sentence does."""
    path, body, events = STREAMS[stream]
    upstream.answer(streamed(*events[:1], event))
    answer = relay.post(path, body)
    assert (answer.status, answer.error["type"]) == (status, kind)
    assert "the sea" in answer.error["message"] and answer.header("content-type") == "application/json"


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_a_stream_that_breaks_before_its_content_is_a_real_status(relay: Relay, upstream: Recorder, stream: str) -> None:
    """503 upstream_error, as if it were no stream."""
    path, body, events = STREAMS[stream]
    for pieces in ((), events[:1]):
        upstream.answer(streamed(*pieces, end=False))
        answer = relay.post(path, body)
        assert (answer.status, answer.error["type"]) == (503, "upstream_error"), pieces
