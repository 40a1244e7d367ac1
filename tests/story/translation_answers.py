"""What upstreams answer: the same thing whole and as the events of a stream, as the vendors' servers send them.

chat_says({"content": "hi"}, "stop")                       a chat.completion, and its chunks
messages_say([{"type": "text", "text": "hi"}], "end_turn") a message, and its events
Said({…}, [b"data: …"])                                    anything else, event by event

Texts are cut into pieces of a few characters, so that they fall apart inside words, escapes and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Said:
    whole: Any = None
    events: Sequence[bytes] = field(default_factory=tuple)

    def with_events(self, change: Any) -> Said:
        """``change`` is given the list of events and returns another."""
        return Said(self.whole, list(change(list(self.events))))


def pieces(text: str, size: int = 5) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


# ---------------------------------------------------------------------- openai.chat

CHAT_USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 12,
    "total_tokens": 52,
    "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 5,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_CHAT = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "created": 1741569952, "model": "up-model-2026-08-07"}


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One chunk of a chat stream; without a delta one without choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"object": "chat.completion.chunk", "service_tier": "default", "system_fingerprint": "fp_44709d6fcb"}
    return data({**_CHAT, **head, "choices": choices, **more})


def call(name: str, arguments: str, call_id: str = "call_abc123") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_says(
    message: Mapping[str, Any],
    finish: str = "stop",
    usage: Mapping[str, Any] | None = CHAT_USAGE,
    **choice: Any,
) -> Said:
    """A completion; ``choice`` are more fields of its choice. Its calls are streamed one after the other, as OpenAI does."""
    whole: dict[str, Any] = {
        **_CHAT,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message},
                "logprobs": None,
                "finish_reason": finish,
                **choice,
            }
        ],
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }
    events = [chunk({"role": "assistant", "content": "", "refusal": None}, usage=None)]
    events += [chunk(delta, usage=None) for delta in _deltas(message)]
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish, **choice}
    events.append(chunk(None, choices=[last], usage=None))
    if usage is not None:
        whole["usage"] = usage
        events.append(chunk(None, usage=usage))
    return Said(whole, [*events, DONE])


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("reasoning_content", "reasoning", "content", "refusal"):
        for piece in pieces(message.get(name) or ""):
            yield {name: piece}
    if message.get("annotations"):
        yield {"annotations": message["annotations"]}
    for index, each in enumerate(message.get("tool_calls") or ()):
        function = each["function"]
        yield {"tool_calls": [{"index": index, **each, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


# ---------------------------------------------------------------------- anthropic.messages

MESSAGES_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 23,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 12,
    "service_tier": "standard",
}
_MESSAGE = {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "up-model-20260514"}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    value = {"type": kind, **fields}
    return f"event: {kind}\ndata: ".encode() + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def message_start(usage: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    message = {**_MESSAGE, "content": [], "stop_reason": None, "stop_sequence": None, **more}
    return event("message_start", message={**message, "usage": {**MESSAGES_USAGE, "output_tokens": 1, **(usage or {})}})


def block_start(index: int, block: Mapping[str, Any]) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def block_stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def message_end(reason: str, sequence: str | None = None, usage: Mapping[str, Any] | None = None, **more: Any) -> list[bytes]:
    told = {"output_tokens": 12} if usage is None else usage
    ending = event("message_delta", delta={"stop_reason": reason, "stop_sequence": sequence, **more}, usage=told)
    return [ending, event("message_stop")]


def messages_say(
    content: Sequence[Mapping[str, Any]],
    reason: str = "end_turn",
    sequence: str | None = None,
    usage: Mapping[str, Any] = MESSAGES_USAGE,
    **more: Any,
) -> Said:
    """A message; ``more`` are more fields of it that a stream tells at its end. A ping comes where Anthropic sends it."""
    whole = {**_MESSAGE, "content": content, "stop_reason": reason, "stop_sequence": sequence, **more, "usage": usage}
    events = [message_start(), PING]
    for index, block in enumerate(content):
        events += _block_events(index, block)
    told = {key: value for key, value in usage.items() if key not in ("cache_creation", "service_tier")}
    return Said(whole, [*events, *message_end(reason, sequence, told, **more)])


def _block_events(index: int, block: Mapping[str, Any]) -> Iterable[bytes]:
    kind = block["type"]
    if kind == "text":
        yield block_start(index, {"type": "text", "text": "", **({"citations": []} if "citations" in block else {})})
        yield from (delta(index, "text_delta", text=piece) for piece in pieces(block["text"]))
        yield from (delta(index, "citations_delta", citation=each) for each in block.get("citations") or ())
    elif kind == "thinking":
        yield block_start(index, {"type": "thinking", "thinking": "", "signature": ""})
        yield from (delta(index, "thinking_delta", thinking=piece) for piece in pieces(block["thinking"]))
        yield delta(index, "signature_delta", signature=block["signature"])
    elif kind in ("tool_use", "server_tool_use"):
        yield block_start(index, {**block, "input": {}})
        yield delta(index, "input_json_delta", partial_json="")
        if block["input"]:
            text = json.dumps(block["input"], ensure_ascii=False)
            yield from (delta(index, "input_json_delta", partial_json=piece) for piece in pieces(text))
    else:
        yield block_start(index, block)
    yield block_stop(index)


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def thinking(thought: str, signature: str = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h") -> dict[str, Any]:
    return {"type": "thinking", "thinking": thought, "signature": signature}


def use(name: str, given: Mapping[str, Any], use_id: str = "toolu_01A09q90qw90lq917835lq9") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}
