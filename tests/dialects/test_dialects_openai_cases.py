"""Whole cases of three pairs whose clients speak OpenAI's older dialects, as files: what both sides said and were told.

A folder ``cases/<pair>-<name>`` holds client.json and upstream.json, lost.json where something was lost, quirks.json where the
provider has some, and upstream-answer.json with client-answer.json, upstream.sse with client.sse, or both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monorelay.dialects import (
    openai_chat_to_anthropic_messages,
    openai_completions_to_anthropic_messages,
    openai_completions_to_openai_chat,
)
from monorelay.dialects.interface import Hints, Translation, Truncated
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.sse import read_events
from monorelay.errors import ErrorBody

PAIRS: dict[str, Any] = {
    module.__name__.rpartition(".")[2]: module
    for module in (openai_chat_to_anthropic_messages, openai_completions_to_anthropic_messages, openai_completions_to_openai_chat)
}
FOLDER = Path(__file__).parent / "cases"
ERROR = ErrorBody("upstream_error", "[p] The stream broke off: reset")


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

    def begin(self, strict: bool = False) -> Translation:
        quirks = {name: tuple(value) if isinstance(value, list) else value for name, value in self.json("quirks.json", {}).items()}
        hints = Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(**quirks), strict)
        translation: Translation = PAIRS[self.pair].TRANSLATOR.begin(self.json("client.json"), b"", hints)
        return translation


CASES = [Case(folder) for folder in sorted(FOLDER.iterdir()) if folder.name.partition("-")[0] in PAIRS]


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CASES if case.has(*names)], ids=lambda case: case.folder.name)


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


class Told:
    """A client's stream, read strictly and put together again: one start, pieces by index, at most one end of each choice."""

    def __init__(self, stream: bytes) -> None:
        self.start: dict[str, Any] | None = None
        self.choices: dict[int, dict[str, Any]] = {}
        self.usage: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.is_whole = False
        events = read_events(stream)
        assert stream == b"".join(event.raw for event in events), "the stream ends inside an event"
        for event in events:
            assert event.name == "" and not self.is_whole and self.error is None, "something follows the end"
            if event.data == b"[DONE]":
                self.is_whole = True
                continue
            data = json.loads(event.data)
            if "error" in data:
                self.error = data["error"]
            else:
                self._chunk(data)
        if self.is_whole:
            assert all(choice["finish_reason"] for choice in self.choices.values())

    def _chunk(self, data: dict[str, Any]) -> None:
        choices, usage = data.pop("choices"), data.pop("usage", None)
        assert self.start in (None, data) and self.usage is None
        self.start = data
        if usage is not None:
            assert choices == []
            self.usage = usage
        for told in choices:
            choice = self.choices.setdefault(told["index"], {"finish_reason": None, "logprobs": None})
            assert choice["finish_reason"] is None, "a choice goes on after its end"
            choice["finish_reason"] = told["finish_reason"]
            if "text" in told:
                choice["text"] = choice.get("text", "") + told["text"]
                choice["logprobs"] = _grown(choice["logprobs"], told["logprobs"])
            else:
                choice["message"] = _grown(choice.get("message"), told["delta"])

    def answer(self) -> dict[str, Any]:
        """The same as an answer that was not streamed."""
        choices = []
        for index, choice in sorted(self.choices.items()):
            message = choice.pop("message", None)
            whole = {"index": index, **choice}
            if message is not None:
                if not message["content"] and (message.keys() & {"tool_calls", "function_call"} or message["refusal"]):
                    message["content"] = None
                whole["message"] = message
            choices.append(whole)
        return {"choices": choices, **({} if self.usage is None else {"usage": self.usage})}


def _grown(value: Any, piece: Any) -> Any:
    """Texts are joined, objects grow field by field, lists by the index of what is in them."""
    if value is None or piece is None:
        if isinstance(piece, list) and piece and isinstance(piece[0], dict) and "index" in piece[0]:
            return _grown([], piece)
        return value if piece is None else piece
    if isinstance(piece, str):
        return value + piece
    if isinstance(piece, dict):
        fixed = {"index", "type"}
        return {**value, **{key: each if key in fixed else _grown(value.get(key), each) for key, each in piece.items()}}
    assert isinstance(piece, list)
    if not all(isinstance(each, dict) and "index" in each for each in piece):
        return value + piece
    found = list(value)
    for each in piece:
        if each["index"] == len(found):
            found.append(each)
        else:
            found[each["index"]] = _grown(found[each["index"]], each)
    return found


def _without_indexes(value: Any) -> Any:
    """What an answer says, without what only its pieces need."""
    if isinstance(value, dict):
        return {
            key: [{name: each[name] for name in each if name != "index"} for each in item]
            if key in ("tool_calls", "thinking_blocks", "annotations")
            else _without_indexes(item)
            for key, item in value.items()
        }
    return [_without_indexes(each) for each in value] if isinstance(value, list) else value


@every()
def test_request(case: Case) -> None:
    """The upstream is told exactly this, in compact JSON; the losses are these; the client's request is left as it was."""
    body = case.json("client.json")
    translation = case.begin()
    assert json.loads(translation.request) == case.json("upstream.json")
    assert translation.lost == tuple(case.json("lost.json", []))
    assert b"\n" not in translation.request and b'": ' not in translation.request.replace(b'\\": ', b"")
    assert body == case.json("client.json")


@every("lost.json")
def test_what_is_lost_has_a_reason(case: Case) -> None:
    """Every loss is in the table of what this pair drops, but for what its provider refuses and for fields that nobody knows."""
    for name in case.begin().lost:
        quirky = name in case.json("quirks.json", {}).get("drop", [])
        known = name in PAIRS[case.pair].DROPPED or name.startswith("messages.content.")
        assert known or quirky or name == "repetition_penalty"


@every("upstream-answer.json")
def test_answer(case: Case) -> None:
    """A whole answer becomes this answer."""
    assert json.loads(case.begin().answer(case.bytes("upstream-answer.json"))) == case.json("client-answer.json")


@every("upstream.sse")
def test_stream_whole(case: Case) -> None:
    """A stream in one chunk becomes this stream, which is one by the dialect's grammar."""
    told = run(case, case.bytes("upstream.sse"))
    if b'"error"' in case.bytes("client.sse") or b"[DONE]" in case.bytes("client.sse"):
        assert told == case.bytes("client.sse")
    Told(told)


@every("upstream.sse")
def test_stream_bytewise(case: Case) -> None:
    """Fed byte by byte, it is the same."""
    stream = case.bytes("upstream.sse")
    assert run(case, *(stream[at : at + 1] for at in range(len(stream)))) == run(case, stream)


@every("upstream.sse")
def test_stream_split_anywhere(case: Case) -> None:
    """Two chunks, cut anywhere, tell the same as one."""
    stream = case.bytes("upstream.sse")
    whole = run(case, stream)
    for cut in range(1, len(stream), 3):
        assert run(case, stream[:cut], stream[cut:]) == whole


@every("upstream.sse")
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_stream_with_other_line_ends(case: Case, line_end: bytes, size: int) -> None:
    """Streams with CRLF and CR are read alike."""
    stream = case.bytes("upstream.sse").replace(b"\n", line_end)
    assert run(case, *(stream[at : at + size] for at in range(0, len(stream), size))) == run(case, case.bytes("upstream.sse"))


@every("upstream.sse")
def test_events_come_as_soon_as_they_are_known(case: Case) -> None:
    """What an upstream's event tells is told with its last byte: the stream fed event by event has said all at each of them."""
    stream = case.bytes("upstream.sse")
    transducer, said = case.begin().stream(), b""
    for event in read_events(stream):
        said += transducer.feed(event.raw)
        again = case.begin().stream()
        assert again.feed(stream[: stream.index(event.raw) + len(event.raw)]) == said or stream.count(event.raw) > 1


@every("upstream.sse")
def test_stream_cut_anywhere(case: Case) -> None:
    """Every beginning of a stream is a client's stream that ends in an error, unless the upstream had said its end."""
    stream = case.bytes("upstream.sse")
    marker = b'"finish_reason":"' if case.pair.endswith("openai_chat") else b'"message_stop"'
    for cut in range(len(stream)):
        told = Told(run(case, stream[:cut]))
        if told.is_whole:
            assert marker in stream[:cut]
        else:
            assert told.error is not None


@every("upstream.sse", "upstream-answer.json")
def test_streamed_or_not(case: Case) -> None:
    """The same answer, streamed or whole, is the same."""
    told = Told(case.bytes("client.sse"))
    assert told.is_whole and told.start is not None
    answer = case.json("client-answer.json")
    if told.usage is None:
        answer.pop("usage", None)
    streamed = {**told.start, "object": answer["object"], **told.answer()}
    assert _without_indexes(streamed) == _without_indexes(answer)


@every("upstream.sse", "upstream-answer.json")
def test_usage_of_both_ways_agrees(case: Case) -> None:
    """What the ledger is told does not depend on the way either."""
    translation, transducer = case.begin(), case.begin().stream()
    translation.answer(case.bytes("upstream-answer.json"))
    transducer.feed(case.bytes("upstream.sse"))
    if transducer.usage is not None:
        assert transducer.usage == translation.usage


@every("upstream-answer.json")
def test_cut_answer(case: Case) -> None:
    """An answer that was cut is never passed on, however little is missing."""
    body = case.bytes("upstream-answer.json").rstrip()
    for cut in range(0, len(body), 5):
        with pytest.raises(Truncated):
            case.begin().answer(body[:cut])


@every("upstream.sse")
def test_errors_before_content_fail_the_attempt(case: Case) -> None:
    """An error event is known as such: before any content nothing of it is sent, later it ends the client's stream."""
    stream = case.bytes("upstream.sse")
    transducer = case.begin().stream()
    told = transducer.feed(stream)
    if transducer.error is not None:
        assert transducer.finished
        assert (b'"error"' in told) == transducer.opened
        # A relay that had committed without content hears of it at the end, once.
        assert (b'"error"' in transducer.close()) == (not transducer.opened)
    else:
        assert b'"error":' not in told
