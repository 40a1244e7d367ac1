"""``model_routing.balancing``: which of several providers of one model is asked. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Balance = Literal["priority", "weighted", "least-busy", "latency", "cheapest"]


@dataclass(frozen=True, slots=True)
class BalancingSpec:
    """``models`` is a glob; ``providers``, where there are any, are the only ones asked, in their own order."""

    models: str
    strategy: Balance
    providers: tuple[str, ...] = ()
