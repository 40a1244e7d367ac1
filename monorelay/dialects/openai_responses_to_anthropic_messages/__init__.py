"""openai.responses → anthropic.messages: Codex, and the OpenAI SDKs' default, on a provider that speaks Anthropic's dialect.

``fields.py`` says what is dropped and why, ``request.py`` what becomes of a request, ``stream.py`` what becomes of the answer; a
whole answer is told as a stream. Each opens with its table.

Thinking travels as reasoning items: its text as a summary for eyes, and the signed block itself as ``encrypted_content``, which
clients return untouched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Truncated, Untranslatable, Usage
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_responses_to_anthropic_messages.fields import DROPPED
from monorelay.dialects.openai_responses_to_anthropic_messages.request import AskedMessages, translate
from monorelay.dialects.openai_responses_to_anthropic_messages.stream import MessagesResponseStream
from monorelay.dialects.refusals import translate_refusal
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error

__all__ = ["DROPPED", "TRANSLATOR"]


class ResponsesToMessages:
    """The translator.

    >>> TRANSLATOR.begin({"input": "hi"}, b"", hints).request
    b'{"model":"m","max_tokens":4096,"messages":[{"role":"user","content":"hi"}]}'
    """

    client = "openai.responses"
    upstream = "anthropic.messages"
    native = False

    def __repr__(self) -> str:
        return f"<ResponsesToMessages {self.client} → {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> ResponsesTranslation:
        """Raises Untranslatable."""
        losses = Losses(hints.strict, DROPPED)
        try:
            request, asked = translate(body, raw, hints, losses)
        except RecursionError as error:
            raise Untranslatable("input", "The request is nested too deeply to be translated.") from error
        return ResponsesTranslation(request, losses.names, asked)


class ResponsesTranslation:
    """Mutable: ``usage``, set by ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: AskedMessages) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        """Raises Truncated: also where a 200 holds an error, or no message at all."""
        try:
            message = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise Truncated("the answer ends in the middle of its JSON") from error
        failure = find_error(Event("", b"", b""), message) if isinstance(message, dict) else None
        if failure is not None:
            raise Truncated(f"a success that holds an error: {failure.body.message}")
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise Truncated("the answer is no message")
        stream = MessagesResponseStream(self._asked)
        stream.take_whole(message)
        self.usage = stream.usage
        return as_json(stream.whole)

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return translate_refusal("openai", status, body)

    def stream(self) -> MessagesResponseStream:
        return MessagesResponseStream(self._asked)


TRANSLATOR = ResponsesToMessages()
