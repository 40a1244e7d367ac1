"""A stream of anthropic.messages: message_start, block after block, message_delta, message_stop.

Blocks never overlap in that dialect. Where the upstream works on several at once (tool calls side by side), the first one flows and
the others wait until it is whole; a call is whole when the object of its arguments is, or when the stream is over.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.call_arguments import CallArguments
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Usage
from monorelay.dialects.tool_input import read_arguments
from monorelay.dialects.usage_shapes import messages_usage

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b:%b}}\n\n'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

# The words of a delta, up to the colon.
_TEXT = b'"text_delta","text"'
_THINKING = b'"thinking_delta","thinking"'
_SIGNATURE = b'"signature_delta","signature"'
_INPUT = b'"input_json_delta","partial_json"'
_CITATION = b'"citations_delta","citation"'

_EMPTY_TEXT = b'{"type":"text","text":""}'
_EMPTY_THINKING = b'{"type":"thinking","thinking":"","signature":""}'

_quoted = json.JSONEncoder(ensure_ascii=False).encode


def _text(piece: str) -> bytes:
    return _quoted(piece).encode("utf-8", "backslashreplace")


class Block:
    """One block of a message. Mutable, changed by its writer only: ``index`` once it is open, ``waiting`` until then, and whether
    it is whole.
    """

    __slots__ = ("index", "is_whole", "kind", "start", "waiting")

    def __init__(self, kind: bytes, start: bytes) -> None:
        self.kind = kind
        self.start = start
        self.index: int | None = None
        self.waiting: list[tuple[bytes, bytes]] = []
        self.is_whole = False


class Call(Block):
    """A tool's use. Mutable too: its arguments so far."""

    __slots__ = ("arguments",)

    def __init__(self, start: bytes) -> None:
        super().__init__(_INPUT, start)
        self.arguments = CallArguments()

    @property
    def may_be_over(self) -> bool:
        """Whether nothing more is needed: its arguments are whole, or empty so far."""
        return self.arguments.may_be_over


class MessageWriter:
    """Mutable: the blocks that are open or wait, the last of them, and what was written since the last ``take``.

    ``has_content`` is true from the first text, thinking or call on; ``has_calls`` from the first call on.

    >>> writer = MessageWriter()
    >>> writer.start("msg_1", "m", None); writer.text("hi"); writer.stop("end_turn", None, None)
    >>> writer.take().count(b"event: ")
    6
    """

    __slots__ = ("_blocks", "_last", "_next_index", "_out", "has_calls", "has_content", "has_started")

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._blocks: deque[Block] = deque()
        self._last: Block | None = None
        self._next_index = 0
        self.has_started = False
        self.has_content = False
        self.has_calls = False

    def take(self) -> bytes:
        """What was written since the last time: whole events."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def add(self, event: bytes) -> None:
        """An event that somebody else wrote."""
        self._out.append(event)

    def start(self, message_id: str, model: str, usage: Usage | None) -> None:
        self.has_started = True
        message: dict[str, Any] = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": messages_usage(usage),
        }
        self._write("message_start", {"type": "message_start", "message": message})

    def text(self, piece: str) -> None:
        last = self._last
        if last is None or last.kind is not _TEXT:
            last = self._append(Block(_TEXT, _EMPTY_TEXT))
        self._give(last, _TEXT, _text(piece))

    def thinking(self, piece: str) -> None:
        last = self._last
        if last is None or last.kind is not _THINKING:
            last = self._append(Block(_THINKING, _EMPTY_THINKING))
        self._give(last, _THINKING, _text(piece))

    def sign(self, signature: str) -> None:
        """The signature of the thinking that was just told."""
        last = self._last
        if last is None or last.kind is not _THINKING:
            last = self._append(Block(_THINKING, _EMPTY_THINKING))
        self._give(last, _SIGNATURE, _text(signature))

    def cite(self, citation: Mapping[str, Any]) -> None:
        """A source of the text that was just told; without text there is nothing that it could belong to."""
        if self._last is not None and self._last.kind is _TEXT:
            self._give(self._last, _CITATION, as_json(citation))

    def close_words(self) -> None:
        """Nothing more comes for the text or the thinking that was just told: what follows is a block of its own."""
        if self._last is not None and not isinstance(self._last, Call):
            self._last.is_whole = True
            self._last = None
            self._advance()

    def call(self, call_id: str, name: str) -> Call:
        """A tool's use begins; its arguments follow by ``arguments``."""
        call = Call(as_json({"type": "tool_use", "id": call_id, "name": name, "input": {}}))
        self.has_calls = True
        self._append(call)
        return call

    def arguments(self, call: Call, piece: str) -> None:
        """More of a call's arguments. What follows the end of the object is not told: servers that repeat the whole do exist."""
        if call.is_whole:
            return
        told = call.arguments.feed(piece)
        if told:
            self._give(call, _INPUT, _text(told))
        if call.arguments.is_whole:
            self.finish_call(call)

    def finish_call(self, call: Call) -> None:
        """The arguments are whole: the block may close."""
        call.is_whole = True
        self._advance()

    def close_blocks(self) -> None:
        """Nothing more comes for any block."""
        for block in self._blocks:
            block.is_whole = True
        self._advance()

    def stop(self, reason: str, sequence: str | None, usage: Usage | None) -> None:
        """The end of the message."""
        self.close_blocks()
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        self._write("message_delta", {"type": "message_delta", "delta": delta, "usage": messages_usage(usage)})
        self._out.append(_MESSAGE_STOP)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        self._out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), as_json(value)))

    def _give(self, block: Block, kind: bytes, value: bytes) -> None:
        if block.index is None:
            block.waiting.append((kind, value))
        else:
            self._out.append(_DELTA % (block.index, kind, value))

    def _append(self, block: Block) -> Block:
        last = self._last
        if last is not None and (not isinstance(last, Call) or last.may_be_over):
            last.is_whole = True
        self._last = block
        self._blocks.append(block)
        self.has_content = True
        self._advance()
        return block

    def _advance(self) -> None:
        """Closes the first block as long as it is whole, and opens the one behind it."""
        while self._blocks:
            first = self._blocks[0]
            if first.index is None:
                first.index = self._next_index
                self._next_index += 1
                self._out.append(_START % (first.index, first.start))
                for kind, value in first.waiting:
                    self._give(first, kind, value)
                first.waiting.clear()
            if not first.is_whole:
                return
            untold = first.arguments.untold() if isinstance(first, Call) else None
            if untold is not None:
                self._give(first, _INPUT, _text(as_json(read_arguments(untold)).decode()))
            self._out.append(_STOP % first.index)
            self._blocks.popleft()
            if self._last is first:
                self._last = None
