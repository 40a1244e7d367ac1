"""Keys that somebody outside the pool takes out of rotation, because they have no credit left."""

from __future__ import annotations

import pytest

from monorelay.upstream.keypool import FIRST_REST, STRATEGIES, Fact, Key, KeyPool, Loan, PoolRules


def pool(strategy: str = "round-robin") -> KeyPool:
    return KeyPool((Key("a", "A"), Key("b", "B"), Key("c", "C", enabled=False)), PoolRules(strategy, 60.0))


def chosen(keys: KeyPool, count: int, now: float = 0.0, prefer: str | None = None) -> set[str]:
    found = set()
    for _ in range(count):
        loan = keys.choose(now, lambda: 0.99, prefer=prefer)
        if loan is not None:
            found.add(loan.key.fingerprint)
            keys.release(loan, now)
    return found


def lent(keys: KeyPool, fingerprint: str, now: float) -> Loan:
    loan = keys.choose(now, lambda: 0.0, prefer=fingerprint)
    assert loan is not None and loan.key.fingerprint == fingerprint
    return loan


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_key_set_aside_is_never_chosen(strategy: str) -> None:
    """Preferred or not, until it is taken back; the set is whole each time, so others come back by not being in it."""
    keys = pool(strategy)
    keys.set_aside(frozenset({"b", "unknown"}))
    assert chosen(keys, 5) == {"a"} and chosen(keys, 1, prefer="b") == {"a"}
    assert keys.available(0.0) == 1
    keys.set_aside(frozenset({"a"}))
    assert chosen(keys, 5) == {"b"}
    keys.set_aside(frozenset())
    assert chosen(keys, 1, prefer="a") == {"a"} and keys.available(0.0) == 2


def test_waiting_does_not_help_a_key_set_aside() -> None:
    """It has no moment when it is free; another one's moment is told."""
    keys = pool()
    loan = lent(keys, "b", 0.0)
    keys.set_aside(frozenset({"a", "b"}))
    assert keys.choose(0.0, lambda: 0.0) is None and keys.next_free(0.0) is None
    keys.set_aside(frozenset({"a"}))
    keys.cool(loan, 9.0)
    assert keys.next_free(0.0) == 9.0
    states = [(state.label, state.usable, state.reason, state.seconds) for state in keys.states(0.0)]
    assert states == [("A", False, "no credit", 0.0), ("B", False, "cooling", 9.0), ("C", False, "disabled", 0.0)]


def test_a_reload_leaves_it_aside() -> None:
    """Also one that takes the key away and brings it back."""
    keys = pool()
    keys.set_aside(frozenset({"a"}))
    keys.adopt((Key("b", "B"),), keys.rules)
    keys.adopt((Key("a", "A"), Key("b", "B")), keys.rules)
    assert chosen(keys, 5) == {"b"}


def test_a_key_taken_away_is_not_lent_while_it_is_aside() -> None:
    """A call that began before the reload gets no key without credit either."""
    keys = pool()
    keys.set_aside(frozenset({"a"}))
    keys.adopt((Key("b", "B"),), keys.rules)
    assert keys.lend("a", 0.0) is None
    keys.set_aside(frozenset())
    assert keys.lend("a", 0.0) is not None


def test_a_rest_can_be_ended() -> None:
    """In every worker. Nothing is left of the refusals: the next one rests the key, for as short as the first."""
    keys, elsewhere = pool(), pool()
    told: list[Fact] = []
    keys.tell = told.append
    for now in (0.0, 1000.0):
        keys.rest(lent(keys, "a", now), now)
    for fact in told:
        elsewhere.hear(fact)
    assert chosen(keys, 4, now=1001.0) == chosen(elsewhere, 4, now=1001.0) == {"b"}
    keys.end_rest("a")
    keys.end_rest("b")
    keys.end_rest("unknown")
    elsewhere.hear(told[-1])
    assert len(told) == 3
    for worker in (keys, elsewhere):
        assert chosen(worker, 4, now=1001.0) == {"a", "b"}
        assert worker.rest(lent(worker, "a", 1001.0), 1001.0) == 1001.0 + FIRST_REST
        assert chosen(worker, 4, now=1001.0) == {"b"}


def test_a_cooldown_is_not_ended_with_a_rest() -> None:
    """It is about something else."""
    keys = pool()
    first, second = lent(keys, "a", 0.0), lent(keys, "a", 0.0)
    keys.rest(first, 0.0)
    keys.cool(second, 60.0)
    keys.end_rest("a")
    assert chosen(keys, 4, now=1.0) == {"b"} and chosen(keys, 4, now=61.0) == {"a", "b"}
