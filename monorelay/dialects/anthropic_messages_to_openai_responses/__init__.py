"""anthropic.messages → openai.responses: Claude Code and the Anthropic SDKs on models that answer nowhere else.

``fields.py`` says what is dropped and why. The way up: ``request.py``, with ``turns.py`` (messages). The way back: ``answer.py``
and ``events.py``. What blocks show, tools and errors are told as on the way to openai.chat, and taken from there.

Thinking travels in a block's signature: the whole reasoning item, which its maker takes back under its own id only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.errors import error_in, refusal
from monorelay.dialects.anthropic_messages_to_openai_responses.answer import message_of
from monorelay.dialects.anthropic_messages_to_openai_responses.events import EventWriter
from monorelay.dialects.anthropic_messages_to_openai_responses.fields import DROPPED
from monorelay.dialects.anthropic_messages_to_openai_responses.request import Asked, translate
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Untranslatable, Usage
from monorelay.dialects.loss import Losses
from monorelay.dialects.responses_output import read_response
from monorelay.dialects.responses_reader import ResponsesReader
from monorelay.dialects.usage import read_usage

__all__ = ["DROPPED", "TRANSLATOR"]


class MessagesToResponses:
    """The translator; stateless.

    >>> TRANSLATOR.begin({"messages": [{"role": "user", "content": "hi"}]}, b"", hints).request
    b'{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"hi"}]}'
    """

    client = "anthropic.messages"
    upstream = "openai.responses"
    native = False

    def __repr__(self) -> str:
        return f"<MessagesToResponses {self.client} → {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> MessagesTranslation:
        """Raises Untranslatable."""
        losses = Losses(hints.strict, DROPPED)
        try:
            told, asked = translate(body, hints, losses)
            request = as_json(told)
        except RecursionError as error:
            raise Untranslatable("messages", "The request is nested too deeply to be translated.") from error
        return MessagesTranslation(request, losses.names, asked)


class MessagesTranslation:
    """Mutable: ``usage``, set by ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: Asked) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        """Raises Truncated: also where a 200 holds an error, or no answer at all."""
        response = read_response(body)
        told = response.get("usage")
        self.usage = read_usage(told) if isinstance(told, dict) else None
        return as_json(message_of(response, self.usage, self._asked))

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return refusal(status, body)

    def stream(self) -> ResponsesReader:
        return ResponsesReader("anthropic.messages", EventWriter(self._asked), error_in)


TRANSLATOR = MessagesToResponses()
