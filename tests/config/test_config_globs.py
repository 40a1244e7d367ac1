"""Globs that cover each other: exact, for all short globs there are, and quick where somebody made them to be slow."""

from __future__ import annotations

import itertools
import time
from fnmatch import fnmatchcase

import pytest

from monorelay.config.globs import covers, shadowed

CASES = [
    ("*", "gpt-4", True),
    ("gpt-*", "gpt-4*", True),
    ("gpt-4*", "gpt-*", False),
    ("GPT-*", "gpt-4", True),
    ("gpt-4", "GPT-4", True),
    ("o?", "o1", True),
    ("o?", "o?", True),
    ("o?", "o*", False),
    ("o*", "o?", True),
    ("?*", "*?", True),
    ("a?*", "a*b", True),
    ("*a*", "*b*a*", True),
    ("*b*a*", "*a*", False),
    ("**", "*", True),
    ("*a", "*ba", True),
    ("*-latest", "gpt-*-latest", True),
    ("gpt-*-latest", "gpt-latest", False),
    ("a.c", "abc", False),
    ("*ab*", "*aab*", True),
    ("[a]", "a", False),
]


@pytest.mark.parametrize(("earlier", "later", "expected"), CASES)
def test_covers(earlier: str, later: str, expected: bool) -> None:
    """Whatever the second matches, the first matches, too; case does not count."""
    assert covers(earlier, later) is expected


def test_every_pair_of_short_globs_is_told_right() -> None:
    """Against a count of all short names: three letters stand for all there are."""
    globs = ["".join(letters) for length in range(1, 4) for letters in itertools.product("ab*?", repeat=length)]
    names = ["".join(letters) for length in range(7) for letters in itertools.product("abz", repeat=length)]
    taken = {glob: {name for name in names if fnmatchcase(name, glob)} for glob in globs}
    wrong = [pair for pair in itertools.product(globs, repeat=2) if covers(*pair) != (taken[pair[1]] <= taken[pair[0]])]
    assert wrong == []


def test_globs_made_to_explode_are_given_up_in_time() -> None:
    """Their warning is lost, and the reload is not."""
    begun = time.monotonic()
    assert covers("*a" + "?" * 40, "*a*b*" + "a?b?*" * 10 + "a" + "?" * 40) is False
    assert list(shadowed([f"*{'a*' * n}b" for n in range(40, 0, -1)] + ["a" * 5000])) == []
    assert time.monotonic() - begun < 3


def test_shadowed_names_the_first_that_takes_all() -> None:
    """And a glob that never counts shadows nothing itself."""
    globs = ["a-1", "a-*", "b", "A-2*", "a-2?", "B", "*", "c"]
    assert list(shadowed(globs)) == [("A-2*", "a-*"), ("a-2?", "a-*"), ("B", "b"), ("c", "*")]
