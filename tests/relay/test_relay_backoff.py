"""Retries: how long they wait, and how many there may be. Time and chance belong to the test."""

from __future__ import annotations

import pytest

from monorelay.config.retry import RetrySpec
from monorelay.relay.backoff import ALWAYS, WINDOW, Budget, pause_before_retry
from monorelay.relay.outcome import Broke, Outcome, Refused
from monorelay.upstream.interface import UpstreamFailure

SPEC = RetrySpec(max_retries=2, backoff=0.5, backoff_max=8.0)
BUSY = Refused(503, (), b"")


def test_a_few_retries_are_always_allowed_and_a_share_beyond_them() -> None:
    """In any ten seconds; what was long ago does not count."""
    budget = Budget()
    for _ in range(10):
        budget.asked(0.0)
    assert [budget.allows(0.2, 1.0) for _ in range(ALWAYS + 1)] == [True] * ALWAYS + [False]
    for _ in range(ALWAYS * 10):
        budget.asked(2.0)
    assert sum(budget.allows(0.2, 3.0) for _ in range(ALWAYS * 10)) == ALWAYS + 2
    assert budget.allows(0.2, 4.0 + 2 * WINDOW)
    assert not budget.allows(0.0, 4.0 + 2 * WINDOW), "a share of nothing is none"


@pytest.mark.parametrize(
    ("outcome", "done", "pause"),
    [
        (BUSY, 0, 0.25),
        (BUSY, 1, 0.5),
        (BUSY, 2, None),
        (Refused(503, (("retry-after", "3"),), b""), 0, 3.0),
        (Refused(503, (("retry-after", "30"),), b""), 0, None),
        (Refused(418, (), b""), 0, None),
        (Broke(UpstreamFailure("connect", "refused")), 0, 0.25),
        (Broke(UpstreamFailure("total", "too long")), 0, None),
    ],
)
def test_how_long_a_retry_waits(outcome: Outcome, done: int, pause: float | None) -> None:
    """Jitter over a ceiling that doubles; never before Retry-After; not for what is not listed."""
    assert pause_before_retry(outcome, SPEC, done, lambda: 0.5, 0.0) == pause
