"""What only its maker can read is noticed in the bytes of a request; talk about it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.signatures import holds_signatures

SIGNED: list[Any] = [
    {"type": "thinking", "thinking": "Hm", "signature": "EqQB"},
    {"type": "redacted_thinking", "data": "Eo8"},
    {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
    {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
    {"extra_content": {"maker": {"thought_signature": "x"}}},
]
UNSIGNED: list[Any] = [
    {"type": "thinking", "thinking": "Hm", "signature": ""},
    {"type": "reasoning", "summary": [], "encrypted_content": None},
    {"include": ["reasoning.encrypted_content"]},
    {"type": "text", "text": '{"signature": "a", "encrypted_content": "b", "type": "redacted_thinking"}'},
    {"input_schema": {"properties": {"signature": {"type": "string"}}}},
    {},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("block", SIGNED)
def test_signed(block: Any, indent: int | None) -> None:
    """Thinking, reasoning and calls that their maker signed or encrypted."""
    assert holds_signatures(json.dumps({"messages": [{"content": [block]}]}, indent=indent).encode())


@pytest.mark.parametrize("block", UNSIGNED)
def test_not_signed(block: Any) -> None:
    """An empty signature, a wish, a schema, or a text about them."""
    assert not holds_signatures(json.dumps({"messages": [{"content": [block]}]}).encode())
