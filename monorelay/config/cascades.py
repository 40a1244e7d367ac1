"""``model_routing.cascades`` and ``fallbacks``: models that stand in for each other. Schema, spec and one-line help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Path
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import model
from monorelay.config.schema import Rules, Schema, field


@dataclass(frozen=True, slots=True)
class CascadeSpec:
    """An ordered list of models (each may be ``model@provider``).

    ``name`` is the virtual model's own, or, of a fallback, a glob of the models it is for. The other two lists are what is tried
    instead when a model refuses for that reason; none = the list goes on as usual.
    """

    name: str
    models: tuple[str, ...]
    context_length: tuple[str, ...] = ()
    content_filter: tuple[str, ...] = ()


CASCADE: Schema = {
    "models": field("list", "In this order.", shown="list of models", default="required", texts=field("string", reads=model)),
    "context_length": field(
        "list",
        "Instead, when a model says that the request is too long.",
        shown="list of models",
        texts=field("string", reads=model),
    ),
    "content_filter": field(
        "list", "Instead, when a model's filter refuses.", shown="list of models", texts=field("string", reads=model)
    ),
}


def cascades_field(meaning: str, shown: str, reads: Callable[[Any], str]) -> Rules:
    return field(
        "dict",
        meaning,
        shown=shown,
        keysrules=field("string", reads=reads),
        valuesrules=field(["list", "dict"], nullable=True, texts=field("string", reads=model), schema=CASCADE),
    )


def unfold_cascades(cascades: Any, places: dict[Path, Place], at: Path) -> None:
    """Write a plain list as the ``models`` of a mapping."""
    for name, models in cascades.items() if isinstance(cascades, dict) else ():
        if not isinstance(models, list):
            continue
        cascades[name] = {"models": models}
        for rest in ((), *((index,) for index in range(len(models)))):
            if (*at, name, *rest) in places:
                places[(*at, name, "models", *rest)] = places[(*at, name, *rest)]


def read_cascades(node: Node) -> tuple[CascadeSpec, ...]:
    return tuple(spec for name, entry in node.entries() if (spec := _read_cascade(name, entry)) is not None)


def _read_cascade(name: str, node: Node) -> CascadeSpec | None:
    if not isinstance(node.value, dict):
        return None
    if not node["models"].value:
        node.missing("models", ": it names one model at least")
    return CascadeSpec(name, *(_read_models(node[which]) for which in CASCADE))


def _read_models(node: Node) -> tuple[str, ...]:
    models = (entry.read(model, None) for entry in node.items())
    return tuple(one for one in models if one is not None)
