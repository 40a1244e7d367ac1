"""Near misses: the name that somebody probably meant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nsmallest

# Comparing two names takes some 80 µs, and the square of their length: of thousands only the likeliest are compared.
_FEW = 30
_EACH = 10
_LONGEST = 100


def fold(name: str) -> str:
    """A name as people remember it: case, ``-`` and ``_`` do not count. Dots do: 4.1 is not 41."""
    return name.lower().replace("-", "").replace("_", "")


def near_miss(name: str, known: Iterable[str], cutoff: float = 0.75) -> str | None:
    """The closest of ``known``, or None."""
    found = near_misses(name, known, 1, cutoff)
    return found[0] if found else None


def near_misses(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> list[str]:
    """The closest first."""
    wanted = fold(name)
    if len(wanted) > _LONGEST:
        return []
    by_fold: dict[str, str] = {}
    for other in known:
        folded = fold(other)
        if len(folded) <= _LONGEST:
            by_fold.setdefault(folded, other)
    return [by_fold[match] for match in get_close_matches(wanted, _likeliest(wanted, list(by_fold)), most, cutoff)]


def _likeliest(wanted: str, names: list[str]) -> list[str]:
    """Of many: the neighbours in a dictionary, in one of names spelt backwards, and the nearest in length with its beginning."""
    if len(names) <= _FEW:
        return names
    backwards = _neighbours(wanted[::-1], [name[::-1] for name in names])
    start = wanted[:3]
    alike = nsmallest(_EACH, (name for name in names if start in name), key=lambda name: abs(len(name) - len(wanted)))
    return list(dict.fromkeys([*_neighbours(wanted, names), *(name[::-1] for name in backwards), *alike]))


def _neighbours(wanted: str, names: list[str]) -> list[str]:
    ordered = sorted(names)
    at = bisect_left(ordered, wanted)
    return ordered[max(0, at - _EACH // 2) : at + _EACH // 2]
