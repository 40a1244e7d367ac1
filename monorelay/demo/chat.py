"""POST /v1/chat/completions: the answer as one object, and unfolded into chunks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monorelay.demo import misbehaviour
from monorelay.demo.frames import DONE, Frame, data_frame, pieces, words
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import Reply, Tool, Turn, answer, tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_MOST_CHOICES = 8
_FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tools": "tool_calls"}


class ChatHandler(DemoHandler):
    async def post(self) -> None:
        body = await self.read_json("model", "messages")
        completion = complete(body)
        if not body.get("stream"):
            await self.answer(completion)
            return
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        await self.stream(chunks(completion, include_usage), data_frame(misbehaviour.failure().openai()))


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat.completion for a request. Raises Refusal."""
    turn = read_turn(body)
    count = body.get("n") or 1
    if not isinstance(count, int) or not 1 <= count <= _MOST_CHOICES:
        raise Refusal(400, f"n must be between 1 and {_MOST_CHOICES}.", param="n")
    reply = answer(turn)
    return {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": turn.model,
        "choices": [_choice(index, reply) for index in range(count)],
        "usage": usage(tokens(str(body["messages"])), reply.tokens * count),
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _choice(index: int, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
    if reply.calls:
        message["tool_calls"] = [
            {"id": new_id("call_"), "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for call in reply.calls
        ]
    else:
        message["content"] = reply.text
    return {"index": index, "message": message, "logprobs": None, "finish_reason": _FINISH[reply.ending]}


def chunks(completion: Mapping[str, Any], include_usage: bool) -> list[Frame]:
    """The completion as a stream: a role chunk, deltas, a finish chunk, the usage when asked for, [DONE]."""
    frames: list[Frame] = []
    head = {name: completion[name] for name in ("id", "created", "model", "service_tier", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    if include_usage:
        head["usage"] = None

    def send(index: int, delta: Mapping[str, Any], finish: str | None = None, content: bool = False) -> None:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        frames.append(data_frame({**head, "choices": [choice]}, content=content))

    for choice in completion["choices"]:
        index, message = choice["index"], choice["message"]
        send(index, {"role": "assistant", "content": None if "tool_calls" in message else "", "refusal": None})
        for word in words(message["content"] or ""):
            send(index, {"content": word}, content=True)
        for position, call in enumerate(message.get("tool_calls", ())):
            opening = {**call, "index": position, "function": {**call["function"], "arguments": ""}}
            send(index, {"tool_calls": [opening]}, content=True)
            for piece in pieces(call["function"]["arguments"]):
                send(index, {"tool_calls": [{"index": position, "function": {"arguments": piece}}]}, content=True)
        send(index, {}, finish=choice["finish_reason"])
    if include_usage:
        frames.append(data_frame({**head, "choices": [], "usage": completion["usage"]}))
    return [*frames, DONE]


def read_turn(body: Mapping[str, Any]) -> Turn:
    """What a chat request asks. Raises Refusal 400."""
    messages = body["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Refusal(400, "messages must be a non-empty list of objects.", param="messages")
    text, images = _last_user_words(messages)
    choice, forced = read_choice(body.get("tool_choice"))
    stops = body.get("stop") or ()
    return Turn(
        model=body["model"],
        text=text,
        images=images,
        results=_trailing_results(messages),
        tools=tuple(_tools(body.get("tools") or ())),
        choice=choice,
        forced=forced,
        parallel=body.get("parallel_tool_calls") is not False,
        json_schema=_json_schema(body.get("response_format") or {}),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        stops=(stops,) if isinstance(stops, str) else stops,
    )


def read_choice(choice: Any) -> tuple[Any, str | None]:
    """tool_choice as ("auto" | "none" | "required", forced tool)."""
    if isinstance(choice, dict):
        return "required", (choice.get("function") or choice).get("name")
    return (choice if choice in ("none", "required") else "auto"), None


def read_parts(content: Any) -> tuple[str, int]:
    """The text and the number of images of a message's content, in any dialect's shape.

    Agents put reminders of their own beside the user's words; those are not what the user said.
    """
    if isinstance(content, str):
        return content, 0
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [str(part["text"]) for part in parts if isinstance(part.get("text"), str)]
    spoken = [text.strip() for text in texts if not text.lstrip().startswith("<system-reminder>")]
    return " ".join(spoken), sum(part.get("type") in ("image_url", "image", "input_image") for part in parts)


def _last_user_words(messages: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    for message in reversed(messages):
        if message.get("role") == "user":
            return read_parts(message.get("content"))
    return "", 0


def _trailing_results(messages: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(tool, output) of the tool messages that end the conversation."""
    names = {
        call.get("id"): (call.get("function") or {}).get("name")
        for message in messages
        for call in message.get("tool_calls") or ()
        if isinstance(call, dict)
    }
    results: list[tuple[str, str]] = []
    for message in reversed(messages):
        if message.get("role") in ("system", "developer"):
            continue
        if message.get("role") != "tool":
            break
        results.append((names.get(message.get("tool_call_id")) or "?", read_parts(message.get("content"))[0]))
    return tuple(reversed(results))


def _tools(tools: Iterable[Any]) -> Iterable[Tool]:
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield Tool(function["name"], function.get("parameters") or {"type": "object"})


def _json_schema(response_format: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if response_format.get("type") == "json_object":
        return {}
    if response_format.get("type") == "json_schema":
        schema: Mapping[str, Any] = (response_format.get("json_schema") or {}).get("schema") or {}
        return schema
    return None
