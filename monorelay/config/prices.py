"""``prices`` of a provider: what a million tokens cost, by glob of models. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.config.reading import Node
from monorelay.config.scalars import glob, number
from monorelay.config.schema import Schema, field


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """Per million tokens, in the provider's currency."""

    input: float = 0.0
    output: float = 0.0


_PRICE = number(0, 10**9)

PRICE: Schema = {
    "input": field("number", "A million tokens of the request.", reads=_PRICE, default="0"),
    "output": field("number", "A million tokens of the answer.", reads=_PRICE, default="0"),
}
PRICES = field(
    "dict",
    "What a million tokens cost, by model; the first glob that matches counts.",
    shown="glob → {input, output}",
    keysrules=field("string", reads=glob),
    valuesrules=field("dict", schema=PRICE),
)


def read_prices(node: Node) -> tuple[tuple[str, PriceSpec], ...]:
    return tuple(
        (models, PriceSpec(entry["input"].read(_PRICE, 0.0), entry["output"].read(_PRICE, 0.0)))
        for models, entry in node.entries()
        if isinstance(entry.value, dict)
    )
