"""Counters and gauges of one worker, and their Prometheus text.

Counting is one dictionary increment; everything is rendered only when somebody asks. Labels come from the configuration and from
status codes, never from clients, so that nothing grows without bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

# Seconds. The same buckets for the whole duration and for the time to the first content.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Histogram:
    """Mutable: counts per bucket, sum and count; observe() only."""

    __slots__ = ("counts", "sum", "count")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0
        self.count = 0

    def observe(self, seconds: float) -> None:
        for index, bound in enumerate(BUCKETS):  # most calls end in the first few
            if seconds <= bound:
                self.counts[index] += 1
                break
        else:
            self.counts[-1] += 1
        self.sum += seconds
        self.count += 1


class Tally:
    """Mutable: the counters, each changed by the method of its name."""

    __slots__ = ("calls", "refusals", "attempts", "cooldowns", "tokens", "duration", "opening", "in_flight", "reloads")

    def __init__(self) -> None:
        self.calls: dict[tuple[str, int], int] = {}  # (route, status)
        self.refusals: dict[int, int] = {}  # status, for requests that never became a call
        self.attempts: dict[tuple[str, str], int] = {}  # (provider, what was said)
        self.cooldowns: dict[tuple[str, str], int] = {}  # (provider, key label)
        self.tokens: dict[tuple[str, str], int] = {}  # (provider, kind)
        self.duration = Histogram()
        self.opening = Histogram()
        self.in_flight = 0
        self.reloads: dict[str, int] = {}  # outcome

    def called(self, route: str, status: int, seconds: float) -> None:
        key = (route, status)
        self.calls[key] = self.calls.get(key, 0) + 1
        self.duration.observe(seconds)

    def refused(self, status: int) -> None:
        self.refusals[status] = self.refusals.get(status, 0) + 1

    def attempted(self, provider: str, said: str) -> None:
        key = (provider, said)
        self.attempts[key] = self.attempts.get(key, 0) + 1

    def cooled(self, provider: str, key: str) -> None:
        pair = (provider, key)
        self.cooldowns[pair] = self.cooldowns.get(pair, 0) + 1

    def spent(self, provider: str, kind: str, tokens: int) -> None:
        key = (provider, kind)
        self.tokens[key] = self.tokens.get(key, 0) + tokens

    def reloaded(self, outcome: str) -> None:
        self.reloads[outcome] = self.reloads.get(outcome, 0) + 1


def counter(name: str, text: str, rows: Iterable[tuple[dict[str, str], float]], kind: str = "counter") -> Iterator[str]:
    """One metric family in the text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in rows:
        pairs = ",".join(f'{label}="{_escape(content)}"' for label, content in labels.items())
        yield f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def histogram(name: str, text: str, observed: Histogram) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} histogram"
    below = 0
    for bound, count in zip(BUCKETS, observed.counts, strict=False):
        below += count
        yield f'{name}_bucket{{le="{bound:g}"}} {below}'
    yield f'{name}_bucket{{le="+Inf"}} {observed.count}'
    yield f"{name}_sum {observed.sum:.6f}"
    yield f"{name}_count {observed.count}"


def render(tally: Tally, gauges: Iterable[str]) -> bytes:
    """The whole page; ``gauges`` are finished lines of what is measured elsewhere."""
    lines = [
        *counter(
            "monorelay_calls_total", "Calls by route and status (499: the client left).", _two(tally.calls, "route", "status")
        ),
        *counter(
            "monorelay_refusals_total",
            "Requests refused at the head, by status.",
            [({"status": str(status)}, count) for status, count in sorted(tally.refusals.items())],
        ),
        *counter("monorelay_attempts_total", "Upstream attempts by what they said.", _two(tally.attempts, "provider", "said")),
        *counter("monorelay_cooldowns_total", "Times a key was rate-limited.", _two(tally.cooldowns, "provider", "key")),
        *counter("monorelay_tokens_total", "Tokens as the upstreams told them.", _two(tally.tokens, "provider", "kind")),
        *counter("monorelay_reloads_total", "Reloads by outcome.", [({"outcome": k}, v) for k, v in sorted(tally.reloads.items())]),
        *counter("monorelay_calls_in_flight", "Calls being served now.", [({}, tally.in_flight)], "gauge"),
        *histogram("monorelay_call_seconds", "From the request's head to the end of the answer.", tally.duration),
        *histogram("monorelay_first_content_seconds", "From the request's head to the commit of the answer.", tally.opening),
        *gauges,
    ]
    return ("\n".join(lines) + "\n").encode()


def _two(
    counts: Mapping[tuple[str, str], int] | Mapping[tuple[str, int], int], first: str, second: str
) -> list[tuple[dict[str, str], float]]:
    return [({first: str(a), second: str(b)}, count) for (a, b), count in sorted(counts.items())]


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
