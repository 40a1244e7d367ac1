"""config.yml ``model_routing`` and ``key_selection``: schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.affinity import AFFINITY, AffinitySpec, read_affinity
from monorelay.config.balancing import BALANCING, BalancingSpec, read_balancing, unfold_balancing
from monorelay.config.cascades import CascadeSpec, cascades_field, read_cascades, unfold_cascades
from monorelay.config.circuit import CIRCUIT, CircuitSpec, read_circuit
from monorelay.config.complexity import COMPLEXITY, ComplexitySpec, read_complexity
from monorelay.config.fields import Origins, Path
from monorelay.config.globs import tell_shadowed
from monorelay.config.json_values import read_parameters
from monorelay.config.models import MODELS, ModelSpec, read_models, unfold_models
from monorelay.config.payload import GLOBAL_PARAMS, PAYLOAD, PayloadRule, read_payload
from monorelay.config.reading import Node, Place
from monorelay.config.retry import RetrySpec, read_retry
from monorelay.config.scalars import choice, duration, glob, model, name, number
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


_STRATEGIES: Callable[[Any], Strategy] = choice("round-robin", "random", "weighted", "least-busy")


def _strategy(value: Any) -> Strategy:
    return _STRATEGIES(str(value).replace("_", "-"))


def _hold(value: Any) -> float:
    seconds = duration(value)
    if seconds > 600:
        raise ValueError("must not be longer than ten minutes: the client waits")
    return seconds


def _names(meaning: str, shown: str, reads: Any, keys: Any = glob) -> Rules:
    return field(
        "dict",
        meaning,
        shown=shown,
        keysrules=field("string", reads=keys),
        valuesrules=field("string", reads=reads, nullable=True),
    )


MODEL_ROUTING: Schema = {
    "aliases": _names("Another name for a model; the target may be `model@provider`.", "name → name", model, model),
    "provider_mapping": _names("Which provider serves which models; the first match counts.", "glob → provider", name),
    "model_overrides": _names("The name that is sent upstream.", "glob → name", model),
    "cascades": cascades_field(
        "Virtual models: a list of models, each tried when the one before it fails.", "name → list of models, or cascade", model
    ),
    "fallbacks": cascades_field(
        "The same for the models of a glob, when the model itself failed; the first match counts.",
        "glob → list of models, or cascade",
        glob,
    ),
    "balancing": BALANCING,
    "models": MODELS,
    "global_params": GLOBAL_PARAMS,
    "payload_transformation": field("dict", "What becomes of the fields of a request.", schema=PAYLOAD),
    "complexity": field("dict", "The virtual model `auto`, which looks at the request.", schema=COMPLEXITY),
    "affinity": field("dict", "A conversation stays where it was answered last, if it can.", schema=AFFINITY),
    "circuit": field("dict", "A provider's model that keeps failing is left alone for a while.", schema=CIRCUIT),
}
KEY_SELECTION: Schema = {
    "strategy": field(
        "string",
        "How the next key of a provider is picked.",
        reads=_strategy,
        default="round-robin",
        shown="round-robin, random, weighted, least-busy",
    ),
    "hold": field(
        ["number", "string"],
        "How long a call may wait for the key that is free soonest, instead of `no_keys`.",
        reads=_hold,
        default="0",
        shown="duration",
    ),
    "slow_start": field(
        ["number", "string"],
        "How long a key that comes out of a cooldown is eased in; 0 = at once.",
        reads=duration,
        default="10s",
        shown="duration",
    ),
}


def unfold_routing(routing: dict[str, Any], places: dict[Path, Place], at: Path) -> None:
    """Write the short forms out."""
    for which in ("cascades", "fallbacks"):
        unfold_cascades(routing.get(which), places, (*at, which))
    unfold_balancing(routing.get("balancing"), places, (*at, "balancing"))
    unfold_models(routing.get("models"), places, (*at, "models"))


def read_routing(routing: Node, selection: Node, retry: Node, origins: Origins) -> RoutingSpec:
    for first_match in ("provider_mapping", "model_overrides", "fallbacks", "balancing"):
        tell_shadowed(routing[first_match], "error")  # whoever wrote it meant something else
    return RoutingSpec(
        origins=origins,
        aliases=_pairs(routing["aliases"], model),
        provider_mapping=_pairs(routing["provider_mapping"], name),
        model_overrides=_pairs(routing["model_overrides"], model),
        strategy=selection["strategy"].read(_strategy, "round-robin"),
        cascades=read_cascades(routing["cascades"]),
        fallbacks=read_cascades(routing["fallbacks"]),
        balancing=read_balancing(routing["balancing"]),
        models=read_models(routing["models"]),
        global_params=read_parameters(routing["global_params"]),
        payload=read_payload(routing["payload_transformation"]),
        complexity=read_complexity(routing["complexity"]),
        affinity=read_affinity(routing["affinity"]),
        circuit=read_circuit(routing["circuit"]),
        hold=selection["hold"].read(_hold, 0.0),
        slow_start=selection["slow_start"].read(duration, 10.0),
        retry=read_retry(retry, RetrySpec()),
        retry_budget=retry["budget"].read(number(0, 1), 0.2),
    )


def _pairs(node: Node, reads: Any) -> tuple[tuple[str, str], ...]:
    values = ((own_name, entry.read(reads, None)) for own_name, entry in node.entries())
    return tuple((own_name, value) for own_name, value in values if value is not None)
