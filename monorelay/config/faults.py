"""``faults`` of a provider: failures made on purpose, to rehearse them. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["rate_limit", "status", "latency", "cut", "stall", "bad_json"]


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One of them, for a ``share`` of the calls. What its kind does not use keeps its default; no ``keys`` = all of them."""

    kind: FaultKind
    share: float = 1.0
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    after_events: int = 0
    keys: tuple[str, ...] = ()
