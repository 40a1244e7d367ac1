"""Answers of the three dialects that go wrong somewhere, and what every client must be able to rely on all the same.

A case is a place (before the head, in mid-event, before the last byte …), a way to go wrong there (closed, reset, silent …) and the
dialects of both sides. Cases are told apart by the model that is asked for, so that any number may run at once.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from story_client import Answer
from story_errors import is_error
from story_upstream import CLOSE, HANG, RESET, Step
from translation_answers import chat_says, messages_say, text


def _event(kind: str, number: int, **fields: Any) -> bytes:
    told = json.dumps({"type": kind, "sequence_number": number, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {told}\n\n".encode()


_RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None, "output": []}
_PART = {"type": "output_text", "text": "", "annotations": []}
_ITEM: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
_SAID = {**_ITEM, "status": "completed", "content": [{**_PART, "text": "Hello you"}]}
_AT: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_DONE: dict[str, Any] = {
    **_RESPONSE,
    "status": "completed",
    "output": [_SAID],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}


@dataclass(frozen=True)
class Dialect:
    """``opening``: the index of the first event with content. ``closing``: of the first that says how it ended."""

    path: str
    family: str
    body: dict[str, Any]
    whole: bytes
    events: Sequence[bytes]
    opening: int
    closing: int


_CHAT, _MESSAGES = chat_says({"content": "Hello you"}), messages_say([text("Hello you")])
DIALECTS = {
    "chat": Dialect(
        "/v1/chat/completions",
        "openai",
        {"messages": [{"role": "user", "content": "hi"}]},
        json.dumps(_CHAT.whole).encode(),
        _CHAT.events,
        1,
        3,
    ),
    "messages": Dialect(
        "/v1/messages",
        "anthropic",
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 99},
        json.dumps(_MESSAGES.whole).encode(),
        _MESSAGES.events,
        3,
        6,
    ),
    "responses": Dialect(
        "/v1/responses",
        "openai",
        {"input": "hi"},
        json.dumps(_DONE).encode(),
        [
            _event("response.created", 0, response={**_RESPONSE, "status": "in_progress"}),
            _event("response.output_item.added", 1, output_index=0, item=_ITEM),
            _event("response.content_part.added", 2, **_AT, part=_PART),
            _event("response.output_text.delta", 3, **_AT, delta="Hello"),
            _event("response.output_text.delta", 4, **_AT, delta=" you"),
            _event("response.output_text.done", 5, **_AT, text="Hello you"),
            _event("response.content_part.done", 6, **_AT, part={**_PART, "text": "Hello you"}),
            _event("response.output_item.done", 7, output_index=0, item=_SAID),
            _event("response.completed", 8, response=_DONE),
        ],
        3,
        8,
    ),
}
PAIRS = [(client, upstream) for client in DIALECTS for upstream in DIALECTS]


@dataclass(frozen=True)
class Case:
    """``begun``: whether content reached the client. ``head``: whether a head came at all. ``native``: bytes that must arrive."""

    client: str
    upstream: str
    stream: bool
    place: str
    how: str
    steps: tuple[Step, ...]
    head: bool
    begun: bool = False
    sent: bytes = b""

    @property
    def name(self) -> str:
        kind = "stream" if self.stream else "json"
        return f"{self.client} on {self.upstream}, {kind}, {self.place}, {self.how}"

    @property
    def timeouts(self) -> dict[str, float]:
        """In seconds: short for what a silent upstream is to run into, and for nothing else: a busy machine is silent, too."""
        if HANG not in self.steps:
            return {}
        return {"idle": 0.4} if self.head or "in the head" in self.place else {"first_byte": 0.8}

    def body(self, model: str) -> dict[str, Any]:
        return {"model": model, "stream": self.stream, **DIALECTS[self.client].body}


# With pauses, for content that comes in one packet with the fault is never begun, and another target may rightly answer.
_ENDS: dict[str, tuple[Step, ...]] = {
    "closed": (CLOSE,),
    "reset": (0.02, RESET),
    "silent": (HANG,),
    "garbage": (0.05, b"\x00\xff{<garbage>\r\n\r\nHTTP/9.9 whatever\r\n\r\n", CLOSE),
}


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def _head(kind: str, *fields: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {kind}", *fields, "", ""]).encode()


def stream_cases(client: str, upstream: str) -> Iterator[Case]:
    dialect = DIALECTS[upstream]
    events, opening = dialect.events, dialect.opening
    half = [event[: len(event) // 2] for event in events]
    chunked = _head("text/event-stream", "Transfer-Encoding: chunked")
    places = {
        "after the head": b"",
        "before the content": b"".join(events[:opening]),
        "in the first content": b"".join(events[:opening]) + half[opening],
        "after the content": b"".join(events[: opening + 2]),
        "in an event": b"".join(events[: opening + 1]) + half[opening + 1],
        "before the end": b"".join(events[: dialect.closing]),
    }
    for how, end in _ENDS.items():
        yield Case(client, upstream, True, "before the head", how, end, head=False)
        if how != "garbage":
            yield Case(client, upstream, True, "in the head", how, (chunked[:30], *end), head=False)
    for place, sent in places.items():
        begun = "content" in place and not place.startswith(("before", "in")) or place in ("in an event", "before the end")
        ends = {**_ENDS, "ended": (b"0\r\n\r\n",), "a short chunk": (b"ffff\r\n: ", CLOSE)}
        for how, end in ends.items():
            yield Case(client, upstream, True, place, how, (chunked + _chunk(sent), *end), True, begun, sent)
        plain = _head("text/event-stream", "Connection: close")
        yield Case(client, upstream, True, place, "closed without framing", (plain + sent, CLOSE), True, begun, sent)
        long = _head("text/event-stream", "Content-Length: 99999")
        yield Case(client, upstream, True, place, "shorter than promised", (long + sent, CLOSE), True, begun, sent)


def json_cases(client: str, upstream: str) -> Iterator[Case]:
    whole = DIALECTS[upstream].whole
    cuts = {"after the head": 0, "in the body": len(whole) // 2, "before the last byte": len(whole) - 1}
    framings = {
        "": _head("application/json", f"Content-Length: {len(whole)}"),
        " of chunks": _head("application/json", "Transfer-Encoding: chunked"),
        " without framing": _head("application/json", "Connection: close"),
    }
    for how, end in _ENDS.items():
        yield Case(client, upstream, False, "before the head", how, end, head=False)
        if how != "garbage":
            yield Case(client, upstream, False, "in the head", how, (b"HTTP/1.1 200 OK\r\nContent", *end), head=False)
    for place, at in cuts.items():
        for framing, head in framings.items():
            sent = _chunk(whole[:at]) if "chunks" in framing else whole[:at]
            for how, end in _ENDS.items():
                if how != "garbage" or "chunks" in framing:
                    yield Case(client, upstream, False, place, how + framing, (head + sent, *end), head=True)
        short = _head("application/json", f"Content-Length: {at}") + whole
        if not place.endswith("byte"):  # there the upstream itself says that this is all, and it looks like it
            yield Case(client, upstream, False, place, "longer than promised", (short, CLOSE), head=True)
        if client != upstream:
            pressed = gzip.compress(whole)[: at // 2]
            head = _head("application/json", "Content-Encoding: gzip", f"Content-Length: {len(pressed)}")
            yield Case(client, upstream, False, place, "half a gzip", (head + pressed,), head=True)


def is_honest(case: Case, answer: Answer, provider: str) -> None:
    """A status before the commit; after it one error in the client's dialect, no made-up finish, and nothing behind it."""
    dialect = DIALECTS[case.client]
    assert answer.whole and answer.header("x-monorelay-provider") == provider
    assert answer.header("x-monorelay-attempts") == "1" and "x-monorelay-trail" not in answer.names()
    assert answer.header("x-monorelay-upstream-status") == ("200" if case.head else None)
    if not case.begun:
        message = is_error(answer, 503, "upstream_error", dialect.family)
        assert message.startswith(f"[{provider}] ") and "x-should-retry" not in answer.names()
        return
    assert answer.status == 200 and (answer.header("content-type") or "").startswith("text/event-stream")
    if case.client == case.upstream:
        assert answer.body.startswith(case.sent)
    is_broken_stream(case.client, answer.body, provider)


def is_broken_stream(client: str, body: bytes, provider: str) -> None:
    """Content, then exactly one error event, and no sign of an end."""
    assert body.endswith(b"\n\n") and b"Hel" in body
    events = [event for event in body.split(b"\n\n") if event and not event.startswith(b":")]
    told = [_read(event) for event in events]
    kind, last = told[-1]
    assert last is not None, events[-1]
    assert sum(fields is None for _, fields in told) <= 1, "half an event, where it was cut, and no more"
    text = body.decode()
    assert "[DONE]" not in text and "message_stop" not in text
    if client == "chat":
        error = last["error"]
        assert all(not choice["finish_reason"] for _, one in told if one for choice in one.get("choices", ()))
        assert sum("error" in one for _, one in told if one) == 1
    elif client == "messages":
        assert kind == last["type"] == "error"
        error = last["error"]
        assert [kind for kind, _ in told].count("error") == 1 and "message_delta" not in [kind for kind, _ in told]
    else:
        assert kind == last["type"] == "response.failed" and last["response"]["status"] == "failed"
        assert last["response"]["id"] and isinstance(last["sequence_number"], int)
        error = last["response"]["error"]
        kinds = [kind for kind, _ in told]
        assert kinds.count("response.failed") == 1 and not {"response.completed", "response.incomplete"} & set(kinds)
    assert provider in error["message"] and error.get("type", "upstream_error") == "upstream_error"


def _read(event: bytes) -> tuple[str, Any]:
    lines = event.split(b"\n")
    kind = next((line[7:].decode() for line in lines if line.startswith(b"event: ")), "")
    data = b"".join(line[6:] for line in lines if line.startswith(b"data: "))
    try:
        return kind, json.loads(data)
    except ValueError:
        return kind, None
