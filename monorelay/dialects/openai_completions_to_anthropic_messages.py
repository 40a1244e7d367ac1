"""openai.completions → anthropic.messages: legacy clients on a provider that speaks Anthropic's dialect.

    prompt                            one user turn; see text_completion.py for what is refused
    max_tokens                        max_tokens; where the client set none, the provider's default, not this dialect's old 16
    stop, temperature, top_p, user    stop_sequences, temperature (at most 1), top_p, metadata.user_id
    stream                            stream
    echo                              done here: the prompt comes before the answer
    n > 1                             Untranslatable

Back come the text blocks as one text, the stop reason, and usage. Thinking has no place in this dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from monorelay.dialects.envelopes import as_json, in_band_error, keepalive
from monorelay.dialects.finish_reasons import finish_reason_for
from monorelay.dialects.interface import Hints, StreamError, Truncated, Untranslatable, Usage
from monorelay.dialects.json_events import JsonEvents
from monorelay.dialects.loss import Losses
from monorelay.dialects.messages_settings import put_sampling, put_stop, put_user
from monorelay.dialects.refusals import common_error, translate_refusal
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error
from monorelay.dialects.text_completion import (
    DONE_EVENT,
    Chunks,
    asks_for_usage,
    choice,
    chooses_best,
    completion,
    completion_id,
    opening,
    read_prompt,
)
from monorelay.dialects.usage import merge_usage, read_usage
from monorelay.dialects.usage_shapes import chat_usage
from monorelay.errors import ErrorBody

DROPPED: Mapping[str, str] = MappingProxyType(
    {
        "best_of": "one answer is generated, and none is chosen among several",
        "frequency_penalty": "the upstream has no such setting",
        "presence_penalty": "the upstream has no such setting",
        "logit_bias": "it names tokens of another vocabulary",
        "logprobs": "the upstream tells no probabilities",
        "seed": "the upstream cannot repeat an answer",
        "metadata": "only its user_id has a counterpart",
        "stop": "a stop sequence must hold a visible character",
        "temperature": "the highest is 1",
    }
)
_TRANSLATED = frozenset(
    "model prompt suffix echo n best_of max_tokens stop temperature top_p top_k user safety_identifier metadata stream"
    " stream_options".split()
)


class CompletionsToMessages:
    """The pair; stateless."""

    client = "openai.completions"
    upstream = "anthropic.messages"
    native = False

    def __repr__(self) -> str:
        return f"<{self.client} to {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> CompletionsTranslation:
        prompt = read_prompt(body)
        losses = Losses(hints.strict, DROPPED)
        request = _translate_request(body, prompt, hints, losses)
        echo = prompt if body.get("echo") else ""
        try:
            return CompletionsTranslation(as_json(request), losses.names, echo, asks_for_usage(body), hints)
        except RecursionError:
            raise Untranslatable("prompt", "The request is nested too deeply.") from None


def _translate_request(body: Mapping[str, Any], prompt: str, hints: Hints, losses: Losses) -> dict[str, Any]:
    if body.get("n") not in (None, 1):
        raise Untranslatable(
            "n", "Only one choice can be asked for in anthropic.messages: send n = 1, or the request several times."
        )
    limit = body.get("max_tokens")
    out: dict[str, Any] = {
        "model": hints.model,
        "max_tokens": hints.quirks.max_tokens if limit is None else limit,
        "messages": [{"role": "user", "content": prompt}],
    }
    if chooses_best(body):
        losses.add("best_of")
    put_stop(out, body, losses)
    put_sampling(out, body, losses)
    if body.get("top_k") is not None:
        out["top_k"] = body["top_k"]
    put_user(out, body, losses)
    if body.get("stream"):
        out["stream"] = True
    for field in hints.quirks.drop:
        if out.pop(field, None) is not None:
            losses.add(field, "this provider does not take it")
    for field, value in body.items():
        if field not in _TRANSLATED and (value or (field == "logprobs" and value is not None)):
            losses.add(field)
    return out


class CompletionsTranslation:
    """Mutable: ``usage`` is known after ``answer``."""

    __slots__ = ("_asked_usage", "_echo", "_hints", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], echo: str, asked_usage: bool, hints: Hints) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._echo = echo
        self._asked_usage = asked_usage
        self._hints = hints

    def answer(self, body: bytes) -> bytes:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise Truncated("the answer ends in the middle of its JSON") from None
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            raise Truncated("the answer is no message")
        if isinstance(message.get("usage"), dict):
            self.usage = read_usage(message["usage"])
        said = [block["text"] for block in content if isinstance(block, dict) and isinstance(block.get("text"), str)]
        only = choice(0, self._echo + "".join(said), _finish_reason(message.get("stop_reason")))
        return completion(_opening(message, self._hints), [only], chat_usage(self.usage))

    def refusal(self, status: int, body: bytes) -> bytes | None:
        return translate_refusal("openai", status, body)

    def stream(self) -> CompletionsStream:
        return CompletionsStream(self._echo, self._asked_usage, self._hints)


def _opening(message: Mapping[str, Any], hints: Hints) -> dict[str, Any]:
    model = message.get("model")
    named = model if isinstance(model, str) and model else hints.model
    return opening(completion_id(message.get("id")) or hints.new_id("cmpl-"), hints.created, named)


def _finish_reason(stop_reason: object) -> str:
    reason = finish_reason_for(stop_reason)
    return "stop" if reason == "tool_calls" else reason


class CompletionsStream:
    """Mutable, changed by ``feed``, ``close`` and ``fail`` only: what was seen; ``_chunks`` once the stream has begun."""

    __slots__ = ("_asked_usage", "_chunks", "_echo", "_ended", "_events", "_hints", "error", "finished", "opened", "usage")

    at_boundary = True
    object_ids: tuple[str, ...] = ()

    def __init__(self, echo: str, asked_usage: bool, hints: Hints) -> None:
        self.opened = False
        self.finished = False
        self.error: StreamError | None = None
        self.usage: Usage | None = None
        self._echo = echo
        self._asked_usage = asked_usage
        self._hints = hints
        self._events = JsonEvents()
        self._chunks: Chunks | None = None
        self._ended = False

    def __repr__(self) -> str:
        return f"<CompletionsStream opened={self.opened} finished={self.finished}>"

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._take(name, fields) for name, fields in self._events.feed(chunk) if fields is not None])

    def close(self) -> bytes:
        failed = self.error is not None
        rest = b"".join([self._take(name, fields) for name, fields in self._events.finish() if fields is not None])
        if self.error is not None and not self.opened:
            if not failed:
                self.finished = False  # nothing was told yet, and the attempt can still fail
                raise Truncated(self.error.body.message)
            # Told after all: a relay that still asks had committed before there was content, and can try nothing else.
            return in_band_error("openai.completions", self.error.body, at_boundary=True)
        if not self.finished:
            raise Truncated("the stream ended without message_stop")
        return rest

    def fail(self, error: ErrorBody) -> bytes:
        self.finished = True
        return in_band_error("openai.completions", error, at_boundary=True)

    def keepalive(self) -> bytes:
        return keepalive("openai.completions")

    def _take(self, name: str, fields: dict[str, Any]) -> bytes:
        if self.finished:
            return b""
        kind = fields.get("type")
        if kind == "content_block_delta" or kind == "content_block_start":
            return self._content(fields.get("delta") or fields.get("content_block"))
        if kind == "error" or name == "error" or "error" in fields:
            return self._fail_by(name, fields)
        if kind == "message_start":
            message = fields.get("message")
            return self._begin(message) if isinstance(message, dict) else b""
        if kind == "message_delta":
            self._read_usage(fields.get("usage"))
            delta = fields.get("delta")
            reason = delta.get("stop_reason") if isinstance(delta, dict) else None
            return self._end(reason) if isinstance(reason, str) else b""
        return self._finish() if kind == "message_stop" else b""

    def _begin(self, message: Mapping[str, Any]) -> bytes:
        self._read_usage(message.get("usage"))
        if self._chunks is not None:
            return b""
        self._chunks = Chunks(_opening(message, self._hints))
        return self._chunks.text(self._echo) if self._echo else b""

    def _content(self, piece: object) -> bytes:
        """Text is told; anything else that is generated, thinking above all, only shows that the answer has begun."""
        if not isinstance(piece, dict):
            return b""
        text = piece.get("text")
        if not isinstance(text, str) or not text:
            self.opened = self.opened or any(piece.get(name) for name in ("thinking", "signature", "partial_json", "data", "id"))
            return b""
        self.opened = True
        start = b"" if self._chunks is not None else self._begin({})
        assert self._chunks is not None
        return start + self._chunks.text(text)

    def _end(self, reason: object) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        start = b"" if self._chunks is not None else self._begin({})
        assert self._chunks is not None
        return start + self._chunks.choices([choice(0, "", _finish_reason(reason))])

    def _finish(self) -> bytes:
        out = self._end(None)
        self.finished = self.opened = True
        usage = chat_usage(self.usage) if self._asked_usage else None
        if usage is not None and self._chunks is not None:
            out += self._chunks.usage(usage)
        return out + DONE_EVENT

    def _fail_by(self, name: str, fields: dict[str, Any]) -> bytes:
        error = find_error(Event(name, b"", b""), fields)
        if error is None:
            return b""
        self.error = StreamError(error.status, common_error(error.status, error.body))
        self.finished = True
        return self.fail(self.error.body) if self.opened else b""

    def _read_usage(self, told: object) -> None:
        if isinstance(told, dict):
            self.usage = merge_usage(self.usage, read_usage(told))


TRANSLATOR = CompletionsToMessages()
