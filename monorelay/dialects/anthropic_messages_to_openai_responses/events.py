"""The upstream's stream as the events of one message, each as soon as it can be known.

A message's text is one block, a thought is one block, signed when it ends, a call is one block; ``MessageWriter`` keeps them from
overlapping. message_start goes out with the response's own beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.answer import message_id, model_of
from monorelay.dialects.anthropic_messages_to_openai_responses.answer import citations, signature, stop_reason, use_id, use_name
from monorelay.dialects.anthropic_messages_to_openai_responses.request import Asked
from monorelay.dialects.interface import Usage
from monorelay.dialects.messages_writer import Call, MessageWriter


class EventWriter:
    """Mutable: the message so far, in ``_writer``, and whether the model has refused."""

    __slots__ = ("_asked", "_has_refused", "_writer", "take")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._writer = MessageWriter()
        self._has_refused = False
        self.take = self._writer.take

    def __repr__(self) -> str:
        return f"<EventWriter has_content={self.has_content}>"

    @property
    def has_content(self) -> bool:
        return self._writer.has_content

    def start(self, response: Mapping[str, Any]) -> None:
        if not self._writer.has_started:
            self._writer.start(message_id(response, self._asked.hints), model_of(response, self._asked.hints), None)

    def text(self, piece: str, logprobs: object) -> None:
        self.start({})
        self._writer.text(piece)

    def refusal(self, piece: str) -> None:
        self._has_refused = True
        self.text(piece, None)

    def cite(self, annotation: Mapping[str, Any], before: int) -> None:
        for citation in citations([annotation]):
            self._writer.cite(citation)

    def think(self, piece: str) -> None:
        if self._asked.shows_thoughts:
            self.start({})
            self._writer.thinking(piece)

    def end_words(self) -> None:
        self._writer.close_words()

    def end_thought(self, item: Mapping[str, Any]) -> None:
        sealed = signature(item, self._asked)
        if sealed:
            self.start({})
            self._writer.sign(sealed)
            self._writer.close_words()

    def open_call(self, item: Mapping[str, Any]) -> Call:
        self.start({})
        return self._writer.call(use_id(item, self._asked), use_name(item, self._asked))

    def arguments(self, call: Call, piece: str) -> None:
        self._writer.arguments(call, piece)

    def end_call(self, call: Call, is_cut: bool) -> None:
        self._writer.finish_call(call)

    def end(self, response: Mapping[str, Any], incomplete: str | None, usage: Usage | None) -> None:
        reason = stop_reason(incomplete, has_calls=self._writer.has_calls, has_refused=self._has_refused)
        self._writer.stop(reason, None, usage)
