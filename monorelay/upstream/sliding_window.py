"""How much was used in the last so many seconds, in bounded memory. Pure: time is an argument.

A window holds buckets of what came close together: (first time, last time, amount). A bucket spans less than 1/128 of the window
and counts until its *last* moment is a whole window ago. So nothing is forgotten too early, a limit that is held against
``live()`` is never exceeded in any window, wherever it is laid; the price is that room comes back up to 1/128 of the window late.
129 buckets are enough for any history: their first moments lie at least 1/128 apart.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

GRAINS = 128
MOST_BUCKETS = GRAINS + 1


class SlidingWindow:
    """Mutable: the buckets, by every method but ``kept``; ``_total`` is the sum of their amounts.

    >>> window = SlidingWindow(60.0); window.add(0.0, 2); window.live(59.9), window.live(60.0)
    (2, 0)
    """

    __slots__ = ("span", "_grain", "_buckets", "_total")

    def __init__(self, span: float) -> None:
        self.span = span
        self._grain = span / GRAINS
        self._buckets: deque[list[float]] = deque()
        self._total = 0.0

    def __repr__(self) -> str:
        return f"<SlidingWindow {self.span:g}s {self._total:g} in {len(self._buckets)}>"

    def live(self, now: float) -> float:
        """What counts now."""
        buckets = self._buckets
        while buckets and buckets[0][1] + self.span <= now:
            self._total -= buckets.popleft()[2]
        return self._total

    def add(self, at: float, amount: float) -> None:
        """A time before the newest bucket's counts as that bucket's: later than it was, never earlier."""
        self.live(at)
        buckets = self._buckets
        self._total += amount
        if buckets and at - buckets[-1][0] < self._grain:
            newest = buckets[-1]
            newest[1] = max(newest[1], at)
            newest[2] += amount
            return
        buckets.append([at, at, amount])
        self._bound()

    def take_back(self, at: float, amount: float) -> None:
        """Undoes (a part of) what was added at that very moment; what is not counted any more is not taken back."""
        for bucket in reversed(self._buckets):
            if bucket[0] <= at:
                if at <= bucket[1]:
                    amount = min(amount, bucket[2])
                    bucket[2] -= amount
                    self._total -= amount
                return

    def take_oldest(self, now: float, amount: float) -> None:
        """Takes so much of what counts the shortest time from now on."""
        self.live(now)
        buckets = self._buckets
        while amount > 0 and buckets:
            taken = min(amount, buckets[0][2])
            buckets[0][2] -= taken
            self._total -= taken
            amount -= taken
            if not buckets[0][2]:
                buckets.popleft()

    def free_at(self, now: float, amount: float, limit: float) -> float:
        """The first moment from ``now`` on when ``amount`` (at most the limit) more fits under the limit, if nothing else comes."""
        excess = self.live(now) + amount - limit
        if excess <= 0:
            return now
        for bucket in self._buckets:
            excess -= bucket[2]
            if excess <= 0:
                return bucket[1] + self.span
        return self._buckets[-1][1] + self.span if self._buckets else now

    # -- over a restart

    def kept(self, now: float) -> list[tuple[float, float]]:
        """(seconds since it was last added to, amount) of each bucket that counts, oldest first."""
        self.live(now)
        return [(now - bucket[1], bucket[2]) for bucket in self._buckets if bucket[2] > 0]

    def restore(self, kept: Iterable[tuple[float, float]], now: float) -> None:
        """Adds what ``kept`` told before; what makes no sense is left out."""
        found = [bucket for bucket in self._buckets]
        for age, amount in kept:
            if 0 < amount < math.inf and age < self.span:
                at = now - max(0.0, age)
                found.append([at, at, amount])
        found.sort(key=lambda bucket: bucket[1])
        self._buckets = deque()
        for bucket in found:
            if self._buckets and bucket[1] - self._buckets[-1][0] < self._grain:
                newest = self._buckets[-1]
                newest[0] = min(newest[0], bucket[0])
                newest[1] = bucket[1]
                newest[2] += bucket[2]
            else:
                self._buckets.append(bucket)
        self._bound()
        self._total = sum(bucket[2] for bucket in self._buckets)

    def _bound(self) -> None:
        """Two histories laid over each other, or rounding, may make one bucket too many: the oldest two become one."""
        buckets = self._buckets
        while len(buckets) > MOST_BUCKETS:
            oldest = buckets.popleft()
            buckets[0][0] = oldest[0]
            buckets[0][2] += oldest[2]
