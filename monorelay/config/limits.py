"""``limits`` of a provider and of its keys: how much a key may be used. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What one key may do; None = as much as it likes. ``windows``: seconds and requests of those that are set, shortest first."""

    rps: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    quota: int | None = None
    windows: tuple[tuple[float, int], ...] = ()
