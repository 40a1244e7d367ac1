"""openai.chat → openai.responses: chat clients on models that answer nowhere else.

    request.py   the body, field by field: what is dropped and why stands at its top
    turns.py     its messages: instructions, and items of the input
    thoughts.py  reasoning, which travels in ``reasoning_details``, both ways
    answer.py    the response back: one choice
    chunks.py    its events back: chunks

The relay keeps no responses: the upstream is asked to keep none either, and gets the whole history with each request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.interface import Hints, Usage
from monorelay.dialects.openai_chat_to_openai_responses.answer import translate_answer
from monorelay.dialects.openai_chat_to_openai_responses.chunks import ChunkWriter
from monorelay.dialects.openai_chat_to_openai_responses.request import DROPPED, Asked, translate_request
from monorelay.dialects.refusals import translate_refusal
from monorelay.dialects.responses_reader import ResponsesReader

__all__ = ["DROPPED", "TRANSLATOR"]


class ChatToResponses:
    """The pair; stateless.

    >>> TRANSLATOR.begin({"messages": [{"role": "user", "content": "hi"}]}, b"", hints).request
    b'{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"hi"}]}'
    """

    client = "openai.chat"
    upstream = "openai.responses"
    native = False

    def __repr__(self) -> str:
        return f"<ChatToResponses {self.client} → {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> ChatTranslation:
        """Raises Untranslatable."""
        request, lost, asked = translate_request(body, hints)
        return ChatTranslation(request, lost, asked)


class ChatTranslation:
    """Mutable: ``usage``, set by ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: Asked) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        """Raises Truncated: also where a 200 holds an error, or no answer at all."""
        answer, self.usage = translate_answer(body, self._asked)
        return answer

    def refusal(self, status: int, body: bytes) -> bytes | None:
        """As it is, because both dialects have the same error object; one without a message is given one."""
        translated = translate_refusal("openai", status, body)
        if translated is None:
            return None
        message = json.loads(body)["error"].get("message")
        return body if isinstance(message, str) and message else translated

    def stream(self) -> ResponsesReader:
        return ResponsesReader("openai.chat", ChunkWriter(self._asked))


TRANSLATOR = ChatToResponses()
