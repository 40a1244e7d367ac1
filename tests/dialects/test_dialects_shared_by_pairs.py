"""Small things that several pairs share: effort, data URLs, ids of calls, usage in three shapes, refusals, losses."""

from __future__ import annotations

import json

import pytest

from monorelay.dialects.call_ids import own_id, plain_id
from monorelay.dialects.data_urls import data_url, read_data_url
from monorelay.dialects.effort import BUDGETS, budget_for, effort_for
from monorelay.dialects.finish_reasons import finish_reason_for
from monorelay.dialects.interface import Untranslatable, Usage
from monorelay.dialects.loss import Losses
from monorelay.dialects.refusals import translate_refusal
from monorelay.dialects.usage import read_usage
from monorelay.dialects.usage_shapes import chat_usage, messages_usage, responses_usage


def test_budgets_rise_and_fit() -> None:
    """More effort, more budget; always below the limit, never below what is refused; a budget's word is the one it came from."""
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())
    for effort, wanted in BUDGETS.items():
        assert budget_for(effort, None) == wanted
        for limit in (1, 1024, 1025, 2000, 5000, 100_000):
            budget = budget_for(effort, limit)
            assert (budget is None) == (limit <= 1024)
            assert budget is None or 1024 <= budget < limit and budget <= wanted
    assert [effort_for(BUDGETS[effort]) for effort in ("low", "medium", "high")] == ["low", "medium", "high"]
    assert budget_for("tomorrow", 5000) is None


@pytest.mark.parametrize(
    ("url", "media_type", "base64", "text"),
    [
        ("data:image/png;base64,iVBO", "image/png", "iVBO", None),
        ("DATA:Text/CSV;charset=utf-8;BASE64,YSxi", "text/csv", "YSxi", "a,b"),
        ("data:,a%20b", "text/plain", "YSBi", "a b"),
        ("data:text/plain;base64,A", "text/plain", "A", None),
        ("data:;base64,/w==", "text/plain", "/w==", None),
    ],
)
def test_data_urls(url: str, media_type: str, base64: str, text: str | None) -> None:
    """What they hold, and as text where it is text."""
    found = read_data_url(url)
    assert found is not None
    assert (found.media_type, found.base64) == (media_type, base64)
    if text is not None or media_type == "text/plain":
        assert found.text() == text
    assert read_data_url(data_url(media_type, base64)) == found


@pytest.mark.parametrize("url", ["", "https://x/y", "data:image/png", "file:///etc/passwd", " data:,x"])
def test_no_data_urls(url: str) -> None:
    """Anything else is none."""
    assert read_data_url(url) is None


@pytest.mark.parametrize("own", ["call_1", "toolu_01-Ab", "functions.f:0", "", "b64-Zg", "ä 漢", "\ud800", "x" * 100])
def test_ids_of_calls(own: str) -> None:
    """Plain ones pass; the others become plain, two stay two, and the way back is exact."""
    plain = plain_id(own)
    assert all(character.isascii() and (character.isalnum() or character in "_-") for character in plain)
    assert own_id(plain) == own
    assert (plain == own) == (own in ("call_1", "toolu_01-Ab", "x" * 100))


def test_an_id_that_only_looks_coded() -> None:
    """Somebody else's id is not decoded to nonsense."""
    assert own_id("b64-_") == "b64-_"


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=10, cache_read=5, cache_write=2, output=7, reasoning=3),
        Usage(input=10, cache_read=0, cache_write=0, output=7, reasoning=0),
        Usage(input=0, cache_read=500, cache_write=0, output=0, reasoning=0),
    ],
)
def test_usage_survives_every_shape(usage: Usage) -> None:
    """Written in a dialect and read again, it is the same record: sums are converted, not copied."""
    assert read_usage(chat_usage(usage) or {}) == usage
    assert read_usage(responses_usage(usage) or {}) == usage
    assert read_usage(messages_usage(usage)) == usage


def test_figures_that_nobody_told_are_left_out() -> None:
    """Unknown is not zero, where the dialect lets it be said."""
    assert chat_usage(None) is None and responses_usage(None) is None
    assert chat_usage(Usage(input=3, output=4)) == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert messages_usage(Usage(input=3, output=4)) == {"input_tokens": 3, "output_tokens": 4}
    assert messages_usage(None) == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error"}, "invalid_request_error"),
        (401, {"type": "invalid_request_error", "code": "invalid_api_key"}, "invalid_request_error"),
        (401, {"code": "invalid_api_key"}, "authentication_error"),
        (402, {"type": "insufficient_quota"}, "billing_error"),
        (403, {}, "permission_error"),
        (404, {"type": "not_found_error"}, "not_found_error"),
        (413, {}, "request_too_large"),
        (422, {}, "invalid_request_error"),
        (429, {"type": "requests", "code": "rate_limit_exceeded"}, "rate_limit_error"),
        (500, {"type": "server_error"}, "api_error"),
        (503, {}, "overloaded_error"),
        (529, {"type": "overloaded_error"}, "overloaded_error"),
        (599, {}, "api_error"),
    ],
)
def test_refusals_by_status(status: int, error: dict[str, object], kind: str) -> None:
    """One list of types for both families; message, param, code and request id survive."""
    body = {"error": {"message": "No.", "param": "p", **error}, "request_id": "req_1"}
    for family in ("openai", "anthropic"):
        found = json.loads(translate_refusal(family, status, json.dumps(body).encode()) or b"")  # type: ignore[arg-type]
        assert found["error"]["type"] == kind
        assert found["error"]["message"] == "No." and found["error"]["param"] == "p"
        assert found["error"].get("code") == error.get("code")
        assert found["request_id"] == "req_1"
        assert ("type" in found) == (family == "anthropic")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error":"text"}', b'{"detail":"x"}', b"\xff", b"[" * 100_000])
def test_no_refusals(body: bytes) -> None:
    """What has no error object is left to the relay to wrap."""
    assert translate_refusal("openai", 400, body) is None


def test_a_refusal_without_words() -> None:
    """Says its status at least."""
    found = json.loads(translate_refusal("anthropic", 418, b'{"error":{}}') or b"")
    assert "418" in found["error"]["message"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("tomorrow", "stop"),
        (None, "stop"),
        ([], "stop"),
    ],
)
def test_finish_reasons(reason: object, finish: str) -> None:
    """Every reason, known or not, is one that OpenAI's clients know."""
    assert finish_reason_for(reason) == finish


def test_losses() -> None:
    """Each name once, in order; a strict route refuses the first with its reason."""
    losses = Losses(False, {"seed": "it draws its own"})
    for name in ("seed", "x", "seed"):
        losses.add(name)
    assert losses.names == ("seed", "x")
    with pytest.raises(Untranslatable, match="draws its own") as refused:
        Losses(True, {"seed": "it draws its own"}).add("seed")
    assert refused.value.field == "seed"
