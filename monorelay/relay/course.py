"""The course of one call: which target is asked next, and what is said when none is left.

    the legs in order, the targets of a leg as its strategy says
    a target whose circuit is open, or whose name led nowhere, is passed over; such a target is the last resort
    a refusal for length or content turns to the legs that were written for it, once
    where only keys were missing, the call may be held until the soonest is free

Only what another target could cure goes on to it; the line decides that, and tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from math import inf

from monorelay.dialects.refusal_kinds import Kind
from monorelay.errors import CASCADE, INVALID_REQUEST, NO_KEYS, UPSTREAM, RelayError
from monorelay.plan.resolution import Leg, Resolution, Target
from monorelay.relay.affinity import Pin
from monorelay.relay.balance import ordered
from monorelay.relay.call import Reply
from monorelay.relay.errand import Errand
from monorelay.relay.keys import expected_tokens
from monorelay.relay.resources import Resources
from monorelay.relay.trail import Trail
from monorelay.relay.verdict import KeyEffect, judge
from monorelay.upstream.keypool import PROBE_WAIT
from monorelay.upstream.upload import Upload

LISTED = 20  # failures that a cascade_error names
LEAST_WAIT = 0.01  # seconds: a key that seems free and is not must not be asked for again and again in no time


class Course:
    """Mutable: what is still to be asked (``_ahead``), what was put off (``_resort``), what failed, whether it has turned, how long
    it may still be held, and whether it has had its last look.
    """

    __slots__ = (
        "_resolution",
        "_resources",
        "_trail",
        "_pin",
        "_ahead",
        "_resort",
        "_failures",
        "_turned",
        "_patience",
        "_has_looked",
    )

    def __init__(self, resolution: Resolution, pin: Pin | None, trail: Trail, resources: Resources, hold: float) -> None:
        self._resolution = resolution
        self._resources = resources
        self._trail = trail
        self._pin = pin
        # One target, as most calls have: there is nothing to order.
        self._ahead: deque[Target] = deque(resolution.legs[0].targets if resolution.is_plain else ())
        self._resort: list[Target] = []
        self._failures: list[tuple[str, RelayError, Target | None]] = []
        self._turned = False
        self._patience = hold
        self._has_looked = False
        if not resolution.is_plain:
            self._take(resolution.legs)

    def __repr__(self) -> str:
        return f"<Course ahead {list(self._ahead)} failed {len(self._failures)}>"

    def next(self) -> Target | None:
        """The target to ask now; None when none is left."""
        resources = self._resources
        while self._ahead:
            target = self._ahead.popleft()
            if self._resolution.is_plain or resources.circuits.lets(target, resources.clock.monotonic()):
                return target
            self._resort.append(target)
            self._trail.pass_over(target.provider.name, "circuit open")
        return self._resort.pop(0) if self._resort else None

    @property
    def may_turn(self) -> bool:
        """Whether somebody else is still to be asked where the content is filtered."""
        return bool(self._resolution.content_filter) and not self._turned

    # ------------------------------------------------------------------ what the line tells

    def failed(self, target: Target, error: RelayError) -> None:
        """Another target may do better."""
        if error.body.type != UPSTREAM.type and not self._resolution.is_plain:
            self._trail.pass_over(target.provider.name, error.body.type)
        self._failures.append((_place(target), error, target))

    def turns(self, kind: Kind, target: Target, error: RelayError) -> bool:
        """Whether the course goes on after the caller's request was refused for this reason; if not, the refusal stands."""
        if kind in ("model_not_found", "not_offered"):
            if not (self._ahead or self._resort or self._failures):
                return False
            error.curable = False  # it will not have it the next time either
            self.failed(target, error)
            return True
        legs: tuple[Leg, ...] = ()
        if kind == "context_length":
            legs = self._resolution.context_length
        elif kind == "content_filter":
            legs = self._resolution.content_filter
        if not legs or self._turned:
            return False
        self._turned = True
        self.failed(target, error)
        self._ahead.clear()
        self._resort.clear()
        self._take(legs)
        return True

    async def holds(self, errand: Errand) -> bool:
        """Waits for the soonest key of those that were asked, if that is allowed and worth it; whether to go on.

        Without patience there is a last look, once, at targets whose key became free while others were asked.
        """
        reply, body, resources = errand.reply, errand.body, self._resources
        if reply.gone or (isinstance(body, Upload) and body.taken):
            return False
        if self._patience <= 0.0:
            if self._has_looked or len(self._failures) < 2:
                return False
            self._has_looked = True
        now = resources.clock.monotonic()
        waits: list[tuple[float, Target]] = []
        for _, error, target in self._failures:
            is_refused = judge(error.upstream_status).key is KeyEffect.REST  # the others may be no more than at their limits
            if target is None or not (is_refused or error.body.type == NO_KEYS.type):
                continue
            wait = resources.pool(target.provider.name).next_free(now, target.model, expected_tokens(errand, target))
            if wait is not None and (wait > 0.0 or not is_refused):
                waits.append((wait, target))
        soonest = min((wait for wait, _ in waits), default=inf)
        if 0.0 < self._patience < soonest < PROBE_WAIT + LEAST_WAIT:
            soonest = self._patience  # such a wait may be no more than a guess: a request in flight may end at any time
        providers = {target.provider.name for _, target in waits}
        wake = resources.holding.enter(providers) if soonest <= max(0.0, self._patience) else None
        if wake is None:
            return False
        try:
            delay = resources.holding.delay(max(0.0, self._patience - soonest), resources.draw())
            await wait_for_client(reply, max(soonest + delay, LEAST_WAIT), wake)
        finally:
            resources.holding.leave(providers, wake)
        if reply.gone:
            return False
        self._patience -= max(LEAST_WAIT, resources.clock.monotonic() - now)
        ready = [target for wait, target in waits if wait <= soonest or wake.is_set()]
        self._failures = [failure for failure in self._failures if failure[2] not in ready]
        self._ahead.extend(ready)
        return True

    def failure(self) -> RelayError:
        """What is told when no target is left."""
        assert self._failures, "a course has at least one target"
        first = self._failures[0][1]
        if len(self._failures) == 1 and not self._resolution.cascade:
            return first
        if all(error.body.type == INVALID_REQUEST.type for _, error, _ in self._failures):
            return first  # the request itself can be said to none of them: that is its own fault, and no outage
        told = [
            f"{place}: {error.body.type}: {error.body.message.removesuffix('.')}" for place, error, _ in self._failures[:LISTED]
        ]
        if len(self._failures) > LISTED:
            told.append(f"and {len(self._failures) - LISTED} more")
        waits = [error.retry_after for _, error, _ in self._failures if error.retry_after is not None]
        name = f" '{self._resolution.cascade}'" if self._resolution.cascade else ""
        count = len(self._failures)
        text = f"Every model of the cascade{name} failed ({count}): " if count > 1 else f"The cascade{name} failed: "
        return RelayError(
            CASCADE,
            text + "; ".join(told),
            retry_after=min(waits, default=None),
            upstream_status=next(
                (error.upstream_status for _, error, _ in reversed(self._failures) if error.upstream_status), None
            ),
            curable=any(error.curable for _, error, _ in self._failures),
        )

    # ------------------------------------------------------------------ the order

    def _take(self, legs: Iterable[Leg]) -> None:
        for leg in legs:
            if leg.refusal is not None:
                self._trail.pass_over(leg.model, leg.refusal.body.type)
                self._failures.append((leg.model, leg.refusal, None))
                continue
            targets = leg.targets
            if len(targets) > 1:
                resources = self._resources
                targets = self._pinned_first(ordered(leg, resources.draw, resources.busy, resources.pace))
            self._ahead.extend(targets)

    def _pinned_first(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Where the conversation was answered last, then the others. sorted() keeps their order."""
        pin = self._pin
        if pin is None:
            return tuple(targets)
        return tuple(sorted(targets, key=lambda target: (target.provider.name, target.model) != (pin.provider, pin.model)))


def _place(target: Target) -> str:
    return f"{target.model or target.lane.translator.upstream}@{target.provider.name}"


async def wait_for_client(reply: Reply, seconds: float, wake: asyncio.Event | None = None) -> None:
    """So long, or until the client leaves, or somebody sets ``wake``."""
    if reply.gone:
        return
    if wake is None:
        wake = asyncio.Event()
    reply.on_gone = wake.set
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
    finally:
        reply.on_gone = None
