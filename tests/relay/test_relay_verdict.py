"""The verdict table, read aloud."""

from __future__ import annotations

import pytest

from monorelay.relay.verdict import KeyEffect, Next, judge


@pytest.mark.parametrize(
    ("status", "key", "next_step"),
    [
        (429, KeyEffect.COOL, Next.KEY),
        (401, KeyEffect.REST, Next.KEY),
        (402, KeyEffect.REST, Next.KEY),
        (403, KeyEffect.REST, Next.KEY),
        *((status, KeyEffect.FINE, Next.RELAY) for status in (400, 404, 405, 408, 409, 413, 415, 422, 451)),
        *((status, KeyEffect.NONE, Next.TARGET) for status in (300, 301, 302, 307, 308, 500, 502, 503, 504, 520, 529, 599)),
        (None, KeyEffect.NONE, Next.TARGET),
    ],
)
def test_every_outcome_has_its_verdict(status: int | None, key: KeyEffect, next_step: Next) -> None:
    """A 4xx that is the caller's fault never cools a key; only a key's own fault moves to the next key."""
    verdict = judge(status)
    assert (verdict.key, verdict.next) == (key, next_step)
