"""Same dialect in and out: bytes are relayed. Answers, streams, encodings, and the request where a rule re-writes it."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from story_client import Answer, Wire
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, openai_like
from story_upstream import CLOSE, HANG, RESET, Recorder, Step, ok, streamed

AUTH = ("Authorization", f"Bearer {KEY}")
STREAM = {"model": "gpt-acme", "stream": True}
CLAUDE_STREAM = {"model": "claude-acme", "stream": True}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    upstream.standing("/other/v1/models", ok(b'{"data": []}'))
    providers = {
        **both(origin),
        "other": openai_like(origin, "other", "other-*"),
        "quick": openai_like(origin, "quick", "quick-model", timeouts={"first_byte": 0.5, "idle": 0.5}),
        "claudette": anthropic_like(origin, "claudette", "quick-claude", timeouts={"first_byte": 0.5, "idle": 0.5}),
    }
    routing = {
        "aliases": {
            "fast": "gpt-acme",
            "longer-name": "fast",
            "far": "other-1@other",
            "sonnet": "claude-acme",
            'quo"ted': "gpt-acme",
        },
        "model_overrides": {"other-2": 'renamed \u20ac "x"', "other-form": "renamed-form"},
    }
    return start({"server": SERVER, "providers": providers, "model_routing": routing}, environ=SECRETS)


def post(relay: Relay, path: str, body: Any, *headers: tuple[str, str]) -> Answer:
    if isinstance(body, bytes):
        headers = (("Content-Type", "application/json"), *headers)
    return relay.ask("POST", path, *headers, body=body)


# ---------------------------------------------------------------------------------------------------- the request

BODY = b'{ "a":1.0,"model" : %b ,\n"n":1E400, "text":"\\u00e9\xc3\xa9\\/ \\"model\\": \\"gpt-acme\\"", "model2":"fast","in":{"model":"fast"} }\r\n'


@pytest.mark.parametrize(
    ("asked", "sent", "provider"),
    [
        (b'"gpt-acme"', b'"gpt-acme"', "acme"),
        (b'"gpt\\u002dacme"', b'"gpt\\u002dacme"', "acme"),
        (b'"gpt-acme@acme"', b'"gpt-acme"', "acme"),
        (b'"gpt-acme@Acme"', b'"gpt-acme"', "acme"),
        (b'"GPT_ACME"', b'"gpt-acme"', "acme"),
        (b'"fast"', b'"gpt-acme"', "acme"),
        (b'"longer-name"', b'"gpt-acme"', "acme"),
        (b'"far"', b'"other-1"', "other"),
        (b'"quo\\"ted"', b'"gpt-acme"', "acme"),
        (b'"other-2"', b'"renamed \\u20ac \\"x\\""', "other"),
        (b'"other-3@other"', b'"other-3"', "other"),
        (b'"other-@home"', b'"other-@home"', "other"),
        (b'"other-@a@OTHER"', b'"other-@a"', "other"),
    ],
)
def test_a_renamed_model_is_spliced_into_the_bytes(
    relay: Relay, upstream: Recorder, asked: bytes, sent: bytes, provider: str
) -> None:
    """Only the model's value changes, and only where a rule says so: not a model named in a text, or further down."""
    answer = post(relay, "/v1/chat/completions", BODY % asked)
    assert answer.status == 200, answer
    request = upstream.taken()
    assert request.target.split("/")[1] == provider
    # Which of JSON's spellings the new name has is nobody's business; everything around it is.
    around = re.fullmatch(re.escape(BODY).replace(b"%b", b'("(?:[^"\\\\]|\\\\.)*")'), request.body)
    assert around is not None, request.body
    assert json.loads(around[1]) == json.loads(sent)
    if asked == sent:
        assert around[1] == sent


def test_the_last_of_two_models_counts_and_both_are_renamed(relay: Relay, upstream: Recorder) -> None:
    """As every JSON parser reads it: an upstream must not see the name that was not asked for."""
    post(relay, "/v1/chat/completions", b'{"model":"nonsense","x":1,"model":"fast"}')
    assert upstream.taken().json["model"] == "gpt-acme"
    assert b"nonsense" not in upstream.taken().body and b"fast" not in upstream.taken().body


def test_the_model_of_a_form_is_spliced_too(relay: Relay, upstream: Recorder) -> None:
    """All other bytes of the form stay, and the length is right."""
    form = (
        b'preamble\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\nname="model"\r\nfast\r\n'
        b"--b\r\ncontent-disposition: form-data; name=model\r\n\r\n%b\r\n--b--\r\nepilogue"
    )
    for asked, sent in ((b"longer-name", b"gpt-acme"), (b"gpt-acme@acme", b"gpt-acme"), (b"other-form", b"renamed-form")):
        upstream.reset()
        answer = relay.ask(
            "POST", "/v1/audio/transcriptions", ("Content-Type", "multipart/form-data; boundary=b"), body=form % asked
        )
        assert answer.status == 200, answer
        assert upstream.taken().body == form % sent
        assert upstream.taken().header("content-type") == "multipart/form-data; boundary=b"


@pytest.mark.parametrize("size", [100_000, 3_000_000, 30_000_000])
def test_a_large_body_is_relayed_whole(relay: Relay, upstream: Recorder, size: int) -> None:
    """Base64 pictures make bodies of many megabytes; nothing asks the upstream for permission first."""
    body = b'{"model": "gpt-acme", "x": "' + b"\xc3\xa9y" * (size // 3) + b'"}'
    assert post(relay, "/v1/chat/completions", body).status == 200
    request = upstream.taken()
    assert request.body == body and "expect" not in request.names


def test_two_identical_requests_both_reach_the_upstream(relay: Relay, upstream: Recorder) -> None:
    """Nothing is cached unasked."""
    for _ in range(2):
        post(relay, "/v1/embeddings", {"model": "gpt-acme", "input": "x"})
        relay.ask("GET", "/v1/files")
    assert len(upstream.wait(4)) == 4


# ---------------------------------------------------------------------------------------------------- a whole answer

ANSWERS = [
    (
        b'{"id": "x", "n": 1.0, "big": 12345678901234567890123, "e": 1E5, "text": "\\u00e9\xc3\xa9\\/", "x":null}',
        "application/json",
    ),
    (b'  {"a" : [ ] }\r\n\r\n', "application/json; charset=utf-8"),
    (b"[1,2]", "application/json"),
    (b'{"unknown": {"deep": [[[1]]]}, "choices": "not a list"}', "application/vnd.acme+json"),
    (b"WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\nhi\n", "text/vtt"),
    (b"1\r\n00:00:00,000 --> 00:00:01,000\r\nhi\r\n", "text/plain; charset=utf-8"),
    (bytes(range(256)) * 1000, "audio/mpeg"),
    (b"", "application/octet-stream"),
    (b'{"line": 1}\n{"line": 2}\n{"cut', "application/jsonl"),
    (b"\xff\xfe\x00", "application/octet-stream"),
]


@pytest.mark.parametrize(("body", "kind"), ANSWERS, ids=[kind for _, kind in ANSWERS])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_answer_comes_back_byte_for_byte(relay: Relay, upstream: Recorder, body: bytes, kind: str, framing: str) -> None:
    """Whatever its type, its framing and its size, also with no length and no chunks."""
    for method, path, sent in (("POST", "/v1/chat/completions", {"model": "gpt-acme"}), ("GET", "/v1/files/f/content", None)):
        if sent is not None and not body:
            continue
        half = len(body) // 2
        if framing == "length":
            upstream.answer(ok(body, kind=kind))
        elif framing == "chunked":
            upstream.answer(streamed(*(piece for piece in (body[:half], 0.01, body[half:]) if piece), kind=kind))
        else:
            upstream.answer((f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode() + body, CLOSE))
        answer = relay.ask(method, path, body=sent)
        assert (answer.status, answer.header("content-type"), answer.whole) == (200, kind, True)
        assert answer.body == body
        if framing == "length":
            assert answer.header("content-length") == str(len(body))


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
def test_the_status_of_a_success_is_the_upstreams(relay: Relay, upstream: Recorder, status: str) -> None:
    """Not every success is 200."""
    upstream.answer(ok(b'{"id":"b"}', status=status))
    assert relay.ask("POST", "/v1/batches", body={}).status == int(status[:3])


def test_an_answer_without_a_body(relay: Relay, upstream: Recorder) -> None:
    """204 has none, and the connection goes on."""
    upstream.answer((b"HTTP/1.1 204 No Content\r\nx-request-id: r\r\n\r\n",))
    with relay.wire() as wire:
        wire.request("DELETE", "/v1/files/f", AUTH)
        answer = wire.answer()
        assert (answer.status, answer.header("x-request-id"), answer.header("content-length")) == (204, "r", None)
        wire.request("GET", "/v1/files", AUTH)
        assert wire.answer().status == 200


def test_a_large_answer_passes_in_pieces(relay: Relay, upstream: Recorder) -> None:
    """JSON past 1 MiB is committed and flows; the bytes are the same."""
    body = b'{"data": "' + b"0123456789abcdef" * 300_000 + b'"}'
    upstream.answer(ok(body))
    answer = post(relay, "/v1/embeddings", {"model": "gpt-acme"})
    assert answer.status == 200 and answer.body == body


COMPRESSED = [
    ("gzip", gzip.compress(b'{"a": 1}')),
    ("deflate", zlib.compress(b'{"a": 1}')),
    ("br", b"\x8b\x03\x80{}\x03"),
    ("zstd", b"\x28\xb5\x2f\xfd\x04\x00\x11\x00\x00{}"),
]


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED)
def test_a_compressed_answer_is_relayed_unchanged(relay: Relay, upstream: Recorder, encoding: str, body: bytes) -> None:
    """With its content-encoding, uninspected, also where identity had been asked for; a stream too."""
    for path in ("/v1/chat/completions", "/v1/messages"):
        model = "claude-acme" if path == "/v1/messages" else "gpt-acme"
        upstream.answer(ok(body, f"Content-Encoding: {encoding}"))
        answer = post(relay, path, {"model": model})
        assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, encoding)
        upstream.answer(streamed(body[:5], body[5:], headers=[f"Content-Encoding: {encoding}"]))
        answer = post(relay, path, {"model": model, "stream": True})
        assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, encoding)
    upstream.answer(ok(body, f"Content-Encoding: {encoding}"))
    answer = relay.ask("GET", "/v1/files/f/content")
    assert (answer.body, answer.header("content-encoding")) == (body, encoding)


# ---------------------------------------------------------------------------------------------------- streams

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
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3}}}\n\n',
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: new_thing\ndata: {"type":"new_thing","n":1.50}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\xc3\xa9"}}\n\n',
    b": comment\n\n",
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]
RESPONSES_EVENTS = [
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_s","status":"in_progress"}}\n\n',
    b'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":{"type":"message"},"sequence_number":1}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"m","output_index":0,"delta":"h\xc3\xa9","sequence_number":2}\n\n',
    b'event: response.rate_limits\ndata: {"type":"response.rate_limits","x":1.0}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":3,"response":{"id":"resp_s","status":"completed","usage":{"input_tokens":1}}}\n\n',
]
TRANSCRIPT_EVENTS = [
    b'data: {"type":"transcript.text.delta","delta":"hi"}\n\n',
    b'data: {"type":"transcript.text.done","text":"hi"}\n\n',
]
STREAMS = {
    "chat": ("/v1/chat/completions", STREAM, CHAT_EVENTS),
    "completions": ("/v1/completions", STREAM, CHAT_EVENTS),
    "messages": ("/v1/messages", CLAUDE_STREAM, MESSAGES_EVENTS),
    "responses": ("/v1/responses", STREAM, RESPONSES_EVENTS),
    "images": (
        "/v1/images/generations",
        STREAM,
        [b'event: image_generation.completed\ndata: {"type":"image_generation.completed"}\n\n'],
    ),
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


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_is_relayed_byte_for_byte(relay: Relay, upstream: Recorder, stream: str, chunking: str) -> None:
    """Comments, unknown events, ids, blank lines, line ends and characters cut in two: all survive."""
    path, body, events = STREAMS[stream]
    pieces = CHUNKINGS[chunking](events)
    upstream.answer(streamed(*pieces, kind="text/event-stream; charset=utf-8"))
    answer = post(relay, path, body)
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
        answer = post(relay, path, body)
        assert (answer.body, answer.whole) == (content, True)


def test_a_stream_of_a_form_route_is_relayed_too(relay: Relay, upstream: Recorder) -> None:
    """Transcriptions stream when asked."""
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-acme\r\n--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--b--\r\n'
    for pieces in (TRANSCRIPT_EVENTS, cut_oddly(TRANSCRIPT_EVENTS)):
        upstream.answer(streamed(*pieces))
        answer = relay.ask("POST", "/v1/audio/transcriptions", ("Content-Type", "multipart/form-data; boundary=b"), body=form)
        assert (answer.body, answer.whole) == (b"".join(TRANSCRIPT_EVENTS), True)


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_events_are_delivered_as_they_arrive(relay: Relay, upstream: Recorder, stream: str) -> None:
    """Each event after the first content reaches the client before the upstream sends the next one, in a chunk of its own."""
    path, body, events = STREAMS[stream]
    gates = [threading.Event() for _ in events]
    steps: list[Step] = []
    for event, gate in zip(events, gates, strict=True):
        steps += [gate, event]
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
        for event, gate in zip(events[opening + 1 :], gates[opening + 1 :], strict=True):
            gate.set()
            assert wire.chunk() == event
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
    assert post(relay, "/v1/chat/completions", STREAM).body == CHAT_EVENTS[1] + long + b"".join(CHAT_EVENTS[7:])


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
    answer = post(relay, path, body)
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
    answer = post(relay, path, body)
    rest = answer.body.removeprefix(b"".join(sent) + part)
    assert rest.startswith(b"\n\n") and in_band(stream, rest[2:])


def test_what_the_upstream_says_after_the_commit_is_relayed(relay: Relay, upstream: Recorder) -> None:
    """An error event after the first content is the upstream's own end: it passes, and ours is not added."""
    told = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
    upstream.answer(streamed(*CHAT_EVENTS[:4], told))
    answer = post(relay, "/v1/chat/completions", STREAM)
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
            b'event: response.failed\ndata: {"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"the sea"}}}\n\n',
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
    answer = post(relay, path, body)
    assert (answer.status, answer.error["type"]) == (status, kind)
    assert "the sea" in answer.error["message"] and answer.header("content-type") == "application/json"


@pytest.mark.parametrize("stream", ["chat", "messages", "responses"])
def test_a_stream_that_breaks_before_its_content_is_a_real_status(relay: Relay, upstream: Recorder, stream: str) -> None:
    """503 upstream_error, as if it were no stream."""
    path, body, events = STREAMS[stream]
    for pieces in ((), events[:1]):
        upstream.answer(streamed(*pieces, end=False))
        answer = post(relay, path, body)
        assert (answer.status, answer.error["type"]) == (503, "upstream_error"), pieces


# ---------------------------------------------------------------------------------------------------- broken answers


@pytest.mark.parametrize(
    "steps",
    [
        ok(b'{"id": "x", "cut": "he'),
        ok(b""),
        ok(b"   "),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}", CLOSE),
        streamed(b'{"a": ', kind="application/json", end=False),
        (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"a": [1, 2', CLOSE),
        (CLOSE,),
        (b"HTTP/1.1 20", CLOSE),
        (b"nonsense\r\n\r\n", CLOSE),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{", 0.05, HANG),
        (HANG,),
    ],
    ids=["cut json", "empty", "blank", "short", "chunks cut", "close cut", "closed", "half a head", "no http", "idle", "silent"],
)
def test_a_truncated_json_answer_is_never_a_success(relay: Relay, upstream: Recorder, steps: tuple[Step, ...]) -> None:
    """503 upstream_error; the transport's end and the last byte are checked, and nothing hangs."""
    upstream.answer(steps, steps, steps)
    began = time.monotonic()
    answer = post(relay, "/v1/chat/completions", {"model": "quick-model"})
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")
    assert "[quick]" in answer.error["message"] and time.monotonic() - began < 8
    assert len(upstream.requests) <= 2, "one attempt, which libcurl may repeat once"


def test_a_large_answer_that_is_cut_is_cut_for_the_client(relay: Relay, upstream: Recorder) -> None:
    """After the commit nothing can be taken back; nobody may take it for whole."""
    body = b'{"data": "' + b"x" * 3_000_000
    upstream.answer((b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n" + body, CLOSE))
    answer = post(relay, "/v1/embeddings", {"model": "gpt-acme"})
    assert answer.status == 200 and not answer.whole
    upstream.answer(streamed(b"\x00" * 10_000, kind="audio/mpeg", end=False))
    answer = post(relay, "/v1/audio/speech", {"model": "gpt-acme"})
    assert answer.status == 200 and not answer.whole


# ---------------------------------------------------------------------------------------------------- leaving, and reading slowly


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("when", ["before the head", "after the first byte"])
def test_a_client_that_goes_away_cancels_the_upstream_call(relay: Relay, upstream: Recorder, stream: bool, when: str) -> None:
    """Within 1 s, streamed or not; the call is still recorded, as 499."""
    body = {"model": "gpt-acme", "stream": stream}
    if when == "before the head":
        upstream.answer((HANG,))
    elif stream:
        upstream.answer(streamed(*CHAT_EVENTS[:4], HANG))
    else:
        upstream.answer(
            (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 2_000_000, HANG)
        )
    name = f"leaver-{stream}-{when.split()[0]}"
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, ("x-request-id", name), body=body)
        if when != "before the head":
            assert wire.head()[0] == 200
        (request,) = upstream.wait(1)
        left = time.monotonic()
    assert request.gone.wait(5)
    assert time.monotonic() - left < 1
    status = relay.wait_for(rf"call={name} .*status=(\d+)")[1]
    assert status == "499"


def test_a_client_that_leaves_in_its_upload_cancels_it(relay: Relay, upstream: Recorder) -> None:
    """The upstream sees the end of a body that will not be completed."""
    with relay.wire() as wire:
        wire.send(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
            % KEY.encode()
        )
        wire.send(b"x" * 300_000)
        time.sleep(0.2)
        (sender,) = [peer for peer in upstream.peers if peer.unread > 200_000]
    deadline = time.monotonic() + 1
    while sender in upstream.peers:
        assert time.monotonic() < deadline, "the upstream still waits for the rest"
        time.sleep(0.01)
    assert upstream.requests == []
    assert relay.ask("GET", "/v1/files").status == 200


def test_a_client_that_reads_slowly_slows_the_upstream_down(relay: Relay, upstream: Recorder) -> None:
    """The relay holds 256 KiB at most: of 64 MB only little leaves the upstream while the client does not read."""
    piece = b'data: {"choices":[{"delta":{"content":"' + b"y" * 16_000 + b'"}}]}\n\n'
    upstream.answer(streamed(*([piece] * 4000), *CHAT_EVENTS[7:]))
    with Wire(relay.host, relay.port, receive_buffer=32 * 1024) as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, body=STREAM)
        (request,) = upstream.wait(1)
        time.sleep(0.5)
        before = sum(request.written)
        time.sleep(0.2)
        assert sum(request.written) == before, "the upstream still writes"
        assert before < 24_000_000  # the kernel's buffers, twice, are the most of it
        assert wire.head()[0] == 200
        total = 0
        while chunk := wire.chunk():
            total += len(chunk)
        assert total == 4000 * len(piece) + len(b"".join(CHAT_EVENTS[7:]))


def test_a_download_of_200_mb_keeps_the_relay_small(relay: Relay, upstream: Recorder) -> None:
    """Constant memory, byte-exact, both ways."""
    size = 200 * 1024 * 1024
    block = bytes(range(256)) * 4096
    upstream.answer(
        (f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n".encode(), *([block] * 200))
    )
    before = resident(relay)
    with relay.wire() as wire:
        wire.request("GET", "/v1/files/f/content", AUTH)
        status, headers, _ = wire.head()
        assert status == 200 and dict(headers)["content-length"] == str(size)
        most = 0
        for _ in range(200):
            assert wire.exactly(len(block)) == block
            most = max(most, resident(relay))
    assert most - before < 24_000, f"{before} KiB grew to {most} KiB"


def test_an_upload_of_100_mb_keeps_the_relay_small(relay: Relay, upstream: Recorder) -> None:
    """The body streams through while it arrives; what came back is the upstream's answer."""
    size = 100 * 1024 * 1024
    block = bytes(range(256)) * 4096
    before = resident(relay)
    most = 0
    with relay.wire() as wire:
        wire.send(
            f"POST /v1/files HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        for _ in range(100):
            wire.send(block)
            most = max(most, resident(relay))
        assert wire.answer().status == 200
    assert upstream.taken().body == block * 100
    assert upstream.taken().header("content-length") == str(size)
    assert most - before < 24_000, f"{before} KiB grew to {most} KiB"


def resident(relay: Relay) -> int:
    """KiB of the worker."""
    (worker,) = relay.workers()
    with open(f"/proc/{worker}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
