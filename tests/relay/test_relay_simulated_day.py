"""A day of twenty keys, three providers, outages and storms, held against the upstreams' own log: ``simulated_day.py`` says what is
checked. More seeds by hand: ``python tests/relay/simulated_day.py 1 2 3``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_day import simulate
from simulated_upstream import DAY


@pytest.mark.parametrize("seed", [5, 14])
def test_a_day(seed: int, expect_logs: Callable[[str], None]) -> None:
    """No request on a cooling or resting key, no limit exceeded, no avoidable failure; afterwards all is as it was."""
    expect_logs("was refused with 40[123]: it rests for")
    report = simulate(seed)
    assert not report.faults, str(report)
    assert report.calls > 19_000 and report.statuses["200"] > 0.9 * report.calls
    # What the day was for has happened.
    assert {"401", "402", "403", "429", "503", "connect", "first_byte", "body", "aborted"} <= set(report.attempts)
    assert report.retries > 100
    # And was not multiplied: those that a 400 turned to another model aside.
    assert report.attempts.total() - report.attempts["400"] < 1.2 * report.calls


@pytest.mark.parametrize("seed", [2, 3])
def test_a_morning_of_three_workers(seed: int, expect_logs: Callable[[str], None]) -> None:
    """They agree on cooldowns within a tenth of a second, and together keep to every limit."""
    expect_logs("was refused with 40[123]: it rests for")
    report = simulate(seed, workers=3, length=DAY / 6, count=4000)
    assert not report.faults, str(report)
    assert report.statuses["200"] > 0.8 * report.calls
