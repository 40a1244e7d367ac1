"""What is known of keys, written behind the requests: cooldowns, rests, quotas and windows hold over a restart.

Once a second what changed is handed to the store. Of several workers one does it, for each knows what all of them have found out.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from monorelay.relay.resources import Resources
from monorelay.upstream.keypool import KeyRecord

log = logging.getLogger("monorelay.relay")

EVERY = 1.0  # seconds


class Memory(Protocol):
    """Where records are kept. It never waits and never raises."""

    def keep(self, provider: str, records: tuple[KeyRecord, ...]) -> Any: ...


class Keeper:
    """One per worker; without a memory it only lets the pools look at what other workers use.

    Mutable: ``_seen``, the state of each pool that was kept last; ``_timer``.
    """

    def __init__(self, resources: Resources, memory: Memory | None) -> None:
        self._resources = resources
        self._memory = memory
        self._seen: dict[str, int] = dict(resources.pools.changes())
        self._timer: asyncio.TimerHandle | None = resources.loop.call_later(EVERY, self._look)

    def __repr__(self) -> str:
        return f"<Keeper of {len(self._seen)} pools>"

    def close(self) -> None:
        """What changed since the last look is kept now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._keep()

    def _look(self) -> None:
        self._timer = self._resources.loop.call_later(EVERY, self._look)
        try:
            self._keep()
        except Exception:
            log.exception("what is known of keys could not be kept; the next look tries again")

    def _keep(self) -> None:
        pools = self._resources.pools
        now = self._resources.clock.monotonic()
        pools.look(now)
        if self._memory is None:
            return
        wall = self._resources.clock.now()
        for name, changes in pools.changes().items():
            if self._seen.get(name, 0) != changes:
                self._memory.keep(name, pools.snapshot(name, now, wall))
                self._seen[name] = changes
