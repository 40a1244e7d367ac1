"""What these tests share: translations of both pairs, and an upstream that tells a response in any of the ways servers do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.dialects import anthropic_messages_to_openai_responses, openai_chat_to_openai_responses
from monorelay.dialects.interface import Hints, Transducer, Translation, Truncated
from monorelay.dialects.quirks import Quirks
from monorelay.errors import ErrorBody

PAIRS: Mapping[str, Any] = {
    "openai_chat_to_openai_responses": openai_chat_to_openai_responses,
    "anthropic_messages_to_openai_responses": anthropic_messages_to_openai_responses,
}
CHAT, MESSAGES = PAIRS
USER = {"role": "user", "content": "Hi"}
ERROR = ErrorBody("upstream_error", "[p] The stream broke off: reset")
USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 150,
}


def hints(strict: bool = False, **quirks: Any) -> Hints:
    return Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(**quirks), strict)


def begin(pair: str, body: dict[str, Any] | None = None, strict: bool = False, **quirks: Any) -> Translation:
    whole = {"model": "m", "messages": [USER], **({"max_tokens": 100} if pair == MESSAGES else {}), **(body or {})}
    translation: Translation = PAIRS[pair].TRANSLATOR.begin(whole, b"", hints(strict, **quirks))
    return translation


def request(pair: str, body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    """The translated request."""
    found: dict[str, Any] = json.loads(begin(pair, body, **quirks).request)
    return found


def lost(pair: str, body: dict[str, Any], **quirks: Any) -> tuple[str, ...]:
    return begin(pair, body, **quirks).lost


def run(transducer: Transducer, *chunks: bytes) -> bytes:
    """The client's stream for these chunks, ended as the relay ends it."""
    told = [transducer.feed(chunk) for chunk in chunks]
    assert transducer.at_boundary
    try:
        told.append(transducer.close())
    except Truncated:
        told.append(transducer.fail(ERROR))
    assert transducer.finished
    return b"".join(told)


# ---------------------------------------------------------------------- what an upstream says


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}, ensure_ascii=False).encode())


def message(text: str, item_id: str = "msg_1", **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def refusal(text: str, item_id: str = "msg_1") -> dict[str, Any]:
    content = [{"type": "refusal", "refusal": text}]
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def thought(*texts: str, encrypted: str | None = "gAAA", item_id: str = "rs_1", field: str = "summary") -> dict[str, Any]:
    kind = "summary_text" if field == "summary" else "reasoning_text"
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": []}
    item[field] = [{"type": kind, "text": text} for text in texts]
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def call(name: str, arguments: str, call_id: str = "call_1", item_id: str = "fc_1", status: str = "completed") -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def custom(name: str, text: str, call_id: str = "call_1", item_id: str = "ctc_1") -> dict[str, Any]:
    return {"id": item_id, "type": "custom_tool_call", "status": "completed", "call_id": call_id, "name": name, "input": text}


def response(*items: dict[str, Any], status: str = "completed", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_001,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "up-model-2026",
        "output": list(items),
        "usage": usage,
        **more,
    }


def answer(*items: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(response(*items, **more), ensure_ascii=False).encode()


class Server:
    """Tells a response as some server does: whether in ``deltas`` of ``size`` characters, whether with a ``.done`` of each part,
    whether it announces and ends each item, and whether its ``last`` event repeats them. Ids may be new in each event, or left
    out, and indexes all 0.
    """

    def __init__(
        self,
        deltas: bool = True,
        parts: bool = True,
        items: bool = True,
        last: bool = True,
        size: int = 3,
        ids: str = "fixed",
        indexes: bool = True,
    ) -> None:
        self.deltas, self.parts, self.items, self.last, self.size, self.ids, self.indexes = (
            deltas,
            parts,
            items,
            last,
            size,
            ids,
            indexes,
        )
        self._made = 0

    def stream(self, whole: dict[str, Any], kind: str | None = None) -> bytes:
        begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        events = [event("response.created", response=begun), event("response.in_progress", response=begun)]
        for index, item in enumerate(whole["output"]):
            events += self._item(item, index if self.indexes else 0)
        last = {**whole, "output": [self._named(item) for item in whole["output"]] if self.last else []}
        events.append(event(kind or f"response.{whole['status']}", response=last))
        return b"".join(events)

    def _id(self, item: Mapping[str, Any]) -> str:
        self._made += 1
        return {"fixed": item["id"], "new": f"x_{self._made}", "none": ""}[self.ids]

    def _named(self, item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "id": self._id(item)} if self.ids != "fixed" and item["type"] != "reasoning" else item

    def _item(self, item: dict[str, Any], index: int) -> Iterator[bytes]:
        empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
        begun = {**self._named(item), **empty.get(item["type"], {"input": ""}), "status": "in_progress"}
        begun.pop("encrypted_content", None)
        if self.items:
            yield event("response.output_item.added", output_index=index, item=begun)
        for kind, value, field, position, more in _pieces(item):
            where = {"item_id": self._id(item), "output_index": index, **position}
            if self.deltas:
                for at in range(0, len(value), self.size):
                    yield event(f"response.{kind}.delta", **{**where, "delta": value[at : at + self.size], **more})
            if self.parts:
                yield event(f"response.{kind}.done", **{**where, field: value, **more})
        if self.items:
            yield event("response.output_item.done", output_index=index, item=self._named(item))


def _pieces(item: Mapping[str, Any]) -> Iterator[tuple[str, str, str, dict[str, int], dict[str, Any]]]:
    if item["type"] == "message":
        for at, part in enumerate(item["content"]):
            if part["type"] == "refusal":
                yield "refusal", part["refusal"], "refusal", {"content_index": at}, {}
            else:
                yield "output_text", part["text"], "text", {"content_index": at}, {"logprobs": []}
    elif item["type"] == "reasoning":
        for at, part in enumerate(item["summary"]):
            yield "reasoning_summary_text", part["text"], "text", {"summary_index": at}, {}
        for at, part in enumerate(item.get("content", ())):
            yield "reasoning_text", part["text"], "text", {"content_index": at}, {}
    elif item["type"] == "function_call":
        yield "function_call_arguments", item["arguments"], "arguments", {}, {}
    elif item["type"] == "custom_tool_call":
        yield "custom_tool_call_input", item["input"], "input", {}, {}
