"""What a test expects against what came: every difference, with its path and a sentence. Pure.

Of a mapping only the names that were written are compared, and null stands for what is not there; a list is compared whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
Difference = tuple[Path, str]

LONGEST = 200  # characters of a value in a sentence


def differences(expected: Any, got: Any, path: Path = ()) -> Iterator[Difference]:
    """Nothing where all is as expected.

    >>> list(differences({"n": 1}, {"n": 2, "other": 3}))
    [(('n',), 'expected 1, got 2')]
    """
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for name, value in expected.items():
            yield from differences(value, got.get(name), (*path, name))
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (value, found) in enumerate(zip(expected, got, strict=True)):
            yield from differences(value, found, (*path, index))
    elif not _same(expected, got):
        yield path, f"expected {shown(expected)}, got {shown(got)}"


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    return bool(expected == got)


def shown(value: Any) -> str:
    """A value as people read it: text as it is, nothing in a word, the rest as JSON."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
