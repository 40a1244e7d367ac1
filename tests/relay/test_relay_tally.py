"""Counters and their Prometheus text."""

from __future__ import annotations

from monorelay.relay.tally import BUCKETS, Tally, counter, render


def test_the_page_is_prometheus_text() -> None:
    """Every family has its help and type; histograms are cumulative and end in +Inf."""
    tally = Tally()
    tally.called("chat", 200, 0.07)
    tally.called("chat", 200, 0.3)
    tally.called("chat", 499, 900.0)
    tally.refused(401)
    tally.attempted("acme", "200")
    tally.cooled("acme", "main")
    tally.spent("acme", "input", 12)
    tally.reloaded("refused")
    page = render(tally, counter("monorelay_generation", "g", [({}, 7)], "gauge")).decode()
    for line in (
        'monorelay_calls_total{route="chat",status="200"} 2',
        'monorelay_calls_total{route="chat",status="499"} 1',
        'monorelay_refusals_total{status="401"} 1',
        'monorelay_attempts_total{provider="acme",said="200"} 1',
        'monorelay_cooldowns_total{provider="acme",key="main"} 1',
        'monorelay_tokens_total{provider="acme",kind="input"} 12',
        'monorelay_reloads_total{outcome="refused"} 1',
        'monorelay_call_seconds_bucket{le="0.1"} 1',
        'monorelay_call_seconds_bucket{le="300"} 2',
        'monorelay_call_seconds_bucket{le="+Inf"} 3',
        "monorelay_call_seconds_count 3",
        "# TYPE monorelay_call_seconds histogram",
        "monorelay_generation 7",
    ):
        assert line in page.splitlines()


def test_large_counts_are_written_in_full() -> None:
    """A counter must not be rounded: its rate would be zero."""
    assert list(counter("n", "h", [({}, 123456789)]))[-1] == "n 123456789"


def test_label_values_are_escaped() -> None:
    assert list(counter("n", "h", [({"key": 'a"b\\c\nd'}, 1)]))[-1] == 'n{key="a\\"b\\\\c\\nd"} 1'


def test_a_value_on_a_bound_counts_below_it() -> None:
    tally = Tally()
    tally.duration.observe(BUCKETS[0])
    assert tally.duration.counts[0] == 1
