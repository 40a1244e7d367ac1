"""``model_routing.models``: what is different for some models. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Path, TimeoutRules
from monorelay.config.fragments import read_timeouts, timeout_fields, unfold_timeout
from monorelay.config.json_values import parameters_field, read_parameters
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import filled, glob
from monorelay.config.schema import Schema, field


@dataclass(frozen=True, slots=True)
class SystemSpec:
    """Instructions: ``replace`` takes the place of the client's own, ``prepend`` stands before them."""

    prepend: str | None = None
    replace: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """``models`` is a glob. ``parameters`` are added where the client said nothing: name and plain JSON value."""

    models: str
    timeouts: TimeoutRules | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    system: SystemSpec | None = None


SYSTEM: Schema = {
    "prepend": field("string", "Stands before the client's own.", reads=filled, nullable=True),
    "replace": field("string", "Stands in its place.", reads=filled, nullable=True),
}
MODEL: Schema = {
    **timeout_fields(),
    "parameters": parameters_field("Added to the request where the client said nothing."),
    "system": field("dict", "The instructions of a conversation; a file of text is `${file:prompts/brief.txt}`.", schema=SYSTEM),
}
MODELS = field(
    "dict",
    "What is different for some models; all globs that match count, the later ones more.",
    shown="glob → settings",
    keysrules=field("string", reads=glob),
    valuesrules=field("dict", nullable=True, schema=MODEL),
)


def unfold_models(models: Any, places: dict[Path, Place], at: Path) -> None:
    for glob_of_models, settings in models.items() if isinstance(models, dict) else ():
        if isinstance(settings, dict):
            unfold_timeout(settings, places, (*at, glob_of_models))


def read_models(node: Node) -> tuple[ModelSpec, ...]:
    return tuple(_read_model(models, entry) for models, entry in node.entries() if isinstance(entry.value, dict))


def _read_model(models: str, node: Node) -> ModelSpec:
    system = SystemSpec(*(node["system"][which].read(filled, None) for which in SYSTEM))
    return ModelSpec(
        models=models,
        timeouts=read_timeouts(node["timeouts"]),
        parameters=read_parameters(node["parameters"]),
        system=system if system != SystemSpec() else None,
    )
