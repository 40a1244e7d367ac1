"""The upstream's stream as chunks, each as soon as it can be known.

| told | chunk |
| --- | --- |
| the response begins | the role |
| text, refusal, thought | delta.content, delta.refusal, delta.reasoning_content |
| a thought ends | delta.reasoning_details |
| a call | delta.tool_calls: id and name first, then pieces of its arguments, at least ``{}`` |
| a source | delta.annotations |
| the end | finish_reason; usage, if the client asked for it and anybody told; [DONE] |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.call_arguments import CallArguments
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Usage
from monorelay.dialects.openai_chat_to_openai_responses.answer import (
    annotation,
    call_of,
    finish_reason,
    identity,
    logprobs_of,
    service_tier,
)
from monorelay.dialects.openai_chat_to_openai_responses.request import Asked
from monorelay.dialects.openai_chat_to_openai_responses.thoughts import details_of
from monorelay.dialects.responses_input import BETWEEN
from monorelay.dialects.responses_output import BETWEEN_THOUGHTS, citations_of
from monorelay.dialects.usage_shapes import chat_usage

_quoted = json.JSONEncoder(ensure_ascii=False).encode
_TAIL = b',"logprobs":null,"finish_reason":null}]}\n\n'


class _Call:
    """An open call. Mutable: its arguments. A custom tool's text, and calls that the client cannot see, have none."""

    __slots__ = ("arguments", "head", "tail")

    def __init__(self, head: bytes, tail: bytes, is_custom: bool) -> None:
        self.head = head
        self.tail = tail
        self.arguments = None if is_custom else CallArguments()


class ChunkWriter:
    """Mutable: what was counted, and what was written since the last ``take``.

    ``_said`` are the characters of the content, ``_start`` those before the open message; ``_is_apart``: that a message is over.
    """

    __slots__ = (
        "_annotated",
        "_asked",
        "_calls",
        "_details",
        "_head",
        "_is_apart",
        "_open_head",
        "_out",
        "_said",
        "_start",
        "_thought",
        "_thoughts",
        "has_content",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._out: list[bytes] = []
        self._head = b""
        self._open_head = b""
        self._said = 0
        self._start = 0
        self._is_apart = True
        self._thoughts = 0
        self._thought = False  # whether the open thought was told
        self._details = 0
        self._calls = 0
        self._annotated = 0
        self.has_content = False

    def __repr__(self) -> str:
        return f"<ChunkWriter {self._said} characters, {self._calls} calls>"

    def take(self) -> bytes:
        """What was written since the last time: whole events."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def start(self, response: Mapping[str, Any]) -> None:
        if self._head:
            return
        begun: dict[str, Any] = identity(response, "chat.completion.chunk", self._asked)
        tier = service_tier(response)
        if tier is not None:
            begun["service_tier"] = tier
        self._open_head = b"data: " + as_json(begun)[:-1] + b',"choices":['
        self._head = self._open_head + b'{"index":0,"delta":'
        self._out.append(self._head + b'{"role":"assistant","content":"","refusal":null}' + _TAIL)

    # ------------------------------------------------------------------ words

    def text(self, piece: str, logprobs: object) -> None:
        if self._is_apart:
            self._is_apart = False
            if self._said:
                self._say(BETWEEN, None)
            self._start = self._said
        self._say(piece, logprobs)

    def _say(self, piece: str, logprobs: object) -> None:
        self._said += len(piece)
        if logprobs and self._asked.logprobs:
            self._write(as_json({"content": piece}), b',"logprobs":%b,"finish_reason":null}]}\n\n' % _logprobs(logprobs))
        else:
            self._write(b'{"content":' + _text(piece) + b"}")

    def refusal(self, piece: str) -> None:
        self._write(b'{"refusal":' + _text(piece) + b"}")

    def cite(self, annotation_: Mapping[str, Any], before: int) -> None:
        for cited in citations_of([annotation_]):
            told = {"index": self._annotated, **annotation(cited, self._start + before)}
            self._annotated += 1
            self._write(as_json({"annotations": [told]}))

    # ------------------------------------------------------------------ thoughts

    def think(self, piece: str) -> None:
        if not self._thought and self._thoughts:
            piece = BETWEEN_THOUGHTS + piece
        self._thoughts += 0 if self._thought else 1
        self._thought = True
        self._write(b'{"reasoning_content":' + _text(piece) + b"}")

    def end_words(self) -> None:
        self._is_apart = True
        self._thought = False

    def end_thought(self, item: Mapping[str, Any]) -> None:
        details = details_of(item, self._details, self._asked.hints.quirks)
        if details:
            self._details += len(details)
            self._write(as_json({"reasoning_details": details}))

    # ------------------------------------------------------------------ calls

    def open_call(self, item: Mapping[str, Any]) -> _Call:
        number, self._calls = self._calls, self._calls + 1
        told = call_of(item, "", self._asked)
        if self._asked.legacy:
            if number == 0:
                self._write(as_json({"function_call": told.get("function")}))
            return _Call(b'{"function_call":{"arguments":' if number == 0 else b"", b"}}", is_custom=False)
        self._write(as_json({"tool_calls": [{"index": number, **told}]}))
        field = b'"custom":{"input":' if told["type"] == "custom" else b'"function":{"arguments":'
        return _Call(b'{"tool_calls":[{"index":%d,%b' % (number, field), b"}}]}", is_custom=told["type"] == "custom")

    def arguments(self, call: _Call, piece: str) -> None:
        self._give(call, piece if call.arguments is None else call.arguments.feed(piece))

    def end_call(self, call: _Call, is_cut: bool) -> None:
        if call.arguments is not None and not is_cut:
            self._give(call, call.arguments.finish())

    def _give(self, call: _Call, piece: str) -> None:
        if piece and call.head:
            self._write(call.head + _text(piece) + call.tail)

    # ------------------------------------------------------------------ the end

    def end(self, response: Mapping[str, Any], incomplete: str | None, usage: Usage | None) -> None:
        reason = finish_reason(incomplete, self._calls > 0, self._asked).encode()
        self._out.append(self._head + b'{},"logprobs":null,"finish_reason":"%b"}]}\n\n' % reason)
        shape = chat_usage(usage) if self._asked.include_usage else None
        if shape is not None:
            self._out.append(self._open_head + b'],"usage":' + as_json(shape) + b"}\n\n")
        self._out.append(b"data: [DONE]\n\n")

    def _write(self, delta: bytes, tail: bytes = _TAIL) -> None:
        if not self._head:
            self.start({})
        self.has_content = True
        self._out.append(self._head + delta + tail)


def _text(piece: str) -> bytes:
    return _quoted(piece).encode("utf-8", "backslashreplace")


def _logprobs(told: object) -> bytes:
    return as_json({"content": logprobs_of(told), "refusal": None})
