"""``model_routing.circuit``: when a provider that keeps failing is left alone for a while. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.config.reading import Node
from monorelay.config.scalars import limit, whole
from monorelay.config.schema import Schema, field


@dataclass(frozen=True, slots=True)
class CircuitSpec:
    """``failures`` in a row open the circuit for ``open`` seconds; 0 = never."""

    failures: int = 5
    open: float = 30.0


_FAILURES = whole(0, 1000)

CIRCUIT: Schema = {
    "failures": field("integer", "So many failures in a row, and it is left alone; 0 = never.", reads=_FAILURES, default="5"),
    "open": field(
        ["number", "string"], "How long, until one request tries it again.", reads=limit, default="30s", shown="duration"
    ),
}


def read_circuit(node: Node) -> CircuitSpec:
    usual = CircuitSpec()
    return CircuitSpec(node["failures"].read(_FAILURES, usual.failures), node["open"].read(limit, usual.open))
