"""What the relay writes itself, in either family's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.envelopes import Family, as_json, error_bytes, family_of
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


def test_what_is_written_is_json() -> None:
    """Python reads numbers that JSON has no words for: the large ones stay large, what is no number is null, text stays text."""
    read = json.loads('{"n": 1e999, "Infinity": [-1e999, "NaN", NaN, {"a": NaN}], "y": "Infinity", "d": 1.1}')
    assert as_json(read) == b'{"n":1e999,"Infinity":[-1e999,"NaN",null,{"a":null}],"y":"Infinity","d":1.1}'
    assert (as_json(float("inf")), as_json([float("nan")]), as_json("NaN\ud800")) == (b"1e999", b"[null]", b'"NaN\\ud800"')


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
