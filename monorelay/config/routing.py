"""config.yml ``model_routing`` and ``key_selection``: schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.affinity import AffinitySpec
from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.circuit import CircuitSpec
from monorelay.config.complexity import ComplexitySpec
from monorelay.config.fields import Origins
from monorelay.config.models import ModelSpec
from monorelay.config.payload import PayloadRule
from monorelay.config.reading import Node
from monorelay.config.retry import RetrySpec
from monorelay.config.scalars import choice, glob, name
from monorelay.config.schema import Rules, Schema, field

Strategy = Literal["round-robin", "random", "weighted", "least-busy"]


@dataclass(frozen=True, slots=True)
class RoutingSpec:
    """How a model's name finds its provider. Pairs keep the order in which they were written.

    ``aliases``: exact name → another name (or ``model@provider``). ``provider_mapping``: glob → provider.
    ``model_overrides``: glob → the name that is sent.
    """

    origins: Origins
    aliases: tuple[tuple[str, str], ...] = ()
    provider_mapping: tuple[tuple[str, str], ...] = ()
    model_overrides: tuple[tuple[str, str], ...] = ()
    strategy: Strategy = "round-robin"
    cascades: tuple[CascadeSpec, ...] = ()
    fallbacks: tuple[CascadeSpec, ...] = ()
    balancing: tuple[BalancingSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    global_params: tuple[tuple[str, Any], ...] = ()
    payload: tuple[PayloadRule, ...] = ()
    complexity: ComplexitySpec | None = None
    affinity: AffinitySpec = AffinitySpec()
    circuit: CircuitSpec = CircuitSpec()
    hold: float = 0.0  # seconds a call may wait for the soonest key
    slow_start: float = 10.0  # seconds in which a key that comes out of a cooldown is eased in; 0 = at once
    retry: RetrySpec = RetrySpec()
    retry_budget: float = 0.2  # retries, as a share of recent requests


_STRATEGIES: Callable[[Any], Strategy] = choice("round-robin", "random", "weighted")


def _strategy(value: Any) -> Strategy:
    return _STRATEGIES(str(value).replace("_", "-"))


def _names(meaning: str, shown: str, reads: Any) -> Rules:
    return field(
        "dict",
        meaning,
        shown=shown,
        keysrules=field("string", reads=glob),
        valuesrules=field("string", reads=reads, nullable=True),
    )


MODEL_ROUTING: Schema = {
    "aliases": _names("Another name for a model; the target may be `model@provider`.", "name → name", glob),
    "provider_mapping": _names("Which provider serves which models; the first match counts.", "glob → provider", name),
    "model_overrides": _names("The name that is sent upstream.", "glob → name", glob),
}
KEY_SELECTION: Schema = {
    "strategy": field(
        "string",
        "How the next key of a provider is picked.",
        reads=_strategy,
        default="round-robin",
        shown="round-robin, random, weighted",
    )
}


def read_routing(routing: Node, selection: Node, origins: Origins) -> RoutingSpec:
    return RoutingSpec(
        origins=origins,
        aliases=_pairs(routing["aliases"], glob),
        provider_mapping=_pairs(routing["provider_mapping"], name),
        model_overrides=_pairs(routing["model_overrides"], glob),
        strategy=selection["strategy"].read(_strategy, "round-robin"),
    )


def _pairs(node: Node, reads: Any) -> tuple[tuple[str, str], ...]:
    values = ((own_name, entry.read(reads, None)) for own_name, entry in node.entries())
    return tuple((own_name, value) for own_name, value in values if value is not None)
