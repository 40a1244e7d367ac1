"""Which glob takes all that another one takes: in a list where the first match counts, the later of the two never does.

Globs of models know ``*`` and ``?`` and no case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from monorelay.config.reading import Node

_OTHER = "\0"  # stands for every character that neither glob names
_MOST_STEPS = 5_000  # a glob made to explode gets no warning, and takes no second


def covers(earlier: str, later: str) -> bool:
    """True if every name that ``later`` matches is matched by ``earlier``, too. May miss it for globs of many stars and marks.

    Both are walked side by side over all names there could be: ``later`` at one place, ``earlier`` at every place where it may be.

    >>> covers("gpt-*", "gpt-4*"), covers("a?*", "a*b"), covers("gpt-4*", "gpt-*")
    (True, True, False)
    """
    first, second = earlier.lower(), later.lower()
    letters = {letter for letter in first + second if letter not in "*?"} | {_OTHER}
    start = (0, _reached(first, {0}))
    seen = {start}
    waiting = [start]
    while waiting:
        at, others = waiting.pop()
        if second[at:].strip("*") == "" and len(first) not in others:
            return False
        for place in _reached(second, {at}):
            for letter in letters if place < len(second) and second[place] in "*?" else second[place : place + 1]:
                step = (_next(second, place), _reached(first, {_next(first, one) for one in others if _takes(first, one, letter)}))
                if step not in seen:
                    if len(seen) > _MOST_STEPS:
                        return False
                    seen.add(step)
                    waiting.append(step)
    return True


def _reached(glob: str, places: set[int]) -> frozenset[int]:
    """These places, and those behind the stars that begin there: a star may stand for nothing."""
    found = set()
    for place in places:
        found.add(place)
        while place < len(glob) and glob[place] == "*":
            place += 1
            found.add(place)
    return frozenset(found)


def _takes(glob: str, place: int, letter: str) -> bool:
    return place < len(glob) and glob[place] in ("*", "?", letter)


def _next(glob: str, place: int) -> int:
    return place if glob[place] == "*" else place + 1


def shadowed(globs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a glob that never counts, and the first of those before it that takes all of it."""
    exact: dict[str, str] = {}
    patterns: list[tuple[str, re.Pattern[str]]] = []
    for later in globs:
        # Before the long walk, two names of ``later``: who misses one of them does not cover it.
        names = [later.replace("*", _OTHER).replace("?", _OTHER), later.replace("*", "").replace("?", _OTHER)]
        earlier = exact.get(later.lower()) or next(
            (one for one, pattern in patterns if all(map(pattern.fullmatch, names)) and covers(one, later)), None
        )
        if earlier is not None:
            yield later, earlier
            continue
        exact[later.lower()] = later
        if "*" in later or "?" in later:
            # What stands between two stars is taken where it is met first, for good: else a miss could take for ever.
            first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in re.sub(r"\*+", "*", later).split("*"))
            middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
            expression = first + middle + ".*" + rest[-1] if rest else first
            patterns.append((later, re.compile(expression, re.IGNORECASE | re.DOTALL)))


def tell_shadowed(node: Node, severity: Literal["error", "warning"]) -> None:
    """Of a mapping by glob whose first match counts: tell the entries that never count."""
    for later, earlier in shadowed([glob for glob, entry in node.entries() if entry.value is not None]):
        origin = node.reading.place(node[earlier].path).origin
        node[later].wrong(f"never matches: '{earlier}' ({origin}) takes all of it", severity)
