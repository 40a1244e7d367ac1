"""Streams and answers that fail: who hears of it, when, and how; and what never looks like an end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_stage import (
    BODY,
    CHAT,
    ERROR,
    MESSAGES,
    Told,
    begin,
    chunk,
    event,
    opened,
    start,
)

from monorelay.dialects.interface import Truncated

CHAT_ERROR = b'data: {"error":{"message":"Slow down","type":"rate_limit_error","code":429}}\n\n'
MESSAGES_ERROR = event(type="error", error={"type": "rate_limit_error", "message": "Slow down"})
FAILURES = pytest.mark.parametrize(
    "translator, before, content, error",
    [
        (CHAT, chunk({"role": "assistant"}), chunk({"content": "x"}), CHAT_ERROR),
        (MESSAGES, start(), opened(0, type="text", text="x"), MESSAGES_ERROR),
    ],
    ids=["chat", "messages"],
)


@FAILURES
def test_an_error_before_content_fails_the_attempt(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Nothing of it is told; a relay that had to commit before tells it with the end."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before)
    assert stream.feed(error) == b"" and not stream.opened
    assert stream.error is not None and stream.error.status == 429 and stream.error.body.message == "Slow down"
    read = Told(told + stream.close())
    assert read.error is not None and read.error["code"] == "rate_limit_exceeded" and read.error["message"] == "Slow down"


@FAILURES
def test_a_last_error_without_its_blank_line(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Fails the attempt as well: the end of the stream is where it is read."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before) + stream.feed(error.removesuffix(b"\n\n"))
    with pytest.raises(Truncated, match="Slow down"):
        stream.close()
    read = Told(told + stream.fail(ERROR))
    assert read.error is not None


@FAILURES
def test_an_error_after_content_is_told(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """As response.failed, with what is open left open, and nothing behind it."""
    stream = begin(BODY, translator).stream()
    told = b"".join(stream.feed(each) for each in (before, content, error, content))
    assert stream.finished and stream.error is not None
    read = Told(told + stream.close() + stream.fail(ERROR))
    assert read.error is not None and read.error["message"] == "Slow down" and len(read.open) == 1


@FAILURES
def test_a_cut_stream_is_no_end(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """It raises, and fails in band."""
    stream = begin(BODY, translator).stream()
    told = stream.feed(before + content)
    with pytest.raises(Truncated):
        stream.close()
    read = Told(told + stream.fail(ERROR))
    assert read.error == {"code": "server_error", "message": ERROR.message, "type": "upstream_error", "param": None}
    assert stream.fail(ERROR) == b""


@FAILURES
def test_a_failure_before_anything(translator: Any, before: bytes, content: bytes, error: bytes) -> None:
    """Even that is a stream by the dialect's grammar."""
    stream = begin(BODY, translator).stream()
    read = Told(stream.fail(ERROR))
    assert read.names == ["response.created", "response.in_progress", "response.failed"]
    assert stream.keepalive().startswith(b":")


def test_all_that_misses_is_the_end() -> None:
    """Behind the finish reason a failure takes nothing away."""
    stream = begin(BODY).stream()
    told = stream.feed(chunk({"content": "x"}) + chunk({}, "stop"))
    assert not stream.finished
    read = Told(told + stream.fail(ERROR))
    assert read.response is not None and read.response["status"] == "completed"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"error":{"message":"no"}}',
        b'{"type":"error","error":{"message":"no"}}',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{"error":{"message":"no"}}]}',
        b'"x"',
        b"null",
    ],
)
@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
def test_what_is_no_answer(translator: Any, body: bytes) -> None:
    """Cut JSON, errors inside a 200, and answers without any: the relay tries elsewhere."""
    with pytest.raises(Truncated):
        begin(BODY, translator).answer(body)


@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
def test_refusals_keep_what_was_said(translator: Any) -> None:
    """Message, param and code, under a type that OpenAI's clients know."""
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"Bad","param":"input","code":"c"},"request_id":"r"}'
    found = json.loads(begin(BODY, translator).refusal(400, body) or b"")
    assert found == {"error": {"message": "Bad", "type": "invalid_request_error", "code": "c", "param": "input"}, "request_id": "r"}
    assert begin(BODY, translator).refusal(502, b"<html>") is None


@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
@pytest.mark.parametrize(
    "message", ["prompt is too long: 9 tokens > 8 maximum", "This model's maximum context length is 8 tokens."]
)
def test_a_conversation_that_is_too_long(translator: Any, message: str) -> None:
    """Has the code that makes clients compact it, whatever the upstream called it."""
    error = {"type": "invalid_request_error", "message": message}
    refusal = begin(BODY, translator).refusal(400, json.dumps({"type": "error", "error": error}).encode())
    assert json.loads(refusal or b"")["error"]["code"] == "context_length_exceeded"
    stream = begin(BODY, translator).stream()
    stream.feed(event(type="error", error=error))
    assert stream.error is not None and stream.error.body.code == "context_length_exceeded"
