"""``rate_limits`` of a provider: where its answers say what is left, and how long a 429 lasts. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["seconds", "milliseconds", "duration", "rfc3339", "epoch", "epoch_ms", "http_date", "auto"]
Scope = Literal["key", "key+model", "account"]


@dataclass(frozen=True, slots=True)
class RemainingSpec:
    """Two headers of any answer: what is left, and when it is filled up again. Names are lower case."""

    remaining: str
    reset: str
    format: Format


@dataclass(frozen=True, slots=True)
class WaitSpec:
    """A header of a 429 that says how long to wait. The name is lower case."""

    header: str
    format: Format


@dataclass(frozen=True, slots=True)
class RateLimitsSpec:
    """``scope``: what a 429 rests. ``body``: texts with ``{wait}`` in the place of a duration."""

    scope: Scope = "key"
    remaining: tuple[RemainingSpec, ...] = ()
    wait: tuple[WaitSpec, ...] = ()
    body: tuple[str, ...] = ()
