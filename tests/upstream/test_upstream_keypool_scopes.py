"""What a rate limit leaves behind: for a model, a key or an account, told to other workers, eased out of, kept over a restart."""

from __future__ import annotations

import json
import pickle

import pytest

from monorelay.upstream.key_limits import limits_of
from monorelay.upstream.key_standing import MOST_MODELS
from monorelay.upstream.keypool import FIRST_REST, LONGEST_REST, MOST_ABSENT, Fact, Key, KeyPool, Loan, PoolRules

A, B, C = Key("fa", "a"), Key("fb", "b"), Key("fc", "c")
WALL = 1_700_000_000.0


def no_chance() -> float:
    raise AssertionError("this strategy needs no chance")


def pool_of(*keys: Key, scope: str = "key", slow_start: float = 0.0, strategy: str = "round-robin") -> KeyPool:
    return KeyPool(keys, PoolRules(strategy, 60.0, scope, slow_start))  # type: ignore[arg-type]


def borrow(pool: KeyPool, now: float = 0.0, fingerprint: str = "fa", model: str = "") -> Loan:
    loan = pool.choose(now, no_chance, prefer=fingerprint, model=model)
    assert loan is not None and loan.key.fingerprint == fingerprint
    return loan


def take(pool: KeyPool, now: float = 0.0, model: str = "") -> str | None:
    loan = pool.choose(now, no_chance, model=model)
    return loan.key.label if loan else None


def listening(pool: KeyPool) -> list[Fact]:
    told: list[Fact] = []
    pool.tell = told.append
    return told


def test_an_unknown_scope_is_refused() -> None:
    """There is no silent default."""
    with pytest.raises(ValueError, match="account"):
        pool_of(A, scope="model")


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("key", {"m": ["b", "b"], "n": ["b", "b"], "": ["b", "b"]}),
        ("key+model", {"m": ["b", "b"], "n": ["a", "b"], "": ["a", "b"]}),
        ("account", {"m": [None, None], "n": [None, None], "": [None, None]}),
    ],
)
def test_what_a_429_rests(scope: str, left: dict[str, list[str | None]]) -> None:
    """The key, the key for that model, or all keys; until the deadline, and then not a moment longer."""
    for model, labels in left.items():
        pool = pool_of(A, B, scope=scope)
        pool.cool(borrow(pool, model="m"), 30.0)
        pool.adopt((A, B), pool.rules)
        assert [take(pool, 29.9, model), take(pool, 29.9, model)] == labels
        assert {take(pool, 30.0, model), take(pool, 30.0, model)} == {"a", "b"}


def test_a_model_that_cools_is_told() -> None:
    """The key is usable, for others; asked about that model it is not, and next_free says when."""
    pool = pool_of(A, scope="key+model")
    pool.cool(borrow(pool, model="m"), 30.0)
    state, of_model = pool.states(10.0)[0], pool.states(10.0, "m")[0]
    assert (state.usable, state.reason, state.models) == (True, "", (("m", 20.0),))
    assert (of_model.usable, of_model.reason, of_model.seconds) == (False, "cooling", 20.0)
    assert pool.next_free(10.0, "m") == 20.0 and pool.next_free(10.0, "n") == 0.0
    assert pool.available(10.0, "m") == 0 and pool.available(10.0) == 1


def test_an_account_cools_for_keys_that_come_later_too() -> None:
    """A reload that adds a key does not lift the account's limit."""
    pool = pool_of(A, scope="account")
    pool.cool(borrow(pool), 30.0)
    pool.adopt((A, B), pool.rules)
    assert take(pool, 29.0) is None and pool.next_free(29.0) == 1.0 and take(pool, 30.0) == "a"


def test_only_so_many_models_are_told_apart() -> None:
    """Names come from clients: beyond so many, the one that is free the soonest holds the whole key for as long, and no longer."""
    pool = pool_of(A, scope="key+model", slow_start=50.0)
    loans = [borrow(pool, model=f"m{number}") for number in range(MOST_MODELS + 10)]
    for number, loan in enumerate(loans[:MOST_MODELS]):
        pool.cool(loan, 1000.0 - number)
    assert take(pool, 0.0, "other") == "a"
    for number, loan in enumerate(loans[MOST_MODELS:]):
        pool.cool(loan, 100.0 + number)
    assert len(pool.states(0.0)[0].models) == MOST_MODELS
    assert [take(pool, 108.9, model) for model in ("m0", f"m{MOST_MODELS}", "other")] == [None] * 3
    assert pool.next_free(100.0, "other") == 9.0 and pool.next_free(100.0, "m0") == 900.0
    assert [take(pool, 109.0, model) for model in ("m0", f"m{MOST_MODELS}", "other", "other")] == [None, "a", "a", "a"]


def test_made_up_names_end_no_cooldown() -> None:
    """Whoever has a thousand names refused gets no request through for a model that cools, in this worker or in another."""
    pool, other = pool_of(A, scope="key+model"), pool_of(A, scope="key+model")
    pool.tell = other.hear
    pool.cool(borrow(pool, model="m"), 10.0)
    for loan in [borrow(pool, model=f"made up {number}") for number in range(1000)]:
        pool.cool(loan, 60.0)
    for either in (pool, other):
        assert take(either, 9.9, "m") is None and take(either, 59.9, "made up 0") is None
        assert len(either.states(0.0)[0].models) == MOST_MODELS
        assert take(either, 60.0, "m") == "a"


def test_what_is_over_gives_way_first() -> None:
    """A key is not held for models whose own cooldown has ended."""
    pool = pool_of(A, scope="key+model", slow_start=500.0)
    for number in range(MOST_MODELS):
        pool.cool(borrow(pool, model=f"old {number}"), 5.0)
    for number in range(MOST_MODELS):
        pool.cool(borrow(pool, 100.0, model=f"new {number}"), 200.0)
    assert [take(pool, 100.0, model) for model in ("old 0", "new 0", "m", "m")] == ["a", None, "a", "a"]


def test_too_many_steered_models_steer_the_key() -> None:
    """It is a preference, and goes the same way."""
    pool = pool_of(A, B, scope="key+model")
    for number in range(MOST_MODELS):
        pool.steer("fa", 60.0, f"m{number}")
    assert take(pool, 0.0, "other") == "a"
    pool.steer("fa", 30.0, "one more")
    assert [take(pool, 29.0, "other") for _ in range(3)] == ["b"] * 3
    assert "a" in [take(pool, 30.0, "other") for _ in range(2)]


def test_a_key_is_steered_away_from() -> None:
    """The others first; it comes when there is no other, or where it is preferred; a later word never shortens."""
    pool = pool_of(A, B)
    pool.steer("fa", 30.0)
    pool.steer("fa", 10.0)
    pool.steer("gone", 30.0)
    assert [take(pool, 20.0), take(pool, 20.0)] == ["b", "b"]
    assert pool.states(20.0)[0].steered == 10.0 and pool.states(20.0)[0].usable and pool.available(20.0) == 2
    assert borrow(pool, 20.0).key is A
    pool.cool(borrow(pool, 20.0, "fb"), 25.0)
    assert take(pool, 20.0) == "a" and pool.next_free(20.0) == 0.0
    assert {take(pool, 30.0), take(pool, 30.0)} == {"a", "b"}


@pytest.mark.parametrize("strategy", ["round-robin", "random", "weighted", "least-busy"])
def test_every_strategy_steers(strategy: str) -> None:
    """With all steered away from, all are as good again, and take turns."""
    pool = pool_of(Key("fa", "a", weight=0), B, C, strategy=strategy)
    for fingerprint in ("fb", "fc"):
        pool.steer(fingerprint, 30.0)
    assert {loan.key.label for _ in range(9) if (loan := pool.choose(0.0, lambda: 0.9))} == {"a"}
    pool.steer("fa", 30.0)
    chosen = [loan.key.label for number in range(30) if (loan := pool.choose(0.0, lambda number=number: number / 30))]  # type: ignore[misc]
    assert set(chosen) >= {"b", "c"} and len(chosen) == 30
    if strategy == "round-robin":
        assert len(set(chosen[:3])) == 3


def test_a_steer_may_hold_for_one_model() -> None:
    """Where limits are per model; else it holds for the key."""
    for scope, of_n in (("key+model", {"a", "b"}), ("key", {"b"})):
        pool = pool_of(A, B, scope=scope)
        pool.steer("fa", 30.0, "m")
        assert {take(pool, 0.0, "m") for _ in range(3)} == {"b"}
        assert {take(pool, 0.0, "n") for _ in range(3)} == of_n


def test_the_least_busy_key_is_next() -> None:
    """With the fewest requests in flight; among equals by turn."""
    pool = pool_of(A, B, C, strategy="least-busy")
    loans = [pool.choose(0.0, no_chance) for _ in range(6)]
    assert [loan.key.label for loan in loans if loan] == ["a", "b", "c", "a", "b", "c"]
    assert loans[1] and loans[4]
    pool.succeed(loans[1], 0.0)
    pool.release(loans[4], 0.0)
    assert [take(pool), take(pool), take(pool)] == ["b", "b", "c"]
    assert pool.busy(0.0) == 7


def test_a_key_is_eased_in_after_a_cooldown() -> None:
    """One at a time, then two, then four; after so many seconds as many as come. The others take the rest."""
    pool = pool_of(A, B, slow_start=10.0)
    early = borrow(pool)
    pool.cool(borrow(pool), 5.0)
    pool.succeed(early, 5.5)  # it began before the cooldown, and shows nothing
    shares = []
    for _ in range(3):
        mine = [loan for _ in range(12) if (loan := pool.choose(6.0, no_chance)) and loan.key is A]
        shares.append(len(mine))
        for loan in mine[:1]:
            pool.succeed(loan, 6.0)
        for loan in mine[1:]:
            pool.release(loan, 6.0)
    assert shares == [1, 2, 4]
    pool.cool(borrow(pool, 7.0), 8.0)
    assert [take(pool, 8.0) for _ in range(5)].count("a") == 1
    assert [take(pool, 18.0) for _ in range(6)].count("a") == 3


def test_easing_in_turns_no_request_away() -> None:
    """Where there is no other key, it takes what comes."""
    pool = pool_of(A, slow_start=10.0)
    pool.cool(borrow(pool), 5.0)
    assert [take(pool, 5.0) for _ in range(4)] == ["a"] * 4 and pool.next_free(5.0) == 0.0


def test_a_model_is_eased_in_too() -> None:
    """Counting only what was asked for with that model since it cooled."""
    pool = pool_of(A, B, scope="key+model", slow_start=10.0)
    loans = [borrow(pool, model="m") for _ in range(3)]
    pool.cool(loans[0], 5.0)
    assert [take(pool, 6.0, "m") for _ in range(4)] == ["a", "b", "b", "b"]
    assert "a" in [take(pool, 6.0, "n"), take(pool, 6.0, "n")]
    pool.release(loans[1], 6.0), pool.release(loans[2], 6.0)
    assert take(pool, 6.0, "m") == "b"


# -- other workers


def test_workers_agree() -> None:
    """What one has seen, the others hear: cooldowns, rests, steers and their ends; what is no news is not told."""
    one, other = pool_of(A, B, scope="key+model"), pool_of(A, B, scope="key+model")
    told = listening(one)
    first, second, third = borrow(one, 0.0, "fa", "m"), borrow(one, 0.0, "fa", "m"), borrow(one, 0.0, "fb")
    one.cool(first, 30.0)
    one.cool(second, 20.0)
    one.steer("fb", 40.0, "n")
    one.steer("fb", 30.0, "n")
    one.rest(third, 1.0)
    for fact in pickle.loads(pickle.dumps(told)):
        other.hear(fact)
    assert [fact.kind for fact in told] == ["cool", "steer", "rest"]
    assert other.states(5.0, "m") == one.states(5.0, "m") and other.states(5.0, "n") == one.states(5.0, "n")
    assert [state.reason for state in other.states(5.0, "m")] == ["cooling", "resting"]
    end = 1.0 + FIRST_REST
    one.succeed(borrow(one, end, "fb"), end)
    assert told[3] == Fact("fine", "fb", end)
    borrow(other, end, "fb")
    assert other.choose(end, no_chance, tried=["fa"]) is None  # on probation
    other.hear(told[3])
    assert other.choose(end, no_chance, tried=["fa"]) is not None


def test_hearsay_never_shortens() -> None:
    """An older word that comes late changes nothing, and is not told on."""
    pool = pool_of(A, B)
    told = listening(pool)
    pool.cool(borrow(pool), 50.0)
    pool.rest(borrow(pool, 0.0, "fb"), 0.0)
    told.clear()
    for kind, fingerprint in (("cool", "fa"), ("rest", "fb"), ("fine", "fb"), ("steer", "fa")):
        pool.hear(Fact(kind, fingerprint, 10.0, "", 1))  # type: ignore[arg-type]
    assert [round(state.seconds) for state in pool.states(0.0)] == [50, FIRST_REST] and told == []


def test_a_fact_about_an_account_is_about_all_keys() -> None:
    """It names none of them."""
    one, other = pool_of(A, B, scope="account"), pool_of(A, B, scope="account")
    told = listening(one)
    one.cool(borrow(one), 30.0)
    assert told == [Fact("cool", "", 30.0)]
    other.hear(told[0])
    assert take(other, 29.0) is None


def test_a_fact_about_a_key_that_comes_with_the_next_reload() -> None:
    """Workers do not reload in the same instant."""
    pool = pool_of(A)
    pool.hear(Fact("cool", "fb", 30.0))
    pool.adopt((A, B), pool.rules)
    assert [take(pool, 29.0), take(pool, 29.0)] == ["a", "a"]


# -- over a restart


def kept(pool: KeyPool, now: float) -> list[dict[str, object]]:
    return json.loads(json.dumps(pool.snapshot(now, WALL + now)))  # type: ignore[no-any-return]


def test_deadlines_survive_a_restart() -> None:
    """By the wall clock: cooldowns, also of models, rests and how long the next one would be, steers."""
    old = pool_of(A, B, C, scope="key+model")
    old.cool(borrow(old, 0.0, "fa", "m"), 100.0)
    old.rest(borrow(old, 0.0, "fb"), 0.0)
    old.steer("fc", 80.0)
    old.cool(borrow(old, 0.0, "fc"), 0.5)
    new = pool_of(C, B, A, scope="key+model")
    new.restore(kept(old, 10.0), 5000.0, WALL + 20.0)
    assert new.next_free(5000.0, "m") == 0.0
    states = {state.label: state for state in new.states(5000.0, "m")}
    assert (states["a"].reason, states["a"].seconds) == ("cooling", 80.0)
    assert (states["b"].reason, states["b"].seconds) == ("resting", FIRST_REST - 20)
    assert (states["c"].reason, states["c"].steered) == ("", 60.0)
    probe = borrow(new, 5000.0 + FIRST_REST, "fb")
    assert new.rest(probe, 6000.0) == 6000.0 + 2 * FIRST_REST


def test_what_is_over_is_not_kept() -> None:
    """Nor a key that nothing is known of."""
    pool = pool_of(A, B, C)
    pool.cool(borrow(pool), 5.0)
    pool.steer("fb", 5.0)
    assert len(kept(pool, 4.0)) == 2 and kept(pool, 5.0) == []


def test_keys_that_are_not_configured_are_kept_as_they_were() -> None:
    """A reload, or the restart after the next, may bring them back."""
    old = pool_of(A, B)
    old.cool(borrow(old, 0.0, "fb"), 1000.0)
    middle = pool_of(A)
    middle.restore(kept(old, 1.0), 1.0, WALL + 1.0)
    new = pool_of(A)
    new.restore(kept(middle, 2.0), 2.0, WALL + 2.0)
    new.adopt((B,), new.rules)
    assert new.next_free(3.0) == pytest.approx(997.0)
    assert [record["fingerprint"] for record in kept(new, 3.0)] == ["fb"]


def test_a_deadline_is_believed_for_a_day() -> None:
    """A clock that was years ahead, or is years behind, does not take a key away for years."""
    old = pool_of(A, B, scope="key+model")
    old.cool(borrow(old, model="m"), 50.0)
    old.rest(borrow(old, 0.0, "fb"), 0.0)
    new = pool_of(A, B, scope="key+model")
    new.restore(kept(old, 0.0), 0.0, WALL - 1e9)
    assert [state.seconds for state in new.states(0.0, "m")] == [86_400.0, LONGEST_REST]


NONSENSE = [None, True, "x", -1, float("nan"), float("inf"), 10**400, [], {}, [[]], [["m"]], [["m", 1, 2, 3]], [[1, 2, 3]]]


@pytest.mark.parametrize(
    "name", ["fingerprint", "cooling", "steered", "resting", "refusals", "models", "windows", "tokens", "used"]
)
def test_a_record_that_makes_no_sense_is_no_record(name: str) -> None:
    """It may be of another release, or damaged: what cannot be read is left out, the rest counts."""
    for value in (*NONSENSE, [["", WALL, WALL]], [[60.0, [[None, 1], [WALL, "x"], [1]]]], [[60.0, None]], [["x", []]]):
        pool = pool_of(Key("fa", "a", limits=limits_of(rpm=5, tpm=5, quota=5)), B)
        pool.restore([{"fingerprint": "fa", name: value}, value, {"fingerprint": "fb", "cooling": WALL + 9}], 0.0, WALL)  # type: ignore[list-item]
        assert [state.reason for state in pool.states(0.0)] == ["", "cooling"] or (name, value) == ("refusals", 10**400)
        json.dumps(pool.snapshot(1.0, WALL))


def test_only_so_many_absent_keys_are_remembered() -> None:
    """Whether a record or a reload tells of them."""
    pool = pool_of(A)
    pool.restore([{"fingerprint": f"r{number}", "cooling": WALL + 9} for number in range(MOST_ABSENT + 9)], 0.0, WALL)
    assert len(pool.snapshot(0.0, WALL)) == MOST_ABSENT
    pool = pool_of(A)
    for number in range(MOST_ABSENT + 9):
        pool.adopt((Key(f"k{number}", "k"),), pool.rules)
        pool.steer(f"k{number}", 100.0)
    assert len(pool.snapshot(0.0, WALL)) == MOST_ABSENT + 1


def test_changes_say_when_there_is_something_to_keep() -> None:
    """An answer by a key without limits changes nothing."""
    pool = pool_of(A, Key("fb", "b", limits=limits_of(rpm=9)))
    pool.succeed(borrow(pool), 1.0)
    assert pool.changes == 0
    seen = {pool.changes}
    for act in (
        lambda: pool.succeed(borrow(pool, 1.0, "fb"), 1.0),
        lambda: pool.cool(borrow(pool, 1.0), 2.0),
        lambda: pool.steer("fa", 2.0),
        lambda: pool.rest(borrow(pool, 2.0), 2.0),
        lambda: pool.hear(Fact("fine", "fa", 900.0)),
    ):
        act()
        assert pool.changes not in seen
        seen.add(pool.changes)


def test_a_steer_is_not_told_with_every_answer() -> None:
    """Where each answer moves the reset by as much as time went on, the other workers hear of it about once a second."""
    pool = pool_of(A)
    told = listening(pool)
    for number in range(1000):
        pool.steer("fa", 60.0 + number / 100)
    assert len(told) == 10 and pool.states(0.0)[0].steered == 69.99
