"""What the keys have left: asked of each provider that says where to read it, on a schedule and never on a request's way.

A key with less than ``skip_below`` is taken out of rotation, until it has more or until nothing was heard of it for three rounds: a
balance that old says nothing. A 402 brings the next look forward; what it finds may end the rest of that key. The last balance
stays when a provider does not answer, also over a restart (``store/balances.py``).

Of several workers one asks. It tells the others what it heard, and they tell it which of their keys were refused; whoever takes its
seat when it dies begins with a look at all of them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from monorelay.config.credits import CreditsSpec
from monorelay.dialects.json_path import balance_in
from monorelay.plan.plan import Key, Lane, Plan, Provider
from monorelay.relay.resources import Resources
from monorelay.relay.sending import own_request
from monorelay.store.balances import Balance, BalanceMemory
from monorelay.upstream.collect import CollectFailed, collect

log = logging.getLogger("monorelay.balances")

JITTER = 0.1  # of the time between two looks, so that not all providers are asked in step
SOONEST = 30.0  # seconds between two looks, however often keys are refused
MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Watched:
    provider: Provider
    lane: Lane
    credits: CreditsSpec
    wake: asyncio.Event  # the time of the next look was brought forward


@dataclass(frozen=True, slots=True)
class Looked:
    """Told by the worker that asks: a key's last balance, None where none is known. It may have grown old."""

    provider: str
    fingerprint: str
    balance: Balance | None


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """Told to the worker that asks."""

    provider: str
    fingerprint: str
    status: int | None


Tell = Callable[[Looked | RefusedKey, float], None]  # a fact for the other workers, and for those born until then (monotonic)


class Balances:
    """One per worker. ``asks`` is whether this is the one that asks providers; ``tell`` is None where there is one worker.

    Mutable: ``_known`` (by provider and fingerprint, when a balance was read or loaded), ``_refused`` (keys that got a 402, and
    when), ``_aside`` (what the pools were told last), ``_troubles`` (what was logged of a key), ``_looked`` and ``_due``
    (monotonic, by provider), ``_watched`` and ``_task`` (by ``adopt``), ``_is_loaded`` once.
    """

    def __init__(self, resources: Resources, memory: BalanceMemory, *, tell: Tell | None = None, asks: bool = True) -> None:
        self._resources = resources
        self._memory = memory
        self._tell = tell
        self._asks = asks
        self._known: dict[tuple[str, str], Balance] = {}
        self._refused: dict[tuple[str, str], float] = {}
        self._aside: dict[str, frozenset[str]] = {}
        self._troubles: dict[tuple[str, str], str] = {}
        self._looked: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._watched: dict[str, _Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_loaded = False
        resources.on_refused_key = self.note_refusal

    def __repr__(self) -> str:
        return f"<Balances of {len(self._known)} keys>"

    # -- for the worker

    def adopt(self, plan: Plan) -> None:
        """Follows the next plan; what is known of keys that stay is kept, and so is the time of the next look."""
        before, self._watched = self._watched, {}
        for name, lane in plan.credit_lanes.items():
            provider = plan.providers[name]
            if provider.enabled and provider.spec.credits is not None:
                self._watched[name] = _Watched(provider, lane, provider.spec.credits, asyncio.Event())
        kept = {(name, key.fingerprint) for name, watched in self._watched.items() for key in watched.provider.keys}
        self._known = {place: balance for place, balance in self._known.items() if place in kept}
        self._refused = {place: at for place, at in self._refused.items() if place in kept}
        self._troubles = {place: text for place, text in self._troubles.items() if place in kept}
        for name in before.keys() - self._watched.keys():
            self._aside.pop(name, None)
            self._resources.pool(name).set_aside(frozenset())
        for watched in self._watched.values():
            self._set_aside(watched)
        self.close()
        if self._watched:
            self._task = self._resources.loop.create_task(self._run())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def hear(self, fact: Looked | RefusedKey) -> None:
        """What another worker found out, or found out before this one was born."""
        watched = self._watched.get(fact.provider)
        if isinstance(fact, RefusedKey):
            if self._asks:
                self.note_refusal(fact.provider, fact.fingerprint, fact.status)
        elif watched is not None and any(key.fingerprint == fact.fingerprint for key in watched.provider.keys):
            if fact.balance is not None:
                self._learn((fact.provider, fact.fingerprint), fact.balance)
            self._set_aside(watched)

    # -- what is known of keys, and what refusals add to it

    def balance(self, provider: str, fingerprint: str) -> Balance | None:
        """The last one that was read."""
        return self._known.get((provider, fingerprint))

    def low(self, provider: str) -> frozenset[str]:
        """The keys of this provider that are known to have too little."""
        watched = self._watched.get(provider)
        if watched is None:
            return frozenset()
        now = self._resources.clock.now()
        return frozenset(
            key.fingerprint
            for key in watched.provider.keys
            if (balance := self._known.get((provider, key.fingerprint))) is not None
            and watched.credits.is_too_low(balance.amount, now - balance.at)
        )

    def note_refusal(self, provider: str, fingerprint: str, status: int | None) -> None:
        """A key was refused: a 402 makes its balance worth a look, anything else is no matter of money."""
        if provider not in self._watched:
            return
        if not self._asks:
            if self._tell is not None:
                self._tell(RefusedKey(provider, fingerprint, status), self._resources.clock.monotonic() + SOONEST)
        elif status == 402:
            self._refused[provider, fingerprint] = self._resources.clock.monotonic()
            self.look_soon(provider)
        else:
            self._refused.pop((provider, fingerprint), None)

    def look_soon(self, provider: str) -> None:
        """Brings the next look forward, but not into the last one's heels."""
        watched = self._watched.get(provider)
        if watched is None:
            return
        soon = max(self._resources.clock.monotonic(), self._looked.get(provider, -math.inf) + SOONEST)
        if soon < self._due.get(provider, math.inf):
            self._due[provider] = soon
            watched.wake.set()

    # -- in the background

    async def _run(self) -> None:
        try:
            if not self._is_loaded:
                await self._load()
            if not self._asks:
                return
            await asyncio.gather(*(self._watch(watched) for watched in self._watched.values()))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("the balances stopped; they stay as they are until the next reload")

    async def _load(self) -> None:
        """What an earlier run of the relay, or another worker, had learnt."""
        for (name, fingerprint), balance in (await self._memory.all()).items():
            watched = self._watched.get(name)
            if watched is not None and any(key.fingerprint == fingerprint for key in watched.provider.keys):
                self._learn((name, fingerprint), balance)
        self._is_loaded = True
        for watched in self._watched.values():
            self._set_aside(watched)

    def _learn(self, place: tuple[str, str], balance: Balance) -> None:
        """The newest counts, in whichever order they are heard of; one of a time to come was read before the clock was set back."""
        known = self._known.get(place)
        if known is None or not balance.at <= known.at <= self._resources.clock.now():
            self._known[place] = balance

    async def _watch(self, watched: _Watched) -> None:
        name, clock = watched.provider.name, self._resources.clock
        while True:
            watched.wake.clear()
            try:
                async with asyncio.timeout(max(0.0, self._due.get(name, 0.0) - clock.monotonic())):
                    await watched.wake.wait()
                continue
            except TimeoutError:
                pass
            self._looked[name] = clock.monotonic()
            stretch = 1.0 + JITTER * (2.0 * self._resources.draw() - 1.0)
            self._due[name] = self._looked[name] + watched.credits.every * stretch
            for key in watched.provider.keys:
                if key.enabled:
                    await self._ask(watched, key)

    async def _ask(self, watched: _Watched, key: Key) -> None:
        place = (watched.provider.name, key.fingerprint)
        asked_at = self._resources.clock.monotonic()
        try:
            amount = await self._read(watched, key)
        except Exception as error:
            if not isinstance(error, CollectFailed | ValueError):
                log.exception("provider=%s key=%s a fault in the relay while its balance was read", place[0], key.label)
            self._note_trouble(place, key, str(error))
        else:
            self._troubles.pop(place, None)
            self._known[place] = Balance(amount, self._resources.clock.now())
            self._memory.keep(*place, self._known[place])
            self._maybe_end_rest(watched, key, amount, asked_at)
        self._set_aside(watched)
        if self._tell is not None:
            self._tell(Looked(*place, self._known.get(place)), self._due[place[0]])

    async def _read(self, watched: _Watched, key: Key) -> float:
        """Raises CollectFailed or ValueError."""
        whole = await collect(self._resources.engine, own_request(watched.lane, key.fingerprint), MOST_BYTES)
        if whole.status in (401, 403):
            raise ValueError(f"status {whole.status}: this key may not ask for it")
        if whole.status != 200:
            raise ValueError(f"status {whole.status}")
        return balance_in(whole.body, watched.credits.balance, watched.credits.minus)

    def _note_trouble(self, place: tuple[str, str], key: Key, text: str) -> None:
        """Once, not at each look."""
        if self._troubles.get(place) != text:
            self._troubles[place] = text
            log.info("provider=%s key=%s its balance could not be read (%s); the last known one stays", place[0], key.label, text)

    def _maybe_end_rest(self, watched: _Watched, key: Key, amount: float, asked_at: float) -> None:
        """Of a key that was refused for want of money, and has some."""
        name, enough = watched.provider.name, watched.credits.skip_below
        refused_at = self._refused.get((name, key.fingerprint))
        if refused_at is None or enough is None or amount < enough or asked_at < refused_at:
            return
        del self._refused[name, key.fingerprint]
        self._resources.pool(name).end_rest(key.fingerprint)
        log.info("provider=%s key=%s has %g again, and rests no longer", name, key.label, amount)

    def _set_aside(self, watched: _Watched) -> None:
        name = watched.provider.name
        low = self.low(name)
        before = self._aside.get(name, frozenset())
        for key in watched.provider.keys:
            if self._asks and key.fingerprint in low ^ before:
                said = "has less than skip_below, and is left out" if key.fingerprint in low else "is no longer left out"
                log.info("provider=%s key=%s %s", name, key.label, said)
        self._aside[name] = low
        self._resources.pool(name).set_aside(low)
