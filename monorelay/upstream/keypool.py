"""A provider's set of keys: which one goes next, and which ones rest. Pure: time and chance are arguments.

The life of a choice. ``choose`` hands out a key, and the attempt made with it is settled exactly once, by the first of these that
fits:

    succeed   the upstream accepted the key (whatever else it said about the request)
    cool      429: not before ``until``; a new deadline never shortens an old one
    rest      401, 402, 403: for five minutes, doubled at each refusal in a row, up to a day
    release   nothing was learned about the key: no connection, a time-out, the client left

After a rest the key is on probation: it is chosen only while nothing else is in flight with it, until an attempt succeeds (all is
forgotten) or is refused (a longer rest). Attempts that were under way when the key was refused do not lengthen its rest. A
settlement for a key that a reload took away is harmless.

``now`` is any clock that never goes back; all methods must be given the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

FIRST_REST = 300.0
LONGEST_REST = 86_400.0
PROBE_WAIT = 1.0  # what is said of a key whose rest is over while an attempt with it is still in flight

Reason = Literal["", "cooling", "resting", "disabled"]
STRATEGIES = ("round-robin", "random", "weighted")


@dataclass(frozen=True, slots=True)
class Key:
    """A credential as the pool knows it: the secret itself stays with whoever renders headers."""

    fingerprint: str
    label: str
    weight: int = 1
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key for /health and /metrics. ``seconds`` is how long it still cools or rests; 0.0 where it does neither."""

    label: str
    fingerprint: str
    usable: bool
    reason: Reason
    seconds: float
    in_flight: int


class _Health:
    """What is known of a key. Mutable: by the four settlements, and ``in_flight`` by ``choose`` too."""

    __slots__ = ("in_flight", "cooling_until", "resting_until", "refusals")

    def __init__(self) -> None:
        self.in_flight = 0
        self.cooling_until = 0.0
        self.resting_until = 0.0
        self.refusals = 0  # in a row; above 0 the key is resting or on probation

    def usable(self, now: float) -> bool:
        return self.cooling_until <= now and (not self.refusals or (self.resting_until <= now and not self.in_flight))

    def wait(self, now: float) -> float:
        wait = max(self.cooling_until, self.resting_until) - now
        if wait > 0.0:
            return wait
        return PROBE_WAIT if self.refusals and self.in_flight else 0.0


class KeyPool:
    """Mutable: the keys and the strategy (by ``adopt``), what is known of each key (by ``choose`` and the settlements; it
    outlives the key's absence, so that a reload which takes a key away and one which brings it back do not end its cooldown), and
    whose turn it is.

    >>> pool = KeyPool((Key("f1", "main"), Key("f2", "spare")), "round-robin", 60.0)
    >>> pool.choose(now=0.0, draw=random.random).label
    'main'
    """

    def __init__(self, keys: tuple[Key, ...], strategy: str, rate_limit_cooldown: float) -> None:
        self._health: dict[str, _Health] = {}
        self._keys: tuple[Key, ...] = ()
        self._enabled: list[tuple[Key, _Health]] = []
        self._turn = 0  # index into _enabled
        self.adopt(keys, strategy, rate_limit_cooldown)

    def __repr__(self) -> str:
        return f"<KeyPool {self._strategy} {' '.join(f'{key.label}={key.fingerprint}' for key in self._keys) or 'empty'}>"

    def adopt(self, keys: tuple[Key, ...], strategy: str, rate_limit_cooldown: float) -> None:
        """Takes the keys of the next plan. Those that stay, by fingerprint, keep what is known of them; so does the turn."""
        if strategy not in STRATEGIES:
            raise ValueError(f"unknown strategy: {strategy}; there are {', '.join(STRATEGIES)}")
        upcoming = [key.fingerprint for key, _ in (*self._enabled[self._turn :], *self._enabled[: self._turn])]
        self._keys = keys
        self._strategy = strategy
        self.rate_limit_cooldown = rate_limit_cooldown
        self._enabled = [(key, self._health.setdefault(key.fingerprint, _Health())) for key in keys if key.enabled]
        places = {key.fingerprint: place for place, (key, _) in reversed(list(enumerate(self._enabled)))}
        self._turn = next((places[fingerprint] for fingerprint in upcoming if fingerprint in places), 0)

    # -- choosing

    def choose(self, now: float, draw: Callable[[], float], tried: Collection[str] = (), prefer: str | None = None) -> Key | None:
        """A usable key that was not tried, or None. ``prefer`` (a fingerprint) is taken if it is one; it does not use up a turn.

        ``draw`` gives numbers in [0, 1); the random and the weighted strategy ask it once.
        """
        found = None
        if prefer is not None and prefer not in tried:
            found = next((pair for pair in self._enabled if pair[0].fingerprint == prefer and pair[1].usable(now)), None)
        if found is None:
            found = self._next_in_turn(now, tried) if self._strategy == "round-robin" else self._drawn(now, draw, tried)
        if found is None:
            return None
        key, health = found
        health.in_flight += 1
        return key

    def lend(self, fingerprint: str, now: float) -> bool:
        """Whether a key that a reload took away may go once more, for a call that began before; it is settled like any other."""
        if any(key.fingerprint == fingerprint for key in self._keys):
            return False
        health = self._health.setdefault(fingerprint, _Health())
        if not health.usable(now):
            return False
        health.in_flight += 1
        return True

    def _next_in_turn(self, now: float, tried: Collection[str]) -> tuple[Key, _Health] | None:
        enabled = self._enabled
        count = len(enabled)
        for step in range(self._turn, self._turn + count):
            place = step if step < count else step - count
            pair = enabled[place]
            if pair[1].usable(now) and pair[0].fingerprint not in tried:
                self._turn = place + 1 if place + 1 < count else 0
                return pair
        return None

    def _drawn(self, now: float, draw: Callable[[], float], tried: Collection[str]) -> tuple[Key, _Health] | None:
        """By weight, or all alike. A key of weight 0 is for when there is no other."""
        usable = [pair for pair in self._enabled if pair[1].usable(now) and pair[0].fingerprint not in tried]
        if not usable:
            return None
        weights = [pair[0].weight for pair in usable]
        total = sum(weights)
        if self._strategy == "random" or total <= 0:
            return usable[int(draw() * len(usable))]
        point = draw() * total
        for pair, weight in zip(usable, weights, strict=True):
            point -= weight
            if point < 0:
                return pair
        return usable[-1]

    # -- settling

    def succeed(self, fingerprint: str, now: float) -> None:
        health = self._settled(fingerprint)
        if health is not None and health.resting_until <= now:
            health.refusals = 0

    def cool(self, fingerprint: str, until: float) -> None:
        health = self._settled(fingerprint)
        if health is not None:
            health.cooling_until = max(health.cooling_until, until)

    def rest(self, fingerprint: str, now: float) -> float:
        """Returns until when the key rests."""
        health = self._settled(fingerprint)
        if health is None:
            return now
        if health.resting_until <= now:
            health.resting_until = now + min(LONGEST_REST, FIRST_REST * 2.0 ** min(health.refusals, 30))
            health.refusals += 1
        return health.resting_until

    def release(self, fingerprint: str) -> None:
        self._settled(fingerprint)

    def _settled(self, fingerprint: str) -> _Health | None:
        health = self._health.get(fingerprint)
        if health is not None:
            health.in_flight = max(0, health.in_flight - 1)
        return health

    # -- telling

    def next_free(self, now: float) -> float | None:
        """Seconds until the soonest key can be used again, 0.0 when one can be now; None when none ever will (none enabled)."""
        return min((health.wait(now) for _, health in self._enabled), default=None)

    def available(self, now: float) -> int:
        return sum(health.usable(now) for _, health in self._enabled)

    def states(self, now: float) -> tuple[KeyState, ...]:
        return tuple(self._state(key, now) for key in self._keys)

    def _state(self, key: Key, now: float) -> KeyState:
        health = self._health.get(key.fingerprint) or _Health()
        reason: Reason = ""
        if not key.enabled:
            reason = "disabled"
        elif not health.usable(now):
            reason = "cooling" if health.cooling_until > max(now, health.resting_until) else "resting"
        seconds = health.wait(now) if reason in ("cooling", "resting") else 0.0
        return KeyState(key.label, key.fingerprint, not reason, reason, seconds, health.in_flight)
