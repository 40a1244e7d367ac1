"""What is told of keys beyond their pool: facts for the other workers at once, records for the next run of the relay. Pure.

A fact is about a deadline on the machine's monotonic clock, which all its processes share. A record is plain JSON with wall-clock
times, so that it outlives the machine's restart; reading one believes nothing: it may be years old, or written by another release.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from monorelay.upstream.key_standing import LONGEST_REST, MOST_MODELS, Standing

KeyRecord = dict[str, Any]  # JSON: see record_of


@dataclass(frozen=True, slots=True)
class Fact:
    """``fine`` says that an attempt which began at ``until`` succeeded. No ``fingerprint`` is all keys of the pool."""

    kind: Literal["cool", "rest", "steer", "fine"]
    fingerprint: str
    until: float
    model: str = ""
    refusals: int = 0


def record_of(standing: Standing, now: float, wall: float) -> KeyRecord | None:
    """None when there is nothing to remember."""
    ahead = wall - now
    record: KeyRecord = {}
    strain = standing.strain
    if strain.cooling_until > now:
        record["cooling"] = strain.cooling_until + ahead
    if strain.steered_until > now:
        record["steered"] = strain.steered_until + ahead
    if standing.refusals:
        record["refusals"] = standing.refusals
        record["resting"] = standing.resting_until + ahead
    models = [
        [model, of_model.cooling_until + ahead, of_model.steered_until + ahead]
        for model, of_model in standing.models.items()
        if of_model.ends > now
    ]
    if models:
        record["models"] = models
    if standing.meter is not None:
        if standing.meter.used:
            record["used"] = standing.meter.used
        for name, windows in standing.meter.kept(now).items():
            told = [
                [span, [[math.ceil((wall - age) * 1000) / 1000, amount] for age, amount in kept]] for span, kept in windows if kept
            ]
            if told:
                record[name] = told
    return {"fingerprint": standing.key.fingerprint, **record} if record else None


def fingerprint_of(record: object) -> str | None:
    """None when it is no record."""
    found = record.get("fingerprint") if isinstance(record, dict) else None
    return found if isinstance(found, str) and found else None


def restore(standing: Standing, record: KeyRecord, now: float, wall: float, longest: float) -> None:
    """Deadlines that lie more than ``longest`` seconds ahead are cut there: a clock was wrong, then or now."""
    ahead = wall - now
    for model, cooling, steered in (("", record.get("cooling"), record.get("steered")), *_models(record.get("models"))):
        until = _deadline(cooling, ahead, now, longest)
        if until is not None:
            standing.cool(until, model)
        until = _deadline(steered, ahead, now, longest)
        if until is not None:
            standing.steer(until, model)
    refusals = record.get("refusals")
    if _is_number(refusals) and refusals >= 1:
        resting = record.get("resting")
        until = min(resting - ahead, now + LONGEST_REST) if _is_number(resting) else now
        standing.rest_until(until, int(min(refusals, 1000)))
    if standing.meter is not None:
        used = record.get("used")
        standing.meter.restore(
            int(used) if _is_number(used) and used > 0 else 0,
            _windows(record.get("windows"), wall),
            _windows(record.get("tokens"), wall),
            now,
        )


def _deadline(value: object, ahead: float, now: float, longest: float) -> float | None:
    if not _is_number(value):
        return None
    until = min(value - ahead, now + longest)
    return until if until > now else None


def _models(value: object) -> Iterator[tuple[str, object, object]]:
    for entry in value[:MOST_MODELS] if isinstance(value, list) else ():
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and entry[0]:
            yield entry[0], entry[1], entry[2]


def _windows(value: object, wall: float) -> Iterator[tuple[float, list[tuple[float, float]]]]:
    """Length and buckets (age, amount) of each window."""
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, list) and len(entry) == 2 and _is_number(entry[0]) and isinstance(entry[1], list):
            yield float(entry[0]), list(_buckets(entry[1], wall))


def _buckets(value: Iterable[object], wall: float) -> Iterator[tuple[float, float]]:
    for bucket in value:
        if isinstance(bucket, list) and len(bucket) == 2 and _is_number(bucket[0]) and _is_number(bucket[1]):
            yield wall - bucket[0], bucket[1]


def _is_number(value: object) -> TypeGuard[float]:
    """JSON as Python reads it has numbers that are none (NaN, Infinity) or too long; True is an int to Python."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15
