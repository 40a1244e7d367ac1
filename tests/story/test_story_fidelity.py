"""Same dialect in and out: bytes are relayed. Whole answers, encodings, and the request where a rule re-writes it."""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both, openai_like
from story_upstream import CLOSE, HANG, Recorder, Step, ok, streamed

AUTH = ("Authorization", f"Bearer {KEY}")


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    upstream.standing("/other/v1/models", ok(b'{"data": []}'))
    providers = {
        **both(origin),
        "other": openai_like(origin, "other", "other-*"),
        "quick": openai_like(origin, "quick", "quick-model", timeouts={"first_byte": 0.5, "idle": 0.5}),
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


# ---------------------------------------------------------------------------------------------------- the request

BODY = (
    b'{ "a":1.0,"model" : %b ,\n"n":1E400, "text":"\\u00e9\xc3\xa9\\/ \\"model\\": \\"gpt-acme\\"",'
    b' "model2":"fast","in":{"model":"fast"} }\r\n'
)


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
    answer = relay.post("/v1/chat/completions", BODY % asked)
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
    relay.post("/v1/chat/completions", b'{"model":"nonsense","x":1,"model":"fast"}')
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
    assert relay.post("/v1/chat/completions", body).status == 200
    request = upstream.taken()
    assert request.body == body and "expect" not in request.names


def test_two_identical_requests_both_reach_the_upstream(relay: Relay, upstream: Recorder) -> None:
    """Nothing is cached unasked."""
    for _ in range(2):
        relay.post("/v1/embeddings", {"model": "gpt-acme", "input": "x"})
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
    answer = relay.post("/v1/embeddings", {"model": "gpt-acme"})
    assert answer.status == 200 and answer.body == body


COMPRESSED = [
    ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
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
        answer = relay.post(path, {"model": model})
        assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, encoding)
        upstream.answer(streamed(body[:5], body[5:], headers=[f"Content-Encoding: {encoding}"]))
        answer = relay.post(path, {"model": model, "stream": True})
        assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, encoding)
    upstream.answer(ok(body, f"Content-Encoding: {encoding}"))
    answer = relay.ask("GET", "/v1/files/f/content")
    assert (answer.body, answer.header("content-encoding")) == (body, encoding)


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
    answer = relay.post("/v1/chat/completions", {"model": "quick-model"})
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")
    assert "[quick]" in answer.error["message"] and time.monotonic() - began < 8
    assert len(upstream.requests) <= 2, "one attempt, which libcurl may repeat once"


def test_a_large_answer_that_is_cut_is_cut_for_the_client(relay: Relay, upstream: Recorder) -> None:
    """After the commit nothing can be taken back; nobody may take it for whole."""
    body = b'{"data": "' + b"x" * 3_000_000
    upstream.answer((b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n" + body, CLOSE))
    answer = relay.post("/v1/embeddings", {"model": "gpt-acme"})
    assert answer.status == 200 and not answer.whole
    upstream.answer(streamed(b"\x00" * 10_000, kind="audio/mpeg", end=False))
    answer = relay.post("/v1/audio/speech", {"model": "gpt-acme"})
    assert answer.status == 200 and not answer.whole
