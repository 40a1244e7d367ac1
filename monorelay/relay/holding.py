"""Calls that wait for a key: so many at a time, and woken one by one as keys come back.

When a key will be free is known where it cools, or where a window has to pass; not where requests of its own have to end first. So
each key that comes back wakes the call that has waited longest for one of its provider's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

MOST = 1000  # calls that wait at the same time
STAGGER = 0.01  # seconds between two of them when a key is free, on average


class Holding:
    """One per worker. Mutable: ``count``, and ``_waiting``, by provider the events of the calls that wait, the longest first."""

    __slots__ = ("count", "_waiting")

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[str, deque[asyncio.Event]] = {}  # as many as there ever were providers

    def __repr__(self) -> str:
        return f"<Holding of {self.count} calls>"

    def enter(self, providers: Collection[str]) -> asyncio.Event | None:
        """What is set when a key of these providers came back; None where there is no room for another call."""
        if self.count >= MOST:
            return None
        self.count += 1
        wake = asyncio.Event()
        for provider in providers:
            self._waiting.setdefault(provider, deque()).append(wake)
        return wake

    def leave(self, providers: Collection[str], wake: asyncio.Event) -> None:
        self.count -= 1
        for provider in providers:
            waiting = self._waiting[provider]
            if wake in waiting:  # else it was woken
                waiting.remove(wake)

    def came_back(self, provider: str) -> None:
        """Of that provider; worth saying only where anybody waits."""
        waiting = self._waiting.get(provider)
        if waiting:
            waiting.popleft().set()

    def delay(self, most: float, draw: float) -> float:
        """Seconds after the key is free until one of those that wait goes. All at once they would run into the next refusal
        together; one after the other, most of them hear of it first, and wait on.
        """
        return draw * min(most, (self.count - 1) * STAGGER)
