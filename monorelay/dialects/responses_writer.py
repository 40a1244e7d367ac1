"""A stream of openai.responses: the response announced, each item opened, told and closed, and the whole response at the end.

Every event is written as soon as its piece is known. One item of words (a message, or reasoning) is open at a time and closes when
another begins; calls of tools may be open side by side, and each closes with the last brace of its arguments. The last event
repeats everything, so the text has to be kept.

A stream that breaks leaves its open items open: a client would run a call whose item was closed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monorelay.dialects import responses_object as objects
from monorelay.dialects.call_arguments import CallArguments
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Usage
from monorelay.dialects.responses_calls import PREFIXES, call_item
from monorelay.dialects.responses_object import Item
from monorelay.dialects.responses_tools import Own
from monorelay.dialects.string_argument import StringArgument
from monorelay.errors import ErrorBody

_quoted = json.JSONEncoder(ensure_ascii=False).encode
_NUMBER = b',"sequence_number":%d}\n\n'
_NUMBER_WITHOUT_LOGPROBS = b',"logprobs":[],"sequence_number":%d}\n\n'
_TIERS = frozenset({"auto", "default", "fast", "flex", "priority", "scale", "ultrafast"})  # others are not known to clients
# What a response's error may be called, by our own types; a code that an upstream gave stays.
_ERROR_CODES = {"rate_limit_error": "rate_limit_exceeded", "invalid_request_error": "invalid_prompt"}


def _text(piece: str) -> bytes:
    return _quoted(piece).encode("utf-8", "backslashreplace")


class _Part:
    """What an item of words is told in. Mutable: the pieces so far, and what belongs to them."""

    __slots__ = ("annotations", "head", "kind", "logprobs", "pieces", "where")

    def __init__(self, kind: str, where: Mapping[str, Any], head: bytes) -> None:
        self.kind = kind
        self.where = where
        self.head = head
        self.pieces: list[str] = []
        self.annotations: list[Item] = []
        self.logprobs: list[Item] = []

    def whole(self) -> Item:
        text = "".join(self.pieces)
        if self.kind == "output_text":
            return objects.text_part(text, self.annotations, self.logprobs)
        return objects.refusal_part(text) if self.kind == "refusal" else objects.summary_part(text)


class _Words:
    """An open message or reasoning. Mutable: the parts that are closed, the one that is open, and reasoning's ``encrypted``."""

    __slots__ = ("content", "encrypted", "index", "is_message", "item_id", "length", "part")

    def __init__(self, item_id: str, index: int, is_message: bool) -> None:
        self.item_id = item_id
        self.index = index
        self.is_message = is_message
        self.content: list[Item] = []
        self.part: _Part | None = None
        self.encrypted: str | None = None
        self.length = 0  # characters of the open part


class Call:
    """An open call. Mutable: its arguments so far, and whether it is closed."""

    __slots__ = ("_text", "arguments", "call_id", "head", "index", "is_closed", "item_id", "own", "pieces")

    def __init__(self, own: Own, item_id: str, call_id: str, index: int) -> None:
        self.own = own
        self.item_id = item_id
        self.call_id = call_id
        self.index = index
        self.head = b""
        self.arguments = CallArguments()
        self.pieces: list[str] = []
        self.is_closed = False
        self._text = StringArgument() if own.kind == "custom" else None

    @property
    def is_whole(self) -> bool:
        return self.arguments.is_whole

    @property
    def may_be_over(self) -> bool:
        return self.arguments.may_be_over

    def shown(self, piece: str) -> str:
        """What the client is shown of a piece of arguments."""
        return piece if self._text is None else self._text.feed(piece)

    def rest(self) -> str:
        return "" if self._text is None else self._text.finish()


class ResponseWriter:
    """Mutable: the items, the open ones among them, the count of events, and what was written since the last ``take``.

    ``seal`` makes the encrypted content of a thought from its text, where that is all that is needed to take it back.
    ``has_content`` is true from the first text, reasoning or call on; ``whole`` is the response once it has ended.

    >>> writer = ResponseWriter(shell({}), hints)
    >>> writer.start({"id": "resp_1", "created_at": 1, "model": "m"}); writer.text("hi"); writer.end(None, None)
    >>> writer.take().count(b"event: ")
    9
    """

    __slots__ = (
        "_call_ids",
        "_calls",
        "_hints",
        "_identity",
        "_items",
        "_out",
        "_seal",
        "_sequence",
        "_shell",
        "_words",
        "has_content",
        "whole",
    )

    def __init__(self, shell: Mapping[str, Any], hints: Hints, seal: Callable[[str], str] | None = None) -> None:
        self._shell = shell
        self._seal = seal
        self._hints = hints
        self._identity: Mapping[str, Any] | None = None
        self._items: list[Item | None] = []
        self._words: _Words | None = None
        self._calls: list[Call] = []
        self._call_ids: set[str] = set()
        self._sequence = 0
        self._out: list[bytes] = []
        self.has_content = False
        self.whole: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<ResponseWriter of {len(self._items)} items, {self._sequence} events>"

    @property
    def has_started(self) -> bool:
        return self._identity is not None

    def take(self) -> bytes:
        """What was written since the last time: whole events."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # ------------------------------------------------------------------ the response

    def start(self, identity: Mapping[str, Any]) -> None:
        self._identity = identity
        begun = objects.response(objects.light(self._shell), identity=identity, status="in_progress")
        self._write("response.created", {"response": begun})
        self._write("response.in_progress", {"response": begun})

    def end(self, incomplete: str | None, usage: Usage | None, service_tier: object = None) -> None:
        """The whole response: completed, or ``incomplete`` for a reason."""
        self.close_items(is_cut=incomplete is not None)
        status = "completed" if incomplete is None else "incomplete"
        self.whole = self._response(status, usage, incomplete=incomplete)
        if isinstance(service_tier, str) and service_tier in _TIERS:
            self.whole["service_tier"] = service_tier
        self._write(f"response.{status}", {"response": self.whole})

    def fail(self, error: ErrorBody, usage: Usage | None) -> None:
        """The error that ends the stream."""
        if self._identity is None:
            self.start(objects.identity({}, self._hints))
        code = error.code
        if code is None or code.isdigit():
            code = _ERROR_CODES.get(error.type, "server_error")
        told = {"code": code, "message": error.message, "type": error.type, "param": error.param}
        self._write("response.failed", {"response": self._response("failed", usage, error=told)})

    def _response(self, status: str, usage: Usage | None, **ending: Any) -> dict[str, Any]:
        assert self._identity is not None
        output = [item for item in self._items if item is not None]
        return objects.response(self._shell, identity=self._identity, status=status, output=output, usage=usage, **ending)

    # ------------------------------------------------------------------ words

    def text(self, piece: str, logprobs: Sequence[Item] = ()) -> None:
        part = self._part_of("output_text")
        part.pieces.append(piece)
        if logprobs:
            part.logprobs += logprobs
            tail = b',"logprobs":%b' % as_json(logprobs) + _NUMBER % self._sequence
        else:
            tail = _NUMBER_WITHOUT_LOGPROBS % self._sequence
        self._out.append(part.head + _text(piece) + tail)
        self._sequence += 1
        assert self._words is not None
        self._words.length += len(piece)

    def refusal(self, piece: str) -> None:
        self._tell(self._part_of("refusal"), piece)

    def reasoning(self, piece: str) -> None:
        self._tell(self._part_of("summary_text"), piece)

    def begin_reasoning(self) -> None:
        """A thought of its own, even if nothing of it will be told."""
        self._open_words(is_message=False)

    def seal(self, encrypted: str) -> None:
        """What the thought that was just told needs to be taken back."""
        if self._words is None or self._words.is_message:
            self._open_words(is_message=False)
        assert self._words is not None
        self._words.encrypted = encrypted

    @property
    def text_length(self) -> int:
        """Characters of the text that is open: where the next piece begins."""
        words = self._words
        return words.length if words is not None and words.part is not None and words.part.kind == "output_text" else 0

    def annotate(self, annotation: Item) -> None:
        """A source of the text that was just told; without text there is nothing that it could belong to."""
        part = self._words.part if self._words is not None else None
        if part is not None and part.kind == "output_text":
            where = {**part.where, "annotation_index": len(part.annotations), "annotation": annotation}
            self._write("response.output_text.annotation.added", where)
            part.annotations.append(annotation)

    def _tell(self, part: _Part, piece: str) -> None:
        part.pieces.append(piece)
        self._out.append(part.head + _text(piece) + _NUMBER % self._sequence)
        self._sequence += 1

    def _part_of(self, kind: str) -> _Part:
        """The open part, if it is of this kind; else a new one."""
        words = self._words
        if words is not None and words.part is not None and words.part.kind == kind:
            return words.part
        is_message = kind != "summary_text"
        if words is None or words.is_message != is_message:
            words = self._open_words(is_message)
        self._close_part(words)
        position = "content_index" if is_message else "summary_index"
        where = {"item_id": words.item_id, "output_index": words.index, position: len(words.content)}
        name = f"response.{kind if is_message else 'reasoning_summary_text'}.delta"
        head = as_json({"type": name, **where})[:-1]
        part = words.part = _Part(kind, where, b'event: %b\ndata: %b,"delta":' % (name.encode(), head))
        added = "response.content_part.added" if is_message else "response.reasoning_summary_part.added"
        self._write(added, {**where, "part": part.whole()})
        return part

    def _open_words(self, is_message: bool) -> _Words:
        self.close_words()
        words = _Words(self._hints.new_id("msg_" if is_message else "rs_"), self._next_index(), is_message)
        self._words = words
        self._write("response.output_item.added", {"output_index": words.index, "item": self._words_item(words, "in_progress")})
        return words

    def close_words(self, is_cut: bool = False) -> None:
        """The open message or reasoning is over."""
        words = self._words
        if words is None:
            return
        self._close_part(words)
        self._words = None
        if self._seal is not None and not words.is_message and words.encrypted is None:
            words.encrypted = self._seal("".join(part["text"] for part in words.content))
        self._close(words.index, self._words_item(words, "incomplete" if is_cut else "completed"))

    def _words_item(self, words: _Words, status: str) -> Item:
        if words.is_message:
            return objects.message(words.item_id, words.content, status)
        return objects.reasoning(words.item_id, "".join(part["text"] for part in words.content), words.encrypted)

    def _close_part(self, words: _Words) -> None:
        part = words.part
        if part is None:
            return
        whole = part.whole()
        if part.kind == "output_text":
            self._write("response.output_text.done", {**part.where, "text": whole["text"], "logprobs": part.logprobs})
        elif part.kind == "refusal":
            self._write("response.refusal.done", {**part.where, "refusal": whole["refusal"]})
        else:
            self._write("response.reasoning_summary_text.done", {**part.where, "text": whole["text"]})
        done = "response.content_part.done" if words.is_message else "response.reasoning_summary_part.done"
        self._write(done, {**part.where, "part": whole})
        words.content.append(whole)
        words.part = None
        words.length = 0

    # ------------------------------------------------------------------ calls

    def call(self, own: Own, call_id: str) -> Call:
        """A tool's call begins; its arguments follow by ``arguments``."""
        self.close_words()
        if not call_id or call_id in self._call_ids:  # clients find a call by it
            call_id = self._hints.new_id("call_")
        self._call_ids.add(call_id)
        call = Call(own, self._hints.new_id(PREFIXES[own.kind]), call_id, self._next_index())
        name = b"custom_tool_call_input" if own.kind == "custom" else b"function_call_arguments"
        where = as_json({"item_id": call.item_id, "output_index": call.index})[1:-1]
        call.head = b'event: response.%b.delta\ndata: {"type":"response.%b.delta",%b,"delta":' % (name, name, where)
        self._calls.append(call)
        item = call_item(own, call.item_id, call_id, "", "in_progress")
        self._write("response.output_item.added", {"output_index": call.index, "item": item})
        return call

    def arguments(self, call: Call, piece: str) -> None:
        """More of a call's arguments; what comes behind its end is not told."""
        if call.is_closed:
            return
        self._give(call, call.arguments.feed(piece))
        if call.arguments.is_whole:
            self.finish_call(call)

    def finish_call(self, call: Call, is_cut: bool = False) -> None:
        """No more arguments come."""
        if call.is_closed:
            return
        call.is_closed = True
        self._calls.remove(call)
        if not is_cut:
            self._give(call, call.arguments.finish())
            self._show(call, call.rest())
        told = "".join(call.pieces)
        where = {"item_id": call.item_id, "output_index": call.index}
        item = call_item(call.own, call.item_id, call.call_id, "" if call.own.kind == "custom" else told, "completed")
        if call.own.kind == "custom":
            item["input"] = told
            self._write("response.custom_tool_call_input.done", {**where, "input": told})
        elif call.own.kind == "function":
            self._write("response.function_call_arguments.done", {**where, "name": call.own.name, "arguments": told})
        if is_cut and call.own.kind != "apply_patch":
            item["status"] = "incomplete"
        self._close(call.index, item)

    def _give(self, call: Call, piece: str) -> None:
        if piece:
            self._show(call, call.shown(piece))

    def _show(self, call: Call, piece: str) -> None:
        if not piece:
            return
        call.pieces.append(piece)
        if call.own.kind in ("function", "custom"):
            self._out.append(call.head + _text(piece) + _NUMBER % self._sequence)
            self._sequence += 1

    # ------------------------------------------------------------------ items

    def close_items(self, is_cut: bool = False) -> None:
        """Nothing more comes for any item. ``is_cut``: the model was stopped in the middle of it."""
        self.close_words(is_cut)
        for call in tuple(self._calls):
            self.finish_call(call, is_cut and not call.may_be_over)

    def _next_index(self) -> int:
        self.has_content = True
        self._items.append(None)
        return len(self._items) - 1

    def _close(self, index: int, item: Item) -> None:
        self._items[index] = item
        self._write("response.output_item.done", {"output_index": index, "item": item})

    def _write(self, name: str, fields: Mapping[str, Any]) -> None:
        value = as_json({"type": name, **fields, "sequence_number": self._sequence})
        self._out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), value))
        self._sequence += 1
