"""Whole cases, as files: what the client said and was told, what the upstream was told and said.

A folder ``cases/<pair>-<name>`` holds client.json and upstream.json, lost.json where something was lost, quirks.json where the
provider has some, and upstream-answer.json with client-answer.json, upstream.sse with client.sse, or both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from responses_stage import Told, hints, run, said

from monorelay.dialects import openai_responses_to_anthropic_messages, openai_responses_to_openai_chat
from monorelay.dialects.interface import Translation

PAIRS: dict[str, Any] = {
    module.__name__.rpartition(".")[2]: module
    for module in (openai_responses_to_anthropic_messages, openai_responses_to_openai_chat)
}
FOLDER = Path(__file__).parent.parent / "cases"
ENDED = (b'"finish_reason": "', b"message_stop")  # what tells that nothing of the answer is missing


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
        translation: Translation = PAIRS[self.pair].TRANSLATOR.begin(self.json("client.json"), b"", hints(strict, **quirks))
        return translation

    def run(self, *chunks: bytes) -> bytes:
        return run(self.begin().stream(), *chunks)


CASES = [Case(folder) for folder in sorted(FOLDER.iterdir()) if folder.name.partition("-")[0] in PAIRS]


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CASES if case.has(*names)], ids=lambda case: case.folder.name)


@every()
def test_request(case: Case) -> None:
    """The upstream is told exactly this, in compact JSON, and the client's request is left as it was."""
    client = case.json("client.json")
    translation = case.begin()
    assert json.loads(translation.request) == case.json("upstream.json")
    assert translation.lost == tuple(case.json("lost.json", []))
    assert client == case.json("client.json")
    told = json.dumps(json.loads(translation.request), ensure_ascii=False, separators=(",", ":"))
    assert translation.request == told.encode()


@every("lost.json")
def test_what_is_lost_has_a_reason(case: Case) -> None:
    """Every loss is in the table of what this pair drops."""
    dropped = PAIRS[case.pair].DROPPED
    groups = tuple(name.partition("<")[0] for name in dropped if name.endswith("<type>"))
    for name in case.begin().lost:
        assert name in dropped or name.startswith(groups)


@every("upstream-answer.json")
def test_answer(case: Case) -> None:
    """A whole answer becomes this response."""
    assert json.loads(case.begin().answer(case.bytes("upstream-answer.json"))) == case.json("client-answer.json")


@every("upstream.sse")
def test_stream_whole(case: Case) -> None:
    """A stream in one chunk becomes this stream, which is one by the dialect's grammar."""
    told = case.run(case.bytes("upstream.sse"))
    assert told == case.bytes("client.sse")
    Told(told)


@every("upstream.sse")
def test_stream_bytewise(case: Case) -> None:
    """Fed byte by byte, it is the same."""
    stream = case.bytes("upstream.sse")
    assert case.run(*(stream[at : at + 1] for at in range(len(stream)))) == case.bytes("client.sse")


@every("upstream.sse")
def test_stream_split_anywhere(case: Case) -> None:
    """Two chunks, cut anywhere, tell the same as one."""
    stream, told = case.bytes("upstream.sse"), case.bytes("client.sse")
    for cut in range(1, len(stream), 7):
        assert case.run(stream[:cut], stream[cut:]) == told


@every("upstream.sse")
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_stream_with_other_line_ends(case: Case, line_end: bytes, size: int) -> None:
    """Streams with CRLF and CR are read alike."""
    stream = case.bytes("upstream.sse").replace(b"\n", line_end)
    assert case.run(*(stream[at : at + size] for at in range(0, len(stream), size))) == case.bytes("client.sse")


@every("upstream.sse")
def test_stream_cut_anywhere(case: Case) -> None:
    """Every beginning of a stream is a client's stream that ends in an error, unless all of the answer had come."""
    stream = case.bytes("upstream.sse")
    end = Told(case.bytes("client.sse"))
    for cut in range(0, len(stream), 5):
        told = Told(case.run(stream[:cut]))
        if told.response is None:
            assert told.error is not None
            assert all(item in end.done.values() for item in told.done.values()), "an item was closed that was not whole"
        else:
            assert any(mark in stream[:cut] for mark in ENDED)
            assert end.response is not None and told.response["status"] == end.response["status"]
            assert told.response["output"] == end.response["output"]


@every("upstream.sse", "upstream-answer.json")
def test_streamed_or_not(case: Case) -> None:
    """The same answer, streamed or whole, is the same response."""
    told, answer = Told(case.bytes("client.sse")).response, case.json("client-answer.json")
    assert told is not None and said(told) == said(answer)
    ids = [item["id"] for item in answer["output"]]
    assert told | {"output": []} == answer | {"output": []} and len(set(ids)) == len(ids)


@every("upstream.sse", "upstream-answer.json")
def test_usage_of_both_ways_agrees(case: Case) -> None:
    """What the ledger is told does not depend on the way either."""
    transducer, translation = case.begin().stream(), case.begin()
    transducer.feed(case.bytes("upstream.sse"))
    translation.answer(case.bytes("upstream-answer.json"))
    assert transducer.usage == translation.usage


@every("client-answer.json")
def test_what_was_answered_can_be_sent_back(case: Case) -> None:
    """With the next request: the upstream then sees its own words, names, arguments and ids again."""
    answer = case.json("client-answer.json")
    body = {**case.json("client.json"), "input": [{"role": "user", "content": "x"}, *answer["output"]]}
    for item in answer["output"]:
        if "call_id" in item:
            kind = item["type"].removesuffix("_call") + "_call_output"
            body["input"].append({"type": kind, "call_id": item["call_id"], "output": "out"})
    request = json.loads(PAIRS[case.pair].TRANSLATOR.begin(body, b"", hints()).request)
    upstream = case.json("upstream-answer.json")
    if case.pair.endswith("chat"):
        message = upstream["choices"][0]["message"]
        turn = next((each for each in request["messages"] if each["role"] == "assistant"), {})
        assert turn.get("content") == (message["content"] or message.get("refusal") or None)
        assert turn.get("tool_calls") == message.get("tool_calls")
    elif case.folder.name.endswith(("thinking", "codex", "tools-parallel", "-text")):
        content = request["messages"][1]["content"]
        assert (content if isinstance(content, list) else [{"type": "text", "text": content}]) == upstream["content"]
