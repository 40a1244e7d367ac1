"""``model_routing.complexity``: the virtual model ``auto``, which looks at the request. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From these scores on, a request is moderate, or complex."""

    moderate: float = 0.35
    complex: float = 0.65


@dataclass(frozen=True, slots=True)
class ComplexitySpec:
    """``simple``, ``moderate`` and ``complex`` are models (or cascades); all three are there if it is enabled."""

    enabled: bool = False
    simple: str = ""
    moderate: str = ""
    complex: str = ""
    thresholds: Thresholds = Thresholds()
    weights: tuple[tuple[str, float], ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
