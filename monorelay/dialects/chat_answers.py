"""What a message of openai.chat, or a piece of one, says: in the reference's fields, and in those of nearly compatible servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def reasoning_of(told: Mapping[str, Any]) -> str:
    """What a message or a delta tells of reasoning, in the first of the spellings that it uses."""
    for name in ("reasoning_content", "reasoning"):
        found = told.get(name)
        if isinstance(found, str) and found:
            return found
    details = told.get("reasoning_details")
    if isinstance(details, list):
        found = "".join(_first_text(each, "text", "summary") for each in details)
        if found:
            return found
    content = told.get("content")
    if isinstance(content, list):
        return "".join(_thoughts(part) for part in content)
    return ""


def text_of(content: object) -> str:
    """Content as text, also where it comes in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(
        _first_text(part, "text", "refusal") if isinstance(part, dict) and part.get("type") not in ("thinking", "reasoning") else ""
        for part in content
    )


def calls_of(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a message or a delta; the only one of the spelling before tool_calls."""
    calls = told.get("tool_calls")
    if isinstance(calls, list):
        return [call for call in calls if isinstance(call, dict)]
    function = told.get("function_call")
    return [{"index": 0, "function": function}] if isinstance(function, dict) else []


def function_of(call: Mapping[str, Any]) -> tuple[str, object]:
    """The name and the arguments of a call, or of what a delta tells of it; a custom tool's input counts as arguments."""
    function = call.get("function") or call.get("custom")
    if not isinstance(function, dict):
        return "", None
    name = function.get("name")
    return name if isinstance(name, str) else "", function.get("arguments", function.get("input"))


def _thoughts(part: object) -> str:
    if not isinstance(part, dict) or part.get("type") not in ("thinking", "reasoning"):
        return ""
    inside = part.get("thinking", part.get("text"))
    return text_of(inside) if isinstance(inside, list) else inside if isinstance(inside, str) else ""


def _first_text(value: object, *names: str) -> str:
    if isinstance(value, dict):
        for name in names:
            if isinstance(value.get(name), str):
                return str(value[name])
    return ""
