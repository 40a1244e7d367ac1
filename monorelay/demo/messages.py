"""POST /v1/messages and /v1/messages/count_tokens: the Anthropic side's message, and its unfolding into events."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monorelay.demo import misbehaviour
from monorelay.demo.chat import read_parts
from monorelay.demo.frames import Frame, event_frame, pieces, words
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import Tool, Turn, answer, tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "stop_sequence": "stop_sequence"}
_CHOICE = {"any": "required", "tool": "required", "none": "none"}


class MessagesHandler(DemoHandler):
    dialect = "anthropic"

    async def post(self) -> None:
        body = await self.read_json("model", "messages", "max_tokens")
        message = complete(body)
        if body.get("stream"):
            await self.stream(events(message), event_frame("error", misbehaviour.failure().anthropic(self.request_id)))
        else:
            await self.answer(message)


class CountTokensHandler(DemoHandler):
    dialect = "anthropic"

    async def post(self) -> None:
        body = await self.read_json("model", "messages")
        read_turn(body)
        await self.answer({"input_tokens": count_tokens(body)})


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """The message for a request. Raises Refusal."""
    turn = read_turn(body)
    if not isinstance(turn.limit, int) or turn.limit < 0:
        raise Refusal(400, "max_tokens: must be a positive number")
    reply = answer(turn)
    content: list[dict[str, Any]] = []
    if reply.thinking:
        signature = base64.b64encode(b"signed by the demo: " + reply.thinking.encode()).decode()
        content.append({"type": "thinking", "thinking": reply.thinking, "signature": signature})
    if reply.text or not reply.calls:
        content.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        content.append({"type": "tool_use", "id": new_id("toolu_"), "name": call.name, "input": dict(call.arguments)})
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": _STOP[reply.ending],
        "stop_sequence": reply.stopped_by,
        "usage": {
            "input_tokens": count_tokens(body),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply.tokens,
            "service_tier": "standard",
        },
    }


def count_tokens(body: Mapping[str, Any]) -> int:
    """What a prompt costs: its messages, system prompt and tools."""
    return tokens(*(json.dumps(body[part], ensure_ascii=False) for part in ("messages", "system", "tools") if body.get(part)))


def events(message: Mapping[str, Any]) -> list[Frame]:
    """The message as a stream: a start, one block after the other, the reason for stopping, a stop."""
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
    frames = [event_frame("message_start", {"type": "message_start", "message": opening})]
    for index, block in enumerate(message["content"]):
        empty, deltas = _unfolded(block)
        start = {"type": "content_block_start", "index": index, "content_block": empty}
        frames.append(event_frame("content_block_start", start, content=block["type"] == "tool_use"))
        if index == 0:
            frames.append(event_frame("ping", {"type": "ping"}))
        for delta in deltas:
            payload = {"type": "content_block_delta", "index": index, "delta": delta}
            frames.append(event_frame("content_block_delta", payload, content=True))
        frames.append(event_frame("content_block_stop", {"type": "content_block_stop", "index": index}))
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    spent = {name: usage[name] for name in usage if name.endswith("_tokens")}
    frames.append(event_frame("message_delta", {"type": "message_delta", "delta": delta, "usage": spent}))
    frames.append(event_frame("message_stop", {"type": "message_stop"}))
    return frames


def _unfolded(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it opens, and its deltas."""
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": word} for word in words(block["thinking"])]
        return {**block, "thinking": "", "signature": ""}, [*deltas, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "tool_use":
        arguments = json.dumps(block["input"], ensure_ascii=False)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(arguments))]
    return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in words(block["text"])]


def read_turn(body: Mapping[str, Any]) -> Turn:
    """What a messages request asks. Raises Refusal 400."""
    messages = body["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Refusal(400, "messages: must be a non-empty list of objects")
    # A role: system message may stand anywhere, also last; it is never what is to be answered.
    spoken = [message for message in messages if message.get("role") != "system"]
    last = spoken[-1] if spoken else {}
    users = [message for message in spoken if message.get("role") == "user"]
    text, images = read_parts(users[-1].get("content")) if users else ("", 0)
    choice = body.get("tool_choice") or {}
    return Turn(
        model=body["model"],
        text=text,
        images=images,
        results=tuple(_results(last, spoken)),
        tools=tuple(_tools(body.get("tools") or ())),
        choice=_CHOICE.get(choice.get("type"), "auto"),  # type: ignore[arg-type]
        forced=choice.get("name") if choice.get("type") == "tool" else None,
        parallel=not choice.get("disable_parallel_tool_use"),
        json_schema=_json_schema(body),
        limit=body.get("max_tokens"),
        stops=body.get("stop_sequences") or (),
        thinks=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
    )


def _results(last: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """(tool, output) of the results in the last message."""
    names = {block.get("id"): block.get("name") for message in messages for block in _blocks(message)}
    for block in _blocks(last):
        if block.get("type") == "tool_result":
            yield names.get(block.get("tool_use_id")) or "?", read_parts(block.get("content"))[0]


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _tools(tools: Iterable[Any]) -> Iterable[Tool]:
    """The client's own tools; those that a server runs (web search and the like) the demo does not have."""
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type", "custom") == "custom" and isinstance(tool.get("name"), str):
            yield Tool(tool["name"], tool.get("input_schema") or {"type": "object"})


def _json_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or {}
    return wanted.get("schema") or {} if wanted.get("type") == "json_schema" else None
