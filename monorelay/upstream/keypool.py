"""A provider's set of keys: which one goes next, and which ones rest. Pure: time and chance are arguments.

The life of a choice. ``choose`` hands out a ``Loan`` of a key, on which everything that the key's limits count is reserved. The
attempt made with it is settled exactly once, by the first of these that fits (a second settlement changes nothing):

    succeed   the upstream accepted the key (whatever else it said about the request)
    cool      429: not before ``until``; a new deadline never shortens an old one
    rest      401, 402, 403: for five minutes, doubled at each refusal in a row, up to a day
    release   nothing was learned about the key: no connection, a time-out, the client left

After a rest the key is on probation: it is chosen only while nothing else is in flight with it, until an attempt succeeds (all is
forgotten) or is refused (a longer rest). After a cooldown it is eased in, while there are others. Attempts that were under way when
the key was refused do not lengthen its rest. A settlement for a key that a reload took away is harmless.

``now`` is any clock that never goes back; all methods must be given the same one. ``wall`` is the time of day, for ``expires_at``:
what a pool was last told of it holds on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

from monorelay.upstream.key_choice import drawn, least_busy
from monorelay.upstream.key_facts import Fact, KeyRecord, fingerprint_of, record_of, restore
from monorelay.upstream.key_limits import NO_LIMITS, PROBE_WAIT, Limits, Meter
from monorelay.upstream.key_standing import FIRST_REST, LONGEST_REST, NO, WELL, Key, KeyState, Reason, Standing, Strain
from monorelay.upstream.pool_rules import SCOPES, STRATEGIES, PoolRules
from monorelay.upstream.shared_usage import Share

# What a pool's users need beside it.
__all__ = ["FIRST_REST", "LONGEST_REST", "NO_LIMITS", "PROBE_WAIT", "SCOPES", "STRATEGIES"]
__all__ += ["Fact", "Key", "KeyPool", "KeyRecord", "KeyState", "Limits", "Loan", "PoolRules", "Reason"]

MOST_ABSENT = 1000  # keys that are not configured (any more) and still remembered
LONGEST_COOLDOWN = 86_400.0  # that is believed of a record


class Loan:
    """A key in use by one attempt. Mutable: ``is_settled``, by the pool that lent it, once."""

    __slots__ = ("key", "model", "tokens", "at", "is_settled", "_standing", "_strain", "_meter")

    def __init__(self, standing: Standing, strain: Strain | None, meter: Meter | None, model: str, tokens: int, at: float) -> None:
        self.key = standing.key
        self.model = model
        self.tokens = tokens
        self.at = at
        self.is_settled = False
        self._standing = standing
        self._strain = strain
        self._meter = meter

    def __repr__(self) -> str:
        return f"<Loan {self.key.label}={self.key.fingerprint} at {self.at:g}{' settled' if self.is_settled else ''}>"


class KeyPool:
    """Mutable: the keys and the rules (by ``adopt``), what is known of each key (by ``choose``, the settlements, ``hear`` and
    ``restore``; it outlives the key's absence, so that a reload which takes a key away and one which brings it back do not end its
    cooldown), whose turn it is, and ``changes``, which grows with whatever a snapshot would tell.

    ``usage`` gives this worker's Share in what all workers use of a key, by its fingerprint. ``tell``, where it is set, is called
    with each new Fact.

    >>> pool = KeyPool((Key("f1", "main"), Key("f2", "spare")), PoolRules("round-robin", 60.0))
    >>> pool.choose(now=0.0, draw=random.random).key.label
    'main'
    """

    def __init__(self, keys: tuple[Key, ...], rules: PoolRules, usage: Callable[[str], Share | None] | None = None) -> None:
        self.changes = 0
        self.tell: Callable[[Fact], None] | None = None
        self._usage = usage
        self._known: dict[str, Standing] = {}
        self._absent: dict[str, KeyRecord] = {}  # restored, and not configured
        self._restored = (0.0, 0.0)  # now and wall, then
        self._account_until = 0.0
        self._keys: tuple[Key, ...] = ()
        self._enabled: list[Standing] = []
        self._places: dict[str, int] = {}  # of fingerprints in _enabled
        self._turn = 0  # index into _enabled
        self._ahead = 0.0  # of the wall clock before now
        self.adopt(keys, rules)

    def __repr__(self) -> str:
        return f"<KeyPool {self.rules.strategy} {' '.join(f'{key.label}={key.fingerprint}' for key in self._keys) or 'empty'}>"

    def adopt(self, keys: tuple[Key, ...], rules: PoolRules) -> None:
        """Takes the keys of the next plan. Those that stay, by fingerprint, keep what is known of them; so does the turn."""
        upcoming = [standing.key.fingerprint for standing in (*self._enabled[self._turn :], *self._enabled[: self._turn])]
        self._keys = keys
        self.rules = rules
        for key in keys:
            self._admit(key)
        self._enabled = [self._known[key.fingerprint] for key in keys if key.enabled]
        self._places = {standing.key.fingerprint: place for place, standing in reversed(list(enumerate(self._enabled)))}
        self._turn = next((self._places[fingerprint] for fingerprint in upcoming if fingerprint in self._places), 0)
        self._forget()

    def _admit(self, key: Key) -> None:
        standing = self._known.get(key.fingerprint)
        if standing is None:
            standing = self._known[key.fingerprint] = Standing(key)
            if self._account_until:
                standing.cool(self._account_until, "")
        standing.adopt(key, self._meter(key) if standing.meter is None and key.limits != NO_LIMITS else None)
        record = self._absent.pop(key.fingerprint, None)
        if record is not None:
            self._restore(standing, record, *self._restored)

    def _meter(self, key: Key) -> Meter:
        return Meter(self._usage(key.fingerprint) if self._usage is not None else None)

    def _forget(self) -> None:
        """Keys that were taken away the longest ago, when there are too many of them."""
        here = {key.fingerprint for key in self._keys}
        gone = [standing for fingerprint, standing in self._known.items() if fingerprint not in here and not standing.in_flight]
        for standing in gone[: max(0, len(gone) - MOST_ABSENT)]:
            del self._known[standing.key.fingerprint]

    # -- choosing

    def choose(
        self,
        now: float,
        draw: Callable[[], float],
        *,
        tried: Collection[str] = (),
        prefer: str | None = None,
        model: str = "",
        tokens: int = 0,
        wall: float | None = None,
    ) -> Loan | None:
        """A usable key that was not tried, or None. ``prefer`` (a fingerprint) is taken if it is one; it does not use up a turn.
        Keys that are steered away from, or have their share after a cooldown, come when there is no other. ``tokens`` is what the
        request is expected to spend. ``draw`` gives numbers in [0, 1); the random and the weighted strategy ask it once.
        """
        if wall is not None:
            self._ahead = wall - now
        if prefer is not None and prefer in self._places and prefer not in tried:
            standing = self._enabled[self._places[prefer]]
            if self._use(standing, now, model, tokens):
                return self._lent(standing, now, model, tokens)
        found = self._next(now, draw, tried, model, tokens)
        return self._lent(found, now, model, tokens) if found is not None else None

    def name_one(self, now: float, draw: Callable[[], float], wall: float) -> Key | None:
        """A usable key for a request of the relay's own: its limits do not count it, nothing is lent, nobody's turn is used up."""
        self._ahead = wall - now
        turn = self._turn
        found = self._next(now, draw, (), "", 0)
        self._turn = turn
        return found.key if found is not None else None

    def _next(self, now: float, draw: Callable[[], float], tried: Collection[str], model: str, tokens: int) -> Standing | None:
        strategy = self.rules.strategy
        if strategy == "round-robin":
            return self._next_in_turn(now, tried, model, tokens)
        if strategy == "least-busy":
            found = least_busy(self._all_in_turn(now, tried, model, tokens))
            if found is not None:
                self._turn = (self._places[found.key.fingerprint] + 1) % len(self._enabled)
            return found
        return drawn(self._all_in_turn(now, tried, model, tokens), draw, strategy == "weighted")

    def lend(self, fingerprint: str, now: float, *, model: str = "", tokens: int = 0) -> Loan | None:
        """A key that a reload took away, once more, for a call that began before; None when it is still here, or not usable."""
        if any(key.fingerprint == fingerprint for key in self._keys):
            return None
        standing = self._known.get(fingerprint)
        if standing is None:
            standing = self._known[fingerprint] = Standing(Key(fingerprint, fingerprint))
        return self._lent(standing, now, model, tokens) if self._use(standing, now, model, tokens) else None

    def _use(self, standing: Standing, now: float, model: str, tokens: int) -> int:
        return WELL if standing.is_clear else standing.use(now, model, tokens, self.rules.slow_start, self._ahead)

    def _lent(self, standing: Standing, now: float, model: str, tokens: int) -> Loan:
        standing.in_flight += 1
        if standing.is_clear:
            return Loan(standing, None, None, model, tokens, now)
        strain = standing.models.get(model)
        if strain is not None:
            strain.in_flight += 1
        meter = standing.meter if standing.is_metered else None
        if meter is not None:
            meter.reserve(now, tokens)
            self.changes += 1
        return Loan(standing, strain, meter, model, tokens, now)

    def _next_in_turn(self, now: float, tried: Collection[str], model: str, tokens: int) -> Standing | None:
        enabled = self._enabled
        count = len(enabled)
        found = -1
        for step in range(self._turn, self._turn + count):
            place = step if step < count else step - count
            standing = enabled[place]
            if standing.key.fingerprint in tried:
                continue
            use = WELL if standing.is_clear else self._use(standing, now, model, tokens)
            if use == WELL:
                found = place
                break
            if use and found < 0:
                found = place
        if found < 0:
            return None
        self._turn = found + 1 if found + 1 < count else 0
        return enabled[found]

    def _all_in_turn(self, now: float, tried: Collection[str], model: str, tokens: int) -> list[tuple[Standing, int]]:
        """What may be used and how well, the one whose turn it is first."""
        in_turn = (*self._enabled[self._turn :], *self._enabled[: self._turn])
        uses = (
            (standing, self._use(standing, now, model, tokens)) for standing in in_turn if standing.key.fingerprint not in tried
        )
        return [(standing, use) for standing, use in uses if use != NO]

    # -- settling

    def succeed(self, loan: Loan, now: float, tokens: int | None = None) -> None:
        """``tokens`` is what the request truly spent; None where nobody knows: then what was reserved stays."""
        if not self._ends(loan):
            return
        standing = loan._standing
        if loan._meter is not None:
            loan._meter.settle(loan.at, loan.tokens, loan.tokens if tokens is None else tokens, now)
            self.changes += 1
        if standing.is_clear:
            return
        standing.strain.succeed(loan.at)
        if loan._strain is not None:
            loan._strain.succeed(loan.at)
        if standing.forgive(loan.at):
            self._say(Fact("fine", loan.key.fingerprint, loan.at))

    def least_cooldown(self, loan: Loan) -> float:
        """For how many seconds a refusal of this loan is to cool at least; to be asked once, before ``cool``."""
        strain = loan._standing.strain_of(loan.model if self.rules.scope == "key+model" else "")
        return min(strain.strike(loan.at), self.rules.rate_limit_cooldown)

    def cool(self, loan: Loan, until: float) -> None:
        if self._ends(loan):
            self._refused(loan)
            fingerprint = "" if self.rules.scope == "account" else loan.key.fingerprint
            model = loan.model if self.rules.scope == "key+model" else ""
            if self._cool(loan._standing, fingerprint, until, model):
                self._say(Fact("cool", fingerprint, until, model))

    def rest(self, loan: Loan, now: float) -> float:
        """Returns until when the key rests."""
        standing = loan._standing
        if self._ends(loan):
            self._refused(loan)
            if standing.rest(now):
                self._say(Fact("rest", loan.key.fingerprint, standing.resting_until, "", standing.refusals))
        return standing.resting_until

    def release(self, loan: Loan, now: float, *, sent: bool = True) -> None:
        """``sent`` is False when the request never went out: then it is given back to the limits."""
        if self._ends(loan) and loan._meter is not None:
            self.changes += 1
            if sent:
                loan._meter.settle(loan.at, loan.tokens, loan.tokens, now)
            else:
                loan._meter.give_back(loan.at, loan.tokens)

    def steer(self, fingerprint: str, until: float, model: str = "") -> None:
        """An answer said that nothing remains until then: the others first, this one only as a last resort."""
        standing = self._known.get(fingerprint)
        model = model if self.rules.scope == "key+model" else ""
        if standing is not None and standing.steer(until, model):
            self._say(Fact("steer", fingerprint, until, model))

    def _ends(self, loan: Loan) -> bool:
        """Whether this is the settlement of the loan, the first."""
        if loan.is_settled:
            return False
        loan.is_settled = True
        loan._standing.in_flight -= 1
        if loan._strain is not None:
            loan._strain.in_flight -= 1
        return True

    def _refused(self, loan: Loan) -> None:
        """The request counts, but who refuses spends no tokens."""
        if loan._meter is not None:
            loan._meter.settle(loan.at, loan.tokens, 0, loan.at)
            self.changes += 1

    def _cool(self, standing: Standing | None, fingerprint: str, until: float, model: str) -> bool:
        if fingerprint:
            return standing is not None and standing.cool(until, model)
        is_news = until > self._account_until
        self._account_until = max(self._account_until, until)
        for known in self._known.values():
            known.cool(until, model)
        return is_news

    # -- what somebody else knows of a key's credit

    def set_aside(self, fingerprints: frozenset[str]) -> None:
        """Takes these keys out of rotation, and all others back into it."""
        for fingerprint, standing in self._known.items():
            standing.set_aside(fingerprint in fingerprints)

    def end_rest(self, fingerprint: str) -> None:
        """What it was refused for is no more: the key may go again at once."""
        standing = self._known.get(fingerprint)
        until = standing.resting_until if standing is not None else 0.0
        if standing is not None and standing.forgive(until):
            self._say(Fact("fine", fingerprint, until))

    # -- telling other workers

    def _say(self, fact: Fact) -> None:
        self.changes += 1
        if self.tell is not None:
            self.tell(fact)

    def hear(self, fact: Fact) -> None:
        """What another worker has seen. A key that this one does not know yet may come with its next reload."""
        standing = self._known.get(fact.fingerprint)
        if standing is None and fact.fingerprint:
            standing = self._known[fact.fingerprint] = Standing(Key(fact.fingerprint, fact.fingerprint))
        if fact.kind == "cool":
            self._cool(standing, fact.fingerprint, fact.until, fact.model)
        elif standing is not None and fact.kind == "rest":
            standing.rest_until(fact.until, fact.refusals)
        elif standing is not None and fact.kind == "steer":
            standing.steer(fact.until, fact.model)
        elif standing is not None:
            standing.forgive(fact.until)
        self.changes += 1

    def look(self, now: float) -> None:
        """Takes note of what other workers used. Called once a second, it lets their requests count from when they were made."""
        for standing in self._enabled:
            if standing.is_metered and standing.meter is not None and standing.meter.look(now):
                self.changes += 1

    # -- telling people

    def next_free(self, now: float, model: str = "", tokens: int = 0, *, wall: float | None = None) -> float | None:
        """Seconds until the soonest key can take such a request, 0.0 when one can now; None when none ever will."""
        if wall is not None:
            self._ahead = wall - now
        soonest = min((standing.free_at(now, model, tokens, self._ahead)[0] for standing in self._enabled), default=math.inf)
        return None if soonest == math.inf else max(0.0, soonest - now)

    def available(self, now: float, model: str = "", *, wall: float | None = None) -> int:
        """How many keys could take a request now."""
        if wall is not None:
            self._ahead = wall - now
        return sum(self._use(standing, now, model, 0) != NO for standing in self._enabled)

    def busy(self, now: float) -> int:
        """Requests in flight with all keys, in all workers where they share the count."""
        self.look(now)
        return sum(standing.busy for standing in self._known.values())

    def states(self, now: float, model: str = "", tokens: int = 0, *, wall: float | None = None) -> tuple[KeyState, ...]:
        if wall is not None:
            self._ahead = wall - now
        return tuple(self._known[key.fingerprint].state(key, now, model, tokens, self._ahead) for key in self._keys)

    # -- over a restart

    def snapshot(self, now: float, wall: float) -> tuple[KeyRecord, ...]:
        """What the next run of the relay should know, JSON-able; ``changes`` says whether there is anything new."""
        self._ahead = wall - now
        self.look(now)
        told = (record_of(standing, now, wall) for standing in self._known.values())
        return (*(record for record in told if record is not None), *self._absent.values())

    def restore(self, records: Iterable[KeyRecord], now: float, wall: float) -> None:
        """Adds what an earlier run knew to what happened since this one began. Once, soon after the start."""
        self._restored = (now, wall)
        self._ahead = wall - now
        for record in records:
            fingerprint = fingerprint_of(record)
            if fingerprint is None:
                continue
            standing = self._known.get(fingerprint)
            if standing is not None:
                self._restore(standing, record, now, wall)
            elif len(self._absent) < MOST_ABSENT:
                self._absent[fingerprint] = record

    def _restore(self, standing: Standing, record: KeyRecord, now: float, wall: float) -> None:
        if standing.meter is None and "used" in record:  # a key whose limits are gone may get them back: its quota is not new
            standing.meter = self._meter(standing.key)
        restore(standing, record, now, wall, max(LONGEST_COOLDOWN, self.rules.rate_limit_cooldown))
