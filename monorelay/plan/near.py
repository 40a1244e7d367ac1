"""Near misses: the name that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# get_close_matches is quadratic in the names and linear in their number: a roster of thousands is looked at only in part.
_MOST = 400


def fold(name: str) -> str:
    """A name as people remember it: case, ``-`` and ``_`` do not count. Dots do: 4.1 is not 41."""
    return name.lower().replace("-", "").replace("_", "")


def near_miss(name: str, known: Iterable[str], cutoff: float = 0.75) -> str | None:
    """The closest of ``known``, or None."""
    found = near_misses(name, known, 1, cutoff)
    return found[0] if found else None


def near_misses(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> list[str]:
    wanted = fold(name)
    names = list(dict.fromkeys(known))
    if len(names) > _MOST:
        start = wanted[:3]
        names = [other for other in names if start in fold(other)][:_MOST] or names[:_MOST]
    by_fold: dict[str, str] = {}
    for other in names:
        by_fold.setdefault(fold(other), other)
    return [by_fold[match] for match in get_close_matches(wanted, by_fold, most, cutoff)]
