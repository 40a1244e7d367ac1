"""A day in seconds: a loop of asyncio whose clock jumps to the next thing that is due. Nothing waits, nothing is skipped.

    clock = VirtualClock()
    run_virtually(lambda: scene(clock), clock)      # the scene may sleep for hours

Where nothing is due and nothing is ready, nothing ever will be: the loop says so instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

EPOCH = 1_700_000_000.0


class VirtualClock:
    """Mutable: the reading, moved by the loop only. It begins above 0, as that of a machine does."""

    def __init__(self, begin: float = 1000.0) -> None:
        self._monotonic = self._begin = begin

    def now(self) -> float:
        return EPOCH + (self._monotonic - self._begin)

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._monotonic += seconds


class _Jumping(selectors.SelectSelector):
    """Waits for no descriptor: it moves the clock on by what it is asked to wait."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is left that could happen")
        if timeout > 0:
            self._clock.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Jumping(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.monotonic()


def run_virtually(scene: Callable[[], Coroutine[Any, Any, None]], clock: VirtualClock) -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.run(scene())
