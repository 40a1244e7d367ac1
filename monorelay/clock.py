"""Time as a value that is handed in, so that tests own it.

Nothing below ``daemon`` calls the ``time`` module to decide anything: it is given a ``Clock``, or a plain number of seconds.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings, both in seconds."""

    def now(self) -> float:
        """Wall-clock time since the epoch: for what people and other machines read."""
        ...

    def monotonic(self) -> float:
        """Time that never jumps: for deadlines and durations. The same on every process of one machine."""
        ...


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class ManualClock:
    """A clock that stands still until a test moves it.

    >>> clock = ManualClock(); clock.advance(1.5); clock.monotonic()
    1.5
    """

    # Mutable: the two readings, moved by advance() only.

    def __init__(self, now: float = 1_700_000_000.0, monotonic: float = 0.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds
