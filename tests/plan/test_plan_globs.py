"""Globs of names: what they match, and that a miss costs little."""

from __future__ import annotations

import itertools
import re

import pytest

from monorelay.plan.globs import compile_globs


def matches(glob: str, name: str) -> bool:
    pattern = compile_globs([glob])
    assert pattern is not None
    return pattern.fullmatch(name) is not None


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("gpt-4*", "GPT-4o", True),
        ("gpt-4*", "my-gpt-4", False),
        ("*", "", True),
        ("**", "a", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*-?b", "llama-8b", True),
        ("*claude*sonnet*", "anthropic/claude-3-sonnet-4", True),
        ("*claude*sonnet*", "sonnet-claude", False),
        ("a.b*", "axb", False),
        ("*\n", "a\n", True),
    ],
)
def test_stars_and_question_marks(glob: str, name: str, expected: bool) -> None:
    """Matched whole, without case; everything else is itself."""
    assert matches(glob, name) is expected


def test_every_short_glob_matches_as_the_plain_reading_of_it_would() -> None:
    """Taking the first place for good, between stars, never misses a match."""
    names = ["".join(letters) for size in range(6) for letters in itertools.product("ab", repeat=size)]
    for size in range(1, 6):
        for letters in itertools.product("ab*?", repeat=size):
            glob = "".join(letters)
            plain = re.compile(glob.replace("*", ".*").replace("?", "."))
            assert [matches(glob, name) for name in names] == [plain.fullmatch(name) is not None for name in names], glob


def test_a_miss_of_many_stars_takes_no_time() -> None:
    """Names come from clients: with back-tracking this one would take years."""
    assert not matches("*a*a*a*a*a*a*b", "a" * 512)
