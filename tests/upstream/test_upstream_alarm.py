"""The timer that only moves to an earlier moment."""

from __future__ import annotations

import asyncio
import math

from raw_upstream import in_loop

from monorelay.upstream.alarm import Alarm


@in_loop
async def test_it_rings_once_at_the_earliest_moment() -> None:
    """Later wishes and wishes for never change nothing; after it rang it can be set again."""
    loop = asyncio.get_running_loop()
    rings: list[float] = []
    alarm = Alarm(loop, lambda: rings.append(loop.time()))
    began = loop.time()
    alarm.by(began + 0.5)
    alarm.by(began + 0.02)
    alarm.by(math.inf)
    alarm.by(began + 0.04)
    loop.call_at(began + 0.1, rings.append, math.inf)  # what is due later comes later, however busy the machine is
    await asyncio.sleep(0.6)
    assert len(rings) == 2 and began + 0.019 < rings[0] < rings[1] == math.inf and alarm.at == math.inf
    alarm.by(loop.time() + 0.01)
    await asyncio.sleep(0.05)
    assert len(rings) == 3


@in_loop
async def test_a_cancelled_alarm_is_silent() -> None:
    """After cancel it does not ring, and can be set again."""
    loop = asyncio.get_running_loop()
    rings: list[int] = []
    alarm = Alarm(loop, lambda: rings.append(1))
    alarm.cancel()
    alarm.by(loop.time())
    alarm.cancel()
    await asyncio.sleep(0.02)
    assert rings == [] and alarm.at == math.inf
    alarm.by(loop.time())
    await asyncio.sleep(0.02)
    assert rings == [1]
