"""What a refusal is about: codes before sentences, sentences before nothing; and answers that a filter emptied."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.refusal_kinds import error_words, is_filtered, kind_of_error, kind_of_refusal
from monorelay.errors import ErrorBody


def openai(message: str = "No.", type: str = "invalid_request_error", code: Any = None, param: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def anthropic(message: str, type: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}


LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
CASES = [
    # openai.chat
    ("openai.chat", 400, openai(LONG, code="context_length_exceeded", param="messages"), "context_length"),
    ("openai.responses", 400, openai("Your input exceeds the context window.", code="context_length_exceeded"), "context_length"),
    ("openai.chat", 413, openai("Too large.", type="request_too_large"), "context_length"),
    ("openai.chat", 413, {}, "context_length"),
    ("openai.chat", 400, openai(LONG, type="BadRequestError", code=400), "context_length"),
    ("openai.chat", 400, {"object": "error", "message": LONG, "type": "BadRequestError", "code": 400}, "context_length"),
    ("openai.chat", 400, openai("too many", type="exceed_context_size_error", code=400), "context_length"),
    ("openai.chat", 400, openai("Filtered.", type="", code="content_filter"), "content_filter"),
    ("openai.images", 400, openai("Rejected.", code="content_policy_violation"), "content_filter"),
    ("openai.images", 400, openai("Rejected.", code="moderation_blocked"), "content_filter"),
    ("openai.responses", 400, openai("Your prompt was flagged.", code="invalid_prompt"), "content_filter"),
    ("openai.chat", 404, openai("The model `x` does not exist or you have no access.", code="model_not_found"), "model_not_found"),
    ("openai.chat", 403, openai("Project has no access to model x", code="model_not_found"), "model_not_found"),
    ("openai.chat", 404, openai("The model `x` does not exist.", type="NotFoundError", code=404), "model_not_found"),
    ("openai.chat", 404, openai('model "x:7b" not found, try pulling it first', type="api_error"), "model_not_found"),
    ("openai.chat", 404, openai("Nothing here", param="model"), "model_not_found"),
    # anthropic.messages
    ("anthropic.messages", 400, anthropic("prompt is too long: 210000 tokens > 200000 maximum"), "context_length"),
    (
        "anthropic.messages",
        400,
        anthropic("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length"),
        "context_length",
    ),
    (
        "anthropic.messages",
        413,
        anthropic("Request exceeds the maximum number of bytes.", "request_too_large"),
        "context_length",
    ),
    ("anthropic.messages", 400, anthropic("Output blocked by content filtering policy"), "content_filter"),
    ("anthropic.messages", 404, anthropic("model: claude-nine", "not_found_error"), "model_not_found"),
    # No kind at all.
    ("openai.responses", 404, openai("Response with id 'resp_1' not found."), ""),
    ("openai.responses", 400, openai("Previous response not found.", code="previous_response_not_found"), ""),
    ("openai.files", 404, openai("No such File object: file-1", param="id"), ""),
    ("anthropic.messages", 404, anthropic("File not found: file_1", "not_found_error"), ""),
    ("anthropic.messages", 404, anthropic("Not Found", "not_found_error"), ""),
    ("openai.chat", 404, {"detail": "Not Found"}, "not_offered"),
    ("openai.chat", 405, {"detail": "Method Not Allowed"}, "not_offered"),
    ("openai.chat", 400, {"detail": "Not Found"}, ""),
    ("openai.chat", 404, {"message": "Nothing of this name", "code": 404}, ""),
    ("openai.chat", 400, openai("Invalid type for 'messages'.", code="invalid_type", param="messages"), ""),
    ("openai.chat", 400, openai("Unsupported parameter with this model", code="unsupported_parameter", param="model"), ""),
    ("openai.chat", 429, openai(LONG, type="tokens", code="rate_limit_exceeded"), ""),
    ("openai.chat", 429, openai("…", code="model_not_found"), ""),
    ("openai.chat", 401, openai("The model `x` does not exist"), ""),
    ("openai.chat", 500, openai("prompt is too long"), ""),
]


@pytest.mark.parametrize(("capability", "status", "body", "kind"), CASES)
def test_kinds(capability: str, status: int, body: dict[str, Any], kind: str) -> None:
    """Each dialect's own codes and sentences are told apart; an object that is not there is no model that is not there."""
    assert kind_of_refusal(capability, status, json.dumps(body).encode()) == kind


@pytest.mark.parametrize("body", [b"", b"null", b"7", b"[]", b"[1]", b'"x"', b"{", b"\xff\xfe", b'{"error": 7}', b"[" * 100_000])
def test_any_body(body: bytes) -> None:
    """Whatever came is read without a fault, and is of no kind."""
    assert kind_of_refusal("openai.chat", 400, body) == ""
    assert all(isinstance(word, str) for word in error_words(body))


def test_text_of_a_gateway() -> None:
    """A body that is no JSON is its own message."""
    assert kind_of_refusal("openai.chat", 404, b"model 'x' not found\n") == "model_not_found"
    assert error_words(b" <h1>Bad gateway</h1>\n") == ("<h1>Bad gateway</h1>",)


@pytest.mark.parametrize("body", [b"", b"<html><h1>404 Not Found</h1></html>", b"404 page not found\n", b"[]", b"null"])
def test_a_404_that_no_api_wrote_is_about_the_endpoint(body: bytes) -> None:
    assert kind_of_refusal("openai.chat", 404, body) == "not_offered"


def test_an_error_that_was_read_already() -> None:
    """One inside a stream has a kind too."""
    assert kind_of_error("openai.chat", 400, ErrorBody("invalid_request_error", LONG)) == "context_length"
    assert kind_of_error("openai.chat", 500, ErrorBody("api_error", "x", "content_filter")) == "content_filter"
    assert kind_of_error("openai.chat", 503, ErrorBody("overloaded_error", "Busy.")) == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (openai("No.", code="a_code"), ("invalid_request_error", "a_code", "No.")),
        (openai("No.", type="BadRequestError", code=400), ("BadRequestError", "400", "No.")),
        ({"error": "Just text"}, ("Just text",)),
        ({"detail": "Not Found"}, ("Not Found",)),
        ([{"error": {"message": "In a list", "status": "NOT_FOUND", "code": 404}}], ("404", "In a list")),
        (anthropic("prompt is too long"), ("invalid_request_error", "prompt is too long")),
        ({"error": {"message": ["a"], "type": None, "code": True}}, ()),
    ],
)
def test_words(body: Any, words: tuple[str, ...]) -> None:
    """Type, code and message, wherever the dialects write them."""
    assert error_words(json.dumps(body).encode()) == words


def test_words_are_short() -> None:
    """A glob is never matched against a megabyte."""
    assert all(len(word) <= 2000 for word in error_words(json.dumps(openai("x" * 1_000_000)).encode()))
    assert all(len(word) <= 2000 for word in error_words(b"x" * 1_000_000))


def chat(finish: str, index: int = 0, **message: Any) -> dict[str, Any]:
    return {"index": index, "finish_reason": finish, "message": {"role": "assistant", **message}}


def response(*output: Any, reason: str = "content_filter") -> dict[str, Any]:
    return {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": list(output)}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


FILTERED = [
    ("openai.chat", {"choices": [chat("content_filter", content="")]}, True),
    ("openai.chat", {"choices": [chat("content_filter", content=None, refusal="I can't.")]}, True),
    ("openai.chat", {"choices": [chat("content_filter", content="Half an ans")]}, False),
    ("openai.chat", {"choices": [chat("content_filter"), chat("stop", 1, content="Whole")]}, False),
    ("openai.chat", {"choices": [chat("content_filter", tool_calls=[{"id": "c"}])]}, False),
    ("openai.chat", {"choices": [chat("stop", content="what content_filter means")]}, False),
    ("openai.chat", {"choices": []}, False),
    ("openai.chat", {"choices": "content_filter"}, False),
    ("openai.completions", {"choices": [{"text": "", "finish_reason": "content_filter"}]}, True),
    ("openai.completions", {"choices": [{"text": "a", "finish_reason": "content_filter"}]}, False),
    ("openai.responses", response(), True),
    ("openai.responses", response({"type": "reasoning", "summary": []}, said("")), True),
    ("openai.responses", response(said("Half")), False),
    ("openai.responses", response({"type": "function_call", "name": "f"}), False),
    ("openai.responses", response(reason="max_output_tokens"), False),
    ("anthropic.messages", {"stop_reason": "refusal", "content": []}, True),
    ("anthropic.messages", {"stop_reason": "refusal", "content": [{"type": "text", "text": ""}]}, True),
    ("anthropic.messages", {"stop_reason": "refusal", "content": [{"type": "text", "text": "I"}]}, False),
    ("anthropic.messages", {"stop_reason": "end_turn", "content": [{"type": "text", "text": "refusal"}]}, False),
    ("openai.embeddings", {"choices": [chat("content_filter")]}, False),
]


@pytest.mark.parametrize(("capability", "body", "is_one"), FILTERED)
def test_filtered(capability: str, body: dict[str, Any], is_one: bool) -> None:
    """Only an answer that says nothing at all is one: what was said half-way belongs to the client."""
    assert is_filtered(capability, json.dumps(body).encode()) is is_one


@pytest.mark.parametrize("body", [b"content_filter", b'["content_filter"]', b'{"choices": [7, "content_filter"]}', b'"refusal"'])
def test_filtered_of_any_body(body: bytes) -> None:
    """What is no answer of the dialect is not filtered."""
    for capability in ("openai.chat", "openai.completions", "openai.responses", "anthropic.messages"):
        assert is_filtered(capability, body) is False
