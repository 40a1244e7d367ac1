"""The native pair: bytes as they came, a look at the last byte, usage found lazily, and what the relay writes into a stream."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from monorelay.dialects.interface import Hints, Truncated, Usage
from monorelay.dialects.passthrough import NativeTransducer, Passthrough
from monorelay.dialects.sse import RUN_LIMIT, read_events
from monorelay.errors import ErrorBody

HINTS = Hints("asked-model", 1_700_000_000, lambda prefix: f"{prefix}made", {}, False)
ERROR = ErrorBody("upstream_error", "[p] The stream broke off.")
CAPABILITIES = [
    "openai.chat",
    "openai.responses",
    "openai.images.generations",
    "openai.audio.speech",
    "openai.assistants",
    "anthropic.messages",
    "acme.ocr",
]


def translation(capability: str = "openai.chat", raw: bytes = b"{}") -> Any:
    return Passthrough(capability).begin({}, raw, HINTS)


def chat(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode()


def test_the_request_is_the_very_bytes() -> None:
    """Nothing is serialized anew, and nothing is lost."""
    raw = b'{ "model" :"m","x":1.0e+00 }'
    begun = translation(raw=raw)
    assert begun.request is raw
    assert begun.lost == ()
    assert Passthrough("acme.ocr").native and Passthrough("acme.ocr").client == Passthrough("acme.ocr").upstream == "acme.ocr"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"a":1}\n', b"[1] \r\n\t ", b"{}" + b" " * 1000, b'"text" ', b"12.5", b"null"])
def test_a_whole_answer_passes(body: bytes) -> None:
    """A JSON answer that ends like JSON is handed on as the same object."""
    assert translation().answer(body) is body


@pytest.mark.parametrize(
    "body",
    [b"", b"  \n", b'{"a":', b"{}]x", b"<html>", b'{"a":1', b" " * 1000, b'"cut', b'"cut\\"', b"nul", b'{"id": 1, "choices": []'],
)
def test_a_cut_answer_is_truncated(body: bytes) -> None:
    """One that ends elsewhere was cut."""
    with pytest.raises(Truncated):
        translation().answer(body)


def test_usage_of_an_answer() -> None:
    """Unknown before the answer, and found in it when asked for."""
    begun = translation()
    assert begun.usage is None
    begun.answer(b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}')
    assert begun.usage == Usage(input=3, output=4)


@pytest.mark.parametrize(
    ("body", "relayed"),
    [
        (b'{"error": {"message": "no", "x": 1}}', True),
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}\n', True),
        (b'{"error":{}}', True),
        (b'{"error":"no"}', False),
        (b'{"error":null}', False),
        (b'{"detail":"no"}', False),
        (b'[{"error":{"message":"no"}}]', False),
        (b"<html>no</html>", False),
        (b"", False),
        (b"\xff\xfe", False),
        (b'{"error":{"message":"cut', False),
        (b"[" * 100_000, False),
        (b'{"a":' * 100_000, False),
    ],
)
def test_a_refusal_with_an_error_object_is_unchanged(body: bytes, relayed: bool) -> None:
    """Only JSON with an ``error`` object is the upstream's own word; anything else is the relay's to wrap."""
    assert translation().refusal(400, body) == (body if relayed else None)


def test_opened_by_every_kind_of_content() -> None:
    """Text, reasoning under any name, refusals, tool calls, audio and images are content; a role and empty fields are not."""
    for delta in [
        {"content": "x"},
        {"content": [{"type": "text", "text": "x"}]},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"reasoning_details": [{"text": "x"}]},
        {"refusal": "x"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"audio": {"data": "AA"}},
        {"images": [{"image_url": {}}]},
    ]:
        stream = translation().stream()
        stream.feed(chat({"role": "assistant", **delta}))
        assert stream.opened, delta
    for delta in [{}, {"role": "assistant"}, {"content": ""}, {"content": None, "tool_calls": [], "reasoning": None, "audio": {}}]:
        stream = translation().stream()
        stream.feed(chat({"role": "assistant", **delta}))
        assert not stream.opened, delta


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_whatever_comes_feeding_does_not_raise(capability: str) -> None:
    """Bytes of chance, deep nesting, odd types: all pass through unchanged."""
    chance = random.Random(capability)
    pieces = [
        b"data: ",
        b"event: error\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"{",
        b"}",
        b'"error":',
        b"[DONE]",
        b'"usage":',
        b"null",
        b"\xff",
        b"1",
    ]
    pieces += [
        b'{"choices":[1,null,{"delta":3,"finish_reason":{}}]}',
        b'{"error":[[]]}',
        b'{"type":[],"error":{"code":{},"type":[]}}',
    ]
    pieces += [
        b'{"type":"message_start","message":4}',
        b'{"type":"content_block_start","content_block":[]}',
        b'{"response":7}',
        b'{"id":{}}',
    ]
    pieces += [
        b"data: " + b"[" * 5_000 + b"\n\n",
        b'data: {"a":' * 3_000,
        b'{"usage":{"prompt_tokens":"x","completion_tokens":-1}}',
        b"9" * 5_000,
    ]
    for _ in range(300):
        stream = NativeTransducer(capability, HINTS)
        chunks = [b"".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(chance.randint(1, 8))]
        for chunk in chunks:
            assert stream.feed(chunk) is chunk
            _ = stream.usage, stream.object_ids, stream.at_boundary
        stream.fail(ERROR)
        try:
            stream.close()
        except Truncated:
            assert not stream.finished


def test_an_endless_event_takes_little_memory() -> None:
    """100 MB without a line end pass through; the transducer keeps a bounded piece, and is cut in the end."""
    stream = translation().stream()
    stream.feed(chat({"content": "x"}))
    chunk = b"x" * 64_000
    for _ in range(1_600):
        stream.feed(chunk)
    assert len(stream._runs.rest) < 2 * RUN_LIMIT
    with pytest.raises(Truncated):
        stream.close()


def test_one_chunk_may_hold_an_event_of_any_size() -> None:
    """A whole event beyond every limit, in one chunk or in many, is passed and judged by what can be seen of it."""
    big = b'data: {"type":"response.completed","response":{"output":"%b","usage":{"input_tokens":5,"output_tokens":6}}}\n\n' % (
        b"x" * 3_000_000
    )
    for named in (b"event: response.completed\n" + big, big):
        for size in (len(named), 10_000):
            stream = translation("openai.responses").stream()
            for at in range(0, len(named), size):
                stream.feed(named[at : at + size])
            assert stream.finished and stream.close() == b""
            assert stream.usage == Usage(input=5, output=6)


@pytest.mark.parametrize(
    ("capability", "start", "end", "finishes"),
    [
        ("openai.chat", b'data: {"choices":[{"delta":{"content":"', b'"},"finish_reason":null}]}\n\n', False),
        ("openai.chat", b'data: {"choices":[{"delta":{"content":"', b'"},"finish_reason":"stop"}]}\n\n', True),
        ("openai.chat", b'data: {"choices":[{"delta":{"content":"', b'\\"finish_reason\\":\\"stop\\""}}]}\n\n', False),
        (
            "anthropic.messages",
            b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"',
            b'"}}\n\n',
            False,
        ),
        ("openai.responses", b'data: {"type":"response.output_text.delta","output_index":0,"delta":"', b'"}\n\n', False),
    ],
)
@pytest.mark.parametrize("size", [1_000, 16_384, 10_000_000])
def test_content_of_a_megabyte_is_content(capability: str, start: bytes, end: bytes, finishes: bool, size: int) -> None:
    """An event that is too long to be kept whole opens the stream, and a marker at its end is seen all the same."""
    text = start + b"x" * 1_000_000 + end
    stream = NativeTransducer(capability, HINTS)
    for at in range(0, len(text), size):
        stream.feed(text[at : at + size])
    assert stream.opened and stream.at_boundary
    assert stream.finished == finishes


def test_a_long_announcement_still_names_its_object() -> None:
    """A response that echoes 200 kB of instructions when it is created is known by its id all the same."""
    body = b'{"type":"response.created","response":{"id":"resp_7","object":"response","instructions":"%b"}}' % (b"x" * 200_000)
    text = b"event: response.created\ndata: %b\n\n" % body
    stream = translation("openai.responses").stream()
    for at in range(0, len(text), 16_384):
        stream.feed(text[at : at + 16_384])
    assert not stream.opened
    assert stream.object_ids == ("resp_7",)


def test_a_cut_terminal_event_does_not_count() -> None:
    """An event that lacks its end is no marker, though its name says so and a brace happens to be last."""
    stream = translation("openai.responses").stream()
    stream.feed(b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":1}')
    with pytest.raises(Truncated):
        stream.close()


def test_usage_is_the_latest_that_was_told() -> None:
    """Null after a figure takes nothing back, and figures are folded together in order, asked in between or not."""
    for ask in (False, True):
        stream = translation().stream()
        for usage in (
            "null",
            '{"prompt_tokens":5,"completion_tokens":1}',
            "null",
            '{"prompt_tokens":5,"completion_tokens":9}',
            "null",
        ):
            stream.feed(b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":%b}\n\n' % usage.encode())
            if ask:
                assert stream.usage is None or stream.usage.input == 5
        assert stream.usage == Usage(input=5, output=9)


def test_a_last_event_without_its_blank_line_counts() -> None:
    """What it tells is told, be it the marker or the usage behind it."""
    stream = translation().stream()
    stream.feed(chat({"content": "x"}, "stop") + b'data: {"choices":[],"usage":{"prompt_tokens":4}}\n')
    assert stream.close() == b""
    assert stream.usage == Usage(input=4)
    stream = translation().stream()
    stream.feed(chat({"content": "x"}) + b"data: [DONE]")
    assert not stream.finished
    assert stream.close() == b"" and stream.finished


CUT = b'data: {"choi'


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_errors_in_band_stand_alone(capability: str) -> None:
    """The error is one event of its own, also after a cut in mid-event, and nothing after it says that the stream ended well."""
    for before in (b"", b"data: {}\n\n", CUT, b"data: {}\n", b"data: {}\r\n\r"):
        stream = NativeTransducer(capability, HINTS)
        if before:
            stream.feed(before)
        written = stream.fail(ERROR)
        assert written.startswith(b"\n\n") == (before not in (b"", b"data: {}\n\n"))
        last = read_events(before + written)[-1]
        assert last.raw.lstrip(b"\r\n") == written.lstrip()
        assert ERROR.message in last.data.decode()
        assert b"[DONE]" not in written
        again = NativeTransducer(capability, HINTS)
        again.feed(written.lstrip())
        assert again.error is not None and again.error.body.message == ERROR.message and not again.opened


def test_a_failed_response_is_the_one_that_was_announced() -> None:
    """It carries the response's own id, model and time, and the next sequence number."""
    stream = translation("openai.responses").stream()
    response = {"id": "resp_9", "object": "response", "created_at": 17, "model": "m-9", "output": []}
    stream.feed(b"data: %b\n\n" % json.dumps({"type": "response.created", "sequence_number": 0, "response": response}).encode())
    stream.feed(b'data: {"type":"response.output_text.delta","sequence_number":41,"item_id":"a","output_index":0,"delta":"x"}\n\n')
    (event,) = read_events(stream.fail(ERROR))
    failed = json.loads(event.data)
    assert event.name == failed["type"] == "response.failed"
    assert failed["sequence_number"] == 42
    assert {name: failed["response"][name] for name in ("id", "created_at", "model", "status", "object")} == {
        "id": "resp_9",
        "created_at": 17,
        "model": "m-9",
        "status": "failed",
        "object": "response",
    }
    assert failed["response"]["error"]["message"] == ERROR.message


def test_a_failed_response_that_was_never_announced() -> None:
    """It is named by the relay, and no sequence number is made up."""
    (event,) = read_events(translation("openai.responses").stream().fail(ERROR))
    failed = json.loads(event.data)
    assert failed["response"]["id"] == "resp_made"
    assert failed["response"]["model"] == "asked-model"
    assert failed["response"]["created_at"] == 1_700_000_000
    assert "sequence_number" not in failed


def test_keep_alives() -> None:
    """A comment, but a ping where the dialect has one; neither is content, and the stream is at a boundary after it."""
    for capability in CAPABILITIES:
        stream = NativeTransducer(capability, HINTS)
        alive = stream.keepalive()
        assert alive.startswith(b"event: ping\n" if capability.startswith("anthropic.") else b":")
        stream.feed(alive)
        assert stream.at_boundary and not stream.opened and stream.error is None
