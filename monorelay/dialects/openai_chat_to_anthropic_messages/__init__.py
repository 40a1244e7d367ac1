"""openai.chat → anthropic.messages: every OpenAI client on a provider that speaks Anthropic's dialect.

    request.py   the body, field by field: what is dropped and why stands at its top
    turns.py     its messages: system blocks, alternating turns, tool results before a user's words
    parts.py     their content parts: text, images, documents
    tools.py     tools and the choice among them
    answer.py    the message back: one choice
    stream.py    its events back: chunks

Thinking travels as ``reasoning_content`` for eyes, and as ``thinking_blocks`` (with signatures, untouched) in the same message: a
client that sends its messages back whole, as SDKs do, sends these too, and the upstream gets them first in their turn, as it wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.interface import Hints, Usage
from monorelay.dialects.openai_chat_to_anthropic_messages.answer import translate_answer
from monorelay.dialects.openai_chat_to_anthropic_messages.request import DROPPED, Asked, translate_request
from monorelay.dialects.openai_chat_to_anthropic_messages.stream import ChatStream
from monorelay.dialects.refusals import translate_refusal

__all__ = ["DROPPED", "TRANSLATOR"]


class ChatToMessages:
    """The pair; stateless."""

    client = "openai.chat"
    upstream = "anthropic.messages"
    native = False

    def __repr__(self) -> str:
        return f"<{self.client} to {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> ChatTranslation:
        request, lost, asked = translate_request(body, hints)
        return ChatTranslation(request, lost, asked)


class ChatTranslation:
    """Mutable: ``usage`` is known after ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: Asked) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        answer, self.usage = translate_answer(body, self._asked)
        return answer

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return translate_refusal("openai", status, body)

    def stream(self) -> ChatStream:
        return ChatStream(self._asked)


TRANSLATOR = ChatToMessages()
