"""The key pool: whose turn it is, and who rests. Time and chance belong to the test."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from monorelay.upstream.keypool import FIRST_REST, LONGEST_REST, PROBE_WAIT, STRATEGIES, Key, KeyPool, Loan, PoolRules

A, B, C = Key("fa", "a"), Key("fb", "b"), Key("fc", "c")
OFF = Key("fo", "off", enabled=False)
IN_TURN = PoolRules("round-robin", 60.0)


def no_chance() -> float:
    raise AssertionError("this strategy needs no chance")


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def pool_of(*keys: Key, strategy: str = "round-robin") -> KeyPool:
    return KeyPool(keys, PoolRules(strategy, 60.0))


def borrow(pool: KeyPool, now: float = 0.0, fingerprint: str = "fa") -> Loan:
    loan = pool.choose(now, no_chance, prefer=fingerprint)
    assert loan is not None and loan.key.fingerprint == fingerprint
    return loan


def take(pool: KeyPool, now: float = 0.0, *tried: str, prefer: str | None = None) -> str | None:
    loan = pool.choose(now, no_chance, tried=tried, prefer=prefer)
    return loan.key.label if loan else None


def cool(pool: KeyPool, fingerprint: str, until: float, now: float = 0.0) -> None:
    pool.cool(borrow(pool, now, fingerprint), until)


def drawn(pool: KeyPool, draw: Callable[[], float], *tried: str) -> str | None:
    loan = pool.choose(0.0, draw, tried=tried)
    return loan.key.label if loan else None


def states(pool: KeyPool, now: float) -> list[tuple[str, str, float]]:
    return [(state.label, state.reason, state.seconds) for state in pool.states(now)]


def test_keys_take_turns() -> None:
    """Round robin: each usable key in order, again and again; disabled ones are passed over."""
    pool = pool_of(A, OFF, B, C)
    assert [take(pool) for _ in range(7)] == ["a", "b", "c", "a", "b", "c", "a"]


def test_a_request_that_goes_on_gets_another_key() -> None:
    """What was tried is not chosen again; when all were, there is none."""
    pool = pool_of(A, B)
    assert take(pool) == "a"
    assert take(pool, 0.0, "fa") == "b"
    assert take(pool, 0.0, "fa", "fb") is None


def test_a_preferred_key_is_taken_if_it_is_usable() -> None:
    """It does not use up anybody's turn; not usable, tried or unknown, it is forgotten."""
    pool = pool_of(A, B, OFF)
    assert take(pool, prefer="fb") == "b"
    assert [take(pool), take(pool)] == ["a", "b"]
    cool(pool, "fb", 10.0)
    assert take(pool, 0.0, prefer="fb") == "a"
    assert take(pool, 10.0, prefer="fb") == "b"
    assert take(pool, 10.0, "fb", prefer="fb") == "a"
    assert take(pool, 10.0, prefer="fo") == "b"
    assert take(pool, 10.0, prefer="gone") == "a"


@pytest.mark.parametrize("strategy", ["round-robin", "least-busy"])
def test_what_the_relay_asks_by_itself_uses_up_no_turn(strategy: str) -> None:
    pool = pool_of(A, B, strategy=strategy)
    assert pool.name_one(0.0, no_chance, 0.0) == A
    assert take(pool) == "a"
    assert pool.name_one(0.0, no_chance, 0.0) == B
    assert take(pool) == "b"


def test_random_is_even() -> None:
    """Every usable key is as likely as any other, whatever its weight."""
    pool = pool_of(Key("fa", "a", weight=9), B, OFF, C, strategy="random")
    assert [drawn(pool, drawing(number)) for number in (0.0, 0.33, 0.34, 0.66, 0.67, 0.99)] == list("aabbcc")


def test_weighted_goes_by_weight() -> None:
    """A key of weight 3 is drawn three times as often as one of weight 1; one of weight 0 only when there is no other."""
    pool = pool_of(Key("fa", "a", weight=3), Key("fb", "b", weight=1), Key("fc", "c", weight=0), strategy="weighted")
    chance = random.Random(1)
    counts = Counter(drawn(pool, chance.random) for _ in range(4000))
    assert 2800 < counts["a"] < 3200 and counts["a"] + counts["b"] == 4000
    assert drawn(pool, lambda: 0.9999999, "fa") == "b"
    assert drawn(pool, lambda: 0.5, "fa", "fb") == "c"
    assert drawn(pool, lambda: 0.5, "fa", "fb", "fc") is None


def test_an_unknown_strategy_is_refused() -> None:
    """There is no silent default."""
    with pytest.raises(ValueError, match="round-robin"):
        pool_of(A, strategy="fastest")


def test_a_cooling_key_is_never_chosen() -> None:
    """Until its moment, and not a second longer."""
    pool = pool_of(A, B)
    cool(pool, "fa", 30.0)
    assert [take(pool, 29.9), take(pool, 29.9)] == ["b", "b"]
    assert {take(pool, 30.0), take(pool, 30.0)} == {"a", "b"}


def test_a_new_deadline_never_shortens_an_old_one() -> None:
    """Whatever the order in which refusals come, the latest deadline holds."""
    for first, second in ((30.0, 10.0), (10.0, 30.0)):
        pool = pool_of(A)
        loans = borrow(pool), borrow(pool)
        for loan, until in zip(loans, (first, second), strict=True):
            pool.cool(loan, until)
        assert take(pool, 29.9) is None and take(pool, 30.0) == "a"


def test_success_does_not_end_a_cooldown() -> None:
    """An answer to an older request says nothing about the rate limit that a newer one met."""
    pool = pool_of(A)
    older, newer = borrow(pool), borrow(pool)
    pool.cool(newer, 30.0)
    pool.succeed(older, 1.0)
    assert take(pool, 29.0) is None


def refused_at(pool: KeyPool, *moments: float) -> list[float]:
    """A key is lent at each of these moments and answered with a 429 that says nothing: the least cooldowns."""
    told = []
    for now in moments:
        loan = borrow(pool, now)
        told.append(pool.least_cooldown(loan))
        pool.cool(loan, now + max(0.1, told[-1]))
    return told


@pytest.mark.parametrize("scope", ["key", "key+model", "account"])
def test_a_key_that_is_refused_again_at_once_cools_longer_each_time(scope: Any) -> None:
    """Up to rate_limit_cooldown, however short the upstream says; a success in between ends the row, however late it comes."""
    pool = KeyPool((A,), PoolRules("round-robin", 10.0, scope, slow_start=1.0))
    assert refused_at(pool, 0.0, 1.0, 3.0, 6.0, 11.0, 20.0, 31.0, 1000.0) == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    pool.succeed(borrow(pool, 2000.0), 2000.1)
    assert refused_at(pool, 2001.0, 2002.0) == [0.0, 1.0]


def test_refusals_of_attempts_under_way_are_one() -> None:
    """A burst that runs into its limit is no row of refusals; nor does a success of it end one."""
    pool = pool_of(A)
    loans = [borrow(pool, 0.0) for _ in range(5)]
    for loan in loans[:3]:
        assert pool.least_cooldown(loan) == 0.0
        pool.cool(loan, 5.0)
    assert refused_at(pool, 5.0) == [1.0]
    pool.succeed(loans[3], 5.5)
    assert refused_at(pool, 6.0) == [2.0]
    assert pool.least_cooldown(loans[4]) == 2.0, "the cooldown that it meets is not shortened"


def test_a_refused_key_rests_longer_each_time() -> None:
    """Five minutes, doubled at each refusal in a row, up to a day."""
    pool = pool_of(A)
    now, rests = 0.0, []
    for _ in range(12):
        until = pool.rest(borrow(pool, now), now)
        rests.append(until - now)
        assert take(pool, until - 0.1) is None
        now = until
    assert rests[:4] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, 8 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_requests_under_way_do_not_lengthen_a_rest() -> None:
    """Fifty requests that are refused together are one refusal."""
    pool = pool_of(A)
    loans = [borrow(pool) for _ in range(50)]
    assert {pool.rest(loan, 1.0 + number / 100) for number, loan in enumerate(loans)} == {1.0 + FIRST_REST}


@pytest.mark.parametrize("settle", ["succeed", "rest", "cool", "release"])
def test_after_a_rest_one_attempt_at_a_time(settle: str) -> None:
    """The key is on probation: nobody else may use it until that attempt is settled, whichever way."""
    pool = pool_of(A)
    now = pool.rest(borrow(pool), 0.0)
    probe = borrow(pool, now)
    assert take(pool, now) is None and pool.available(now) == 0 and pool.next_free(now) == PROBE_WAIT
    match settle:
        case "succeed":
            pool.succeed(probe, now)
            assert [take(pool, now), take(pool, now)] == ["a", "a"]
        case "rest":
            assert pool.rest(probe, now) == now + 2 * FIRST_REST
            assert take(pool, now + FIRST_REST) is None
        case "cool":
            pool.cool(probe, now + 5)
            assert take(pool, now + 4) is None
            assert take(pool, now + 5) == "a" and take(pool, now + 5) is None
        case "release":
            pool.release(probe, now)
            assert take(pool, now) == "a" and take(pool, now) is None


def test_an_old_attempt_does_not_end_a_rest() -> None:
    """A stream that began before the refusal and ends well during the rest changes nothing."""
    pool = pool_of(A)
    older, newer = borrow(pool), borrow(pool)
    until = pool.rest(newer, 0.0)
    pool.succeed(older, 10.0)
    assert take(pool, until - 1) is None and take(pool, until) == "a" and take(pool, until) is None


def test_an_old_attempt_that_ends_on_probation_does_not_end_it() -> None:
    """Only what began after the rest shows that the key is accepted again."""
    pool = pool_of(A)
    older, newer = borrow(pool), borrow(pool)
    until = pool.rest(newer, 0.0)
    pool.succeed(older, until + 1)
    assert take(pool, until + 1) == "a" and take(pool, until + 1) is None


def test_success_on_probation_forgets_the_past() -> None:
    """The next refusal is a first one again."""
    pool = pool_of(A)
    now = pool.rest(borrow(pool), 0.0)
    pool.succeed(borrow(pool, now), now)
    assert pool.rest(borrow(pool, now), now) == now + FIRST_REST


def test_the_soonest_key() -> None:
    """next_free is what Retry-After is made of: 0 when one is usable, None when none ever will be."""
    pool = pool_of(A, B, OFF)
    assert pool.next_free(0.0) == 0.0 and pool.available(0.0) == 2
    cool(pool, "fa", 40.0)
    assert pool.next_free(0.0) == 0.0 and pool.available(0.0) == 1
    older, newer = borrow(pool, 0.0, "fb"), borrow(pool, 0.0, "fb")
    pool.cool(older, 30.0)
    assert pool.next_free(10.0) == 20.0 and pool.available(10.0) == 0
    pool.rest(newer, 10.0)
    assert pool.next_free(10.0) == 30.0
    assert pool_of(OFF).next_free(0.0) is None
    assert pool_of().next_free(0.0) is None and take(pool_of()) is None


def test_states_tell_why_and_how_long() -> None:
    """One line per key, in order, disabled ones too."""
    pool = pool_of(A, B, C, OFF)
    first, second = borrow(pool, 0.0, "fb"), borrow(pool, 0.0, "fb")
    cool(pool, "fa", 40.0)
    pool.rest(first, 10.0)
    borrow(pool, 0.0, "fc")
    assert states(pool, 10.0) == [("a", "cooling", 30.0), ("b", "resting", FIRST_REST), ("c", "", 0.0), ("off", "disabled", 0.0)]
    assert [state.usable for state in pool.states(10.0)] == [False, False, True, False]
    assert [state.in_flight for state in pool.states(10.0)] == [0, 1, 1, 0]
    pool.cool(second, 10_000.0)
    assert states(pool, 10.0)[1] == ("b", "cooling", 9990.0)


def test_every_settlement_ends_one_attempt() -> None:
    """in_flight counts what was chosen and not settled; a second settlement of the same loan changes nothing."""
    pool = pool_of(A)
    loans = [borrow(pool) for _ in range(4)]
    settlements = (
        lambda: pool.succeed(loans[3], 0.0),
        lambda: pool.release(loans[2], 0.0),
        lambda: pool.cool(loans[1], 1.0),
        lambda: pool.rest(loans[0], 0.0),
    )
    for left, settle in zip((3, 2, 1, 0), settlements, strict=True):
        settle()
        assert pool.states(0.0)[0].in_flight == left
    for loan in loans:
        pool.cool(loan, 1e9)
        pool.release(loan, 0.0, sent=False)
        pool.succeed(loan, FIRST_REST)
        pool.rest(loan, FIRST_REST)
    assert pool.states(0.0)[0].in_flight == 0
    assert take(pool, FIRST_REST) == "a" and take(pool, FIRST_REST) is None


def test_a_reload_keeps_what_is_known() -> None:
    """The same key, by fingerprint, keeps its cooldown, its rest and its count, under whatever label."""
    pool = pool_of(A, B, C)
    take(pool)
    cool(pool, "fb", 50.0)
    pool.rest(borrow(pool, 0.0, "fc"), 0.0)
    renamed = (Key("fc", "renamed"), Key("fa", "a", weight=5), Key("fb", "b"), Key("fd", "new"))
    pool.adopt(renamed, PoolRules("weighted", 7.0))
    assert pool.rules.rate_limit_cooldown == 7.0
    assert [(state.label, state.reason, state.in_flight) for state in pool.states(1.0)] == [
        ("renamed", "resting", 0),
        ("a", "", 1),
        ("b", "cooling", 0),
        ("new", "", 0),
    ]


def test_a_reload_keeps_the_turn() -> None:
    """The key whose turn it was is next; if it is gone, the one after it."""
    pool = pool_of(A, B, C)
    take(pool)
    pool.adopt((C, B, A), IN_TURN)
    assert [take(pool), take(pool), take(pool)] == ["b", "a", "c"]
    pool.adopt((A, C), IN_TURN)  # it was b's turn, then a's
    assert take(pool) == "a"
    pool.adopt((Key("fx", "x"),), IN_TURN)
    assert take(pool) == "x"


def test_a_key_that_is_away_for_one_reload_still_cools() -> None:
    """A bad edit that takes a key out, and the one that brings it back, do not end a cooldown; settling meanwhile is harmless."""
    pool = pool_of(A, B)
    loans = [borrow(pool, 0.0, "fb") for _ in range(5)]
    pool.cool(loans[0], 100.0)
    pool.adopt((A,), IN_TURN)
    pool.succeed(loans[1], 1.0)
    pool.release(loans[2], 1.0)
    pool.cool(loans[3], 50.0)
    pool.adopt((A, B), IN_TURN)
    assert [take(pool, 99.0), take(pool, 99.0)] == ["a", "a"]
    pool.succeed(loans[4], 99.0)
    assert [take(pool, 100.0), take(pool, 100.0)] == ["b", "a"]


def test_a_key_that_was_taken_away_is_lent_once_more() -> None:
    """For a call that began before the reload, if it is usable; never a key that is here, on or off."""
    pool = pool_of(A, B, OFF)
    pool.adopt((A, OFF), IN_TURN)
    loan = pool.lend("fb", 0.0)
    assert loan is not None and loan.key == B and pool.busy(0.0) == 1
    pool.cool(loan, 10.0)
    assert pool.lend("fb", 9.0) is None and pool.lend("fb", 10.0) is not None
    assert pool.lend("fa", 0.0) is None and pool.lend("fo", 0.0) is None


def test_a_disabled_key_keeps_its_cooldown() -> None:
    """Switched off and on again by reload, it still cools."""
    pool = pool_of(A)
    cool(pool, "fa", 100.0)
    pool.adopt((Key("fa", "a", enabled=False),), IN_TURN)
    assert states(pool, 0.0) == [("a", "disabled", 0.0)] and pool.next_free(0.0) is None
    pool.adopt((A,), IN_TURN)
    assert take(pool, 99.0) is None and take(pool, 100.0) == "a"


def test_the_repr_tells_fingerprints() -> None:
    """Which are all that the pool has: it never sees a secret."""
    assert repr(pool_of(A, B)) == "<KeyPool round-robin a=fa b=fb>"
    assert repr(pool_of()) == "<KeyPool round-robin empty>"


def test_whatever_happens_no_resting_key_is_chosen() -> None:
    """A long random history: never a cooling, resting, disabled or tried key; and next_free tells the truth."""
    chance = random.Random(3)
    for strategy in STRATEGIES:
        pool = pool_of(A, B, C, OFF, strategy=strategy)
        now, out = 0.0, list[Loan]()
        cooling: defaultdict[str, float] = defaultdict(float)
        for _ in range(5000):
            now += chance.random() * 20
            tried = chance.sample(["fa", "fb", "fc"], chance.randrange(3))
            free = pool.next_free(now)
            loan = pool.choose(now, chance.random, tried=tried)
            if loan is not None:
                key = loan.key
                assert key.enabled and key.fingerprint not in tried and cooling[key.fingerprint] <= now
                assert free == 0.0
                out.append(loan)
            elif not tried:
                assert free is not None and free > 0.0
            while out and chance.random() < 0.5:
                loan = out.pop(chance.randrange(len(out)))
                match chance.randrange(8):
                    case 0:
                        until = now + chance.random() * 100
                        pool.cool(loan, until)
                        cooling[loan.key.fingerprint] = max(cooling[loan.key.fingerprint], until)
                    case 1:
                        pool.rest(loan, now)
                    case 2 | 3:
                        pool.release(loan, now)
                    case _:
                        pool.succeed(loan, now)
        assert sum(state.in_flight for state in pool.states(now)) == len(out)
