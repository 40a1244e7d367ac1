"""Which of several providers of one model is asked first, and who is next. One rule per strategy; time to first byte is remembered
only for those who are compared by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from monorelay.plan.resolution import Leg, Target

MOST = 4096  # targets whose pace is remembered
NEWEST = 0.2  # weight of the newest answer in the moving average


class Busy(Protocol):
    """How many calls are in flight with a provider."""

    def __call__(self, provider: str) -> int: ...


class Pace:
    """Moving averages of the time to the first byte, in seconds, by target.

    Mutable: ``_seconds``, the one that was heard of last at the end.
    """

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Pace of {len(self._seconds)} targets>"

    def observe(self, target: Target, seconds: float) -> None:
        place = (target.provider.name, target.model)
        known = self._seconds.pop(place, None)
        self._seconds[place] = seconds if known is None else known + NEWEST * (seconds - known)
        if len(self._seconds) > MOST:
            self._seconds.popitem(last=False)

    def of(self, target: Target) -> float:
        """0.0 for a target that nobody has heard of yet: it is tried soon."""
        return self._seconds.get((target.provider.name, target.model), 0.0)


def ordered(leg: Leg, draw: Callable[[], float], busy: Busy, pace: Pace) -> Sequence[Target]:
    """The targets of a leg in the order in which this call asks them. ``draw`` gives numbers in [0, 1)."""
    if len(leg.targets) < 2:
        return leg.targets
    match leg.strategy:
        case "weighted":
            return _by_weight(leg.targets, draw)
        case "least-busy":
            return sorted(leg.targets, key=lambda target: busy(target.provider.name) / target.provider.spec.weight)
        case "latency":
            return _quicker_first(leg.targets, draw, pace)
    return leg.targets  # priority, and cheapest, which was sorted when the name was resolved


def _by_weight(targets: Sequence[Target], draw: Callable[[], float]) -> list[Target]:
    """Drawn without putting back: a heavy one is likely to be first, and next when the first fails."""
    left = list(targets)
    order: list[Target] = []
    while left:
        point = draw() * sum(target.provider.spec.weight for target in left)
        chosen = left[-1]
        for target in left:
            point -= target.provider.spec.weight
            if point < 0:
                chosen = target
                break
        order.append(chosen)
        left.remove(chosen)
    return order


def _quicker_first(targets: Sequence[Target], draw: Callable[[], float], pace: Pace) -> list[Target]:
    """The power of two choices: of two drawn at random the quicker one goes first, so that the quickest is not overrun.

    https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf
    """
    left = list(targets)
    one = left.pop(int(draw() * len(left)))
    other = left[int(draw() * len(left))]
    first = min(one, other, key=pace.of)
    return [first, *sorted((target for target in targets if target is not first), key=pace.of)]
