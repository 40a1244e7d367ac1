"""openai.responses → openai.chat: Codex, which speaks nothing else, and the OpenAI SDKs' default, on any compatible provider.

``fields.py`` says what is dropped and why. The way up: ``request.py``, with ``turns.py`` (items) and ``parts.py`` (what they show).
The way back: ``stream.py``; a whole answer is a stream of one chunk. Each opens with its table.

The relay keeps no responses: the whole history has to come with each request, and every response says ``store: false``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Truncated, Untranslatable, Usage
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_responses_to_openai_chat.fields import DROPPED
from monorelay.dialects.openai_responses_to_openai_chat.request import Asked, translate
from monorelay.dialects.openai_responses_to_openai_chat.stream import ChatResponseStream
from monorelay.dialects.refusals import translate_refusal

__all__ = ["DROPPED", "TRANSLATOR"]


class ResponsesToChat:
    """The translator.

    >>> TRANSLATOR.begin({"input": "hi"}, b"", hints).request
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    """

    client = "openai.responses"
    upstream = "openai.chat"
    native = False

    def __repr__(self) -> str:
        return f"<ResponsesToChat {self.client} → {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> ResponsesTranslation:
        """Raises Untranslatable."""
        losses = Losses(hints.strict, DROPPED)
        try:
            chat, asked = translate(body, hints, losses)
            request = as_json(chat)
        except RecursionError as error:
            raise Untranslatable("input", "The request is nested too deeply to be translated.") from error
        return ResponsesTranslation(request, losses.names, asked)


class ResponsesTranslation:
    """Mutable: ``usage``, set by ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: Asked) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        """Raises Truncated: also where a 200 holds an error, or no answer at all."""
        try:
            fields = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise Truncated("the answer ends in the middle of its JSON") from error
        stream = ChatResponseStream(self._asked)
        if isinstance(fields, dict):
            stream.take_whole(fields)
        if stream.error is not None:
            raise Truncated(f"a success that holds an error: {stream.error.body.message}")
        if stream.whole is None or not fields.get("choices"):
            raise Truncated("the answer has no choices")
        self.usage = stream.usage
        return as_json(stream.whole)

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return translate_refusal("openai", status, body)

    def stream(self) -> ChatResponseStream:
        return ChatResponseStream(self._asked)


TRANSLATOR = ResponsesToChat()
