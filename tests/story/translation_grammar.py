"""What a stream must look like in each dialect, event by event, and the whole that its events add up to.

These put the pieces together by themselves, not by the SDKs' helpers: a helper forgives much that another client would not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

Event = Mapping[str, Any]

_DELTA_OF = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
}


def message_of(events: Sequence[Event]) -> Message:
    """A stream of anthropic.messages: one block at a time, rising indexes, one message_delta, and the end at the end."""
    kinds = [each["type"] for each in events if each["type"] != "ping"]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("message_start") == kinds.count("message_delta") == kinds.count("message_stop") == 1, kinds
    message = dict(events[0]["message"])
    assert message["content"] == [] and message["stop_reason"] is None
    content: list[dict[str, Any]] = []
    open_index: int | None = None
    for each in events:
        kind = each["type"]
        if kind == "content_block_start":
            assert open_index is None and each["index"] == len(content), each
            open_index = each["index"]
            block = dict(each["content_block"])
            assert block["type"] != "tool_use" or block["input"] == {}, block
            content.append({**block, "partial": ""} if block["type"] == "tool_use" else block)
        elif kind == "content_block_delta":
            assert each["index"] == open_index, each
            _grow(content[-1], each["delta"])
        elif kind == "content_block_stop":
            assert each["index"] == open_index, each
            open_index = None
            if content[-1]["type"] == "tool_use":
                partial = content[-1].pop("partial")
                assert partial, "a client that adds the pieces up would have no JSON"
                content[-1]["input"] = json.loads(partial)
            assert content[-1].get("text") != "" and content[-1].get("thinking") != "", content[-1]
        elif kind == "message_delta":
            assert open_index is None, each
            message |= each["delta"]
            message["usage"] = {**message["usage"], **each["usage"]}
    return Message.model_validate({**message, "content": content})


def _grow(block: dict[str, Any], told: Event) -> None:
    assert told["type"] in _DELTA_OF[block["type"]], (block, told)
    if told["type"] == "text_delta":
        block["text"] += told["text"]
    elif told["type"] == "thinking_delta":
        block["thinking"] += told["thinking"]
    elif told["type"] == "signature_delta":
        block["signature"] = told["signature"]
    elif told["type"] == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), told["citation"]]
    else:
        block["partial"] += told["partial_json"]


def chat_of(chunks: Sequence[Event]) -> ChatCompletion:
    """A stream of openai.chat: the role first, calls opened by id and name, one finish_reason, then usage alone."""
    assert chunks, "nothing came"
    assert len({(each["id"], each["model"], each["created"], each["object"]) for each in chunks}) == 1, chunks
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    finish, usage = None, None
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant", chunks[0]
    for each in chunks:
        assert usage is None, "something follows the usage"
        usage = each.get("usage")
        assert not (usage and each["choices"]), "usage comes in a chunk of its own"
        for choice in each["choices"]:
            assert finish is None and choice["index"] == 0, choice
            finish = choice.get("finish_reason")
            told = choice["delta"]
            for name in ("content", "refusal", "reasoning_content"):
                if told.get(name) is not None:
                    message[name] = (message.get(name) or "") + told[name]
            for name in ("thinking_blocks", "annotations"):
                message[name] = _gathered(message.get(name), told.get(name))
            for call in told.get("tool_calls") or ():
                _grow_call(calls, call)
            if told.get("function_call"):
                earlier = message.get("function_call") or {"name": "", "arguments": ""}
                message["function_call"] = {name: earlier[name] + (told["function_call"].get(name) or "") for name in earlier}
    assert finish is not None, chunks[-1]
    message = {name: value for name, value in message.items() if value is not None or name in ("content", "refusal")}
    if calls:
        message["tool_calls"] = calls
        if not message["content"]:
            message["content"] = None
    head = {name: chunks[0][name] for name in ("id", "created", "model")}
    choices = [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]
    return ChatCompletion.model_validate({**head, "object": "chat.completion", "choices": choices, "usage": usage})


def _grow_call(calls: list[dict[str, Any]], told: Event) -> None:
    kind = "custom" if "custom" in told else "function"
    if told["index"] == len(calls):
        assert told["id"] and told["type"] == kind and told[kind]["name"], told
        calls.append({"id": told["id"], "type": kind, kind: dict(told[kind])})
        return
    assert told["index"] < len(calls) and not told.get("id"), told
    name = "input" if kind == "custom" else "arguments"
    calls[told["index"]][kind][name] += told[kind][name]


def _gathered(found: list[dict[str, Any]] | None, told: Any) -> list[dict[str, Any]] | None:
    """Elements by their index, as SDKs put them together: texts grow, the type stays."""
    for each in told or ():
        found = found or []
        if each["index"] == len(found):
            found.append({})
        for name, value in each.items():
            if name in ("index", "type") or not isinstance(value, str):
                found[each["index"]][name] = value
            else:
                found[each["index"]][name] = found[each["index"]].get(name, "") + value
    return found


def response_of(events: Sequence[Event]) -> Response:
    """A stream of openai.responses: numbered without a gap, everything opened before it is told and closed after, and the last
    event says what the events before it have said."""
    kinds = [each["type"] for each in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] in ("response.completed", "response.incomplete"), kinds
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    items: dict[int, dict[str, Any]] = {}
    parts: dict[tuple[int, int], dict[str, Any]] = {}
    done: dict[int, Any] = {}
    for each in events[2:-1]:
        kind, index = each["type"].removeprefix("response."), each["output_index"]
        if kind == "output_item.added":
            assert index == len(items) and each["item"].get("status", "in_progress") == "in_progress", each
            items[index] = {"id": each["item"]["id"], "kind": each["item"]["type"], "text": ""}
            continue
        assert index in items and index not in done, each
        if kind == "output_item.done":
            assert each["item"]["id"] == items[index]["id"] and each["item"]["type"] == items[index]["kind"], each
            assert not [key for key, part in parts.items() if key[0] == index and not part["done"]], each
            done[index] = each["item"]
            continue
        assert each["item_id"] == items[index]["id"], each
        if kind.startswith(("function_call_arguments", "custom_tool_call_input")):
            _follow(items[index], each)
        else:
            _follow_part(parts, index, kind, each)
    final = events[-1]["response"]
    assert [done[index] for index in range(len(items))] == final["output"], (done, final["output"])
    for index, item in items.items():
        told = done[index].get("arguments", done[index].get("input"))
        assert told is None or told == item["text"], (item, done[index])
    assert final["id"] == events[0]["response"]["id"] and events[0]["response"]["status"] == "in_progress"
    return Response.model_validate(final)


def _follow(item: dict[str, Any], told: Event) -> None:
    if told["type"].endswith(".delta"):
        item["text"] += told["delta"]
    else:
        assert item["text"] == told.get("arguments", told.get("input")), (item, told)


def _follow_part(parts: dict[tuple[int, int], dict[str, Any]], index: int, kind: str, told: Event) -> None:
    key = (index, told["content_index"] if "content_index" in told else told["summary_index"])
    if kind in ("content_part.added", "reasoning_summary_part.added"):
        assert key not in parts and told["part"].get("text", told["part"].get("refusal")) == "", told
        assert not [part for other, part in parts.items() if other[0] == index and not part["done"]], told
        parts[key] = {"text": "", "done": False, "annotations": []}
        return
    part = parts[key]
    assert not part["done"], told
    if kind.endswith(".delta"):
        part["text"] += told["delta"]
    elif kind == "output_text.annotation.added":
        part["annotations"].append(told["annotation"])
    elif kind.endswith("_part.done"):
        assert told["part"].get("text", told["part"].get("refusal")) == part["text"], told
        assert told["part"].get("annotations", []) == part["annotations"], told
        part["done"] = True
    else:
        assert kind in ("output_text.done", "refusal.done", "reasoning_summary_text.done"), told
        assert told.get("text", told.get("refusal")) == part["text"], told
