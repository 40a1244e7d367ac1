"""The reader of translators: the same events as the exact reader's, however the bytes come, and only those that are JSON."""

from __future__ import annotations

import json
import random

import pytest

from monorelay.dialects import json_events
from monorelay.dialects.json_events import JsonEvents, Parsed
from monorelay.dialects.sse import EventReader

STREAMS: list[tuple[bytes, list[Parsed]]] = [
    (b'data: {"a":1}\n\n', [("", {"a": 1})]),
    (b'event: x\ndata: {"a":1}\n\n', [("x", {"a": 1})]),
    (b'data:{"a":1}\n\n', [("", {"a": 1})]),
    (b'\xef\xbb\xbfdata: {"a":1}\n\n', [("", {"a": 1})]),
    (b': hi\n\nid: 7\nevent: x\ndata: {"a":\ndata: 1}\n\n\n\ndata: [DONE]\n\n', [("x", {"a": 1}), ("", None)]),
    (b"data: {broken\n\ndata: 7\n\ndata: []\n\nevent: x\n\ndata: {}\n\n", [("", {})]),
    (b"event: error\ndata: it broke\n\n", [("error", {"message": "it broke"})]),
    (b'data: {"a":NaN,"b":-Infinity}\n\n', [("", {"a": None, "b": None})]),
    (b'data: {"a":"\xff"}\n\n', [("", {"a": "\ufffd"})]),
    (b"data: " + b"[" * 100_000 + b"\n\n", []),
]


@pytest.mark.parametrize(("stream", "events"), STREAMS)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 3, 1_000_000])
def test_events(stream: bytes, events: list[Parsed], line_end: bytes, size: int) -> None:
    """Each stream gives these, whole or in pieces, with any line end."""
    if size < 3 and len(stream) > 10_000:
        pytest.skip("long, and the same")
    told = stream.replace(b"\n", line_end)
    reader = JsonEvents()
    found = [event for at in range(0, len(told), size) for event in reader.feed(told[at : at + size])]
    assert found + reader.finish() == events


@pytest.mark.parametrize("stream", [b"data: [DONE]\n\n", b": x\n\ndata:[DONE]\r\n\r\n", b"data: [DONE]\n"])
def test_the_end_of_no_answer_is_an_error(stream: bytes) -> None:
    """Whole or bytewise; behind any other event it is the end."""
    for pieces in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        reader = JsonEvents()
        found = [event for piece in pieces for event in reader.feed(piece)]
        assert found + reader.finish() == [("error", json_events.ENDED_AT_ONCE)]
    reader = JsonEvents()
    assert reader.feed(b"data: {}\n\n" + stream) + reader.finish() == [("", {}), ("", None)]


def test_as_the_exact_reader() -> None:
    """Random pieces of streams mean the same to both readers."""
    pieces = [
        b'data: {"a":1}',
        b'data:{"b":2}',
        b"event: x",
        b": c",
        b"\n",
        b"\n\n",
        b"data: [DONE]",
        b'data: {"a":',
        b"data: 2}",
        b"id: 1",
    ]
    dice = random.Random(7)
    for _ in range(3000):
        stream = b"".join(dice.choice(pieces) for _ in range(dice.randint(1, 12)))
        exact = [
            parsed for event in EventReader().feed(stream) if (parsed := json_events._parse(event.name, event.data)) is not None
        ]
        if exact and exact[0][1] is None:
            exact[0] = ("error", json_events.ENDED_AT_ONCE)
        reader = JsonEvents()
        cut = dice.randint(0, len(stream))
        assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == exact


@pytest.mark.parametrize(
    ("rest", "events"),
    [
        (b'data: {"a":1}', [("", {"a": 1})]),
        (b'event: x\ndata: {"a":1}\n', [("x", {"a": 1})]),
        (b"data: [DONE]", [("", None)]),
        (b'data: {"a":1', []),
        (b"data: [DON", []),
        (b"event: error\ndata: it bro", []),
        (b"event: err", []),
        (b"", []),
    ],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_last_event_without_its_blank_line(rest: bytes, events: list[Parsed], line_end: bytes) -> None:
    """It counts when its data is whole."""
    reader = JsonEvents()
    reader.feed(b'data: {"first":1}\n\n'.replace(b"\n", line_end) + rest.replace(b"\n", line_end))
    assert reader.finish() == events


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_an_event_without_end(line_end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that outgrows every limit breaks the stream: nothing more is read, and nothing of it is kept."""
    monkeypatch.setattr(json_events, "EVENT_LIMIT", 1000)
    monkeypatch.setattr(EventReader.__init__, "__defaults__", (1000,))
    reader = JsonEvents()
    assert reader.feed(b'data: {"a":1}' + line_end * 2) == [("", {"a": 1})]
    for _ in range(20):
        assert reader.feed(b"data: " + b"x" * 100 + (b"" if line_end == b"\n" else line_end)) == []
    assert reader.broken
    assert reader.feed(b'\n\ndata: {"a":1}\n\n') == [] == reader.finish()


def test_a_long_event_in_small_pieces() -> None:
    """Takes linear time, and comes out whole."""
    text = "x" * 400_000
    stream = b"data: " + json.dumps({"a": text}).encode() + b"\n\n"
    reader = JsonEvents()
    found = [event for at in range(0, len(stream), 16) for event in reader.feed(stream[at : at + 16])]
    assert found == [("", {"a": text})]
