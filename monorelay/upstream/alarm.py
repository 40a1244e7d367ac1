"""A timer of the event loop that only ever moves to an earlier moment.

Deadlines change far more often than they pass: libcurl sets one several times per request, and every chunk of a stream moves its
idle limit. Cancelling and arming a loop timer each time costs more than the work it guards (measured: 18 µs per request). So the
timer is left where it is when the moment moves away; it rings too early then, and its owner looks, and sets it again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Mutable: ``at``, the moment it is set to (infinity: to none).

    >>> alarm = Alarm(loop, look); alarm.by(loop.time() + 5); alarm.by(loop.time() + 9)  # rings once, in 5 s
    """

    __slots__ = ("at", "_loop", "_action", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        self.at = math.inf
        self._loop = loop
        self._action = action
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Alarm at {self.at}>"

    def by(self, moment: float) -> None:
        """Rings at this moment at the latest (infinity: no wish)."""
        if moment < self.at:
            if self._timer is not None:
                self._timer.cancel()
            self.at = moment
            self._timer = self._loop.call_at(moment, self._ring)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.at = math.inf

    def _ring(self) -> None:
        self._timer = None
        self.at = math.inf
        self._action()
