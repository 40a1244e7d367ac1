"""anthropic.messages → openai.chat: Claude Code and the Anthropic SDKs on any OpenAI-compatible provider.

``fields.py`` says what is dropped and why. The way up: ``request.py``, with ``turns.py`` (messages), ``parts.py`` (what they show),
``calls.py`` (of tools), ``tools.py`` and ``thinking.py``. The way back: ``answer.py``, ``stream.py``, and ``errors.py``. Each opens
with its table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.answer import message_of
from monorelay.dialects.anthropic_messages_to_openai_chat.errors import error_in, refusal
from monorelay.dialects.anthropic_messages_to_openai_chat.fields import DROPPED
from monorelay.dialects.anthropic_messages_to_openai_chat.request import Asked, translate
from monorelay.dialects.anthropic_messages_to_openai_chat.stream import MessageStream
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Truncated, Untranslatable, Usage
from monorelay.dialects.loss import Losses
from monorelay.dialects.usage import read_usage

__all__ = ["DROPPED", "TRANSLATOR"]


class MessagesToChat:
    """The translator.

    >>> TRANSLATOR.begin({"messages": [{"role": "user", "content": "hi"}]}, b"", hints).request
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    """

    client = "anthropic.messages"
    upstream = "openai.chat"
    native = False

    def __repr__(self) -> str:
        return f"<MessagesToChat {self.client} → {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> ChatTranslation:
        """Raises Untranslatable."""
        losses = Losses(hints.strict, DROPPED)
        try:
            asked = translate(body, hints, losses)
            request = as_json(asked.chat)
        except RecursionError as error:
            raise Untranslatable("messages", "The request is nested too deeply to be translated.") from error
        return ChatTranslation(request, losses.names, asked, hints)


class ChatTranslation:
    """Mutable: ``usage``, set by ``answer``."""

    __slots__ = ("_asked", "_hints", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: Asked, hints: Hints) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked
        self._hints = hints

    def answer(self, body: bytes) -> bytes:
        """Raises Truncated: also where a 200 holds an error, or no answer at all."""
        try:
            fields = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise Truncated("the answer ends in the middle of its JSON") from error
        if not isinstance(fields, dict):
            raise Truncated("the answer is no JSON object")
        failure = error_in("", fields)
        if failure is not None:
            raise Truncated(f"a success that holds an error: {failure.body.message}")
        choices = fields.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            raise Truncated("the answer has no choices")
        usage = fields.get("usage")
        self.usage = read_usage(usage) if isinstance(usage, dict) else None
        return as_json(message_of(fields, choice, self.usage, self._asked, self._hints))

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return refusal(status, body)

    def stream(self) -> MessageStream:
        return MessageStream(self._asked, self._hints)


TRANSLATOR = MessagesToChat()
