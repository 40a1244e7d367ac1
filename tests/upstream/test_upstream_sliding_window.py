"""Sliding windows: nothing too early, nothing much too late, and never many buckets."""

from __future__ import annotations

import random

import pytest

from monorelay.upstream.sliding_window import GRAINS, MOST_BUCKETS, SlidingWindow


def test_what_was_added_counts_for_a_whole_window() -> None:
    """And not a moment longer, where nothing came close to it."""
    window = SlidingWindow(60.0)
    window.add(0.0, 2)
    window.add(30.0, 3)
    assert [window.live(now) for now in (30.0, 59.9, 60.0, 89.9, 90.0)] == [5, 5, 3, 3, 0]


@pytest.mark.parametrize("step", [0.0001, 0.01, 0.3, 1.0, 7.0, 100.0])
def test_against_an_exact_log(step: float) -> None:
    """It counts at least what an exact log counts, and at most what one counts that is 1/128 longer; in at most 129 buckets."""
    chance = random.Random(5)
    window = SlidingWindow(60.0)
    log: list[list[float]] = []
    now = 0.0
    for _ in range(2_000):
        now += chance.random() * step
        if chance.random() < 0.8:
            log.append([now, chance.randrange(1, 9)])
            window.add(*log[-1])
        elif log:
            entry = chance.choice(log[-50:])
            taken = chance.randrange(0, int(entry[1]) + 1)
            if entry[0] + 60.0 > now:
                window.take_back(entry[0], taken)
                entry[1] -= taken
        log = [entry for entry in log if entry[0] + 60.0 * (1 + 1 / GRAINS) > now]
        exact = sum(amount for at, amount in log if at + 60.0 > now)
        assert exact <= window.live(now) <= sum(amount for _, amount in log)
        assert len(window.kept(now)) <= len(window._buckets) <= MOST_BUCKETS


def test_when_there_is_room() -> None:
    """The first moment at which so much more fits, to the instant."""
    window = SlidingWindow(10.0)
    for at in (0.0, 2.0, 4.0):
        window.add(at, 3)
    assert window.free_at(5.0, 1, 10) == 5.0
    assert window.free_at(5.0, 2, 10) == 10.0 and window.live(9.99) + 2 > 10 >= window.live(10.0) + 2
    assert window.free_at(10.0, 7, 10) == 12.0
    assert window.free_at(12.0, 10, 10) == 14.0
    assert window.free_at(20.0, 10, 10) == 20.0


def test_what_is_over_is_not_taken_back() -> None:
    """Nor what was never added, nor more than was added."""
    window = SlidingWindow(10.0)
    window.add(0.0, 3)
    window.add(5.0, 3)
    window.take_back(11.0, 1)
    window.take_back(3.0, 1)
    window.take_back(5.0, 99)
    assert window.live(9.0) == 3 and window.live(10.0) == 0
    window.take_back(0.0, 3)
    assert window.live(10.0) == 0


def test_a_late_word_of_something_earlier_counts_as_late() -> None:
    """Never earlier than it was."""
    window = SlidingWindow(10.0)
    window.add(5.0, 1)
    window.add(2.0, 1)
    assert window.live(14.9) == 2 and window.live(15.0) == 0


def test_a_window_survives_being_written_down() -> None:
    """Laid over what came meanwhile, it counts both, stays small, and forgets nothing early; nonsense adds nothing."""
    old, new = SlidingWindow(60.0), SlidingWindow(60.0)
    for number in range(600):
        old.add(number / 10, 1)
        new.add(number / 10 + 0.03, 1)
    new.restore(old.kept(60.0), 60.0)
    assert len(new._buckets) <= MOST_BUCKETS
    for now in (60.0, 75.0, 119.0):
        assert new.live(now) >= 2 * sum(number / 10 + 60.0 > now for number in range(600))
    assert new.live(121.0) == 0
    new.restore([(0.0, float("nan")), (0.0, -3), (61.0, 5), (float("nan"), 1), (0.0, float("inf"))], 121.0)
    assert new.live(121.0) == 0
    new.restore([(-1e9, 4)], 121.0)
    assert new.live(121.0) == 4


def test_the_oldest_goes_first() -> None:
    """What is taken out without its moment is what would have counted the shortest time; there may be less than that."""
    window = SlidingWindow(60.0)
    window.add(0.0, 2)
    window.add(10.0, 3)
    window.take_oldest(20.0, 3)
    assert [window.live(20.0), window.live(69.0), window.live(70.0)] == [2, 2, 0]
    window.add(80.0, 1)
    window.take_oldest(80.0, 5)
    window.add(81.0, 1)
    assert [window.live(82.0), window.live(141.0)] == [1, 0]
