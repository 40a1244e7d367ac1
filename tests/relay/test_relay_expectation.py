"""What a test of a provider expects, compared with what came."""

from __future__ import annotations

from typing import Any

import pytest

from monorelay.relay.expectation import LONGEST, differences, shown

SAME: list[tuple[Any, Any]] = [
    ({}, {"any": 1}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": {"b": [1, {"c": "x"}]}}, {"a": {"b": [1, {"c": "x", "d": None}]}}),
    ({"a": None}, {}),
    ({"a": None}, {"a": None}),
    ({"a": 1}, {"a": 1.0}),
    ("text", "text"),
    ([], []),
]


@pytest.mark.parametrize(("expected", "got"), SAME)
def test_only_what_is_named_is_compared(expected: Any, got: Any) -> None:
    """Other fields are free, and null is what is not there."""
    assert list(differences(expected, got)) == []


DIFFERENT: list[tuple[Any, Any, list[tuple[tuple[str | int, ...], str]]]] = [
    ({"a": 1}, {"a": 2}, [(("a",), "expected 1, got 2")]),
    ({"a": 1}, {}, [(("a",), "expected 1, got nothing")]),
    ({"a": None}, {"a": 0}, [(("a",), "expected nothing, got 0")]),
    ({"a": True}, {"a": 1}, [(("a",), "expected true, got 1")]),
    ({"a": False}, {"a": 0}, [(("a",), "expected false, got 0")]),
    ({"a": "1"}, {"a": 1}, [(("a",), "expected 1, got 1")]),
    ({"a": [1, 2]}, {"a": [1]}, [(("a",), "expected [1, 2], got [1]")]),
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [(("a", 1, "b"), "expected 2, got 3")]),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}, [(("a",), "expected 1, got 2"), (("b",), "expected 2, got 1")]),
    ({"a": 1}, [1], [((), 'expected {"a": 1}, got [1]')]),
    ({}, None, [((), "expected {}, got nothing")]),
]


@pytest.mark.parametrize(("expected", "got", "found"), DIFFERENT)
def test_every_difference_has_its_path(expected: Any, got: Any, found: list[tuple[tuple[str | int, ...], str]]) -> None:
    """All of them are told, each where it is."""
    assert list(differences(expected, got)) == found


def test_long_values_are_cut() -> None:
    """A sentence stays one: a body may be large."""
    assert len(shown("x" * 5000)) == LONGEST
    assert shown("x" * LONGEST) == "x" * LONGEST
