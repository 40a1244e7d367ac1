"""Limits of keys: reserved when a key is chosen, settled at the end, told while they hold."""

from __future__ import annotations

import json

import pytest

from monorelay.upstream.key_limits import limits_of
from monorelay.upstream.keypool import NO_LIMITS, PROBE_WAIT, Key, KeyPool, Limits, Loan, PoolRules

IN_TURN = PoolRules("round-robin", 60.0)
WALL = 1_700_000_000.0


def no_chance() -> float:
    raise AssertionError("this strategy needs no chance")


def pool_of(*limits: Limits, rules: PoolRules = IN_TURN) -> KeyPool:
    return KeyPool(tuple(Key(f"f{name}", name, limits=own) for name, own in zip("abc", limits, strict=False)), rules)


def take(pool: KeyPool, now: float, tokens: int = 0, model: str = "") -> Loan | None:
    return pool.choose(now, no_chance, tokens=tokens, model=model)


def taken(pool: KeyPool, now: float, tokens: int = 0, model: str = "") -> Loan:
    loan = take(pool, now, tokens, model)
    assert loan is not None
    return loan


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ({}, NO_LIMITS),
        ({"rps": 0, "rpm": 0, "tpm": 0, "concurrency": 0, "quota": 0, "windows": ((5.0, 0),)}, NO_LIMITS),
        ({"rps": 2}, Limits(((1.0, 2),))),
        ({"rps": 2.7}, Limits(((1.0, 2),))),
        ({"rps": 0.5}, Limits(((2.0, 1),))),
        ({"rpm": 40, "windows": ((18_000.0, 9),)}, Limits(((60.0, 40), (18_000.0, 9)))),
        ({"tpm": 7, "concurrency": 3, "quota": 5}, Limits((), ((60.0, 7),), 3, 5)),
    ],
)
def test_limits_as_operators_write_them(said: dict[str, object], limits: Limits) -> None:
    """Nothing and 0 are no limit; parts of requests there are none."""
    assert limits_of(**said) == limits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "name"),
    [(limits_of(rps=2), "rps"), (limits_of(rpm=2), "rpm")]
    + [(Limits(((span, 2),)), name) for span, name in ((18e3, "5h"), (86400.0, "1d"), (604800.0, "7d"), (90.0, "90s"))],
)
def test_so_many_requests_in_a_window(limits: Limits, name: str) -> None:
    """Chosen is used, whatever becomes of it; and the state says which limit holds, and until when."""
    span = limits.windows[0][0]
    pool = pool_of(limits)
    pool.succeed(taken(pool, 0.0), 0.1)
    pool.cool(taken(pool, span / 2), span / 2)
    assert take(pool, span * 0.9) is None
    state = pool.states(span * 0.75)[0]
    assert (state.usable, state.reason, state.limit, state.seconds) == (False, "limited", name, pytest.approx(span / 4))
    assert pool.next_free(span * 0.75) == pytest.approx(span / 4) and pool.available(span * 0.75) == 0
    assert take(pool, span) is not None and take(pool, span) is None


def test_the_next_key_takes_over() -> None:
    """A key at its limit is passed over, and comes back by itself."""
    pool = pool_of(limits_of(rpm=1), NO_LIMITS)
    assert [taken(pool, now).key.label for now in (0.0, 1.0, 2.0, 3.0, 60.0, 61.0)] == ["a", "b", "b", "b", "a", "b"]


def test_the_soonest_of_all_limits_of_all_keys() -> None:
    """A key is free when its last limit is; the pool when its first key is."""
    pool = pool_of(Limits(((1.0, 1), (60.0, 1))), Limits(((30.0, 1),)))
    taken(pool, 0.0), taken(pool, 10.0)
    assert pool.next_free(10.0) == 30.0
    pool.steer("fb", 1e9)
    assert pool.next_free(10.0) == 30.0


@pytest.mark.parametrize("how", ["succeed", "cool", "rest", "release"])
def test_so_many_at_a_time(how: str) -> None:
    """In flight is what was chosen and is not settled, whichever way."""
    pool = pool_of(limits_of(concurrency=2))
    first, _ = taken(pool, 0.0), taken(pool, 0.0)
    assert take(pool, 0.0) is None and pool.next_free(0.0) == PROBE_WAIT
    assert (pool.states(0.0)[0].reason, pool.states(0.0)[0].limit) == ("limited", "concurrency")
    match how:
        case "succeed":
            pool.succeed(first, 1.0)
        case "cool":
            pool.cool(first, 1.0)
        case "rest":
            pool.succeed(taken(pool_of(NO_LIMITS), 0.0), 0.0)
            pool.release(first, 1.0)
        case "release":
            pool.release(first, 1.0, sent=False)
    assert take(pool, 1.0) is not None and take(pool, 1.0) is None


def test_so_many_ever() -> None:
    """A quota that is used up comes never again; one request given back is one more."""
    pool = pool_of(limits_of(quota=2))
    taken(pool, 0.0)
    loan = taken(pool, 1.0)
    assert take(pool, 1e8) is None and pool.next_free(1e8) is None
    assert (pool.states(1e8)[0].limit, pool.states(1e8)[0].seconds) == ("quota", 0.0)
    pool.release(loan, 2.0, sent=False)
    assert take(pool, 2.0) is not None and take(pool, 2.0) is None


def test_tokens_are_reserved_and_settled() -> None:
    """What was expected too much comes back at once; what was expected too little counts from when it is known."""
    pool = pool_of(limits_of(tpm=1000))
    first = taken(pool, 0.0, 600)
    assert take(pool, 1.0, 401) is None and pool.next_free(1.0, tokens=401) == 59.0 and pool.next_free(1.0, tokens=400) == 0.0
    pool.succeed(first, 10.0, 100)
    second = taken(pool, 10.0, 900)
    assert take(pool, 10.0) is None  # nothing is left, not even for a request of unknown size
    pool.succeed(second, 20.0, 1500)
    assert pool.next_free(20.0) == 50.0  # the 600 too many, known at 20, are all that is left at 70
    assert pool.states(20.0)[0].limit == "tpm" and pool.next_free(20.0, tokens=500) == 60.0


@pytest.mark.parametrize(
    ("how", "left"), [("unknown", 400), ("none", 1000), ("cool", 1000), ("rest", 1000), ("sent", 400), ("unsent", 1000)]
)
def test_who_spends_tokens(how: str, left: int) -> None:
    """A refusal spends none; where nobody knows, what was expected stays."""
    pool = pool_of(limits_of(tpm=1000))
    loan = taken(pool, 0.0, 600)
    match how:
        case "unknown":
            pool.succeed(loan, 1.0)
        case "none":
            pool.succeed(loan, 1.0, 0)
        case "cool":
            pool.cool(loan, 1.0)
        case "rest":
            pool.rest(loan, -299.0)
        case "sent":
            pool.release(loan, 1.0)
        case "unsent":
            pool.release(loan, 1.0, sent=False)
    assert pool.next_free(1.0, tokens=left) == 0.0 and pool.next_free(1.0, tokens=left + 1) != 0.0 or left == 1000
    assert take(pool, 1.0, left) is not None


def test_a_request_that_is_larger_than_the_limit_goes_alone() -> None:
    """It could never go otherwise; it waits until nothing is counted, and then nothing else goes."""
    pool = pool_of(limits_of(tpm=1000))
    taken(pool, 0.0, 1)
    assert pool.next_free(5.0, tokens=5000) == 55.0
    taken(pool, 60.0, 5000)
    assert take(pool, 119.0, 1) is None and take(pool, 120.0, 1) is not None


def test_a_request_that_never_went_out_is_given_back() -> None:
    """To every limit, once."""
    pool = pool_of(Limits(((1.0, 1), (60.0, 1)), ((60.0, 10),), 1, 1))
    for _ in range(3):
        loan = taken(pool, 0.0, 10)
        assert take(pool, 0.0) is None
        pool.release(loan, 0.0, sent=False)
        pool.release(loan, 0.0, sent=False)


def test_a_key_expires() -> None:
    """By the wall clock, at that very moment; before it, nothing that would be free only after it is promised."""
    pool = KeyPool((Key("fa", "a", expires_at=WALL + 100, limits=limits_of(rpm=1)),), IN_TURN)
    assert pool.choose(0.0, no_chance, wall=WALL) is not None
    assert pool.next_free(30.0) == 30.0
    assert pool.choose(60.0, no_chance) is not None
    assert pool.next_free(70.0) is None  # it is free at 120, and gone at 100
    assert pool.states(99.0)[0].reason == "limited" and pool.states(100.0)[0].reason == "expired"
    fresh = KeyPool((Key("fa", "a", expires_at=WALL),), IN_TURN)
    assert fresh.states(5.0, wall=WALL)[0].reason == "expired" and fresh.available(5.0) == 0
    assert fresh.choose(5.0, no_chance, prefer="fa") is None and fresh.next_free(5.0, wall=WALL - 1) == 0.0


def test_a_reload_changes_limits_and_keeps_counts() -> None:
    """A window of the same length goes on with what it counts, under whatever limit; taken away, it holds nothing."""
    pool = pool_of(limits_of(rpm=2))
    taken(pool, 0.0), taken(pool, 0.0)
    for limit, free in ((2, False), (3, True), (3, False)):
        pool.adopt((Key("fa", "a", limits=limits_of(rpm=limit, concurrency=9)),), IN_TURN)
        assert (take(pool, 1.0) is not None) is free
    pool.adopt((Key("fa", "a"),), IN_TURN)
    assert take(pool, 1.0) is not None
    pool.adopt((Key("fa", "a", limits=limits_of(concurrency=5)),), IN_TURN)
    assert take(pool, 1.0) is not None and take(pool, 1.0) is None  # the four before are still in flight


def test_of_two_limits_of_one_length_the_lower_holds() -> None:
    """Each request counts once."""
    pool = pool_of(Limits(((60.0, 3), (60.0, 2))))
    assert [take(pool, 0.0) is not None for _ in range(3)] == [True, True, False]


def test_counts_survive_a_restart() -> None:
    """Through JSON, on another machine's clock: windows, tokens, quota; what is in flight does not."""
    limits = Limits(((60.0, 3),), ((60.0, 1000),), 2, 5)
    old = pool_of(limits)
    for at in (0.0, 50.0):
        old.succeed(taken(old, at, 300), at, 400)
    records = json.loads(json.dumps(old.snapshot(55.0, WALL)))
    new = pool_of(limits)
    new.succeed(taken(new, 7000.0, 0), 7000.0)
    new.restore(records, 7001.0, WALL + 1)
    assert take(new, 7001.0) is None and new.next_free(7001.0) == pytest.approx(4.0)  # the first comes back after 60 s
    assert new.next_free(7001.0, tokens=201) == pytest.approx(4.0)
    taken(new, 7005.1), taken(new, 7060.1)
    assert take(new, 9000.0) is None and [record["used"] for record in new.snapshot(9000.0, WALL)] == [5]


def test_windows_of_limits_that_are_gone_are_forgotten() -> None:
    """A record may tell of windows that no limit is laid on any more."""
    old = pool_of(limits_of(rpm=3, quota=9))
    taken(old, 0.0)
    new = pool_of(limits_of(rps=3))
    new.restore(old.snapshot(1.0, WALL), 1.0, WALL)
    assert new.snapshot(1.0, WALL) == ({"fingerprint": "fa", "used": 1},)
