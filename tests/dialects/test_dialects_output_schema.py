"""Closed schemas: what fits stays equal, what a grammar cannot hold is said in words, what would change its meaning is refused."""

from __future__ import annotations

from typing import Any

import pytest

from monorelay.dialects.output_schema import closed_schema

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        NAME,
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        {"enum": ["a", 1, None], "description": "one of them"},
        {"$defs": {"N": NAME}, "allOf": [{"$ref": "#/$defs/N"}]},
        {**NAME, "properties": {"name": {"$ref": "#/$defs/T"}}, "$defs": {"T": {"type": "string", "default": "x"}}},
    ],
)
def test_what_fits_stays(schema: dict[str, Any]) -> None:
    """Closing a closed schema changes nothing."""
    assert closed_schema(schema) == schema


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 9}}},
            {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "(minimum: 1, maximum: 9)"}},
                "additionalProperties": False,
            },
        ),
        (
            {"type": "string", "description": "A code.", "pattern": "^x"},
            {"type": "string", "description": 'A code. (pattern: "^x")'},
        ),
        ({"type": "string", "format": "color"}, {"type": "string", "description": '(format: "color")'}),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 2},
            {"type": "array", "items": {"type": "null"}, "description": "(minItems: 2)"},
        ),
        ({"oneOf": [{"type": "string"}], "$schema": "x"}, {"anyOf": [{"type": "string"}]}),
    ],
)
def test_what_a_grammar_cannot_hold_is_said(schema: dict[str, Any], closed: dict[str, Any]) -> None:
    """Objects are closed, constraints move into the description."""
    assert closed_schema(schema) == closed


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "properties": {"a": {"type": "string"}}, "patternProperties": {"x": {}}},
        {"type": "tuple"},
        {"enum": [{"a": 1}]},
        {"not": {"type": "string"}},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}},
        {
            "$ref": "#/$defs/A",
            "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/B"}]}, "B": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
        },
    ],
)
def test_what_would_mean_something_else_has_no_closed_form(schema: object) -> None:
    """Free keys, any value, trees, references elsewhere."""
    assert closed_schema(schema) is None


def test_a_schema_beyond_reason() -> None:
    """Depth costs no more than an answer."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100_000):
        schema = {"type": "array", "items": schema}
    assert closed_schema(schema) is None
    while schema:
        schema = schema.pop("items", {})  # one by one: freeing it whole would recurse in older interpreters
