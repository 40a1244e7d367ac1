"""How one key stands: may it be used now, would another be better, and if it may not, why and until when. Pure.

A key can be out of use (cooling, resting, on probation, expired, at a limit, without credit) and it can be a poor choice (steered
away from, or just back from a cooldown): then it is taken only when there is no better one. A cooldown or a steer may hold for one
model only.

Of one key MOST_MODELS models are told apart, since their names come from clients. Beyond them the one that is free the soonest
gives way, and the whole key stays out of use for as long as that one would have: what an upstream said is not forgotten because
somebody made names up, and a key that is refused for so many models at once is hardly limited by model. Meanwhile nothing is sent
with it that could be refused for yet another model, so one such wait is all that made-up names can bring about at a time.

After a cooldown a key is eased in: one request at a time, twice as many after each success, until all is as before. A key that is
refused again at once rests longer each time, whatever the upstream says: else one that always says "try again in a second" would
cost every few requests an attempt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from monorelay.upstream.key_limits import NO_LIMITS, PROBE_WAIT, Limits, Meter

FIRST_REST = 300.0
LONGEST_REST = 86_400.0
FIRST_PATIENCE = 1.0  # seconds that a key cools at least which was refused twice in a row; doubled each time
STEER_NEWS = 1.0  # seconds by which a steer must grow to be told again: some providers say it anew with every answer
MOST_MODELS = 256  # of one key that are remembered to be cooling

NO, POORLY, WELL = 0, 1, 2  # may it be used?
Reason = Literal["", "cooling", "resting", "disabled", "expired", "limited", "no credit"]


@dataclass(frozen=True, slots=True)
class Key:
    """A credential as the pool knows it: the secret itself stays with whoever renders headers. ``expires_at`` is of
    the wall clock."""

    fingerprint: str
    label: str
    weight: int = 1
    enabled: bool = True
    expires_at: float | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key for /health, /metrics and explain. ``seconds`` is how long it is out of use for that reason; 0.0 where it is not, or
    where nobody knows. ``limit`` names the limit of a limited key, ``models`` are those that it cools for, with their seconds;
    ``steered`` is for how long others are preferred."""

    label: str
    fingerprint: str
    usable: bool
    reason: Reason
    seconds: float
    in_flight: int
    limit: str = ""
    models: tuple[tuple[str, float], ...] = ()
    steered: float = 0.0


class Strain:
    """What rate limits have left behind on a key, or on one model of it.

    Mutable: the deadlines, which only grow; ``allowance``, how many may be in flight after the cooldown, 0 before the first one;
    ``in_flight``, of the model that it is about (a key's own stands in its Standing); ``strikes``, refusals in a row.
    """

    __slots__ = ("cooling_until", "steered_until", "allowance", "in_flight", "strikes", "_steer_told")

    def __init__(self) -> None:
        self.cooling_until = 0.0
        self.steered_until = 0.0
        self.allowance = 0
        self.in_flight = 0
        self.strikes = 0
        self._steer_told = 0.0

    @property
    def ends(self) -> float:
        return max(self.cooling_until, self.steered_until)

    def cool(self, until: float) -> bool:
        """Whether that is news: a new deadline never shortens an old one."""
        if until <= self.cooling_until:
            return False
        self.cooling_until = until
        self.allowance = 1
        return True

    def strike(self, began: float) -> float:
        """Another refusal, of an attempt that began then; how many seconds the cooldown is to last at least. What was under way
        when the last cooldown began, or went on in spite of it, is part of the same refusal."""
        if began >= self.cooling_until:
            self.strikes += 1
        return FIRST_PATIENCE * 2.0 ** min(self.strikes - 2, 30) if self.strikes > 1 else 0.0

    def steer(self, until: float) -> bool:
        """Whether that is news for others."""
        self.steered_until = max(self.steered_until, until)
        if until < self._steer_told + STEER_NEWS:
            return False
        self._steer_told = until
        return True

    def is_poor(self, now: float, in_flight: int, slow_start: float) -> bool:
        if self.steered_until > now:
            return True
        return in_flight >= self.allowance > 0 and self.cooling_until <= now < self.cooling_until + slow_start

    def succeed(self, began: float) -> None:
        """An attempt that began after the cooldown shows that more will do; a thousand at once are as good as no bound."""
        if began >= self.cooling_until:
            self.strikes = 0
            if 0 < self.allowance < 1024:
                self.allowance *= 2


class Standing:
    """One key and all that is known of it. It outlives the key's absence.

    Mutable: ``key`` (by the pool's adopt), ``in_flight`` (by choosing and settling), the rest by what attempts tell. ``is_clear``
    is the short way of the usual case: it is True only while there is nothing to look at, and ``use`` finds out when that is.
    """

    __slots__ = (
        "key",
        "in_flight",
        "is_clear",
        "is_aside",
        "resting_until",
        "refusals",
        "strain",
        "models",
        "meter",
        "is_metered",
        "_plain",
        "_quiet_at",
    )

    def __init__(self, key: Key) -> None:
        self.in_flight = 0
        self.is_aside = False  # out of use for want of credit, until somebody says otherwise
        self.resting_until = 0.0
        self.refusals = 0  # in a row; above 0 the key is resting or on probation
        self.strain = Strain()
        self.models: dict[str, Strain] = {}
        self.meter: Meter | None = None
        self._quiet_at = 0.0  # by then nothing cools, is steered or eased in
        self.adopt(key, None)

    def __repr__(self) -> str:
        return f"<Standing {self.key.label}={self.key.fingerprint} in flight {self.in_flight}, refusals {self.refusals}>"

    def adopt(self, key: Key, meter: Meter | None) -> None:
        """``meter`` is for a key that has limits and had none before; what is counted already goes on."""
        self.key = key
        if self.meter is None:
            self.meter = meter
        if self.meter is not None:
            self.meter.adopt(key.limits)
        self.is_metered = self.meter is not None and key.limits != NO_LIMITS
        self._plain = not self.is_metered and key.expires_at is None
        self.is_clear = self._plain and not self.refusals and not self.is_aside and self._quiet_at == 0.0

    # -- asking

    @property
    def busy(self) -> int:
        """Requests in flight, in all workers where they share the count."""
        return self.in_flight + (self.meter.in_flight_elsewhere if self.meter is not None else 0)

    def use(self, now: float, model: str, tokens: int, slow_start: float, ahead: float) -> int:
        """NO, POORLY or WELL; ``ahead`` is what the wall clock is ahead of ``now``."""
        key = self.key
        if self.is_aside or (key.expires_at is not None and now + ahead >= key.expires_at):
            return NO
        if self.refusals and (self.resting_until > now or self.in_flight):
            return NO
        strain = self.strain
        of_model = self.models.get(model)
        if strain.cooling_until > now or (of_model is not None and of_model.cooling_until > now):
            return NO
        if self.is_metered and not self.meter.admits(now, tokens, self.in_flight):  # type: ignore[union-attr]
            return NO
        if strain.is_poor(now, self.in_flight, slow_start):
            return POORLY
        if of_model is not None and of_model.is_poor(now, of_model.in_flight, slow_start):
            return POORLY
        if self._plain and not self.refusals and self._quiet_at + slow_start <= now:
            self._calm_down(now)
        return WELL

    def _calm_down(self, now: float) -> None:
        """All is as before, unless a refusal waits for the success that ends its row: then this is looked at again later."""
        self.strain.allowance = 0
        self.models = {model: strain for model, strain in self.models.items() if strain.strikes}
        self.is_clear = not self.strain.strikes and not self.models
        self._quiet_at = 0.0 if self.is_clear else now

    def free_at(self, now: float, model: str, tokens: int, ahead: float) -> tuple[float, Reason, str]:
        """When it may be used next (``now`` or before: at once; infinite: never again), what holds it until then, and which limit
        that is."""
        expires = math.inf if self.key.expires_at is None else self.key.expires_at - ahead
        if expires <= now:
            return math.inf, "expired", ""
        if self.is_aside:
            return math.inf, "no credit", ""
        at, reason, limit = now, "", ""
        if self.is_metered:
            at, limit = self.meter.free_at(now, tokens, self.in_flight)  # type: ignore[union-attr]
            reason = "limited" if limit else ""
        of_model = self.models.get(model)
        cooling = max(self.strain.cooling_until, 0.0 if of_model is None else of_model.cooling_until)
        if self.refusals and self.in_flight and at < now + PROBE_WAIT:
            at, reason, limit = now + PROBE_WAIT, "resting", ""
        if self.refusals and self.resting_until > now and self.resting_until >= at:
            at, reason, limit = self.resting_until, "resting", ""
        if cooling > now and cooling > at:
            at, reason, limit = cooling, "cooling", ""
        return (math.inf if at >= expires else at), reason, limit  # type: ignore[return-value]

    def state(self, key: Key, now: float, model: str, tokens: int, ahead: float) -> KeyState:
        """``key`` as it stands in the configuration: one that is off may stand there beside its like that is on."""
        at, reason, limit = self.free_at(now, model, tokens, ahead)
        if not key.enabled:
            at, reason, limit = now, "disabled", ""
        steered = max(self.strain.steered_until, self.models[model].steered_until if model in self.models else 0.0)
        return KeyState(
            label=key.label,
            fingerprint=key.fingerprint,
            usable=not reason,
            reason=reason,
            seconds=max(0.0, at - now) if math.isfinite(at) else 0.0,
            in_flight=self.in_flight,
            limit=limit,
            models=tuple((name, strain.cooling_until - now) for name, strain in self.models.items() if strain.cooling_until > now),
            steered=max(0.0, steered - now),
        )

    # -- being told

    def strain_of(self, model: str) -> Strain:
        """The key's own where ``model`` is empty."""
        if not model:
            return self.strain
        strain = self.models.get(model)
        if strain is None:
            strain = self.models[model] = Strain()
        return strain

    def cool(self, until: float, model: str) -> bool:
        """Whether that is news."""
        is_news = self.strain_of(model).cool(until)
        self._unquiet(until)
        return is_news

    def steer(self, until: float, model: str) -> bool:
        is_news = self.strain_of(model).steer(until)
        self._unquiet(until)
        return is_news

    def _unquiet(self, until: float) -> None:
        self.is_clear = False
        self._quiet_at = max(self._quiet_at, until)
        if len(self.models) > MOST_MODELS:
            self._widen()

    def _widen(self) -> None:
        """Of too many models the one that is free the soonest gives way; what still held it holds the whole key for as long. The
        key is not eased in after that: it was never refused as a whole. (A search, 40 µs, where one more model is refused.)"""
        soonest = self.models.pop(min(self.models, key=lambda model: self.models[model].ends))
        self.strain.cooling_until = max(self.strain.cooling_until, soonest.cooling_until)
        self.strain.steered_until = max(self.strain.steered_until, soonest.steered_until)

    def set_aside(self, is_aside: bool) -> None:
        self.is_aside = is_aside
        if is_aside:
            self.is_clear = False

    def rest(self, now: float) -> bool:
        """Attempts that were under way when the key was refused do not lengthen its rest."""
        if self.resting_until > now:
            return False
        self.resting_until = now + min(LONGEST_REST, FIRST_REST * 2.0 ** min(self.refusals, 30))
        self.refusals += 1
        self.is_clear = False
        return True

    def rest_until(self, until: float, refusals: int) -> None:
        """As somebody else has seen it."""
        if refusals > 0:
            self.resting_until = max(self.resting_until, until)
            self.refusals = max(self.refusals, refusals)
            self.is_clear = False

    def forgive(self, began: float) -> bool:
        """An attempt that began after the rest has succeeded; whether that is news."""
        if not self.refusals or began < self.resting_until:
            return False
        self.refusals = 0
        self.resting_until = 0.0  # it may lie ahead still, where a rest was ended
        return True
