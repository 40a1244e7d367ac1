"""What one worker learns the others know: told through the master, in real processes."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable

from daemon_process import Relay, eventually


def pids(relay: Relay, count: int) -> set[int]:
    return eventually(
        lambda: found if len(found := {one["pid"] for one in relay.question(ask="workers")["answers"]}) == count else None,
        lambda: f"not {count} workers: {relay.lines}",
    )


def heard(relay: Relay, pid: int) -> list[str]:
    """What this worker heard; connections land at any."""

    def look() -> list[str] | None:
        mine, *words = relay.ask("heard").split()
        return words if mine == str(pid) else None

    found = eventually(lambda: (words,) if (words := look()) is not None else None, lambda: f"{pid} never answered")
    return found[0]


def words(facts: list[str]) -> list[str]:
    return [fact.partition(":")[0] for fact in facts]


def test_every_other_worker_hears_a_fact_at_once(relay: Callable[..., Relay]) -> None:
    """Within 20 ms, each once, and each teller's in order; who told it does not hear it."""
    one = relay(workers=3)
    one.wait_for("listening on")
    everybody = pids(one, 3)
    tellers = [int(one.ask(f"tell {number} 60").split()[1]) for number in range(20)]
    eventually(lambda: sum(len(heard(one, pid)) for pid in everybody) == 40, lambda: "not every fact was heard")
    facts = [fact for pid in everybody for fact in heard(one, pid)]
    delays = sorted(float(fact.partition(":")[2]) for fact in facts)
    assert delays[len(delays) // 4] < 20, delays  # a quarter: on a busy machine most may wait for a processor
    for pid in everybody:
        told = [int(word) for word in words(heard(one, pid))]
        assert sorted(told) == [number for number, teller in enumerate(tellers) if teller != pid]
        for teller in everybody:
            its = [number for number in told if tellers[number] == teller]
            assert its == sorted(its)


def test_a_worker_that_is_born_later_hears_what_still_holds(relay: Callable[..., Relay]) -> None:
    """In the order in which the master heard it; what is over by then it does not hear. Its own, from its former life, it does."""
    one = relay(workers=2)
    one.wait_for("listening on")
    everybody = pids(one, 2)
    for word in ("first", "over", "last"):
        teller = int(one.ask(f"tell {word} {0 if word == 'over' else 60}").split()[1])
        (other,) = everybody - {teller}
        # The next one may be told by the other worker: the master has this one when its hearer has.
        eventually(lambda word=word, other=other: word in words(heard(one, other)), lambda: "it was not heard")
    _, dead = one.ask("die"), eventually(lambda: everybody - pids(one, 2), lambda: "nobody died")
    (born,) = pids(one, 2) - everybody
    assert dead and words(heard(one, born)) == ["first", "last"]
    assert one.wait_for(f"warning worker=. pid={dead.pop()} ended with exit code 9")


def test_a_fact_that_cannot_be_taken_harms_nobody(relay: Callable[..., Relay]) -> None:
    """The worker that stumbles over it says so, and hears the next one and the master."""
    one = relay(workers=2)
    one.wait_for("listening on")
    one.ask("tell bad 60")
    one.wait_for("error a fact that another worker told")
    one.ask("tell good 60")
    eventually(lambda: any(words(heard(one, pid)) == ["good"] for pid in pids(one, 2)), lambda: "the next one was not heard")
    assert "outcome=unchanged" in one.reload(1)


def test_the_only_worker_tells_nobody(relay: Callable[..., Relay]) -> None:
    """With one worker a fact goes nowhere: its successor does not hear it."""
    one = relay()
    one.ask("tell word 60")
    before = one.ask().split()[1]
    one.ask("die")
    one.wait_for("ended with exit code 9")
    after = one.ask("heard").split()
    assert after[0] != before and after[1:] == []


def test_workers_share_memory_in_seats_of_their_own(relay: Callable[..., Relay]) -> None:
    """Each sees what all used of a key; a successor sits where the one that died sat, and sees what is used from then on."""
    one = relay(workers=2)
    one.wait_for("listening on")
    pids(one, 2)
    assert [int(one.ask("use")) for _ in range(20)] == list(range(1, 21))
    one.ask("die")
    one.wait_for("ended with exit code 9")
    pids(one, 2)
    answers: set[str] = set()
    numbers = itertools.count(1)

    def both_answered() -> bool:
        number, count = next(numbers), int(one.ask("use"))
        assert count in (number, 20 + number)
        answers.add("born later" if count == number else "survivor")
        return len(answers) == 2

    eventually(both_answered, lambda: f"only one answers: {answers}")
    one.send(signal.SIGTERM)
    assert one.end() == 0
