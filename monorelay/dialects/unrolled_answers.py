"""A whole answer told as the stream that was asked for: some providers, and some of their models, know no streams and say nothing.

A client that reads events finds none in a JSON body: the SDKs then end with an empty answer and no error. So the whole is told at
once, in the events of its dialect: everything it holds, in its order, and the end that it names. Where it names none, none is told;
what is no answer of the dialect is not told at all. A field that nobody here knows stays with the object it was found in.

| capability | events |
| --- | --- |
| openai.chat, openai.completions | what each choice says, then how it ended, the usage if it was asked for, [DONE] |
| anthropic.messages | message_start, every block opened, told and closed, message_delta, message_stop |
| openai.responses | created, in_progress, every item opened, told and closed, then completed or incomplete |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from monorelay.dialects import anthropic_messages, openai_chat, openai_responses
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import StreamError
from monorelay.dialects.stream_errors import read_error
from monorelay.dialects.text_completion import asks_for_usage

JSON = Mapping[str, Any]
Events = Iterator[tuple[str, JSON]]  # names, and what they say

LONGEST = 128 * 1024 * 1024  # bytes of a stream, twice what an answer may have


def is_unrollable(capability: str) -> bool:
    return capability in _STREAMS


def unrolled(capability: str, asked: JSON, answer: bytes) -> bytes | StreamError | None:
    """The stream of ``answer``, to the request ``asked``; the error that the answer is about; None where it is no answer.

    >>> unrolled("openai.completions", {}, b'{"choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}').count(b"data:")
    3
    """
    try:
        whole = json.loads(answer)
        return _STREAMS[capability](whole, asked) if isinstance(whole, dict) else None
    except (ValueError, RecursionError):  # also one that can just be read, and is too deep to be written with an event around it
        return None


def _joined(pieces: Iterable[bytes]) -> bytes | None:
    """None where it grows too long: every event repeats what belongs to all of them, and an answer may hold many small things."""
    found: list[bytes] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > LONGEST:
            return None
        found.append(piece)
    return b"".join(found)


def _objects(value: object) -> list[dict[str, Any]] | None:
    """The list, if it is one of objects and nothing else."""
    return value if isinstance(value, list) and all(isinstance(each, dict) for each in value) else None


def _without(fields: JSON, *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


# ---------------------------------------------------------------------------------------------------- chat, completions


def _chat(whole: JSON, asked: JSON) -> bytes | None:
    return _choices(whole, asked, "chat.completion.chunk", _delta)


def _completion(whole: JSON, asked: JSON) -> bytes | None:
    return _choices(whole, asked, "text_completion", _text)


def _choices(whole: JSON, asked: JSON, kind: str, say: Callable[[JSON], tuple[JSON, JSON] | None]) -> bytes | None:
    head = {**_without(whole, "choices", "usage"), "object": kind}
    chunks: list[JSON] = []
    for number, choice in enumerate(_objects(whole.get("choices")) or ()):
        said = say(choice)
        if said is None:
            return None
        index = choice.get("index", number)
        chunks.append({"index": index, **_without(choice, "message"), **said[0], "finish_reason": None})
        if choice.get("finish_reason"):
            chunks.append({"index": index, **said[1], "finish_reason": choice["finish_reason"]})
    if not chunks:
        return None
    usage = whole.get("usage") if asks_for_usage(asked) else None
    return _joined(_choice_events(head, chunks, usage))


def _choice_events(head: JSON, chunks: list[JSON], usage: object) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"data: %b\n\n" % as_json({**head, "choices": [chunk]})
    if usage:
        yield b"data: %b\n\n" % as_json({**head, "choices": [], "usage": usage})
    yield b"data: " + openai_chat.DONE + b"\n\n"


def _delta(choice: JSON) -> tuple[JSON, JSON] | None:
    """What is said, and the emptiness around the end; None where nothing can be said of it."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    delta = dict(message)
    calls = _objects(message.get("tool_calls"))
    if calls:
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    return {"delta": delta}, {"delta": {}}


def _text(choice: JSON) -> tuple[JSON, JSON] | None:
    return ({}, {"text": ""}) if isinstance(choice.get("text"), str) else None


# ---------------------------------------------------------------------------------------------------- messages


def _message(whole: JSON, asked: JSON) -> bytes | None:
    blocks = _objects(whole.get("content"))
    if blocks is None or whole.get("type", "message") != "message":
        return None
    return _joined(_named(name, {"type": name, **fields}) for name, fields in _message_events(whole, blocks))


def _message_events(whole: JSON, blocks: list[dict[str, Any]]) -> Events:
    usage = whole.get("usage")
    begun = {**_without(whole, "stop_details"), "content": [], "stop_reason": None, "stop_sequence": None}
    if isinstance(usage, dict) and "output_tokens" in usage:
        begun["usage"] = {**usage, "output_tokens": 0}  # of what was said so far
    yield "message_start", {"message": begun}
    for index, block in enumerate(blocks):
        start, deltas = _block(block)
        yield anthropic_messages.BLOCK_START, {"index": index, "content_block": start}
        for delta in deltas:
            yield anthropic_messages.BLOCK_DELTA, {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    ending = {name: whole.get(name) for name in ("stop_reason", "stop_sequence")}
    ending |= {name: whole[name] for name in ("stop_details", "container") if name in whole}
    yield "message_delta", {"delta": ending, **({"usage": usage} if usage else {})}
    yield anthropic_messages.MESSAGE_STOP, {}


def _block(block: dict[str, Any]) -> tuple[JSON, list[JSON]]:
    """What it is when it opens, and what follows; a kind that knows no deltas opens whole."""
    start, deltas = dict(block), list[JSON]()
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        start["text"] = ""
        deltas.append({"type": "text_delta", "text": block["text"]})
        if _objects(block.get("citations")):
            start["citations"] = []
            deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
    elif kind == "thinking" and isinstance(block.get("thinking"), str):
        start["thinking"] = ""
        deltas.append({"type": "thinking_delta", "thinking": block["thinking"]})
        if isinstance(block.get("signature"), str):
            start["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif isinstance(block.get("input"), dict):
        start["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": as_json(block["input"]).decode()})
    return start, deltas


# ---------------------------------------------------------------------------------------------------- responses

_ENDS = {"completed": openai_responses.COMPLETED, "incomplete": openai_responses.INCOMPLETE}
# Of an item that is a call: what it is called with, and how its events name that.
_CALLED_WITH = {
    "function_call": ("arguments", "function_call_arguments"),
    "mcp_call": ("arguments", "mcp_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}
# Of a part: the field of its words, and how its events are named.
_WORDS = {
    "output_text": ("text", "output_text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("text", "reasoning_text"),
    "summary_text": ("text", "reasoning_summary_text"),
}


def _response(whole: JSON, asked: JSON) -> bytes | StreamError | None:
    items, status, error = _objects(whole.get("output")), whole.get("status"), whole.get("error")
    if status == "failed":
        return read_error(error if isinstance(error, dict) else {"message": error})
    if items is None or not isinstance(status, str) or status not in _ENDS:
        return None
    events = _response_events(whole, items)
    return _joined(
        _named(name, {"type": name, **fields, "sequence_number": number}) for number, (name, fields) in enumerate(events)
    )


def _response_events(whole: JSON, items: list[dict[str, Any]]) -> Events:
    begun = {**whole, "status": "in_progress", "output": []}
    begun |= {name: None for name in ("usage", "completed_at", "incomplete_details") if name in whole}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(items):
        where = {"item_id": item.get("id"), "output_index": index}
        yield "response.output_item.added", {"output_index": index, "item": _shell(item)}
        for number, part in enumerate(_objects(item.get("summary")) or ()):
            yield from _part({**where, "summary_index": number}, part, "reasoning_summary_part")
        for number, part in enumerate(_objects(item.get("content")) or ()):
            yield from _part({**where, "content_index": number}, part, "content_part")
        field, name = _CALLED_WITH.get(str(item.get("type")), ("", ""))
        if field and isinstance(item.get(field), str):
            if item[field]:
                yield f"response.{name}.delta", {**where, "delta": item[field]}
            yield f"response.{name}.done", {**where, **_named_function(item), field: item[field]}
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield _ENDS[whole["status"]], {"response": whole}


def _shell(item: dict[str, Any]) -> dict[str, Any]:
    """An item before anything of it was told."""
    shell = dict(item)
    shell |= {name: [] for name in ("content", "summary") if _objects(item.get(name))}
    field, _ = _CALLED_WITH.get(str(item.get("type")), ("", ""))
    if field and isinstance(item.get(field), str):
        shell[field] = ""
    if "status" in item:
        shell["status"] = "in_progress"
    return shell


def _part(where: JSON, part: dict[str, Any], kind: str) -> Events:
    field, name = _WORDS.get(str(part.get("type")), ("", ""))
    words = part.get(field) if field else None
    lists: JSON = {each: [] for each in ("annotations", "logprobs") if isinstance(part.get(each), list)}
    yield f"response.{kind}.added", {**where, "part": {**part, field: "", **lists} if isinstance(words, str) else part}
    if isinstance(words, str):
        logprobs = {"logprobs": part.get("logprobs") or []} if name == "output_text" else {}
        if words:
            yield f"response.{name}.delta", {**where, "delta": words, **logprobs}
        for number, annotation in enumerate(_objects(part.get("annotations")) or ()):
            yield f"response.{name}.annotation.added", {**where, "annotation_index": number, "annotation": annotation}
        yield f"response.{name}.done", {**where, field: words, **logprobs}
    yield f"response.{kind}.done", {**where, "part": part}


def _named_function(item: JSON) -> JSON:
    return {"name": item["name"]} if item.get("type") == "function_call" and "name" in item else {}


# ----------------------------------------------------------------------------------------------------


def _named(name: str, value: JSON) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), as_json(value))


_STREAMS: dict[str, Callable[[JSON, JSON], bytes | StreamError | None]] = {
    "openai.chat": _chat,
    "openai.completions": _completion,
    "openai.responses": _response,
    "anthropic.messages": _message,
}
