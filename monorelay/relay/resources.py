"""What outlives a plan: engine, key pools, object memory, model lists, clock, counters. It sits beside the plan, never inside.

A reload hands the next plan to ``adopt``: the same key, by fingerprint, keeps its cooldown and its counters.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monorelay.clock import Clock
from monorelay.config.circuit import CircuitSpec
from monorelay.dialects.interface import Usage
from monorelay.dialects.model_lists import ModelEntry
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.plan import Plan, Provider
from monorelay.plan.resolution import Target
from monorelay.relay.affinity import Affinity
from monorelay.relay.backoff import Budget, pause_before_retry
from monorelay.relay.balance import Pace
from monorelay.relay.call import Call
from monorelay.relay.circuit import Circuits
from monorelay.relay.holding import Holding
from monorelay.relay.outcome import Outcome
from monorelay.relay.pools import Pools
from monorelay.relay.recent import Recent
from monorelay.relay.tally import Tally
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.interface import Engine
from monorelay.upstream.keypool import KeyPool
from monorelay.upstream.rehearsal import RehearsingEngine
from monorelay.upstream.waits import WaitRules

if TYPE_CHECKING:
    from monorelay.relay.trail import Trail

log = logging.getLogger("monorelay.calls")

LOSSES_TOLD = 20  # in the log's line of a call
TRIES_TOLD = 20
LACKING_FOR = 600.0  # seconds until a provider is asked again for an endpoint that it did not have


class Resources:
    """One per worker.

    Mutable: ``_plan`` (by ``adopt``), ``lists`` (changed by the roster), ``_catalogue`` (rebuilt when plan or lists change),
    ``_lacking`` (what providers turned out not to have), ``on_refused_key`` (set once, by whoever asks for balances), ``_count``
    (of requests), and each of its parts, which say for themselves what changes in them.
    """

    def __init__(
        self,
        engine: Engine,
        objects: ObjectMemory,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        draw: Callable[[], float] = random.random,
        pools: Pools | None = None,
    ) -> None:
        self.engine = engine
        self.rehearsing = RehearsingEngine(engine, loop)
        self.objects = objects
        self.clock = clock
        self.loop = loop
        self.draw = draw
        self.tally = Tally()
        self.pools = pools or Pools()
        self.circuits = Circuits(CircuitSpec())
        self.budget = Budget()
        self.pace = Pace()
        self.affinity = Affinity()
        self.recent = Recent()
        self.holding = Holding()
        self.lists: Mapping[str, Sequence[ModelEntry]] = {}
        self._lacking: dict[tuple[str, str], float] = {}  # (provider, capability): until when it is not asked
        self._catalogue: Catalogue | None = None
        self._plan: Plan | None = None
        self.on_refused_key: Callable[[str, str, int | None], None] = lambda provider, fingerprint, status: None
        self._prefix = secrets.token_hex(6)
        self._count = 0

    # ------------------------------------------------------------------ reload

    def adopt(self, plan: Plan) -> None:
        """Takes over the next plan: keys that stay keep their state, and so do those that may come back."""
        self.pools.adopt(plan)
        self.circuits.adopt(plan.config.routing.circuit)
        self._plan = plan
        self._catalogue = None

    def pool(self, provider: str) -> KeyPool:
        return self.pools[provider]

    def hear(self, fact: Any) -> None:
        """What another worker found out: (provider, a fact about its keys)."""
        provider, of_key = fact
        self.pools.hear(provider, of_key)

    def busy(self, provider: str) -> int:
        """Calls in flight with a provider, all its keys together."""
        return self.pools[provider].busy(self.clock.monotonic())

    def wait_rules(self, provider: Provider) -> WaitRules:
        return self.pools.wait_rules(provider)

    def pause_before_retry(self, target: Target, outcome: Outcome, done: int) -> float | None:
        """Seconds until the next attempt with this target, or None for no retry: also where the budget is spent."""
        spec = target.provider.retry
        if not spec.max_retries or self._plan is None:
            return None
        pause = pause_before_retry(outcome, spec, done, self.draw, self.clock.now())
        share = self._plan.config.routing.retry_budget
        return pause if pause is not None and self.budget.allows(share, self.clock.monotonic()) else None

    # ------------------------------------------------------------------ what providers turned out not to have

    def lacks(self, target: Target) -> bool:
        """Whether this provider said lately that it has no such endpoint; nothing else of it is the worse for it."""
        if not self._lacking:
            return False
        return self._lacking.get((target.provider.name, target.lane.translator.upstream), 0.0) > self.clock.monotonic()

    def note_lack(self, target: Target) -> None:
        self._lacking[target.provider.name, target.lane.translator.upstream] = self.clock.monotonic() + LACKING_FOR

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
        if trail.is_explained:
            told += " explained"
        if len(trail.story) > 1:
            told += f" trail={', '.join(trail.story[:TRIES_TOLD])!r}"
        if trail.error:
            told += f" error={trail.error}"
        if trail.broken:
            told += f" broken={trail.broken}"
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
