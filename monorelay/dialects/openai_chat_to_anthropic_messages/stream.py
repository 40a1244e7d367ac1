"""The upstream's events as chunks, each as soon as it can be known.

| event | chunk |
| --- | --- |
| message_start | the role |
| text_delta | delta.content |
| thinking_delta | delta.reasoning_content, and its piece of delta.thinking_blocks |
| signature_delta, redacted_thinking | delta.thinking_blocks: by index, as tool calls are, so that SDKs put the pieces together |
| tool_use, input_json_delta | delta.tool_calls; what was not streamed is sent when the block closes, at least ``{}`` |
| citations_delta | delta.annotations when its block closes and its place is known |
| message_delta | finish_reason |
| message_stop | usage, if the client asked for it and anybody told; [DONE] |
| error | before any content: the attempt fails; later: the error, and no [DONE] |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json, in_band_error, keepalive
from monorelay.dialects.interface import StreamError, Truncated, Usage
from monorelay.dialects.json_events import JsonEvents
from monorelay.dialects.openai_chat_to_anthropic_messages.answer import (
    annotations_of,
    arguments,
    chat_id,
    finish_reason,
    model_of,
    refusal_text,
    service_tier,
)
from monorelay.dialects.openai_chat_to_anthropic_messages.request import Asked
from monorelay.dialects.refusals import common_error
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error
from monorelay.dialects.string_argument import StringArgument, unwrap
from monorelay.dialects.usage import merge_usage, read_usage
from monorelay.dialects.usage_shapes import chat_usage
from monorelay.errors import ErrorBody

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TAIL = b',"logprobs":null,"finish_reason":null}]}\n\n'


class _Block:
    """The open block. Mutable: what of it has been told."""

    __slots__ = ("argument", "citations", "given", "index", "kind", "start", "told")

    def __init__(self, kind: str, index: int, given: object = None) -> None:
        self.kind = kind  # text, thinking, call, function, custom, answer, other
        self.index = index  # among calls, or among thinking blocks
        self.given = given  # the input that came with a call's beginning
        self.told = False  # whether any of a call's arguments were sent
        self.argument = StringArgument() if kind == "custom" else None
        self.citations: list[object] = []
        self.start = 0  # where a text begins in the content


class ChatStream:
    """Mutable, changed by ``feed``, ``close`` and ``fail`` only: the open blocks, what was counted, and what was seen."""

    __slots__ = (
        "_annotated",
        "_asked",
        "_blocks",
        "_calls",
        "_ended",
        "_events",
        "_head",
        "_open_head",
        "_said",
        "_thoughts",
        "_usage",
        "error",
        "finished",
        "opened",
    )

    at_boundary = True
    object_ids: tuple[str, ...] = ()

    def __init__(self, asked: Asked) -> None:
        self.opened = False
        self.finished = False
        self.error: StreamError | None = None
        self._asked = asked
        self._events = JsonEvents()
        self._head = b""
        self._open_head = b""
        self._blocks: dict[object, _Block] = {}
        self._said = 0  # characters of content
        self._calls = 0
        self._thoughts = 0
        self._annotated = 0
        self._ended = False  # a finish_reason was given
        self._usage: Usage | None = None

    def __repr__(self) -> str:
        return f"<ChatStream opened={self.opened} finished={self.finished}>"

    @property
    def usage(self) -> Usage | None:
        return self._usage

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._take(name, fields) for name, fields in self._events.feed(chunk) if fields is not None])

    def close(self) -> bytes:
        failed = self.error is not None
        rest = b"".join([self._take(name, fields) for name, fields in self._events.finish() if fields is not None])
        if self.error is not None and not self.opened:
            if not failed:
                self.finished = False  # nothing was told yet, and the attempt can still fail
                raise Truncated(self.error.body.message)
            # Told after all: a relay that still asks had committed before there was content, and can try nothing else.
            return in_band_error("openai.chat", self.error.body, at_boundary=True)
        if not self.finished:
            raise Truncated("the stream ended without message_stop")
        return rest

    def fail(self, error: ErrorBody) -> bytes:
        self.finished = True
        return in_band_error("openai.chat", error, at_boundary=True)

    def keepalive(self) -> bytes:
        return keepalive("openai.chat")

    # ------------------------------------------------------------------ events

    def _take(self, name: str, fields: dict[str, Any]) -> bytes:
        if self.finished:
            return b""
        kind = fields.get("type")
        if kind == "content_block_delta":
            delta = fields.get("delta")
            return self._delta(fields.get("index"), delta) if isinstance(delta, dict) else b""
        if kind == "error" or name == "error" or "error" in fields:
            return self._fail_by(name, fields)
        if kind == "content_block_start":
            block = fields.get("content_block")
            return self._start(_key(fields.get("index")), block) if isinstance(block, dict) else b""
        if kind == "content_block_stop":
            return self._stop(_key(fields.get("index")))
        if kind == "message_start":
            message = fields.get("message")
            return self._begin(message) if isinstance(message, dict) else b""
        if kind == "message_delta":
            return self._message_delta(fields)
        if kind == "message_stop":
            return self._finish()
        return b""

    def _begin(self, message: Mapping[str, Any]) -> bytes:
        self._read_usage(message.get("usage"))
        return b"" if self._head else self._role(message)

    def _role(self, message: Mapping[str, Any]) -> bytes:
        start: dict[str, Any] = {
            "id": chat_id(message.get("id"), self._asked),
            "object": "chat.completion.chunk",
            "created": self._asked.hints.created,
            "model": model_of(message, self._asked),
        }
        tier = service_tier(message.get("usage"))
        if tier is not None:
            start["service_tier"] = tier
        self._open_head = b"data: " + as_json(start)[:-1] + b',"choices":['
        self._head = self._open_head + b'{"index":0,"delta":'
        return self._head + b'{"role":"assistant","content":"","refusal":null}' + _TAIL

    def _delta(self, index: object, delta: dict[str, Any]) -> bytes:
        kind = delta.get("type")
        if kind == "text_delta":
            return self._text(delta.get("text"))
        if kind == "input_json_delta":
            return self._arguments(self._blocks.get(_key(index)), delta.get("partial_json"))
        if kind == "thinking_delta":
            return self._thinking(index, "thinking", delta.get("thinking"))
        if kind == "signature_delta":
            return self._thinking(index, "signature", delta.get("signature"))
        if kind == "citations_delta":
            block = self._blocks.get(_key(index))
            if block is not None:
                block.citations.append(delta.get("citation"))
        return b""

    def _start(self, index: object, block: dict[str, Any]) -> bytes:
        kind = block.get("type")
        if kind == "tool_use":
            return self._start_call(index, block)
        if kind == "text":
            opened = self._blocks[index] = _Block("text", 0)
            opened.start = self._said
            citations = block.get("citations")
            opened.citations += citations if isinstance(citations, list) else []
            return self._text(block.get("text"))
        if kind == "thinking":
            self._open_thinking(index)
            return self._thinking(index, "thinking", block.get("thinking")) + self._thinking(
                index, "signature", block.get("signature")
            )
        if kind == "redacted_thinking":
            number = self._open_thinking(index).index
            return self._send({"thinking_blocks": [{"index": number, **block}]})
        self._blocks[index] = _Block("other", 0)
        return b""

    def _start_call(self, index: object, block: dict[str, Any]) -> bytes:
        name, given = str(block.get("name")), block.get("input")
        if name == self._asked.answer_tool:
            self._blocks[index] = _Block("answer", 0, given)
            return b""
        number = self._calls
        self._calls += 1
        if self._asked.legacy:
            self._blocks[index] = _Block("function" if number == 0 else "other", 0, given)
            return self._send({"function_call": {"name": name, "arguments": ""}}) if number == 0 else b""
        if name in self._asked.custom:
            self._blocks[index] = _Block("custom", number, given)
            call = {"index": number, "id": block.get("id"), "type": "custom", "custom": {"name": name, "input": ""}}
        else:
            self._blocks[index] = _Block("call", number, given)
            call = {"index": number, "id": block.get("id"), "type": "function", "function": {"name": name, "arguments": ""}}
        return self._send({"tool_calls": [call]})

    def _stop(self, index: object) -> bytes:
        block = self._blocks.pop(index, None)
        if block is None:
            return b""
        if block.kind == "text":
            return self._annotations(block)
        if block.kind == "custom":
            assert block.argument is not None
            return self._piece(block, block.argument.finish() if block.told else unwrap(block.given) if block.given else "")
        if block.kind in ("call", "function", "answer") and not block.told:
            return self._piece(block, arguments(block.given))
        return b""

    def _message_delta(self, fields: Mapping[str, Any]) -> bytes:
        self._read_usage(fields.get("usage"))
        delta = fields.get("delta")
        return self._end(delta) if isinstance(delta, dict) and isinstance(delta.get("stop_reason"), str) else b""

    def _finish(self) -> bytes:
        out = b"" if self._ended else self._end({})
        self.finished = self.opened = True
        shape = chat_usage(self._usage) if self._asked.include_usage else None
        if shape is not None:
            out += self._open_head + b'],"usage":' + as_json(shape) + b"}\n\n"
        return out + b"data: [DONE]\n\n"

    def _fail_by(self, name: str, fields: dict[str, Any]) -> bytes:
        error = find_error(Event(name, b"", b""), fields)
        if error is None:
            return b""
        self.error = StreamError(error.status, common_error(error.status, error.body))
        self.finished = True
        return self.fail(self.error.body) if self.opened else b""

    # ------------------------------------------------------------------ pieces

    def _text(self, text: object) -> bytes:
        if not isinstance(text, str) or not text:
            return b""
        self._said += len(text)
        return self._content(b'{"content":' + _encode(text).encode("utf-8", "backslashreplace") + b"}")

    def _thinking(self, index: object, field: str, piece: object) -> bytes:
        if not isinstance(piece, str) or not piece:
            return b""
        block = self._blocks.get(_key(index))
        number = (block if block is not None and block.kind == "thinking" else self._open_thinking(_key(index))).index
        delta: dict[str, Any] = {"thinking_blocks": [{"index": number, "type": "thinking", field: piece}]}
        return self._send({"reasoning_content": piece, **delta} if field == "thinking" else delta)

    def _open_thinking(self, index: object) -> _Block:
        block = self._blocks[index] = _Block("thinking", self._thoughts)
        self._thoughts += 1
        return block

    def _arguments(self, block: _Block | None, piece: object) -> bytes:
        if block is None or not isinstance(piece, str) or not piece:
            return b""
        if block.argument is not None:
            block.told = True
            return self._piece(block, block.argument.feed(piece))
        return self._piece(block, piece)

    def _piece(self, block: _Block, piece: str) -> bytes:
        """A piece of a call's arguments, where the client looks for it."""
        if not piece:
            return b""
        block.told = True
        if block.kind == "call":
            return self._send({"tool_calls": [{"index": block.index, "function": {"arguments": piece}}]})
        if block.kind == "custom":
            return self._send({"tool_calls": [{"index": block.index, "custom": {"input": piece}}]})
        if block.kind == "function":
            return self._send({"function_call": {"arguments": piece}})
        return self._text(piece) if block.kind == "answer" else b""

    def _annotations(self, block: _Block) -> bytes:
        found = annotations_of(block.citations, block.start, self._said)
        if not found:
            return b""
        numbered = [{"index": self._annotated + number, **each} for number, each in enumerate(found)]
        self._annotated += len(found)
        return self._send({"annotations": numbered})

    def _end(self, delta: Mapping[str, Any]) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        role = b"" if self._head else self._role({})
        reason = finish_reason(delta.get("stop_reason"), self._calls > 0, self._asked)
        refusal = refusal_text(delta)
        said = b"{}" if refusal is None else as_json({"refusal": refusal})
        return role + self._head + said + b',"logprobs":null,"finish_reason":"%b"}]}\n\n' % reason.encode()

    def _send(self, delta: dict[str, Any]) -> bytes:
        return self._content(_encode(delta).encode("utf-8", "backslashreplace"))

    def _content(self, delta: bytes) -> bytes:
        self.opened = True
        role = b"" if self._head else self._role({})
        return role + self._head + delta + _TAIL

    def _read_usage(self, told: object) -> None:
        if isinstance(told, dict):
            self._usage = merge_usage(self._usage, read_usage(told))


def _key(index: object) -> object:
    """What a block is known by; an index that is no number still names one."""
    return index if isinstance(index, int | str) else None
