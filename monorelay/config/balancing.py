"""``model_routing.balancing``: which of several providers of one model is asked. Schema, spec and one-line help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.fields import Path
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import choice, glob, name
from monorelay.config.schema import Schema, field

Balance = Literal["priority", "weighted", "least-busy", "latency", "cheapest"]


@dataclass(frozen=True, slots=True)
class BalancingSpec:
    """``models`` is a glob; ``providers``, where there are any, are the only ones asked, in their own order."""

    models: str
    strategy: Balance
    providers: tuple[str, ...] = ()


_BALANCES: Callable[[Any], Balance] = choice("priority", "weighted", "least-busy", "latency", "cheapest")


def _balance(value: Any) -> Balance:
    return _BALANCES(str(value).replace("_", "-"))


BALANCE: Schema = {
    "strategy": field(
        "string",
        "In order; by weight; the one with the fewest calls; the quickest to answer; the cheapest.",
        reads=_balance,
        default="priority",
        shown="priority, weighted, least-busy, latency, cheapest",
    ),
    "providers": field(
        "list",
        "Only these, in this order.",
        shown="list of providers",
        default="all that serve it",
        texts=field("string", reads=name),
    ),
}
BALANCING = field(
    "dict",
    "Which of several providers of one model is asked; without it always the first.",
    shown="glob → strategy, or {strategy, providers}",
    keysrules=field("string", reads=glob),
    valuesrules=field(
        ["string", "dict"],
        reads=lambda value: _balance(value) if isinstance(value, str) else value,
        nullable=True,
        schema=BALANCE,
    ),
)


def unfold_balancing(balancing: Any, places: dict[Path, Place], at: Path) -> None:
    """Write a plain word as the ``strategy`` of a mapping."""
    for models, strategy in balancing.items() if isinstance(balancing, dict) else ():
        if isinstance(strategy, str):
            balancing[models] = {"strategy": strategy}
            places[(*at, models, "strategy")] = places[(*at, models)]


def read_balancing(node: Node) -> tuple[BalancingSpec, ...]:
    return tuple(_read_balance(models, entry) for models, entry in node.entries() if isinstance(entry.value, dict))


def _read_balance(models: str, node: Node) -> BalancingSpec:
    if node["providers"].value == []:
        node["providers"].wrong("names nobody: leave it out for all that serve the model")
    providers = (entry.read(name, None) for entry in node["providers"].items())
    return BalancingSpec(
        models=models,
        strategy=node["strategy"].read(_balance, "priority"),
        providers=tuple(dict.fromkeys(provider for provider in providers if provider is not None)),
    )
