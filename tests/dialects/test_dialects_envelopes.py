"""What the relay writes itself, in either family's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.envelopes import Family, error_bytes, family_of
from monorelay.errors import ErrorBody


@pytest.mark.parametrize(
    ("family", "error", "written"),
    [
        ("openai", ErrorBody("auth_error", "No."), {"error": {"message": "No.", "type": "auth_error"}}),
        (
            "openai",
            ErrorBody("invalid_request_error", "No.", "c", "model"),
            {"error": {"message": "No.", "type": "invalid_request_error", "code": "c", "param": "model"}},
        ),
        ("anthropic", ErrorBody("no_keys", "No."), {"type": "error", "error": {"message": "No.", "type": "no_keys"}}),
        ("openai", ErrorBody("t", 'ü "🌍" \n \ud800'), {"error": {"message": 'ü "🌍" \n \ud800', "type": "t"}}),
    ],
)
def test_error_bytes(family: Family, error: ErrorBody, written: dict[str, Any]) -> None:
    """One envelope; Anthropic's is a superset. Any text is valid JSON in valid UTF-8, a lone surrogate too."""
    body = error_bytes(family, error)
    body.decode()
    assert json.loads(body) == written


@pytest.mark.parametrize(
    ("word", "has_version", "family"),
    [
        ("openai.chat", False, "openai"),
        ("openai.chat", True, "openai"),
        ("anthropic.messages", False, "anthropic"),
        ("anthropic_models", False, "anthropic"),
        ("models", False, "openai"),
        ("models", True, "anthropic"),
        ("acme.ocr", False, "openai"),
        ("acme.ocr", True, "anthropic"),
        (None, False, "openai"),
        (None, True, "anthropic"),
    ],
)
def test_family(word: str | None, has_version: bool, family: Family) -> None:
    """A route's dialect decides; where it has none, the client's header does."""
    assert family_of(word, has_version) == family
