"""Which of several usable keys goes next, where it is not simply the next one in turn. Pure.

Both are given what may be used, in turn, with how well (``key_standing.py``): what would do poorly comes when there is no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monorelay.upstream.key_standing import Standing

Uses = Sequence[tuple[Standing, int]]


def least_busy(uses: Uses) -> Standing | None:
    """With the fewest requests in flight, in all workers where they share the count; among equals the first in turn."""
    usable = _best(uses)
    return min(usable, key=lambda standing: standing.busy) if usable else None


def drawn(uses: Uses, draw: Callable[[], float], weighted: bool) -> Standing | None:
    """By weight, or all alike. A key of weight 0 is for when there is no other."""
    usable = _best(uses)
    if not usable:
        return None
    weights = [standing.key.weight for standing in usable]
    total = sum(weights)
    if not weighted or total <= 0:
        return usable[int(draw() * len(usable))]
    point = draw() * total
    for standing, weight in zip(usable, weights, strict=True):
        point -= weight
        if point < 0:
            return standing
    return usable[-1]


def _best(uses: Uses) -> list[Standing]:
    best = max((use for _, use in uses), default=0)
    return [standing for standing, use in uses if use == best]
