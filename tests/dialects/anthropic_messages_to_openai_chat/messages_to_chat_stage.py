"""What these tests share: a translation, chunks to feed it, and a reader of client streams that knows the dialect's grammar."""

from __future__ import annotations

import json
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat import TRANSLATOR
from monorelay.dialects.interface import Hints, Translation
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.sse import read_events

USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
}


def hints(strict: bool = False, **quirks: Any) -> Hints:
    return Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(**quirks), strict)


def begin(body: dict[str, Any], strict: bool = False, **quirks: Any) -> Translation:
    whole = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
    return TRANSLATOR.begin(whole, b"", hints(strict, **quirks))


def chat(body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    """The translated request."""
    found: dict[str, Any] = json.loads(begin(body, **quirks).request)
    return found


def lost(body: dict[str, Any], **quirks: Any) -> tuple[str, ...]:
    return begin(body, **quirks).lost


def turns(*messages: dict[str, Any], **quirks: Any) -> list[dict[str, Any]]:
    """The messages that these messages become."""
    found: list[dict[str, Any]] = chat({"messages": list(messages)}, **quirks)["messages"]
    return found


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": choices, **more})


def event(data: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(data, ensure_ascii=False).encode()


def call(index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    """A delta that tells of one call."""
    function = {"name": name, "arguments": arguments}
    told: dict[str, Any] = {"function": {key: value for key, value in function.items() if value is not None}}
    if index is not None:
        told["index"] = index
    if call_id is not None:
        told["id"] = call_id
    return {"tool_calls": [told]}


DONE = b"data: [DONE]\n\n"


class Told:
    """A client's stream, read strictly: every event in its place, one block open at a time, rising indexes, an end of one kind."""

    def __init__(self, stream: bytes) -> None:
        self.message: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.is_whole = False
        self.pings = 0
        self._open: dict[str, Any] | None = None
        self._arguments = ""
        assert stream == b"".join(event.raw for event in read_events(stream)), "the stream ends inside an event"
        for each in read_events(stream):
            data = json.loads(each.data)
            assert data["type"] == each.name
            assert not self.is_whole and self.error is None, "something follows the end"
            getattr(self, f"_{each.name}")(data)
        if self.is_whole:
            assert self._open is None

    def _ping(self, data: dict[str, Any]) -> None:
        self.pings += 1

    def _message_start(self, data: dict[str, Any]) -> None:
        assert self.message is None
        self.message = data["message"]
        assert self.message["content"] == [] and self.message["stop_reason"] is None

    def _content_block_start(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is None
        assert data["index"] == len(self.message["content"])
        self._open = data["content_block"]
        self._arguments = ""
        self.message["content"].append(self._open)

    def _content_block_delta(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is not None
        assert data["index"] == len(self.message["content"]) - 1
        delta, block = data["delta"], self._open
        assert delta["type"] in _DELTAS[block["type"]]
        if delta["type"] == "input_json_delta":
            self._arguments += delta["partial_json"]
        elif delta["type"] == "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        elif delta["type"] == "signature_delta":
            block["signature"] = delta["signature"]
        else:
            block[block["type"]] += delta[block["type"]]

    def _content_block_stop(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is not None
        assert data["index"] == len(self.message["content"]) - 1
        if self._open["type"] == "tool_use":
            try:
                self._open["input"] = json.loads(self._arguments)
            except ValueError:
                self._open["input"] = {"cut": self._arguments}
        self._open = None

    def _message_delta(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is None
        self.message.update(data["delta"])
        self.message["usage"].update(data["usage"])

    def _message_stop(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self.message["stop_reason"] is not None
        self.is_whole = True

    def _error(self, data: dict[str, Any]) -> None:
        self.error = data["error"]
        assert isinstance(self.error, dict) and self.error["message"] and self.error["type"]
