"""Error events of a stream: the status each would have had, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error, read_error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"type": "invalid_request_error"}, 400),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, 400),
        ({"type": "invalid_request_error", "code": "never_heard_of"}, 400),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, 401),
        ({"type": "invalid_request_error", "code": "model_not_found"}, 404),
        ({"type": "invalid_request_error", "code": 429}, 429),
        ({"type": "authentication_error"}, 401),
        ({"type": "billing_error"}, 402),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, 402),
        ({"type": "permission_error"}, 403),
        ({"type": "not_found_error"}, 404),
        ({"type": "request_too_large"}, 413),
        ({"type": "rate_limit_error"}, 429),
        ({"type": "requests", "code": "rate_limit_exceeded"}, 429),
        ({"type": "tokens"}, 429),
        ({"code": "my_rate_limit_of_today"}, 429),
        ({"code": "ThrottlingException"}, 429),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"code": "429"}, 429),
        ({"status_code": 503}, 503),
        ({"type": "api_error"}, 500),
        ({"type": "server_error", "code": None}, 500),
        ({"type": "overloaded_error"}, 529),
        ({"code": "server_is_overloaded"}, 529),
        ({"code": 529}, 529),
        ({"code": "invalid_image_url"}, 400),
        ({"code": "image_too_large"}, 400),
        ({"code": 1302}, 500),
        ({"code": 200}, 500),
        ({"code": True}, 500),
        ({"code": {"a": 1}, "type": ["x"]}, 500),
        ({"message": "who knows"}, 500),
        ({}, 500),
    ],
)
def test_status(error: dict[str, Any], status: int) -> None:
    """The most particular word that is understood decides; what nobody understands is the upstream's own fault."""
    assert read_error(error).status == status


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("", {"error": {"message": "a"}}, "a"),
        ("error", {"error": {"message": "a"}}, "a"),
        ("error", {"type": "error", "error": {"type": "api_error", "message": "a"}}, "a"),
        ("", {"type": "error", "code": "server_error", "message": "a", "sequence_number": 3}, "a"),
        ("error", {"message": "a", "code": 400}, "a"),
        ("error", {"detail": "a"}, "a"),
        ("", {"object": "error", "message": "a", "type": "BadRequestError", "code": 400}, "a"),
        ("", {"error": "a"}, "a"),
        ("", {"error": "a", "code": 500}, "a"),
        ("", {"error": {"code": "server_error"}}, "The stream failed: server_error."),
        ("error", {}, "not json"),
    ],
)
def test_shapes(name: str, fields: dict[str, Any], message: str) -> None:
    """Every shape is an error, with its message."""
    error = find_error(Event(name, json.dumps(fields).encode() if fields else b"not json", b""), fields)
    assert error is not None
    assert error.body.message == message


@pytest.mark.parametrize(
    "fields", [{}, {"error": None}, {"error": {}}, {"error": ""}, {"error": False}, {"choices": []}, {"type": "ping"}]
)
def test_no_error(fields: dict[str, Any]) -> None:
    """An empty or null ``error``, which some servers put into every chunk, is none."""
    assert find_error(Event("", json.dumps(fields).encode(), b""), fields) is None


def test_code_and_param_are_kept() -> None:
    """What the upstream said about the field survives, numbers as text."""
    body = read_error({"message": "m", "type": "invalid_request_error", "code": 400, "param": "messages[0]"}).body
    assert (body.type, body.code, body.param) == ("invalid_request_error", "400", "messages[0]")


def test_a_type_is_found_when_none_was_told() -> None:
    """Then the status names it."""
    assert read_error({"code": "rate_limit_exceeded"}).body.type == "rate_limit_error"
    assert read_error({"type": "error", "code": "x"}).body.type == "upstream_error"
