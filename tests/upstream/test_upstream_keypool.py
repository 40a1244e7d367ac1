"""The key pool: whose turn it is, and who rests. Time and chance belong to the test."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from monorelay.upstream.keypool import FIRST_REST, LONGEST_REST, PROBE_WAIT, Key, KeyPool

A, B, C = Key("fa", "a"), Key("fb", "b"), Key("fc", "c")
OFF = Key("fo", "off", enabled=False)


def no_chance() -> float:
    raise AssertionError("this strategy needs no chance")


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def pool_of(*keys: Key, strategy: str = "round-robin") -> KeyPool:
    return KeyPool(keys, strategy, 60.0)


def take(pool: KeyPool, now: float = 0.0, *tried: str, prefer: str | None = None) -> str | None:
    key = pool.choose(now, no_chance, tried, prefer)
    return key.label if key else None


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
    pool.cool("fb", 10.0)
    assert take(pool, 0.0, prefer="fb") == "a"
    assert take(pool, 10.0, prefer="fb") == "b"
    assert take(pool, 10.0, "fb", prefer="fb") == "a"
    assert take(pool, 10.0, prefer="fo") == "b"
    assert take(pool, 10.0, prefer="gone") == "a"


def test_random_is_even() -> None:
    """Every usable key is as likely as any other, whatever its weight."""
    pool = pool_of(Key("fa", "a", weight=9), B, OFF, C, strategy="random")
    assert [pool.choose(0.0, drawing(number)).label for number in (0.0, 0.33, 0.34, 0.66, 0.67, 0.99)] == list("aabbcc")  # type: ignore[union-attr]


def test_weighted_goes_by_weight() -> None:
    """A key of weight 3 is drawn three times as often as one of weight 1; one of weight 0 only when there is no other."""
    pool = pool_of(Key("fa", "a", weight=3), Key("fb", "b", weight=1), Key("fc", "c", weight=0), strategy="weighted")
    chance = random.Random(1)
    counts = Counter(pool.choose(0.0, chance.random).label for _ in range(4000))  # type: ignore[union-attr]
    assert 2800 < counts["a"] < 3200 and counts["a"] + counts["b"] == 4000
    assert pool.choose(0.0, lambda: 0.9999999, ["fa"]) == Key("fb", "b", weight=1)
    assert pool.choose(0.0, lambda: 0.5, ["fa", "fb"]) == Key("fc", "c", weight=0)
    assert pool.choose(0.0, lambda: 0.5, ["fa", "fb", "fc"]) is None


def test_an_unknown_strategy_is_refused() -> None:
    """There is no silent default."""
    with pytest.raises(ValueError, match="round-robin"):
        pool_of(A, strategy="fastest")


def test_a_cooling_key_is_never_chosen() -> None:
    """Until its moment, and not a second longer."""
    pool = pool_of(A, B)
    pool.cool("fa", 30.0)
    assert [take(pool, 29.9), take(pool, 29.9)] == ["b", "b"]
    assert {take(pool, 30.0), take(pool, 30.0)} == {"a", "b"}


def test_a_new_deadline_never_shortens_an_old_one() -> None:
    """Whatever the order in which refusals come, the latest deadline holds."""
    for first, second in ((30.0, 10.0), (10.0, 30.0)):
        pool = pool_of(A)
        pool.cool("fa", first)
        pool.cool("fa", second)
        assert take(pool, 29.9) is None and take(pool, 30.0) == "a"


def test_success_does_not_end_a_cooldown() -> None:
    """An answer to an older request says nothing about the rate limit that a newer one met."""
    pool = pool_of(A)
    take(pool), take(pool)
    pool.cool("fa", 30.0)
    pool.succeed("fa", 1.0)
    assert take(pool, 29.0) is None


def test_a_refused_key_rests_longer_each_time() -> None:
    """Five minutes, doubled at each refusal in a row, up to a day."""
    pool = pool_of(A)
    now, rests = 0.0, []
    for _ in range(12):
        assert take(pool, now) == "a"
        until = pool.rest("fa", now)
        rests.append(until - now)
        assert take(pool, until - 0.1) is None
        now = until
    assert rests[:4] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, 8 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_requests_under_way_do_not_lengthen_a_rest() -> None:
    """Fifty requests that are refused together are one refusal."""
    pool = pool_of(A)
    for _ in range(50):
        take(pool)
    assert {pool.rest("fa", 1.0 + number / 100) for number in range(50)} == {1.0 + FIRST_REST}


@pytest.mark.parametrize("settle", ["succeed", "rest", "cool", "release"])
def test_after_a_rest_one_attempt_at_a_time(settle: str) -> None:
    """The key is on probation: nobody else may use it until that attempt is settled, whichever way."""
    pool = pool_of(A)
    take(pool)
    now = pool.rest("fa", 0.0)
    assert take(pool, now) == "a"
    assert take(pool, now) is None and pool.available(now) == 0 and pool.next_free(now) == PROBE_WAIT
    match settle:
        case "succeed":
            pool.succeed("fa", now)
            assert [take(pool, now), take(pool, now)] == ["a", "a"]
        case "rest":
            assert pool.rest("fa", now) == now + 2 * FIRST_REST
            assert take(pool, now + FIRST_REST) is None
        case "cool":
            pool.cool("fa", now + 5)
            assert take(pool, now + 4) is None
            assert take(pool, now + 5) == "a" and take(pool, now + 5) is None
        case "release":
            pool.release("fa")
            assert take(pool, now) == "a" and take(pool, now) is None


def test_an_old_attempt_does_not_end_a_rest() -> None:
    """A stream that began before the refusal and ends well during the rest changes nothing."""
    pool = pool_of(A)
    take(pool), take(pool)
    until = pool.rest("fa", 0.0)
    pool.succeed("fa", 10.0)
    assert take(pool, until - 1) is None and take(pool, until) == "a" and take(pool, until) is None


def test_success_on_probation_forgets_the_past() -> None:
    """The next refusal is a first one again."""
    pool = pool_of(A)
    take(pool)
    now = pool.rest("fa", 0.0)
    take(pool, now)
    pool.succeed("fa", now)
    take(pool, now)
    assert pool.rest("fa", now) == now + FIRST_REST


def test_the_soonest_key() -> None:
    """next_free is what Retry-After is made of: 0 when one is usable, None when none ever will be."""
    pool = pool_of(A, B, OFF)
    assert pool.next_free(0.0) == 0.0 and pool.available(0.0) == 2
    pool.cool("fa", 40.0)
    assert pool.next_free(0.0) == 0.0 and pool.available(0.0) == 1
    pool.cool("fb", 30.0)
    assert pool.next_free(10.0) == 20.0 and pool.available(10.0) == 0
    pool.rest("fb", 10.0)
    assert pool.next_free(10.0) == 30.0
    assert pool_of(OFF).next_free(0.0) is None
    assert pool_of().next_free(0.0) is None and take(pool_of()) is None


def test_states_tell_why_and_how_long() -> None:
    """One line per key, in order, disabled ones too."""
    pool = pool_of(A, B, C, OFF)
    pool.cool("fa", 40.0)
    pool.rest("fb", 10.0)
    pool.choose(0.0, no_chance)
    assert states(pool, 10.0) == [("a", "cooling", 30.0), ("b", "resting", FIRST_REST), ("c", "", 0.0), ("off", "disabled", 0.0)]
    assert [state.usable for state in pool.states(10.0)] == [False, False, True, False]
    assert [state.in_flight for state in pool.states(10.0)] == [0, 0, 1, 0]
    pool.cool("fb", 10_000.0)
    assert states(pool, 10.0)[1] == ("b", "cooling", 9990.0)


def test_every_settlement_ends_one_attempt() -> None:
    """in_flight counts what was chosen and not settled, and never goes below nothing."""
    pool = pool_of(A)
    for _ in range(4):
        take(pool)
    for left, settle in (
        (3, lambda: pool.succeed("fa", 0.0)),
        (2, lambda: pool.release("fa")),
        (1, lambda: pool.cool("fa", 1.0)),
        (0, lambda: pool.rest("fa", 0.0)),
        (0, lambda: pool.release("fa")),
    ):
        settle()
        assert pool.states(0.0)[0].in_flight == left


def test_a_reload_keeps_what_is_known() -> None:
    """The same key, by fingerprint, keeps its cooldown, its rest and its count, under whatever label."""
    pool = pool_of(A, B, C)
    take(pool)
    pool.cool("fb", 50.0)
    pool.rest("fc", 0.0)
    pool.adopt((Key("fc", "renamed"), Key("fa", "a", weight=5), Key("fb", "b"), Key("fd", "new")), "weighted", 7.0)
    assert pool.rate_limit_cooldown == 7.0
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
    pool.adopt((C, B, A), "round-robin", 60.0)
    assert [take(pool), take(pool), take(pool)] == ["b", "a", "c"]
    pool.adopt((A, C), "round-robin", 60.0)  # it was b's turn, then a's
    assert take(pool) == "a"
    pool.adopt((Key("fx", "x"),), "round-robin", 60.0)
    assert take(pool) == "x"


def test_a_key_that_is_away_for_one_reload_still_cools() -> None:
    """A bad edit that takes a key out, and the one that brings it back, do not end a cooldown; settling meanwhile is harmless."""
    pool = pool_of(A, B)
    take(pool)
    pool.cool("fb", 100.0)
    pool.adopt((A,), "round-robin", 60.0)
    pool.succeed("fb", 1.0)
    assert pool.rest("gone", 5.0) == 5.0
    for settle in (lambda: pool.release("gone"), lambda: pool.cool("gone", 9.0), lambda: pool.succeed("gone", 9.0)):
        settle()
    pool.adopt((A, B), "round-robin", 60.0)
    assert [take(pool, 99.0), take(pool, 99.0)] == ["a", "a"]


def test_a_disabled_key_keeps_its_cooldown() -> None:
    """Switched off and on again by reload, it still cools."""
    pool = pool_of(A)
    pool.cool("fa", 100.0)
    pool.adopt((Key("fa", "a", enabled=False),), "round-robin", 60.0)
    assert states(pool, 0.0) == [("a", "disabled", 0.0)] and pool.next_free(0.0) is None
    pool.adopt((A,), "round-robin", 60.0)
    assert take(pool, 99.0) is None and take(pool, 100.0) == "a"


def test_the_repr_tells_fingerprints() -> None:
    """Which are all that the pool has: it never sees a secret."""
    assert repr(pool_of(A, B)) == "<KeyPool round-robin a=fa b=fb>"
    assert repr(pool_of()) == "<KeyPool round-robin empty>"


def test_whatever_happens_no_resting_key_is_chosen() -> None:
    """A long random history: never a cooling, resting, disabled or tried key; and next_free tells the truth."""
    chance = random.Random(3)
    for strategy in ("round-robin", "random", "weighted"):
        pool = pool_of(A, B, C, OFF, strategy=strategy)
        now, out = 0.0, list[str]()
        cooling: Counter[str] = Counter()
        for _ in range(5000):
            now += chance.random() * 20
            tried = chance.sample(["fa", "fb", "fc"], chance.randrange(3))
            free = pool.next_free(now)
            key = pool.choose(now, chance.random, tried)
            if key is not None:
                assert key.enabled and key.fingerprint not in tried and cooling[key.fingerprint] <= now
                assert free == 0.0
                out.append(key.fingerprint)
            elif not tried:
                assert free is not None and free > 0.0
            while out and chance.random() < 0.5:
                fingerprint = out.pop(chance.randrange(len(out)))
                match chance.randrange(8):
                    case 0:
                        until = now + chance.random() * 100
                        pool.cool(fingerprint, until)
                        cooling[fingerprint] = max(cooling[fingerprint], until)  # type: ignore[assignment]
                    case 1:
                        pool.rest(fingerprint, now)
                    case 2 | 3:
                        pool.release(fingerprint)
                    case _:
                        pool.succeed(fingerprint, now)
        assert sum(state.in_flight for state in pool.states(now)) == len(out)
