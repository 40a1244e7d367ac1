"""A whole configuration, described: settings, providers and routes, each as the values that are in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monorelay.config.effective import Tree, Value, effective
from monorelay.config.load import Survey
from monorelay.config.provider import PROVIDER
from monorelay.config.reading import Sheet
from monorelay.config.references import References
from monorelay.config.route import RELAYED_ONLY, ROUTE
from monorelay.config.schema import Schema
from monorelay.config.settings import SETTINGS


@dataclass(frozen=True, slots=True)
class Description:
    """Providers in the order in which they are asked, by name; routes in the order of their files."""

    settings: Tree
    providers: Mapping[str, Tree]
    routes: Mapping[str, Tree]


def described(found: Survey) -> Description:
    references = found.references
    return Description(
        settings=effective(found.settings, SETTINGS, references),
        providers={spec.name: _provider(spec.name, found.providers[spec.name], references) for spec in found.config.providers},
        routes={name: effective(sheet, _route(sheet), references) for name, sheet in found.routes.items()},
    )


_PROVIDER: Schema = {name: rules for name, rules in PROVIDER.items() if name not in ("provider", "extends", "template")}
_PROVIDER["retry"] = {**PROVIDER["retry"], "schema": {}}  # what it does not say is as config.yml says


def _route(sheet: Sheet) -> Schema:
    """A route's time-outs lie above a provider's, so they have no defaults of their own; nor has what only relayed calls have."""
    left_out = ("timeouts",) if sheet.value.get("needs") is not None else RELAYED_ONLY
    return {name: rules for name, rules in ROUTE.items() if name not in left_out}


def _provider(name: str, sheet: Sheet, references: References) -> Tree:
    """What it extends is laid into it already; an entry of config.yml has its name from there."""
    own = {key: value for key, value in sheet.value.items() if key not in ("provider", "extends", "template")}
    head: dict[str, Tree] = {"provider": Value(name, (sheet.places.get(("provider",)) or sheet.root).origin)}
    return {
        **head,
        **effective(Sheet(own, sheet.places), _PROVIDER, references),
    }
