"""Whole cases, as files: what the client said and was told, what the upstream was told and said.

A folder ``cases/anthropic_messages_to_openai_chat-<name>`` holds client.json and upstream.json, lost.json where something was lost,
quirks.json where the provider has some, and upstream-answer.json with client-answer.json, upstream.sse with client.sse, or both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from messages_to_chat_stage import Told, hints

from monorelay.dialects.anthropic_messages_to_openai_chat import DROPPED, TRANSLATOR
from monorelay.dialects.interface import Translation, Truncated
from monorelay.errors import ErrorBody

PAIR = "anthropic_messages_to_openai_chat"
FOLDER = Path(__file__).parent.parent / "cases"
ERROR = ErrorBody("upstream_error", "[p] The stream broke off: reset")


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name.removeprefix(f"{PAIR}-")

    def json(self, name: str, default: Any = None) -> Any:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def begin(self) -> Translation:
        quirks = {name: tuple(value) if isinstance(value, list) else value for name, value in self.json("quirks.json", {}).items()}
        return TRANSLATOR.begin(self.json("client.json"), b"", hints(**quirks))


CASES = [Case(folder) for folder in sorted(FOLDER.glob(f"{PAIR}-*"))]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
ANSWERS = pytest.mark.parametrize("case", [each for each in CASES if each.has("upstream-answer.json")], ids=lambda case: case.name)
STREAMS = pytest.mark.parametrize("case", [each for each in CASES if each.has("upstream.sse")], ids=lambda case: case.name)


def run(case: Case, *chunks: bytes) -> bytes:
    """The client's stream for these chunks, ended as the relay ends it."""
    transducer = case.begin().stream()
    told = [transducer.feed(chunk) for chunk in chunks]
    assert transducer.at_boundary
    try:
        told.append(transducer.close())
    except Truncated:
        told.append(transducer.fail(ERROR))
    assert transducer.finished
    return b"".join(told)


@EVERY
def test_request(case: Case) -> None:
    """The upstream is told exactly this, in compact JSON, and the client's request is left as it was."""
    client = case.json("client.json")
    translation = case.begin()
    assert json.loads(translation.request) == case.json("upstream.json")
    assert translation.lost == tuple(case.json("lost.json", []))
    assert client == case.json("client.json")
    told = json.dumps(json.loads(translation.request), ensure_ascii=False, separators=(",", ":"))
    assert translation.request == told.encode()


@EVERY
def test_what_is_lost_has_a_reason(case: Case) -> None:
    """Every loss is in the table of what this pair drops, but for fields that nobody knows."""
    groups = {name.partition("<")[0] for name in DROPPED if name.endswith("<type>")}
    for name in case.begin().lost:
        known = name in DROPPED or any(name.startswith(group) for group in groups)
        assert known or name in ("future_field", "temperature")


@ANSWERS
def test_answer(case: Case) -> None:
    """A whole answer becomes this message."""
    answer = case.begin().answer(case.bytes("upstream-answer.json"))
    assert json.loads(answer) == case.json("client-answer.json")


@STREAMS
def test_stream_whole(case: Case) -> None:
    """A stream in one chunk becomes this stream, which is one by the dialect's grammar."""
    told = run(case, case.bytes("upstream.sse"))
    assert told == case.bytes("client.sse")
    Told(told)


@STREAMS
def test_stream_bytewise(case: Case) -> None:
    """Fed byte by byte, it is the same."""
    stream = case.bytes("upstream.sse")
    assert run(case, *(stream[at : at + 1] for at in range(len(stream)))) == case.bytes("client.sse")


@STREAMS
def test_stream_split_anywhere(case: Case) -> None:
    """Two chunks, cut anywhere, tell the same as one."""
    stream, told = case.bytes("upstream.sse"), case.bytes("client.sse")
    for cut in range(1, len(stream), 3):
        assert run(case, stream[:cut], stream[cut:]) == told


@STREAMS
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_stream_with_other_line_ends(case: Case, line_end: bytes, size: int) -> None:
    """Streams with CRLF and CR are read alike."""
    stream = case.bytes("upstream.sse").replace(b"\n", line_end)
    assert run(case, *(stream[at : at + size] for at in range(0, len(stream), size))) == case.bytes("client.sse")


@STREAMS
def test_stream_cut_anywhere(case: Case) -> None:
    """Every beginning of a stream is a client's stream that ends in an error, unless the finish reason had come."""
    stream = case.bytes("upstream.sse")
    end = Told(case.bytes("client.sse"))
    for cut in range(len(stream)):
        told = Told(run(case, stream[:cut]))
        if told.is_whole:
            assert b'"finish_reason":"' in stream[:cut]
            assert end.is_whole and told.message is not None and end.message is not None
            assert told.message["content"] == end.message["content"]
            assert told.message["stop_reason"] == end.message["stop_reason"]
        else:
            assert told.error is not None


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.has("upstream.sse") and each.has("upstream-answer.json")], ids=lambda case: case.name
)
def test_streamed_or_not(case: Case) -> None:
    """The same answer, streamed or whole, is the same message."""
    told = Told(case.bytes("client.sse"))
    assert told.is_whole
    assert told.message == case.json("client-answer.json")


@STREAMS
def test_usage_of_both_ways_agrees(case: Case) -> None:
    """What the ledger is told does not depend on the way either."""
    transducer = case.begin().stream()
    transducer.feed(case.bytes("upstream.sse"))
    if case.has("upstream-answer.json"):
        translation = case.begin()
        translation.answer(case.bytes("upstream-answer.json"))
        assert transducer.usage == translation.usage
