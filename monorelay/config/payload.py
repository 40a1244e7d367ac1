"""``global_params`` and ``payload_transformation``: what the operator puts into bodies. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.json_values import parameter, parameters_field, read_parameters
from monorelay.config.reading import Node
from monorelay.config.scalars import filled, flag, glob
from monorelay.config.schema import Schema, field


@dataclass(frozen=True, slots=True)
class PayloadRule:
    """``models`` and ``routes`` are globs, none = all. ``inject`` adds what is not there, ``override`` sets, ``remove`` drops.

    Values are plain JSON. ``index`` is the rule's place in the list as it was written, counted from 0.
    """

    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    inject: tuple[tuple[str, Any], ...] = ()
    override: tuple[tuple[str, Any], ...] = ()
    remove: tuple[str, ...] = ()
    index: int = 0


RULE: Schema = {
    "models": field("list", "For these models only.", shown="list of globs", default="all", texts=field("string", reads=glob)),
    "routes": field(
        "list", "For requests by these routes only.", shown="list of globs", default="all", texts=field("string", reads=filled)
    ),
    "inject_params": parameters_field("First these are added, where the client said nothing …"),
    "override_params": parameters_field("… then these are set, whatever it said …"),
    "remove_params": field("list", "… and these are taken out.", shown="list of fields", texts=field("string", reads=parameter)),
}
PAYLOAD: Schema = {
    "enabled": field("boolean", "`false` leaves every request alone.", reads=flag, default="true"),
    "rules": field("list", "All that match apply, in this order.", shown="list of rules", schema=field("dict", schema=RULE)),
}
GLOBAL_PARAMS = parameters_field("Added to every request that carries messages, where the client said nothing.")


def read_payload(node: Node) -> tuple[PayloadRule, ...]:
    """The rules; none where they are switched off."""
    rules = tuple(_read_rule(entry) for entry in node["rules"].items() if isinstance(entry.value, dict))
    return rules if node["enabled"].read(flag, True) else ()


def _read_rule(node: Node) -> PayloadRule:
    if not any(node.value.get(step) for step in ("inject_params", "override_params", "remove_params")):
        node.wrong("changes nothing: it needs inject_params, override_params or remove_params")
    models = (entry.read(glob, None) for entry in node["models"].items())
    routes = (entry.read(filled, None) for entry in node["routes"].items())
    removed = (entry.read(parameter, None) for entry in node["remove_params"].items())
    return PayloadRule(
        models=tuple(one for one in models if one is not None),
        routes=tuple(one for one in routes if one is not None),
        inject=read_parameters(node["inject_params"]),
        override=read_parameters(node["override_params"]),
        remove=tuple(one for one in removed if one is not None),
        index=int(node.path[-1]),
    )
