"""POST /v1/responses and the requests by id: the response object, stored unless ``store`` is false.

``responses_stream.py`` unfolds the object into events. A background response is queued first and completed a moment later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monorelay.demo import misbehaviour
from monorelay.demo.chat import read_choice, read_parts
from monorelay.demo.frames import event_frame
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import Reply, Tool, Turn, answer, tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.responses_stream import events, failed
from monorelay.demo.shelf import Shelf, new_id, page

# Fields of the request that the response repeats, with what it says when the request does not.
_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "background": False,
    "store": True,
}


@dataclass(slots=True)
class Stored:
    """A response and what it answered. Mutable: ``response`` changes when a background response completes or is cancelled."""

    response: dict[str, Any]
    items: list[dict[str, Any]]
    completed: dict[str, Any]
    ready_at: float


class ResponsesHandler(DemoHandler):
    async def post(self) -> None:
        body = await self.read_json("model", "input")
        shelf: Shelf[Stored] = self.settings["responses"]
        items = [*_earlier(shelf, body.get("previous_response_id")), *read_items(body["input"])]
        response = complete(body, items)
        stored = Stored(response, items, response, time.monotonic())
        if body.get("background") and not body.get("stream"):
            stored.response = {**response, "status": "queued", "output": [], "usage": None, "completed_at": None}
            stored.ready_at += self.pace.moment
        if response["store"]:
            shelf.put(response["id"], stored)
        if not body.get("stream"):
            await self.answer(stored.response)
        elif self.model == misbehaviour.ERROR:
            error = {"type": "error", "code": "server_error", "message": misbehaviour.failure().message, "param": None}
            await self.stream(events(response), event_frame("error", {**error, "sequence_number": 2}))
        else:
            await self.stream(events(response), failed(response, misbehaviour.failure().message))


class ResponseHandler(DemoHandler):
    async def get(self, response_id: str) -> None:
        response = _current(self.settings["responses"], response_id)
        if self.get_query_argument("stream", "") == "true" and response["status"] in ("completed", "incomplete"):
            after = int(self.get_query_argument("starting_after", "-1"))
            await self.stream(events(response)[after + 1 :], failed(response, ""))
        else:
            await self.answer(response)

    async def delete(self, response_id: str) -> None:
        self.settings["responses"].take(response_id)
        await self.answer({"id": response_id, "object": "response", "deleted": True})


class ResponseCancelHandler(DemoHandler):
    async def post(self, response_id: str) -> None:
        response = _current(self.settings["responses"], response_id)
        if not response["background"]:
            raise Refusal(400, "Only a response made with background=true can be cancelled.")
        if response["status"] == "queued":
            self.settings["responses"].get(response_id).response = response = {**response, "status": "cancelled"}
        await self.answer(response)


class ResponseInputItemsHandler(DemoHandler):
    async def get(self, response_id: str) -> None:
        await self.answer(page(self.settings["responses"].get(response_id).items, self.get_query_argument))


def _current(shelf: Shelf[Stored], response_id: str) -> dict[str, Any]:
    stored = shelf.get(response_id)
    if stored.response["status"] == "queued" and time.monotonic() >= stored.ready_at:
        stored.response = stored.completed
    return stored.response


def _earlier(shelf: Shelf[Stored], response_id: Any) -> list[dict[str, Any]]:
    if response_id is None:
        return []
    stored = shelf.find(response_id)
    if stored is None:
        message = f"Previous response with id '{response_id}' not found."
        raise Refusal(400, message, code="previous_response_not_found", param="previous_response_id")
    return [*stored.items, *stored.completed["output"]]


def complete(body: Mapping[str, Any], items: Sequence[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The finished response for a request; ``items`` is its whole input, earlier turns included."""
    items = read_items(body["input"]) if items is None else items
    turn = read_turn(body, items)
    reply = answer(turn)
    now = time.time()
    spent = tokens(json.dumps(items, ensure_ascii=False), str(body.get("instructions") or ""))
    repeated = {name: body[name] if body.get(name) is not None else told for name, told in _REPEATED.items()}
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(now),
        "completed_at": int(now),
        "status": "incomplete" if reply.ending == "length" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.ending == "length" else None,
        "model": turn.model,
        "output": list(_output(reply, body)),
        "service_tier": "default",
        "usage": {
            "input_tokens": spent,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": reply.tokens,
            "output_tokens_details": {"reasoning_tokens": tokens(reply.thinking)},
            "total_tokens": spent + reply.tokens,
        },
        **repeated,
    }


def _output(reply: Reply, body: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if reply.thinking:
        wants_summary = (body.get("reasoning") or {}).get("summary")
        item = {
            "id": new_id("rs_"),
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": reply.thinking}] if wants_summary else [],
        }
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            item["encrypted_content"] = "ZGVtbw=="
        yield item
    for call in reply.calls:
        yield {
            "id": new_id("fc_"),
            "type": "function_call",
            "status": "completed",
            "call_id": new_id("call_"),
            "name": call.name,
            "arguments": call.json,
        }
    if not reply.calls:
        yield {
            "id": new_id("msg_"),
            "type": "message",
            "status": "incomplete" if reply.ending == "length" else "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}],
        }


def read_items(value: Any) -> list[dict[str, Any]]:
    """The input as items with ids, as input_items gives them back. Raises Refusal 400."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(400, "input must be a string or a list of items.", param="input")
    return [_with_identity(item) for item in value]


def _with_identity(item: Mapping[str, Any]) -> dict[str, Any]:
    kind = item.get("type") or "message"
    whole = {"id": new_id("msg_" if kind == "message" else "item_"), "type": kind, **item}
    if kind == "message" and isinstance(item.get("content"), str):
        part = {"type": "output_text", "annotations": []} if item.get("role") == "assistant" else {"type": "input_text"}
        whole["content"] = [{**part, "text": item["content"]}]
    if kind in ("message", "function_call", "function_call_output"):
        whole.setdefault("status", "completed")
    return whole


def read_turn(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Turn:
    """What a responses request asks."""
    users = [item for item in items if item["type"] == "message" and item.get("role") == "user"]
    text, images = read_parts(users[-1].get("content")) if users else ("", 0)
    choice, forced = read_choice(body.get("tool_choice"))
    return Turn(
        model=body["model"],
        text=text,
        images=images,
        results=_trailing_results(items),
        tools=tuple(_tools(body.get("tools") or ())),
        choice=choice,
        forced=forced,
        parallel=body.get("parallel_tool_calls") is not False,
        json_schema=_json_schema((body.get("text") or {}).get("format") or {}),
        limit=body.get("max_output_tokens"),
        thinks=(body.get("reasoning") or {}).get("effort", "none") not in ("none", None),
    )


def _trailing_results(items: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(tool, output) of the function outputs that end the input."""
    names = {item.get("call_id"): item.get("name") for item in items if item["type"] == "function_call"}
    results: list[tuple[str, str]] = []
    for item in reversed(items):
        if item["type"] == "message" and item.get("role") in ("system", "developer"):
            continue
        if item["type"] != "function_call_output":
            break
        results.append((str(names.get(item.get("call_id")) or "?"), read_parts(item.get("output"))[0]))
    return tuple(reversed(results))


def _tools(tools: Iterable[Any]) -> Iterable[Tool]:
    """Functions; hosted tools, custom grammars and namespaces the demo does not call."""
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("name"), str):
            yield Tool(tool["name"], tool.get("parameters") or {"type": "object"})


def _json_schema(text_format: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if text_format.get("type") == "json_object":
        return {}
    return text_format.get("schema") or {} if text_format.get("type") == "json_schema" else None
