"""The objects of openai.responses: the response itself, the items it puts out, and their content parts.

A response repeats most of what was asked. ``shell`` takes that from the request once; ``response`` fills it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monorelay.dialects.interface import Hints, Usage
from monorelay.dialects.usage_shapes import responses_usage

Item = dict[str, Any]

_NUMBER = (int, float)
# What a response repeats of its request: field → the types it may have, and what it says where the request said nothing.
_REPEATED: tuple[tuple[str, tuple[type, ...], Any], ...] = (
    ("instructions", (str, list), None),
    ("max_output_tokens", (int,), None),
    ("max_tool_calls", (int,), None),
    ("metadata", (dict,), {}),
    ("parallel_tool_calls", (bool,), True),
    ("prompt_cache_key", (str,), None),
    ("reasoning", (dict,), {"effort": None, "summary": None}),
    ("safety_identifier", (str,), None),
    ("service_tier", (str,), None),
    ("temperature", _NUMBER, None),
    ("text", (dict,), {"format": {"type": "text"}}),
    ("tool_choice", (str, dict), "auto"),
    ("tools", (list,), []),
    ("top_logprobs", (int,), 0),
    ("top_p", _NUMBER, None),
    ("truncation", (str,), "disabled"),
    ("user", (str,), None),
)
_HEAVY: Mapping[str, Any] = {"instructions": None, "tools": []}


def shell(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the response repeats. ``store`` is false whatever was asked: the relay keeps no responses."""
    found = {name: body[name] if isinstance(body.get(name), types) else usual for name, types, usual in _REPEATED}
    found["tools"] = [_repeated_tool(tool) for tool in found["tools"]]
    return {**found, "background": False, "previous_response_id": None, "store": False}


def _repeated_tool(tool: Any) -> Any:
    """A function with the fields that a request may leave out."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {**tool, "parameters": tool.get("parameters"), "strict": tool.get("strict") is True}


def light(repeated: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what is long: a stream tells that once, in its last event."""
    return {**repeated, **_HEAVY}


def response(
    repeated: Mapping[str, Any],
    *,
    identity: Mapping[str, Any],
    status: str,
    output: Sequence[Item] = (),
    usage: Usage | None = None,
    incomplete: str | None = None,
    error: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A response object. ``identity`` holds its id, created_at and model. Usage that nobody told is left out once it has ended."""
    told = {} if usage is None and status != "in_progress" else {"usage": responses_usage(usage)}
    return {
        "id": identity["id"],
        "object": "response",
        "created_at": identity["created_at"],
        "status": status,
        "error": error,
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "model": identity["model"],
        "output": list(output),
        **told,
        **repeated,
    }


def identity(fields: Mapping[str, Any], hints: Hints) -> dict[str, Any]:
    """id, created_at and model of a response, as the upstream's own answer says them: its id under this dialect's prefix."""
    found, model, created = fields.get("id"), fields.get("model"), fields.get("created")
    if not isinstance(found, str) or not found:
        found = hints.new_id("resp_")
    return {
        "id": found if found.startswith("resp_") else f"resp_{found}",
        "created_at": created if type(created) is int else hints.created,
        "model": model if isinstance(model, str) and model else hints.model,
    }


def message(item_id: str, content: Sequence[Item], status: str) -> Item:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": list(content)}


def text_part(text: str, annotations: Sequence[Item] = (), logprobs: Sequence[Item] = ()) -> Item:
    return {"type": "output_text", "annotations": list(annotations), "logprobs": list(logprobs), "text": text}


def refusal_part(text: str) -> Item:
    return {"type": "refusal", "refusal": text}


def reasoning(item_id: str, text: str, encrypted: str | None) -> Item:
    """``encrypted`` is what its maker needs to take the thought back."""
    item: Item = {"id": item_id, "type": "reasoning", "summary": [summary_part(text)] if text else []}
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item


def summary_part(text: str) -> Item:
    return {"type": "summary_text", "text": text}
