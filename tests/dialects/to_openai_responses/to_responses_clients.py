"""Readers of client streams that know their dialect's grammar, and put the answer together again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from to_responses_stage import CHAT

from monorelay.dialects.sse import read_events


class ChatTold:
    """A chat stream, read strictly and put together again: one start, pieces by index, one end, usage behind it, [DONE]."""

    def __init__(self, stream: bytes) -> None:
        self.answer: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.is_whole = False
        events = read_events(stream)
        assert stream == b"".join(each.raw for each in events), "the stream ends inside an event"
        for each in events:
            if each.raw.startswith(b":"):
                continue
            assert each.name == "" and not self.is_whole and self.error is None, "something follows the end"
            if each.data == b"[DONE]":
                self.is_whole = True
                continue
            data = json.loads(each.data)
            if "error" in data:
                self.error = data["error"]
            else:
                self._take(data)
        if self.is_whole:
            assert self.answer is not None
            choice = self.answer["choices"][0]
            assert choice["finish_reason"] is not None
            said = choice["message"]
            if not said["content"] and (said.keys() & {"tool_calls", "function_call"} or said["refusal"]):
                said["content"] = None

    def _take(self, data: dict[str, Any]) -> None:
        choices, usage = data.pop("choices"), data.pop("usage", None)
        assert data.pop("object") == "chat.completion.chunk"
        if self.answer is None:
            begun = {"index": 0, "message": {}, "logprobs": None, "finish_reason": None}
            self.answer = {**data, "object": "chat.completion", "choices": [begun]}
            assert choices[0]["delta"].pop("role") == "assistant"
            self.answer["choices"][0]["message"]["role"] = "assistant"
        assert {name: self.answer[name] for name in data} == data and "usage" not in self.answer
        choice = self.answer["choices"][0]
        if usage is not None:
            assert choices == [] and choice["finish_reason"] is not None
            self.answer["usage"] = usage
            return
        assert len(choices) == 1 and choices[0]["index"] == 0 and choice["finish_reason"] is None
        choice["message"] = _grown(choice["message"], choices[0]["delta"])
        choice["logprobs"] = _grown(choice["logprobs"], choices[0]["logprobs"])
        choice["finish_reason"] = choices[0]["finish_reason"]


def _grown(value: Any, piece: Any) -> Any:
    """Texts are joined, objects grow field by field, lists by the index of what is in them."""
    if isinstance(piece, list):
        found = list(value or ())
        for each in piece:
            if not isinstance(each, dict) or "index" not in each or each["index"] == len(found):
                found.append(each)
            else:
                found[each["index"]] = _grown(found[each["index"]], each)
        return found
    if value is None or piece is None:
        return value if piece is None else piece
    if isinstance(piece, str):
        return value + piece
    assert isinstance(piece, dict)
    return {**value, **{key: each if key in ("index", "type") else _grown(value.get(key), each) for key, each in piece.items()}}


def without_indexes(value: Any) -> Any:
    """What an answer says, without what only its pieces need."""
    if isinstance(value, dict):
        unnumbered = value.keys() & {"function", "custom", "url_citation", "format"}
        return {key: without_indexes(each) for key, each in value.items() if key != "index" or not unnumbered}
    return [without_indexes(each) for each in value] if isinstance(value, list) else value


class MessageTold:
    """A stream of messages, read strictly: every event in its place, one block open at a time, rising indexes, one end."""

    _DELTAS: Mapping[str, frozenset[str]] = {
        "text": frozenset({"text_delta", "citations_delta"}),
        "thinking": frozenset({"thinking_delta", "signature_delta"}),
        "tool_use": frozenset({"input_json_delta"}),
    }

    def __init__(self, stream: bytes) -> None:
        self.answer: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.is_whole = False
        self._open: dict[str, Any] | None = None
        self._arguments = ""
        assert stream == b"".join(each.raw for each in read_events(stream)), "the stream ends inside an event"
        for each in read_events(stream):
            data = json.loads(each.data)
            assert data["type"] == each.name
            assert not self.is_whole and self.error is None, "something follows the end"
            getattr(self, f"_{each.name}")(data)
        assert not (self.is_whole and self._open)

    def _ping(self, data: dict[str, Any]) -> None:
        pass

    def _message_start(self, data: dict[str, Any]) -> None:
        assert self.answer is None
        self.answer = data["message"]
        assert self.answer["content"] == [] and self.answer["stop_reason"] is None

    def _content_block_start(self, data: dict[str, Any]) -> None:
        assert self.answer is not None and self._open is None
        assert data["index"] == len(self.answer["content"])
        self._open, self._arguments = data["content_block"], ""
        self.answer["content"].append(self._open)

    def _content_block_delta(self, data: dict[str, Any]) -> None:
        assert self.answer is not None and self._open is not None
        assert data["index"] == len(self.answer["content"]) - 1
        delta, block = data["delta"], self._open
        assert delta["type"] in self._DELTAS[block["type"]]
        if delta["type"] == "input_json_delta":
            self._arguments += delta["partial_json"]
        elif delta["type"] == "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        elif delta["type"] == "signature_delta":
            assert block["signature"] == ""
            block["signature"] = delta["signature"]
        else:
            block[block["type"]] += delta[block["type"]]

    def _content_block_stop(self, data: dict[str, Any]) -> None:
        assert self.answer is not None and self._open is not None
        assert data["index"] == len(self.answer["content"]) - 1
        if self._open["type"] == "tool_use":
            try:
                self._open["input"] = json.loads(self._arguments)
            except ValueError:
                self._open["input"] = {"INVALID_JSON": self._arguments}
        self._open = None

    def _message_delta(self, data: dict[str, Any]) -> None:
        assert self.answer is not None and self._open is None
        self.answer.update(data["delta"])
        self.answer["usage"] = data["usage"]

    def _message_stop(self, data: dict[str, Any]) -> None:
        assert self.answer is not None and self.answer["stop_reason"] is not None
        self.is_whole = True

    def _error(self, data: dict[str, Any]) -> None:
        self.error = data["error"]
        assert isinstance(self.error, dict) and self.error["message"] and self.error["type"]


def told(pair: str, stream: bytes) -> ChatTold | MessageTold:
    return ChatTold(stream) if pair == CHAT else MessageTold(stream)
