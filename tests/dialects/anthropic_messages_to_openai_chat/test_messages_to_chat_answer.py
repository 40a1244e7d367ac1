"""Whole answers and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from messages_to_chat_stage import USAGE, begin

from monorelay.dialects.interface import Truncated, Usage


def completion(message: dict[str, Any] | None = None, finish: Any = "stop", **more: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **({"content": "ok"} if message is None else message)},
        "finish_reason": finish,
    }
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [{**choice, **more}]}).encode()


def answer(body: bytes, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(begin(request).answer(body))
    return found


CALL = {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    "finish, message, reason",
    [
        ("stop", None, "end_turn"),
        ("length", None, "max_tokens"),
        ("tool_calls", CALL, "tool_use"),
        ("function_call", {"function_call": {"name": "f", "arguments": "{}"}}, "tool_use"),
        ("content_filter", None, "refusal"),
        ("stop", CALL, "tool_use"),
        ("length", CALL, "max_tokens"),
        ("tool_calls", None, "end_turn"),
        ("stop", {"refusal": "no"}, "refusal"),
        ("model_length", None, "model_context_window_exceeded"),
        ("STOP", None, "end_turn"),
        ("eos", None, "end_turn"),
        (None, None, "end_turn"),
        (None, CALL, "tool_use"),
        (7, None, "end_turn"),
    ],
)
def test_stop_reasons(finish: Any, message: dict[str, Any] | None, reason: str) -> None:
    """The upstream's word for the end, and what it did, decide the client's."""
    found = answer(completion(message, finish))
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, None)


@pytest.mark.parametrize(
    "finish, more, sequence",
    [
        ("stop", {"stop_reason": "END"}, "END"),
        ("stop", {"matched_stop": "END"}, "END"),
        ("stop_sequence", {}, None),
        ("stop", {"stop_reason": 151643}, ""),
        ("stop", {"stop_reason": None}, ""),
        ("stop", {"stop_reason": "other"}, ""),
        ("length", {"stop_reason": "END"}, ""),
    ],
)
def test_stop_sequences(finish: str, more: dict[str, Any], sequence: str | None) -> None:
    """Where a server says which sequence matched, the client hears of it; "" here: none did."""
    found = answer(completion(None, finish, **more), stop_sequences=["END", "FIN"])
    assert found["stop_sequence"] == (sequence or None)
    assert (found["stop_reason"] == "stop_sequence") == (sequence != "")


def test_the_only_stop_sequence() -> None:
    """Who asked for one need not be told which it was."""
    assert answer(completion(None, "stop_sequence"), stop_sequences=["END"])["stop_sequence"] == "END"


@pytest.mark.parametrize(
    "usage, told, known",
    [
        (
            USAGE,
            {
                "input_tokens": 20,
                "cache_read_input_tokens": 100,
                "output_tokens": 30,
                "output_tokens_details": {"thinking_tokens": 8},
            },
            Usage(input=20, cache_read=100, output=30, reasoning=8),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
            {"input_tokens": 2, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 2},
            Usage(input=2, cache_read=4, cache_write=3, output=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
            {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2},
            Usage(input=5, cache_read=4, output=2),
        ),
        (None, {"input_tokens": 0, "output_tokens": 0}, None),
        ({}, {"input_tokens": 0, "output_tokens": 0}, None),
    ],
)
def test_usage(usage: Any, told: dict[str, Any], known: Usage | None) -> None:
    """What came from the cache is taken out of the input. Figures that nobody told stay unknown, though the client needs some."""
    body = json.loads(completion())
    translation = begin({})
    found = json.loads(translation.answer(json.dumps({**body, "usage": usage}).encode()))
    assert found["usage"] == told
    assert translation.usage == known


@pytest.mark.parametrize(
    "upstream, client", [("chatcmpl-1", "msg_chatcmpl-1"), ("msg_1", "msg_1"), ("", "msg_made"), (None, "msg_made")]
)
def test_ids(upstream: Any, client: str) -> None:
    """The upstream's id, under the prefix of this dialect's ids."""
    assert answer(json.dumps({**json.loads(completion()), "id": upstream}).encode())["id"] == client


def test_the_model_is_the_upstreams() -> None:
    """And the one that was asked for where the upstream does not say."""
    assert answer(completion())["model"] == "m"
    assert answer(json.dumps({**json.loads(completion()), "model": None}).encode())["model"] == "up-model"


@pytest.mark.parametrize(
    "message, content",
    [
        ({"content": "a"}, [{"type": "text", "text": "a"}]),
        ({"content": ""}, []),
        ({"content": None}, []),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [{"type": "text", "text": "ab"}]),
        (
            {"content": "a", "reasoning": "r"},
            [{"type": "thinking", "thinking": "r", "signature": ""}, {"type": "text", "text": "a"}],
        ),
        (
            {"content": "a", "reasoning": "r", "reasoning_content": "r"},
            [{"type": "thinking", "thinking": "r", "signature": ""}, {"type": "text", "text": "a"}],
        ),
        (
            {
                "content": "a",
                "reasoning_details": [{"type": "reasoning.text", "text": "r"}, {"type": "reasoning.encrypted", "data": "x"}],
            },
            [{"type": "thinking", "thinking": "r", "signature": ""}, {"type": "text", "text": "a"}],
        ),
        (
            {"content": None, "tool_calls": [{"function": {"name": "f"}}]},
            [{"type": "tool_use", "id": "call_made", "name": "f", "input": {}}],
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]},
            [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}],
        ),
        (
            {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "words"}}]},
            [{"type": "tool_use", "id": "c", "name": "f", "input": {"INVALID_JSON": "words"}}],
        ),
    ],
)
def test_content(message: dict[str, Any], content: list[dict[str, Any]]) -> None:
    """Every spelling of what a model says."""
    assert answer(completion(message))["content"] == content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        completion()[:-1],
        completion()[:40],
        b"<html>",
        b"[]",
        b'"text"',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[null]}',
        b'{"error":{"message":"no"}}',
        b'{"error":"no"}',
        b'{"object":"error","message":"no"}',
        b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"error","error":{"code":502,"message":"gone"}}]}',
        b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"error"}],"error":"gone"}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    """A cut body, and a success that is none, break the attempt, so that another can be tried."""
    with pytest.raises(Truncated):
        begin({}).answer(body)


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_refusals(status: int, kind: str) -> None:
    """An upstream's error in this dialect: the type by the status; message, code, param and request id stay."""
    error = {"message": "Because.", "type": "some_vendor_error", "param": "x", "code": "y"}
    told = begin({}).refusal(status, json.dumps({"error": error, "request_id": "req_1"}).encode())
    assert told is not None
    assert json.loads(told) == {
        "type": "error",
        "error": {"message": "Because.", "type": kind, "code": "y", "param": "x"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    "error",
    [
        {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"},
        {"message": "The input (9000 tokens) is longer than the model's context window (8192 tokens)."},
        {"message": "prompt is too long: 9000 tokens > 8192 maximum"},
    ],
)
def test_a_prompt_that_is_too_long(error: dict[str, Any]) -> None:
    """Agents know it by Anthropic's own words, and compact their conversation; the upstream's words follow."""
    told = begin({}).refusal(400, json.dumps({"error": error}).encode())
    assert told is not None
    message = json.loads(told)["error"]["message"]
    assert message.startswith("prompt is too long: ")
    assert message.endswith(error["message"])
    assert message.count("prompt is too long") == 1


def test_a_refusal_in_a_list() -> None:
    """Some servers put their error object into one."""
    told = begin({}).refusal(404, b'[{"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}]')
    assert told is not None
    assert json.loads(told)["error"] == {"message": "no such model", "type": "not_found_error", "code": "404"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[1]", b'{"detail":"no"}', b'{"error":null}', b"[", b"null"])
def test_refusals_without_an_error_object(body: bytes) -> None:
    """The relay wraps those."""
    assert begin({}).refusal(400, body) is None
