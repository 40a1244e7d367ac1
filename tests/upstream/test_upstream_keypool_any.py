"""Any history of a pool against a reference that keeps a log of everything: never a key that may not be used, never a limit
exceeded in any window, never None while a key is surely free, and next_free tells the truth."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass, field

import pytest

pytest.importorskip("hypothesis")

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monorelay.upstream.key_facts import Fact
from monorelay.upstream.keypool import FIRST_REST, LONGEST_REST, STRATEGIES, Key, KeyPool, Limits, Loan, PoolRules

TICK = 1 / 64  # times are whole numbers of it: exact, so that boundaries are met
WALL = 2.0**30
PRINTS = ("fa", "fb", "fc")
MODELS = ("", "m", "n")
TOKENS = some.sampled_from([0, 1, 30, 60, 100, 500])

HOW = some.sampled_from(["succeed"] * 20 + ["cool"] * 6 + ["rest", "sent", "sent"] + ["unsent"] * 5 + [""] * 9)

windows = some.lists(some.tuples(some.sampled_from([1.0, 8.0, 60.0]), some.integers(1, 4)), max_size=2).map(tuple)
tokens = some.lists(some.tuples(some.just(60.0), some.integers(50, 300)), max_size=1).map(tuple)
limits = some.just(Limits()) | some.builds(
    Limits, windows, tokens, some.none() | some.integers(1, 3), some.sampled_from([None, None, None, 2, 20])
)
expiries = some.sampled_from([None] * 9 + [WALL + 5.0, WALL + 100.0, WALL + 600.0])
keys = some.builds(
    Key, some.just(""), some.just(""), some.integers(0, 3), some.sampled_from([True] * 9 + [False]), expiries, limits
)
rules = some.builds(
    PoolRules,
    some.sampled_from(STRATEGIES),
    some.just(60.0),
    some.sampled_from(["key", "key+model", "account"]),
    some.sampled_from([0.0, 10.0]),
)


@dataclass
class Entry:
    at: float
    amount: float


@dataclass
class Known:
    """All that happened with one key."""

    key: Key
    in_flight: int = 0
    used: int = 0
    refusals: int = 0
    resting_until: float = 0.0
    cooling: dict[str, float] = field(default_factory=dict)
    steered: dict[str, float] = field(default_factory=dict)
    logs: dict[tuple[str, float], list[Entry]] = field(default_factory=dict)
    is_aside: bool = False
    is_proved: bool = True  # by a success since its last cooldown, or nobody asks

    def adopt(self, key: Key) -> None:
        self.key = key
        named = [("windows", span) for span, _ in key.limits.windows] + [("tokens", span) for span, _ in key.limits.tokens]
        self.logs = {name: self.logs.get(name, []) for name in named}

    def cool(self, until: float, model: str) -> None:
        if until > self.cooling.get(model, 0.0):
            self.cooling[model] = until
            self.is_proved = self.is_proved and bool(model)

    def forgive(self, began: float) -> None:
        if self.refusals and began >= self.resting_until:
            self.refusals, self.resting_until = 0, 0.0

    def out_of_use(self, now: float, model: str) -> bool:
        expired = self.key.expires_at is not None and WALL + now >= self.key.expires_at
        probation = self.refusals > 0 and (self.resting_until > now or self.in_flight > 0)
        return self.is_aside or expired or probation or any(self.cooling.get(name, 0.0) > now for name in ("", model))

    def at_limit(self, now: float, tokens: int, late: float) -> bool:
        """``late`` is the share of a window that an entry may count too long."""
        own = self.key.limits
        if own.concurrency is not None and self.in_flight >= own.concurrency or own.quota is not None and self.used >= own.quota:
            return True
        for kind, pairs, amount in (("windows", own.windows, 1), ("tokens", own.tokens, max(tokens, 1))):
            for span, limit in pairs:
                counted = sum(entry.amount for entry in self.logs[kind, span] if entry.at + span * (1 + late) > now)
                if counted + min(amount, limit) > limit:
                    return True
        return False


class AnyHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.known: dict[str, Known] = {}
        self.here: dict[str, Key] = {}
        self.out: list[tuple[Loan, Known, bool, dict[tuple[str, float], Entry]]] = []
        self.account_until = 0.0
        self.late = 1 / 128
        self.told: list[Fact] = []
        self.unknown: set[str] = set()

    @initialize(first=some.dictionaries(some.sampled_from(PRINTS), keys, min_size=2), rules=rules)
    def begin(self, first: dict[str, Key], rules: PoolRules) -> None:
        self.pool = KeyPool(self._named(first), rules)
        self.pool.tell = self.told.append
        self.pool.next_free(0.0, wall=WALL)  # from then on it knows the time of day
        self._adopted(first, rules)

    def _named(self, found: dict[str, Key]) -> tuple[Key, ...]:
        return tuple(Key(name, name, key.weight, key.enabled, key.expires_at, key.limits) for name, key in sorted(found.items()))

    def _adopted(self, found: dict[str, Key], rules: PoolRules) -> None:
        if self.known and rules.slow_start != self.pool_rules.slow_start:
            self._expect_no_easing()
        self.pool_rules = rules
        self.here = {key.fingerprint: key for key in self._named(found)}
        for name, key in self.here.items():
            if name not in self.known:
                self.known[name] = Known(key, cooling={"": self.account_until})
            if name in self.unknown:
                self.known[name].cool(self.account_until, "")
            self.known[name].adopt(key)
        self.unknown -= set(found)

    def _expect_no_easing(self) -> None:
        """Who was eased in, and how far, is not kept."""
        for known in self.known.values():
            known.is_proved = True

    # -- what happens

    @rule(ticks=some.integers(1, 40) | some.integers(40, 4000) | some.integers(4000, 40_000))
    def wait(self, ticks: int) -> None:
        self.now += ticks * TICK

    @rule()
    def wait_for_the_soonest(self) -> None:
        self.now += math.ceil((self.pool.next_free(self.now) or 0.0) / TICK) * TICK

    @rule(found=some.dictionaries(some.sampled_from(PRINTS), keys, min_size=2), rules=rules)
    def reload(self, found: dict[str, Key], rules: PoolRules) -> None:
        self.now += TICK
        self.pool.adopt(self._named(found), rules)
        self._adopted(found, rules)

    @precondition(lambda self: not self.out)
    @rule(ahead=some.integers(0, 100))
    def restart(self, ahead: int) -> None:
        records = json.loads(json.dumps(self.pool.snapshot(self.now, WALL + self.now)))
        self.pool = KeyPool(tuple(self.here.values()), self.pool_rules)
        self.pool.tell = self.told.append
        self.now += ahead * TICK
        self.pool.restore(records, self.now, WALL + self.now)
        self.unknown = {name for name in self.known if name not in self.here}  # until a reload brings them back
        self.account_until = 0.0
        self._expect_no_easing()
        for known in self.known.values():
            known.is_aside = False
        self.late += 1 / 128 + 0.001

    @rule(
        tried=some.sets(some.sampled_from(PRINTS), max_size=2),
        prefer=some.none() | some.sampled_from(PRINTS),
        model=some.sampled_from(MODELS),
        tokens=TOKENS,
        chance=some.floats(0, 1, exclude_max=True),
        settled=some.lists(HOW, min_size=1, max_size=8),
        apart=some.integers(0, 9),
        ticks=some.integers(0, 99) | some.integers(0, 999),
        spent=some.none() | TOKENS,
    )
    def choose_some(
        self,
        tried: set[str],
        prefer: str | None,
        model: str,
        tokens: int,
        chance: float,
        settled: list[str],
        apart: int,
        ticks: int,
        spent: int | None,
    ) -> None:
        """A burst, of which some are settled before the next begins."""
        for number, how in enumerate(settled):
            self._choose(tried, prefer, model, tokens, chance)
            self.now += apart * TICK
            if how and self.out:
                self._settle(number * 7, how, spent, ticks * (number % 3))

    @rule(name=some.sampled_from(PRINTS), model=some.sampled_from(MODELS), chance=some.floats(0, 1, exclude_max=True))
    def choose_after_a_cooldown(self, name: str, model: str, chance: float) -> None:
        """One key was refused a moment ago and is in use again: where the others are well it is their turn."""
        self._choose(set(), name, model, 0, chance)
        if self.out and self.out[-1][0].key.fingerprint == name:
            self._settle(len(self.out) - 1, "cool", None, 1)
        self.now += 2 * TICK
        for prefer in (name, None, None, None):
            self._choose(set(), prefer, model, 0, chance)

    def _choose(self, tried: set[str], prefer: str | None, model: str, tokens: int, chance: float) -> None:
        now = self.now
        loan = self.pool.choose(now, lambda: chance, tried=tried, prefer=prefer, model=model, tokens=tokens, wall=WALL + now)
        if loan is None:
            for name, key in self.here.items():
                known = self.known[name]
                assert not key.enabled or name in tried or known.out_of_use(now, model) or known.at_limit(now, tokens, self.late)
            return
        name = loan.key.fingerprint
        known = self.known[name]
        assert self.here[name].enabled and loan.key == self.here[name] and name not in tried
        assert not known.out_of_use(now, model)
        assert not known.at_limit(now, tokens, 0.0)
        if name != prefer and (self._steered(known, model) or self._is_eased(known)):
            for other, key in self.here.items():
                other_known = self.known[other]
                better = not self._is_poor(other_known, model) and not other_known.out_of_use(now, model)
                assert not better or not key.enabled or other in tried or other_known.at_limit(now, tokens, self.late)
        self._lent(loan, known, tokens)

    @rule(name=some.sampled_from(PRINTS), model=some.sampled_from(MODELS), tokens=TOKENS)
    def lend(self, name: str, model: str, tokens: int) -> None:
        if name in self.unknown:
            return
        loan = self.pool.lend(name, self.now, model=model, tokens=tokens)
        if loan is not None:
            assert name not in self.here
            known = self.known.setdefault(name, Known(Key(name, name)))
            assert not known.out_of_use(self.now, model) and not known.at_limit(self.now, tokens, 0.0)
            self._lent(loan, known, tokens)

    def _lent(self, loan: Loan, known: Known, tokens: int) -> None:
        known.in_flight += 1
        entries = {}
        counted = known.key.limits != Limits()
        if counted:
            known.used += 1
            for kind, span in known.logs:
                entry = Entry(self.now, 1 if kind == "windows" else tokens)
                entries[kind, span] = entry
                known.logs[kind, span].append(entry)
        self.out.append((loan, known, counted, entries))

    def _is_eased(self, known: Known) -> bool:
        """It is in use, and has not answered since its cooldown, which ended a moment ago."""
        ended = known.cooling.get("", 0.0)
        return not known.is_proved and known.in_flight > 0 and ended <= self.now < ended + self.pool_rules.slow_start

    def _is_poor(self, known: Known, model: str) -> bool:
        """It may be a poor choice."""
        cooled = max(known.cooling.get("", 0.0), known.cooling.get(model, 0.0))
        return self._steered(known, model) or 0.0 < cooled and self.now < cooled + self.pool_rules.slow_start

    def _steered(self, known: Known, model: str) -> bool:
        return any(known.steered.get(name, 0.0) > self.now for name in ("", model))

    @precondition(lambda self: self.out)
    @rule(
        place=some.integers(0, 99),
        how=HOW.filter(bool),
        spent=some.none() | TOKENS,
        ticks=some.lists(some.integers(0, 999), min_size=1, max_size=3),
    )
    def settle_some(self, place: int, how: str, spent: int | None, ticks: list[int]) -> None:
        for number in ticks:
            if self.out:
                self._settle(place, how, spent, number)

    def _settle(self, place: int, how: str, spent: int | None, ticks: int) -> None:
        loan, known, counted, entries = self.out.pop(place % len(self.out))
        now, until = self.now, self.now + ticks * TICK
        known.in_flight -= 1
        match how:
            case "succeed":
                self.pool.succeed(loan, now, spent)
                known.forgive(loan.at)
                known.is_proved = known.is_proved or loan.at >= known.cooling.get("", 0.0)
            case "cool":
                self.pool.cool(loan, until)
                self._cool(loan.key.fingerprint, until, loan.model)
                spent = 0
            case "rest":
                if known.resting_until <= now:
                    known.resting_until = now + min(LONGEST_REST, FIRST_REST * 2**known.refusals)
                    known.refusals += 1
                assert self.pool.rest(loan, now) == known.resting_until
                spent = 0
            case _:
                self.pool.release(loan, now, sent=how == "sent")
                spent = None if how == "sent" else 0
                if how == "unsent" and counted:
                    known.used = max(0, known.used - 1)
        self.pool.succeed(loan, now, 12_345)  # a second settlement changes nothing
        for (kind, span), entry in entries.items():
            if kind == "windows":
                entry.amount = 0 if how == "unsent" else 1
            elif spent is not None and spent <= entry.amount:
                entry.amount = spent
            elif spent is not None and known.logs.get((kind, span)) is not None:
                known.logs[kind, span].append(Entry(now, spent - entry.amount))
        if not counted or spent is None or spent <= loan.tokens:
            return
        for (kind, span), log in known.logs.items():  # windows that came by a reload since then
            if kind == "tokens" and (kind, span) not in entries:
                log.append(Entry(now, spent - loan.tokens))

    def _cool(self, name: str, until: float, model: str) -> None:
        if self.pool_rules.scope == "account":
            self.account_until = max(self.account_until, until)
            for other in self.known.keys() - self.unknown:
                self.known[other].cool(until, "")
        else:
            self.known[name].cool(until, model if self.pool_rules.scope == "key+model" else "")

    @rule(name=some.sampled_from(PRINTS), ticks=some.integers(0, 4000), model=some.sampled_from(MODELS))
    def steer(self, name: str, ticks: int, model: str) -> None:
        if name in self.unknown:
            return
        until = self.now + ticks * TICK
        self.pool.steer(name, until, model)
        if name in self.known:
            model = model if self.pool_rules.scope == "key+model" else ""
            self.known[name].steered[model] = max(self.known[name].steered.get(model, 0.0), until)

    @rule(
        name=some.sampled_from(PRINTS),
        kind=some.sampled_from(["cool", "cool", "cool", "rest", "steer", "steer", "fine", "fine"]),
        ticks=some.integers(-100, 999),
        model=some.sampled_from(MODELS),
    )
    def hear(self, name: str, kind: str, ticks: int, model: str) -> None:
        if name in self.unknown:
            return
        until = self.now + ticks * TICK
        self.pool.hear(Fact(kind, name, until, model if kind in ("cool", "steer") else "", 1 if kind == "rest" else 0))  # type: ignore[arg-type]
        known = self.known.setdefault(name, Known(Key(name, name)))
        match kind:
            case "cool":
                known.cool(until, model)
            case "steer":
                known.steered[model] = max(known.steered.get(model, 0.0), until)
            case "rest":
                known.resting_until = max(known.resting_until, until)
                known.refusals = max(known.refusals, 1)
            case "fine":
                known.forgive(until)

    @rule(names=some.sets(some.sampled_from(PRINTS), max_size=2))
    def read_balances(self, names: set[str]) -> None:
        """Those without credit are out of use until somebody says otherwise."""
        self.pool.set_aside(frozenset(names))
        for name, known in self.known.items():
            known.is_aside = name in names and name not in self.unknown

    @rule(name=some.sampled_from(PRINTS))
    def pay(self, name: str) -> None:
        """Whatever a key was refused for is no more."""
        self.pool.end_rest(name)
        if name in self.known and name not in self.unknown:
            self.known[name].forgive(self.known[name].resting_until)

    # -- what always holds

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.busy(self.now) == len(self.out)
            assert {state.fingerprint: state.in_flight for state in self.pool.states(self.now)} == {
                name: self.known[name].in_flight for name in self.here
            }

    @precondition(lambda self: hasattr(self, "pool"))
    @rule(model=some.sampled_from(MODELS), tokens=TOKENS)
    def next_free_tells_the_truth(self, model: str, tokens: int) -> None:
        """At once is at once; until then there is none; then there is one, unless what is in flight stays so long."""
        now, pool = self.now, self.pool
        soonest = pool.next_free(now, model, tokens, wall=WALL + now)

        def would_find(at: float) -> bool:
            pool.tell = None
            other = copy.deepcopy(pool)
            pool.tell = self.told.append
            return other.choose(at, lambda: 0.0, model=model, tokens=tokens, wall=WALL + at) is not None

        if soonest is None:
            assert not would_find(now) and not would_find(now + 100 * LONGEST_REST)
        elif soonest == 0.0:
            assert would_find(now)
        else:
            assert not would_find(now) and not would_find(now + soonest - TICK / 2)
            assert would_find(now + soonest) or self.out
        usable = [state.usable for state in pool.states(now, model, tokens)]
        assert any(usable) == (soonest == 0.0)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
