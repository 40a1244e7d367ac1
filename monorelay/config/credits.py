"""``credits`` of a provider: where the answer of its offer ``credits`` says what is left. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreditsSpec:
    """``balance`` and ``minus`` are JSON paths: names joined by dots, ``[n]`` for the n-th item, the first being 0."""

    balance: str
    minus: str | None = None
    every: float = 300.0
    skip_below: float | None = None
