"""A whole response of openai.responses, and what its items say. The stream reads the same items when they are done.

Items whose tools the vendor runs (web_search_call, …) say nothing to a client of another dialect; what came of them is in the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.interface import Truncated
from monorelay.dialects.stream_errors import read_error

Item = Mapping[str, Any]

MESSAGE, REASONING, CALL, CUSTOM = "message", "reasoning", "function_call", "custom_tool_call"
TOLD = (MESSAGE, REASONING, CALL, CUSTOM)

BETWEEN_THOUGHTS = "\n\n"  # a summary comes in parts, which are paragraphs

_decode = json.JSONDecoder(parse_constant=lambda _: None).decode  # NaN and Infinity are no JSON, and must not be passed on


def read_response(body: bytes) -> dict[str, Any]:
    """The response object. Raises Truncated where it is cut, holds an error, or has not come to an end."""
    try:
        response = _decode(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Truncated("the answer ends in the middle of its JSON") from None
    if not isinstance(response, dict):
        raise Truncated("the answer is no JSON object")
    error = response.get("error")
    if error or response.get("status") in ("failed", "cancelled"):
        told = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else None, **response}
        raise Truncated(f"a success that holds an error: {read_error(told).body.message}")
    if not isinstance(response.get("output"), list):
        raise Truncated("the answer has no output")
    if response.get("status") in ("queued", "in_progress"):
        raise Truncated("the answer was sent before it was finished")
    return response


def items_of(response: Mapping[str, Any]) -> list[Item]:
    output = response.get("output")
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


def incomplete_reason(response: Mapping[str, Any], is_incomplete: bool) -> str | None:
    """Why the response stops short: max_output_tokens, content_filter, or another word; None where it is complete."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    if isinstance(reason, str) and reason:
        return reason
    return "max_output_tokens" if is_incomplete or response.get("status") == "incomplete" else None


def texts_of(item: Item) -> list[Mapping[str, Any]]:
    """The parts of a message that are text."""
    return [part for part in _parts(item, "content") if isinstance(part.get("text"), str)]


def refusal_of(item: Item) -> str:
    return "".join(part["refusal"] for part in _parts(item, "content") if isinstance(part.get("refusal"), str))


def thought_of(item: Item) -> str:
    """The readable text of a reasoning item: the model's own words, or else their summary."""
    return BETWEEN_THOUGHTS.join(thoughts_in(item, "content") or thoughts_in(item, "summary"))


def thoughts_in(item: Item, name: str) -> list[str]:
    """The paragraphs of ``content`` or ``summary`` alone."""
    return [part["text"] for part in _parts(item, name) if isinstance(part.get("text"), str) and part["text"]]


def word_of(item: Item, name: str) -> str:
    """A field that is text; "" where it is none."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def arguments_of(item: Item) -> str:
    """What a call was given, as text."""
    name = "input" if item.get("type") == CUSTOM else "arguments"
    value = item.get(name)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def annotations_of(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(_parts(part, "annotations"))


def citations_of(annotations: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The annotations that name a page; the others name files of the vendor's."""
    return (each for each in annotations if each.get("type") == "url_citation" and isinstance(each.get("url"), str))


def _parts(holder: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    found = holder.get(name)
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())
