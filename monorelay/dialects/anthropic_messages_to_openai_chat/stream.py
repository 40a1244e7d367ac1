"""The stream: chunks of openai.chat become the events of one message, each as soon as it can be known.

message_start goes out with the first content, so that an error before it leaves nothing behind; a block opens with its first piece,
and all blocks close with the finish reason. Only message_delta waits for the chunk behind it, which tells the usage, or for [DONE],
whichever comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.answer import call_id, citations_of, message_id, model_of, stop_of
from monorelay.dialects.anthropic_messages_to_openai_chat.errors import error_in, may_be_error
from monorelay.dialects.anthropic_messages_to_openai_chat.request import Asked
from monorelay.dialects.call_deltas import CallDeltas
from monorelay.dialects.chat_answers import calls_of, reasoning_of, text_of
from monorelay.dialects.envelopes import in_band_error, keepalive
from monorelay.dialects.interface import Hints, StreamError, Truncated, Usage
from monorelay.dialects.json_events import JsonEvents
from monorelay.dialects.messages_writer import Call, MessageWriter
from monorelay.dialects.usage import merge_usage, read_usage
from monorelay.errors import ErrorBody

_CLIENT = "anthropic.messages"


class MessageStream:
    """Mutable, changed by ``feed``, ``close`` and ``fail``: what was seen so far. ``_finish`` is the choice that told the finish
    reason; ``finished`` is only true when the client has been told the end.
    """

    at_boundary = True
    object_ids: tuple[str, ...] = ()

    __slots__ = ("_asked", "_calls", "_events", "_finish", "_has_refused", "_hints", "_writer", "error", "finished", "usage")

    def __init__(self, asked: Asked, hints: Hints) -> None:
        self._asked = asked
        self._hints = hints
        self._events = JsonEvents()
        self._writer = MessageWriter()
        self._calls = CallDeltas(self._begin_call, self._writer.arguments)
        self._finish: Mapping[str, Any] | None = None
        self._has_refused = False
        self.usage: Usage | None = None
        self.error: StreamError | None = None
        self.finished = False

    def __repr__(self) -> str:
        return f"<MessageStream opened={self.opened} finished={self.finished}>"

    @property
    def opened(self) -> bool:
        return self._writer.has_content or self._finish is not None

    def feed(self, chunk: bytes) -> bytes:
        for name, fields in self._events.feed(chunk):
            self._take(name, fields)
        return self._writer.take() if self.opened else b""

    def close(self) -> bytes:
        had_failed = self.error is not None
        for name, fields in self._events.finish():
            self._take(name, fields)
        if self.error is not None and not self.opened:
            if not had_failed:
                self.finished = False  # the client was told nothing, and the attempt can still fail
                raise Truncated(self.error.body.message)
            # Told after all: the relay that still asks had committed before there was content, and could not try elsewhere.
            return in_band_error(_CLIENT, self.error.body, at_boundary=True)
        if not self.finished:
            if self._finish is None:
                raise Truncated("the stream ended without [DONE] or a finish_reason")
            self._stop()
        return self._writer.take()

    def fail(self, error: ErrorBody) -> bytes:
        """The error; but where the finish reason was told before, nothing of the answer is missing, and the message just ends."""
        if self.finished:
            return b""
        if self._finish is not None:
            self._stop()
            return self._writer.take()
        self.finished = True
        return in_band_error(_CLIENT, error, at_boundary=True)

    def keepalive(self) -> bytes:
        return keepalive(_CLIENT)

    def _take(self, name: str, fields: dict[str, Any] | None) -> None:
        if self.finished:
            return
        if fields is None:  # [DONE]
            self._start({})
            self._finish = self._finish or {}
            self._stop()
            return
        if may_be_error(name, fields):
            error = error_in(name, fields)
            if error is not None:
                return self._break(error)
        is_behind_the_end = self._finish is not None
        usage = fields.get("usage")
        if usage:
            self._tell(usage)
        choices = fields.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._take_choice(name, fields, choices[0])
        if usage and is_behind_the_end and not self.finished:
            self._stop()

    def _take_choice(self, name: str, fields: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        if choice.get("index"):
            return  # the relay asks for one answer; there is no place for a second
        self._start(fields)
        told = choice.get("delta") or choice.get("message")
        if isinstance(told, dict):
            self._take_delta(told)
        if choice.get("usage"):
            self._tell(choice["usage"])
        finish = choice.get("finish_reason")
        if finish == "error" or isinstance(choice.get("error"), dict):
            error = error_in(name, fields)
            assert error is not None
            self._break(error)
        elif finish:
            self._finish = choice
            self._writer.close_blocks()

    def _take_delta(self, told: Mapping[str, Any]) -> None:
        writer = self._writer
        if not self._asked.hides_thinking:
            thoughts = reasoning_of(told)
            if thoughts:
                writer.thinking(thoughts)
        content = told.get("content")
        if content:
            text = content if isinstance(content, str) else text_of(content)
            if text:
                writer.text(text)
            if len(told) == 1:  # nearly always
                return
        refusal = told.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._has_refused = True
            writer.text(refusal)
        for citation in citations_of(told.get("annotations"), ""):
            writer.cite(citation)
        for call in calls_of(told):
            self._calls.take(call)

    def _begin_call(self, told: Mapping[str, Any], name: str) -> Call:
        return self._writer.call(call_id(told, self._hints), self._asked.names.own(name))

    def _tell(self, usage: object) -> None:
        if isinstance(usage, dict):
            self.usage = merge_usage(self.usage, read_usage(usage))

    def _start(self, fields: Mapping[str, Any]) -> None:
        if not self._writer.has_started:
            self._writer.start(message_id(fields, self._hints), model_of(fields, self._hints), self.usage)

    def _stop(self) -> None:
        choice = self._finish or {}
        reason, sequence = stop_of(
            choice.get("finish_reason"),
            choice,
            self._asked,
            has_calls=self._writer.has_calls,
            has_refused=self._has_refused,
        )
        self._writer.stop(reason, sequence, self.usage)
        self.finished = True

    def _break(self, error: StreamError) -> None:
        self.error = error
        self.finished = True
        if self.opened:
            self._writer.add(in_band_error(_CLIENT, error.body, at_boundary=True))
