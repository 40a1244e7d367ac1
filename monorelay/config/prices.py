"""``prices`` of a provider: what a million tokens cost, by glob of models. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """Per million tokens, in the provider's currency."""

    input: float = 0.0
    output: float = 0.0
