"""A response unfolded into its events, each with its sequence number; pure, so that a stored one can be told again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.demo.frames import Frame, event_frame, pieces, words

_CONTENT = ("response.output_text.delta", "response.function_call_arguments.delta", "response.reasoning_summary_text.delta")


def events(response: Mapping[str, Any]) -> list[Frame]:
    """created, in_progress, each output item opened, told and closed, then completed or incomplete."""
    return [
        event_frame(payload["type"], {**payload, "sequence_number": number}, content=payload["type"] in _CONTENT)
        for number, payload in enumerate(_payloads(response))
    ]


def failed(response: Mapping[str, Any], message: str) -> Frame:
    """The event that ends a stream which went wrong."""
    told = {**response, "status": "failed", "output": [], "usage": None, "completed_at": None}
    told["error"] = {"code": "server_error", "message": message}
    return event_frame("response.failed", {"type": "response.failed", "response": told, "sequence_number": 9_999})


def _payloads(response: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None, "completed_at": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": _opened(item)}
        where = {"item_id": item["id"], "output_index": index}
        yield from _TOLD[item["type"]](item, where)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def _opened(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item as it is before anything was said."""
    if item["type"] == "message":
        return {**item, "status": "in_progress", "content": []}
    if item["type"] == "function_call":
        return {**item, "status": "in_progress", "arguments": ""}
    return {**item, "summary": []}


def _message(item: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for position, part in enumerate(item["content"]):
        at = {**where, "content_index": position}
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for word in words(part["text"]):
            yield {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
        yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}


def _function_call(item: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **where, **done}


def _reasoning(item: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for position, part in enumerate(item["summary"]):
        at = {**where, "summary_index": position}
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
        for word in words(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": word}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}


_TOLD = {"message": _message, "function_call": _function_call, "reasoning": _reasoning}
