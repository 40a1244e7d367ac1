"""What tests of openai.responses clients share: hints, pieces of upstream streams, and a strict reader of what is told."""

from __future__ import annotations

import itertools
import json
from typing import Any

from monorelay.dialects import openai_responses_to_anthropic_messages, openai_responses_to_openai_chat
from monorelay.dialects.interface import Hints, Transducer, Translation, Truncated
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.sse import read_events
from monorelay.errors import ErrorBody

CHAT = openai_responses_to_openai_chat.TRANSLATOR
MESSAGES = openai_responses_to_anthropic_messages.TRANSLATOR
ERROR = ErrorBody("upstream_error", "[p] The stream broke off: reset")
BODY: dict[str, Any] = {
    "model": "m",
    "input": "Hi",
    "stream": True,
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "space", "description": "d", "tools": [{"type": "function", "name": "g"}]},
        {"type": "shell"},
        {"type": "local_shell"},
        {"type": "apply_patch"},
    ],
}
USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
PIXEL = "data:image/png;base64,AAAA"
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19, "prompt_tokens_details": {"cached_tokens": 4}}


def hints(strict: bool = False, **quirks: Any) -> Hints:
    """Ids are numbered, in the order they are asked for."""
    numbers = itertools.count(1)
    return Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}{next(numbers)}", Quirks(**quirks), strict)


def begin(body: dict[str, Any], translator: Any = CHAT, strict: bool = False, **quirks: Any) -> Translation:
    translation: Translation = translator.begin(body, json.dumps(body).encode(), hints(strict, **quirks))
    return translation


def told(body: dict[str, Any], translator: Any = CHAT, **quirks: Any) -> Any:
    """What the upstream is told."""
    return json.loads(begin(body, translator, **quirks).request)


def messages(*items: Any, **beside: Any) -> Any:
    """The messages that a chat upstream is told for these items."""
    quirks = beside.pop("quirks", {})
    return told({"input": list(items), **beside}, **quirks)["messages"]


def function_call(call_id: str, name: str = "f", arguments: str = "{}", **beside: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **beside}


def function_result(call_id: str, output: Any = "out") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def chunk(delta: dict[str, Any], finish: str | None = None, **beside: Any) -> bytes:
    """One event of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "chatcmpl-1", "model": "m-1", "choices": [choice], **beside}).encode() + b"\n\n"


def call(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """A delta that tells of one call what is not None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found: dict[str, Any] = {"function": function}
    return {"tool_calls": [found | {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}]}


def event(**fields: Any) -> bytes:
    """One event of a messages stream."""
    return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()


def start(**usage: int) -> bytes:
    return event(type="message_start", message={"id": "msg_1", "model": "m-1", "content": [], "usage": usage})


def opened(index: int, **block: Any) -> bytes:
    return event(type="content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **piece: Any) -> bytes:
    return event(type="content_block_delta", index=index, delta={"type": kind, **piece})


def closed(index: int) -> bytes:
    return event(type="content_block_stop", index=index)


def stop(reason: str, **beside: Any) -> bytes:
    usage = beside.pop("usage", {"output_tokens": 7})
    return event(type="message_delta", delta={"stop_reason": reason, **beside}, usage=usage) + event(type="message_stop")


def run(transducer: Transducer, *chunks: bytes) -> bytes:
    """The client's stream for these chunks, ended as the relay ends it."""
    out = [transducer.feed(each) for each in chunks]
    assert transducer.at_boundary
    try:
        out.append(transducer.close())
    except Truncated:
        out.append(transducer.fail(ERROR))
    assert transducer.finished
    return b"".join(out)


def names(out: bytes) -> list[str]:
    """The events of a client's stream, without what all their names begin with."""
    return [each.name.removeprefix("response.") for each in read_events(out)]


_PARTS = {
    "response.output_text": ("content", "text"),
    "response.refusal": ("content", "refusal"),
    "response.reasoning_summary_text": ("summary", "text"),
}
_CALLS = {"response.function_call_arguments": "arguments", "response.custom_tool_call_input": "input"}


class Told:
    """A client's stream, read strictly: each item opened once, told, and closed as it was told; one end, and nothing behind it.

    ``response`` is the whole response, ``error`` what it failed with, ``open`` the items that a failure left open.
    """

    def __init__(self, stream: bytes) -> None:
        self.response: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.names: list[str] = []
        self.open: dict[int, dict[str, Any]] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, int], list[str]] = {}
        self._begun: dict[str, Any] | None = None
        events = read_events(stream)
        assert stream == b"".join(each.raw for each in events), "the stream ends inside an event"
        for number, each in enumerate(events):
            assert self.response is None and self.error is None, "something follows the end"
            fields = json.loads(each.data)
            assert fields.pop("sequence_number") == number
            assert fields.pop("type") == each.name
            self.names.append(each.name)
            self._take(each.name, fields)

    def _take(self, name: str, fields: dict[str, Any]) -> None:
        stem, _, verb = name.rpartition(".")
        if stem == "response":
            self._lifecycle(verb, fields["response"])
            return
        assert self._begun is not None, "an event before response.created"
        index = fields.pop("output_index")
        if name == "response.output_item.added":
            assert index == len(self.open) + len(self.done) and fields["item"].get("status") in ("in_progress", None)
            self.open[index] = fields["item"]
        elif name == "response.output_item.done":
            self._close(index, fields["item"])
        else:
            assert fields.pop("item_id") == self.open[index]["id"]
            self._inside(index, stem, verb, fields)

    def _lifecycle(self, verb: str, response: dict[str, Any]) -> None:
        if self._begun is None:
            assert verb == "created" and response["status"] == "in_progress"
            self._begun = response
        assert all(response[key] == self._begun[key] for key in ("id", "created_at", "model", "object"))
        if verb == "failed":
            self.error = response["error"]
            assert response["status"] == "failed" and self.error is not None
        elif verb in ("completed", "incomplete"):
            assert response["status"] == verb and not self.open
            assert response["output"] == [self.done[index] for index in sorted(self.done)]
            self.response = response
        else:
            assert response["output"] == [] and response["usage"] is None

    def _inside(self, index: int, stem: str, verb: str, fields: dict[str, Any]) -> None:
        item = self.open[index]
        at = fields.pop("content_index", fields.pop("summary_index", 0))
        if stem in ("response.content_part", "response.reasoning_summary_part"):
            parts = item["content" if stem == "response.content_part" else "summary"]
            if verb == "added":
                assert at == len(parts) and fields["part"].get("text", fields["part"].get("refusal")) == ""
                parts.append({**fields["part"], "annotations": []} if "annotations" in fields["part"] else fields["part"])
            else:
                assert (
                    fields["part"] == {**parts[at], "logprobs": fields["part"]["logprobs"]}
                    if "logprobs" in parts[at]
                    else parts[at]
                )
        elif stem == "response.output_text.annotation":
            annotations = item["content"][at]["annotations"]
            assert fields["annotation_index"] == len(annotations)
            annotations.append(fields["annotation"])
        elif verb == "delta":
            assert isinstance(fields["delta"], str) and fields["delta"]
            self._pieces.setdefault((index, at), []).append(fields["delta"])
        else:
            whole = "".join(self._pieces.get((index, at), ()))
            if stem in _CALLS:
                assert fields[_CALLS[stem]] == whole
                item[_CALLS[stem]] = whole
            else:
                group, field = _PARTS[stem]
                assert fields[field] == whole
                item[group][at][field] = whole

    def _close(self, index: int, item: dict[str, Any]) -> None:
        opened = self.open.pop(index)
        for key in ("id", "type", "call_id", "name", "role", "namespace", "arguments", "input"):
            assert opened.get(key) == item.get(key), key
        for group in ("content", "summary"):
            parts, whole = opened.get(group, ()), item.get(group, ())
            assert [(part["type"], part.get("text"), part.get("refusal")) for part in parts] == [
                (part["type"], part.get("text"), part.get("refusal")) for part in whole
            ]
        assert item.get("status") != "in_progress"
        self.done[index] = item


def said(response: dict[str, Any]) -> list[Any]:
    """What a response puts out, without ids and statuses: they differ from one telling to the next."""
    return [{key: value for key, value in item.items() if key not in ("id", "status")} for item in response["output"]]
