"""Whole cases of both pairs whose upstream speaks openai.responses, as files: what both sides said and were told.

A folder ``cases/<pair>-<name>`` holds client.json and upstream.json, lost.json where something was lost, quirks.json where the
provider has some, and upstream-answer.json with client-answer.json, upstream.sse with client.sse, or both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from to_responses_clients import told, without_indexes
from to_responses_stage import PAIRS, hints, run

from monorelay.dialects.interface import Translation, Truncated
from monorelay.dialects.sse import read_events

FOLDER = Path(__file__).parent.parent / "cases"


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def pair(self) -> str:
        return self.folder.name.partition("-")[0]

    def json(self, name: str, default: Any = None) -> Any:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def has(self, *names: str) -> bool:
        return all((self.folder / name).exists() for name in names)

    def begin(self) -> Translation:
        quirks = {name: tuple(value) if isinstance(value, list) else value for name, value in self.json("quirks.json", {}).items()}
        translation: Translation = PAIRS[self.pair].TRANSLATOR.begin(self.json("client.json"), b"", hints(**quirks))
        return translation


CASES = [Case(folder) for folder in sorted(FOLDER.iterdir()) if folder.name.partition("-")[0] in PAIRS]


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CASES if case.has(*names)], ids=lambda case: case.folder.name)


@every()
def test_request(case: Case) -> None:
    """The upstream is told exactly this, in compact JSON; the losses are these; the client's request is left as it was."""
    client = case.json("client.json")
    translation = case.begin()
    assert json.loads(translation.request) == case.json("upstream.json")
    assert translation.lost == tuple(case.json("lost.json", []))
    assert client == case.json("client.json")
    told_ = json.dumps(json.loads(translation.request), ensure_ascii=False, separators=(",", ":"))
    assert translation.request == told_.encode()


@every("lost.json")
def test_what_is_lost_has_a_reason(case: Case) -> None:
    """Every loss is in the table of what this pair drops, but for what a provider rejects."""
    dropped = PAIRS[case.pair].DROPPED
    groups = tuple(name.partition("<")[0] for name in dropped if name.endswith("<type>"))
    for name in case.begin().lost:
        assert name in dropped or name.startswith(groups) or name in case.json("quirks.json", {}).get("drop", [])


@every("upstream-answer.json")
def test_answer(case: Case) -> None:
    """A whole answer becomes this answer, and one that was cut is never passed on, however little is missing."""
    body = case.bytes("upstream-answer.json").rstrip()
    assert json.loads(case.begin().answer(body)) == case.json("client-answer.json")
    for cut in range(0, len(body), 5):
        with pytest.raises(Truncated):
            case.begin().answer(body[:cut])


@every("upstream.sse")
def test_stream(case: Case) -> None:
    """A stream becomes this stream, which is one by the dialect's grammar, in whatever chunks and lines it comes."""
    stream, expected = case.bytes("upstream.sse"), case.bytes("client.sse")
    told(case.pair, expected)
    assert run(case.begin().stream(), stream) == expected
    for line_end in (b"\n", b"\r\n", b"\r"):
        bent = stream.replace(b"\n", line_end)
        for size in (1, 7):
            assert run(case.begin().stream(), *(bent[at : at + size] for at in range(0, len(bent), size))) == expected
    for cut in range(1, len(stream), 11):
        assert run(case.begin().stream(), stream[:cut], stream[cut:]) == expected


@every("upstream.sse")
def test_events_come_as_soon_as_they_are_known(case: Case) -> None:
    """What an upstream's event tells is told with its last byte: the stream fed event by event has said all at each of them."""
    stream = case.bytes("upstream.sse")
    transducer, said, fed = case.begin().stream(), b"", 0
    for event in read_events(stream):
        said += transducer.feed(event.raw)
        fed += len(event.raw)
        assert case.begin().stream().feed(stream[:fed]) == said


@every("upstream.sse")
def test_stream_cut_anywhere(case: Case) -> None:
    """Every beginning of a stream is a client's stream that ends in an error, unless the upstream had said its end."""
    stream = case.bytes("upstream.sse")
    for cut in range(0, len(stream), 7):
        read = told(case.pair, run(case.begin().stream(), stream[:cut]))
        if read.is_whole:
            assert b'"response.completed"' in stream[:cut] or b'"response.incomplete"' in stream[:cut]
        else:
            assert read.error is not None


@every("upstream.sse", "upstream-answer.json")
def test_streamed_or_not(case: Case) -> None:
    """The same answer, streamed or whole, is the same; and so is what the ledger is told."""
    read = told(case.pair, case.bytes("client.sse"))
    assert read.is_whole and read.answer is not None
    whole = case.json("client-answer.json")
    if "usage" not in read.answer:
        del whole["usage"]
    assert without_indexes(read.answer) == without_indexes(whole)
    translation, transducer = case.begin(), case.begin().stream()
    translation.answer(case.bytes("upstream-answer.json"))
    transducer.feed(case.bytes("upstream.sse"))
    assert transducer.usage == translation.usage
