"""What outlives a plan: engine, key pools, object memory, model lists, clock, counters. It sits beside the plan, never inside.

A reload hands the next plan to ``adopt``: the same key, by fingerprint, keeps its cooldown and its counters.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from monorelay.clock import Clock
from monorelay.dialects.interface import Usage
from monorelay.dialects.model_lists import ModelEntry
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.plan import Plan, Provider
from monorelay.relay.call import Call
from monorelay.relay.tally import Tally
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.interface import Engine
from monorelay.upstream.keypool import Key, KeyPool, PoolRules

if TYPE_CHECKING:
    from monorelay.relay.attempt import Trail

log = logging.getLogger("monorelay.calls")

LOSSES_TOLD = 20  # in the log's line of a call


class Resources:
    """One per worker.

    Mutable: ``_pools`` (by provider, changed by adopt and by attempts), ``lists`` (changed by the roster), ``_catalogue`` (rebuilt
    when plan or lists change), ``tally``.
    """

    def __init__(
        self,
        engine: Engine,
        objects: ObjectMemory,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.engine = engine
        self.objects = objects
        self.clock = clock
        self.loop = loop
        self.draw = draw
        self.tally = Tally()
        self.lists: Mapping[str, Sequence[ModelEntry]] = {}
        self._pools: dict[str, KeyPool] = {}
        self._catalogue: Catalogue | None = None
        self._plan: Plan | None = None
        self._prefix = secrets.token_hex(6)
        self._count = 0

    # ------------------------------------------------------------------ reload

    def adopt(self, plan: Plan) -> None:
        """Takes over the next plan: pools of providers that are gone go, keys that stay keep their state."""
        strategy = plan.config.routing.strategy
        for name, provider in plan.providers.items():
            keys = tuple(Key(key.fingerprint, key.label, key.weight, key.enabled) for key in provider.keys)
            rules = PoolRules(strategy, provider.spec.rate_limit_cooldown)
            pool = self._pools.get(name)
            if pool is None:
                self._pools[name] = KeyPool(keys, rules)
            else:
                pool.adopt(keys, rules)
        # A pool of a provider that this plan dropped stays while calls of older generations may still settle their keys in it.
        self._plan = plan
        self._catalogue = None

    def pool(self, provider: str) -> KeyPool:
        return self._pools[provider]

    # ------------------------------------------------------------------ catalogue

    def catalogue(self, plan: Plan) -> Catalogue:
        """The catalogue of ``plan`` with the latest model lists; calls of an older generation get one of their own."""
        if self._catalogue is not None and self._catalogue.plan is plan:
            return self._catalogue
        catalogue = Catalogue(plan, self.lists, int(self.clock.now()))
        if plan is self._plan:
            self._catalogue = catalogue
        return catalogue

    def take_lists(self, lists: Mapping[str, Sequence[ModelEntry]]) -> None:
        self.lists = lists
        self._catalogue = None

    # ------------------------------------------------------------------ ids and records

    def new_request_id(self) -> str:
        """Unique on this machine and hard to guess from another: random once per worker, then counted."""
        self._count += 1
        return f"{self._prefix}{self._count:08x}"

    def new_id(self, prefix: str) -> str:
        return prefix + secrets.token_hex(12)

    def record(self, call: Call, trail: Trail, status: int) -> None:
        """One finished call: counters, and one line in the log. Never a key, never a prompt."""
        now = self.clock.monotonic()
        seconds = now - call.started
        tally = self.tally
        tally.called(call.route.spec.name, status, seconds)
        for tried in trail.tries:
            place, _, said = tried.partition(" ")
            tally.attempted(place.partition("/")[0], said)
        usage = trail.usage
        told = ""
        if isinstance(usage, Usage) and trail.target is not None:
            provider = trail.target.provider.name
            for kind, tokens in (("input", usage.input), ("output", usage.output)):
                if tokens is not None:
                    tally.spent(provider, kind, tokens)
                    told += f" {kind}={tokens}"
        if trail.lost:
            told += f" lossy={','.join(trail.lost[:LOSSES_TOLD])}"
        if trail.opened_at:
            tally.opening.observe(max(0.0, seconds - (self.loop.time() - trail.opened_at)))
        if log.isEnabledFor(logging.INFO):
            log.info(
                "call=%s generation=%d route=%s target=%s status=%d ms=%d attempts=%d%s",
                call.id,
                call.plan.generation,
                call.route.spec.name,
                _place(trail),
                status,
                seconds * 1000,
                len(trail.tries),
                told,
            )


def _place(trail: Trail) -> str:
    if trail.target is None:
        return "-"
    model = trail.target.model.replace(" ", "_")[:120] or "-"
    label = trail.key.label if trail.key is not None else "-"
    return (
        f"{trail.target.provider.name}/{label}/{model!r}"
        if not model.isprintable()
        else f"{trail.target.provider.name}/{label}/{model}"
    )


def usable_keys(provider: Provider, resources: Resources) -> int:
    return resources.pool(provider.name).available(resources.clock.monotonic(), wall=resources.clock.now())
