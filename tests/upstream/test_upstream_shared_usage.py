"""Several workers, one key: what the others use counts here too. With real processes where it is about races."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import pytest

from monorelay.upstream.key_limits import limits_of
from monorelay.upstream.keypool import PROBE_WAIT, Key, KeyPool, Limits, Loan, PoolRules
from monorelay.upstream.shared_usage import SharedUsage


@pytest.fixture
def usage() -> SharedUsage:
    return SharedUsage(seats=3, rows=4)


def pool_in(usage: SharedUsage, seat: int, limits: Limits, strategy: str = "round-robin") -> KeyPool:
    keys = (Key("fa", "a", limits=limits), Key("fb", "b", enabled=False))
    return KeyPool(keys, PoolRules(strategy, 60.0), partial(usage.sit(seat).share, "acme"))


def take(pool: KeyPool, now: float, tokens: int = 0) -> Loan | None:
    return pool.choose(now, lambda: 0.0, tokens=tokens)


def taken(pool: KeyPool, now: float, tokens: int = 0) -> Loan:
    loan = take(pool, now, tokens)
    assert loan is not None
    return loan


def test_what_others_use_counts(usage: SharedUsage) -> None:
    """Requests in a window, from when they were made, where the others look often enough."""
    one, two = (pool_in(usage, seat, limits_of(rpm=3)) for seat in (0, 1))
    taken(one, 0.0), taken(one, 10.0), taken(two, 20.0)
    assert take(one, 30.0) is None and take(two, 30.0) is None
    assert two.next_free(30.0) == 40.0  # both of the first were heard of at 20, when the last of them was 10 seconds ago
    assert one.next_free(30.0) == 30.0 and take(one, 60.0) is not None
    two.look(60.0)
    assert two.next_free(69.0) == 1.0 and two.next_free(70.0) == 0.0


def test_a_quiet_worker_does_not_take_old_requests_for_new_ones(usage: SharedUsage) -> None:
    """What was last used a minute ago is over, whenever it is heard of."""
    one, two = (pool_in(usage, seat, limits_of(rpm=2)) for seat in (0, 1))
    taken(one, 0.0), taken(one, 0.0)
    assert take(two, 60.0) is not None and take(two, 60.0) is not None and take(one, 60.0) is None


def test_a_key_that_is_only_named_costs_nothing(usage: SharedUsage) -> None:
    """For what the relay asks by itself: no worker counts it; a key at its limits is not named."""
    one, two = (pool_in(usage, seat, limits_of(rpm=1, quota=1)) for seat in (0, 1))
    for pool in (one, two, one):
        named = pool.name_one(0.0, lambda: 0.0, 0.0)
        assert named is not None and named.label == "a"
    taken(two, 0.0)
    assert one.name_one(0.0, lambda: 0.0, 0.0) is None and take(one, 0.0) is None


def test_what_others_use_is_something_to_keep(usage: SharedUsage) -> None:
    """One worker writes for all: a look tells it, also when it had to heed the others' use before; a second look tells nothing."""
    mine, other = (pool_in(usage, seat, Limits(quota=2)) for seat in (0, 1))
    for asks in (False, True):
        before = mine.changes
        other.succeed(taken(other, 0.0), 0.0)
        assert not asks or take(mine, 0.0) is None
        mine.look(0.0)
        assert mine.changes > before
        before = mine.changes
        mine.look(0.0)
        assert mine.changes == before
    assert [record["used"] for record in mine.snapshot(0.0, 0.0)] == [2]


def test_concurrency_is_of_all_workers(usage: SharedUsage) -> None:
    """And comes back when any of them ends a request."""
    one, two = (pool_in(usage, seat, limits_of(concurrency=2)) for seat in (0, 1))
    loan = taken(one, 0.0)
    taken(two, 0.0)
    assert take(one, 1.0) is None and take(two, 1.0) is None and one.next_free(1.0) == PROBE_WAIT
    assert one.busy(1.0) == two.busy(1.0) == 2
    one.cool(loan, 1.0)
    assert take(two, 1.0) is not None and take(one, 1.0) is None


def test_the_least_busy_key_of_all_workers() -> None:
    """A key that another worker uses is the busier one here."""
    usage = SharedUsage(seats=2)
    keys = tuple(Key(f"f{name}", name, limits=limits_of(rpm=9)) for name in "ab")
    one, two = (KeyPool(keys, PoolRules("least-busy", 60.0), partial(usage.sit(seat).share, "acme")) for seat in (0, 1))
    assert taken(one, 0.0).key.label == "a"
    assert taken(two, 0.0).key.label == "b"
    assert repr(usage) == "<SharedUsage 2 of 4096 rows, 2 seats>"


def test_quotas_are_of_all_workers(usage: SharedUsage) -> None:
    """One that was given back anywhere is one more everywhere."""
    one, two = (pool_in(usage, seat, limits_of(quota=2)) for seat in (0, 1))
    taken(one, 0.0)
    loan = taken(two, 0.0)
    assert take(one, 0.0) is None
    two.release(loan, 0.0, sent=False)
    assert take(one, 0.0) is not None and take(two, 0.0) is None
    assert one.snapshot(0.0, 0.0)[0]["used"] == two.snapshot(0.0, 0.0)[0]["used"] == 2


def test_what_never_went_out_does_not_fill_the_windows_of_others(usage: SharedUsage) -> None:
    """An outage in which no connection is made costs nobody the day's allowance: what is given back is given back everywhere."""
    one, two = (pool_in(usage, seat, limits_of(windows=((86_400.0, 10),))) for seat in (0, 1))
    sent = taken(two, 0.0)
    for number in range(50):
        one.release(taken(one, 10.0 + number), 20.0 + number, sent=False)
        two.look(20.5 + number)
    two.succeed(sent, 70.0)
    assert sum(take(two, 80.0) is not None for _ in range(20)) == 9
    assert take(one, 81.0) is None and one.next_free(81.0) == 86_399.0


def test_what_is_given_back_late_hides_nothing_new(usage: SharedUsage) -> None:
    """Requests that time out in one second, and new ones in the same: the new ones count, though the sum is as before."""
    one, two = (pool_in(usage, seat, limits_of(rps=2)) for seat in (0, 1))
    old = [taken(one, 0.0), taken(one, 0.0)]
    two.look(0.5)
    for loan in old:
        one.release(loan, 10.0, sent=False)
    taken(one, 10.0), taken(one, 10.0)
    assert take(two, 10.1) is None and two.next_free(10.1) == pytest.approx(0.9)


def test_tokens_are_promised_and_then_spent(usage: SharedUsage) -> None:
    """While a request is in flight its estimate counts elsewhere, afterwards the true number."""
    one, two = (pool_in(usage, seat, limits_of(tpm=1000)) for seat in (0, 1))
    loan = taken(one, 0.0, 900)
    assert take(two, 1.0, 101) is None and two.next_free(1.0, tokens=101) == PROBE_WAIT and two.next_free(1.0, tokens=100) == 0.0
    one.succeed(loan, 10.0, 200)
    assert two.next_free(11.0, tokens=801) == 59.0 and two.next_free(11.0, tokens=800) == 0.0
    other = taken(one, 11.0, 700)
    one.release(other, 12.0, sent=False)
    assert take(two, 12.0, 800) is not None


def test_a_worker_that_is_born_late(usage: SharedUsage) -> None:
    """The others may have served before it was there: that is of the same limits."""
    limits = Limits(((60.0, 9),), ((60.0, 1000),), None, 3)
    one = pool_in(usage, 0, limits)
    one.succeed(taken(one, 0.0, 400), 0.0, 400)
    taken(one, 0.0)
    two = pool_in(usage, 1, limits)
    assert two.next_free(1.0, tokens=601) == 59.0
    assert take(two, 1.0, 600) is not None and take(two, 1.0) is None


def test_a_worker_that_is_born_again(usage: SharedUsage) -> None:
    """What its forerunner had in flight is over for everybody; it begins to count from then on."""
    one, two = (pool_in(usage, seat, Limits(((60.0, 9),), ((60.0, 1000),), 3)) for seat in (0, 1))
    taken(one, 0.0, 500), taken(one, 0.0, 500)
    assert two.busy(0.0) == 2 and take(two, 0.0, 1) is None
    again = pool_in(usage, 0, Limits(((60.0, 9),), ((60.0, 1000),), 3))
    assert two.busy(0.0) == 0 and take(two, 0.0, 1) is not None
    assert again.busy(0.0) == 1 and again.next_free(0.0, tokens=1000) == PROBE_WAIT
    assert [record["used"] for record in again.snapshot(0.0, 0.0)] == [1]


def test_rows_run_out() -> None:
    """A key beyond the last row is counted by each worker for itself; a row that is there is found again."""
    usage = SharedUsage(seats=1, rows=2)
    assert [usage.row(name) for name in ("a", "b", "c", "b", "a")] == [0, 1, None, 1, 0]
    pool = pool_in(usage, 0, limits_of(rpm=1))
    assert take(pool, 0.0) is not None and take(pool, 0.0) is None


HAMMER = """
import json, os, sys, time
from functools import partial
from monorelay.upstream.keypool import Key, KeyPool, Limits, PoolRules
from monorelay.upstream.shared_usage import SharedUsage

workers, limit, span, seconds = 4, 25, 0.25, 1.5
usage = SharedUsage(seats=workers)
ends = []
start = time.monotonic() + 0.3
for seat in range(workers):
    read, write = os.pipe()
    if os.fork() == 0:
        share = partial(usage.sit(seat).share, "acme")
        keys = tuple(Key(name, name, limits=Limits(((span, limit),))) for name in ("fa", "fb"))
        pool = KeyPool(keys, PoolRules("round-robin", 60.0), share)
        found = []
        time.sleep(max(0.0, start - time.monotonic()))
        while (now := time.monotonic()) < start + seconds:
            loan = pool.choose(now, lambda: 0.0)
            if loan is not None:
                found.append((loan.key.label, now))
                pool.succeed(loan, time.monotonic())
        with os.fdopen(write, "w") as end:
            json.dump(found, end)
        os._exit(0)
    os.close(write)
    ends.append(read)
told = [json.load(os.fdopen(end)) for end in ends]
for _ in ends:
    assert os.wait()[1] == 0
print(json.dumps({"workers": workers, "limit": limit, "span": span, "seconds": seconds, "rows": repr(usage), "told": told}))
"""


def test_workers_together_keep_to_a_limit() -> None:
    """Four processes that hammer two keys exceed no limit by more than one request each, in any window, and leave none unused."""
    done = subprocess.run([sys.executable, "-c", HAMMER], capture_output=True, text=True, check=True, timeout=60)
    said = json.loads(done.stdout)
    workers, limit, span = said["workers"], said["limit"], said["span"]
    assert said["rows"] == f"<SharedUsage 2 of 4096 rows, {workers} seats>"
    for label in ("fa", "fb"):
        times = sorted(now for found in said["told"] for name, now in found if name == label)
        for first, at in enumerate(times):
            inside = sum(at <= other < at + span for other in times[first : first + 2 * limit + workers])
            assert inside <= limit + workers
        assert len(times) >= 2 * limit
