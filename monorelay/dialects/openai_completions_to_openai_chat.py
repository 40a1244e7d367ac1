"""openai.completions → openai.chat: legacy clients on a provider whose models only converse.

    prompt           one user message; see text_completion.py for what is refused
    max_tokens       the provider's field for it; without one there is no limit, not this dialect's old 16
    logprobs         logprobs and top_logprobs; told back in this dialect's four lists
    echo             done here: the prompt comes before each choice
    stream_options   usage is asked for and, where the client did not ask, kept from it
    all others       as they are: the dialects share them, and a provider's own are for the provider

Back come each choice's content (or refusal) as its text, and usage as it was told. Reasoning and tool calls have no place here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from monorelay.dialects.envelopes import as_json, in_band_error, keepalive
from monorelay.dialects.interface import Hints, StreamError, Truncated, Untranslatable, Usage
from monorelay.dialects.json_events import JsonEvents
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat import ROLE_ONLY
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error, read_error
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
from monorelay.errors import ErrorBody

DROPPED: Mapping[str, str] = MappingProxyType(
    {"best_of": "as many are generated as are returned, and none is chosen among several"}
)
_TRANSLATED = frozenset("model prompt suffix echo best_of max_tokens logprobs stream_options".split())
_FINISH_REASONS = {"length": "length", "content_filter": "content_filter"}


class CompletionsToChat:
    """The pair; stateless."""

    client = "openai.completions"
    upstream = "openai.chat"
    native = False

    def __repr__(self) -> str:
        return f"<{self.client} to {self.upstream}>"

    def begin(self, body: Mapping[str, Any], raw: bytes, hints: Hints) -> CompletionsTranslation:
        prompt = read_prompt(body)
        losses = Losses(hints.strict, DROPPED)
        request = _translate_request(body, prompt, hints, losses)
        try:
            return CompletionsTranslation(as_json(request), losses.names, _Asked(body, prompt, hints))
        except RecursionError:
            raise Untranslatable("prompt", "The request is nested too deeply.") from None


def _translate_request(body: Mapping[str, Any], prompt: str, hints: Hints, losses: Losses) -> dict[str, Any]:
    quirks = hints.quirks
    out: dict[str, Any] = {"model": hints.model, "messages": [{"role": "user", "content": prompt}]}
    out |= {field: value for field, value in body.items() if field not in _TRANSLATED}
    if body.get("max_tokens") is not None:
        out[quirks.max_tokens_field] = body["max_tokens"]
    logprobs = body.get("logprobs")
    if logprobs is not None and logprobs is not False:
        out["logprobs"] = True
        if logprobs is not True and logprobs != 0:
            out["top_logprobs"] = logprobs
    if body.get("stream") and quirks.include_usage == "ask":
        told = body.get("stream_options")
        out["stream_options"] = {**(told if isinstance(told, dict) else {}), "include_usage": True}
    if chooses_best(body):
        losses.add("best_of")
    for field in quirks.drop:
        if out.pop(field, None) is not None:
            losses.add(field, "this provider does not take it")
    return out


class _Asked:
    """What the way back must know of the request. ``begins_at``: where an answer begins, counted from the prompt."""

    __slots__ = ("begins_at", "choices", "echo", "hints", "usage")

    def __init__(self, body: Mapping[str, Any], prompt: str, hints: Hints) -> None:
        n = body.get("n")
        self.choices = n if isinstance(n, int) and n > 1 else 1
        self.echo = prompt if body.get("echo") else ""
        self.begins_at = len(prompt)
        self.usage = asks_for_usage(body)
        self.hints = hints


class CompletionsTranslation:
    """Mutable: ``usage`` is known after ``answer``."""

    __slots__ = ("_asked", "lost", "request", "usage")

    def __init__(self, request: bytes, lost: tuple[str, ...], asked: _Asked) -> None:
        self.request = request
        self.lost = lost
        self.usage: Usage | None = None
        self._asked = asked

    def answer(self, body: bytes) -> bytes:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise Truncated("the answer ends in the middle of its JSON") from None
        told = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(told, list):
            raise Truncated("the answer is no chat completion")
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.usage = read_usage(usage)
        choices = [self._choice(position, each) for position, each in enumerate(told) if isinstance(each, dict)]
        return completion(_opening(answer, self._asked.hints), choices, usage)

    def refusal(self, status: int, body: bytes) -> bytes | None:
        """The same envelope, so the same bytes."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(fields, dict) and isinstance(fields.get("error"), dict) else None

    def stream(self) -> CompletionsStream:
        return CompletionsStream(self._asked)

    def _choice(self, position: int, told: Mapping[str, Any]) -> dict[str, Any]:
        message = told.get("message")
        text = _text_of(message) if isinstance(message, dict) else ""
        reason = told.get("finish_reason")
        logprobs, _ = _logprobs(told.get("logprobs"), self._asked.begins_at)
        return choice(told.get("index", position), self._asked.echo + text, _finish_reason(reason), logprobs)


class CompletionsStream:
    """Mutable, changed by ``feed``, ``close`` and ``fail`` only: what was seen, and for each choice where its next token stands."""

    __slots__ = (
        "_asked",
        "_chunks",
        "_ended",
        "_events",
        "_offsets",
        "_told_usage",
        "error",
        "finished",
        "opened",
        "usage",
    )

    at_boundary = True
    object_ids: tuple[str, ...] = ()

    def __init__(self, asked: _Asked) -> None:
        self.opened = False
        self.finished = False
        self.error: StreamError | None = None
        self.usage: Usage | None = None
        self._asked = asked
        self._events = JsonEvents()
        self._chunks: Chunks | None = None
        self._ended: set[int] = set()  # choices that told why they stopped
        self._offsets: dict[int, int] = {}
        self._told_usage: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<CompletionsStream opened={self.opened} finished={self.finished}>"

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._take(name, fields) for name, fields in self._events.feed(chunk)])

    def close(self) -> bytes:
        failed = self.error is not None
        rest = b"".join([self._take(name, fields) for name, fields in self._events.finish()])
        if self.error is not None and not self.opened:
            if not failed:
                self.finished = False  # nothing was told yet, and the attempt can still fail
                raise Truncated(self.error.body.message)
            # Told after all: a relay that still asks had committed before there was content, and can try nothing else.
            return in_band_error("openai.completions", self.error.body, at_boundary=True)
        if not (self.finished or self._is_all_told):
            raise Truncated("the stream ended without [DONE] or a finish_reason")
        return rest + self._finish()

    def fail(self, error: ErrorBody) -> bytes:
        """The error; but where every choice had told its end, nothing is missing, and the stream just ends."""
        if self._is_all_told:
            return self._finish()
        self.finished = True
        return in_band_error("openai.completions", error, at_boundary=True)

    def keepalive(self) -> bytes:
        return keepalive("openai.completions")

    @property
    def _is_all_told(self) -> bool:
        return len(self._ended) >= self._asked.choices

    def _take(self, name: str, fields: dict[str, Any] | None) -> bytes:
        if self.finished:
            return b""
        if fields is None:
            return self._finish()
        if "error" in fields or name == "error" or fields.get("object") == "error":
            error = find_error(Event(name, b"", b""), fields)
            if error is not None:
                return self._fail_by(error)
        usage = fields.get("usage")
        if isinstance(usage, dict):
            self._told_usage = usage
            self.usage = merge_usage(self.usage, read_usage(usage))
        told = fields.get("choices")
        if not isinstance(told, list) or not told:
            return b""
        if self._chunks is None:
            self._chunks = Chunks(_opening(fields, self._asked.hints))
        choices: list[dict[str, Any]] = []
        for each in told:
            if isinstance(each, dict):
                if isinstance(each.get("error"), dict):
                    return self._fail_by(read_error(each["error"]))
                choices += self._choice(each)
        return self._chunks.choices(choices) if choices else b""

    def _choice(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What one choice of a chunk says; nothing where it says nothing that this dialect has a place for."""
        index = told.get("index", 0)
        if not isinstance(index, int):
            return []
        delta = told.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        text = _text_of(delta)
        reason = told.get("finish_reason")
        ends = isinstance(reason, str) and reason != ""
        begun = index in self._offsets
        logprobs, self._offsets[index] = _logprobs(told.get("logprobs"), self._offsets.get(index, self._asked.begins_at))
        if any(value for key, value in delta.items() if key not in ROLE_ONLY):
            self.opened = True
        if ends:
            self._ended.add(index)
            if self._is_all_told:
                self.opened = True
        if not begun:
            text = self._asked.echo + text
        return [choice(index, text, _finish_reason(reason) if ends else None, logprobs)] if text or ends or logprobs else []

    def _finish(self) -> bytes:
        if self.finished:
            return b""
        self.finished = self.opened = True
        usage = b""
        if self._asked.usage and self._told_usage is not None:
            usage = (self._chunks or Chunks(_opening({}, self._asked.hints))).usage(self._told_usage)
        return usage + DONE_EVENT

    def _fail_by(self, error: StreamError) -> bytes:
        self.error = error
        self.finished = True
        return in_band_error("openai.completions", error.body, at_boundary=True) if self.opened else b""


def _opening(answer: Mapping[str, Any], hints: Hints) -> dict[str, Any]:
    created, model = answer.get("created"), answer.get("model")
    found = opening(
        completion_id(answer.get("id")) or hints.new_id("cmpl-"),
        created if isinstance(created, int) else hints.created,
        model if isinstance(model, str) and model else hints.model,
    )
    if isinstance(answer.get("system_fingerprint"), str):
        found["system_fingerprint"] = answer["system_fingerprint"]
    return found


def _text_of(message: Mapping[str, Any]) -> str:
    """What a message or a delta says to a reader."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in parts if isinstance(text, str))
    if isinstance(content, str) and content:
        return content
    refusal = message.get("refusal")
    return refusal if isinstance(refusal, str) else ""


def _finish_reason(reason: object) -> str:
    return _FINISH_REASONS.get(reason, "stop") if isinstance(reason, str) else "stop"


def _logprobs(told: object, offset: int) -> tuple[dict[str, Any] | None, int]:
    """One object per token becomes four lists; and where the next token stands, counted in characters from the prompt's first."""
    entries = told.get("content") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not entries:
        return None, offset
    found: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        token = str(entry.get("token", ""))
        top = entry.get("top_logprobs")
        ranked = (
            {str(each.get("token")): each.get("logprob") for each in top if isinstance(each, dict)} if isinstance(top, list) else {}
        )
        found["tokens"].append(token)
        found["token_logprobs"].append(entry.get("logprob"))
        found["top_logprobs"].append(ranked)
        found["text_offset"].append(offset)
        offset += len(token)
    return found, offset


TRANSLATOR = CompletionsToChat()
