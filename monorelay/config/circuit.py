"""``model_routing.circuit``: when a provider that keeps failing is left alone for a while. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitSpec:
    """``failures`` in a row open the circuit for ``open`` seconds; 0 = never."""

    failures: int = 5
    open: float = 30.0
