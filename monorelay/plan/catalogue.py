"""Model name → targets, remembered; and the lists of all names.

A ``Catalogue`` is one plan plus the model lists that providers last told; it is rebuilt when either changes and never changes
itself. Every answer comes with the steps that led to it, each with the place of the rule that decided: ``monorelay explain``
prints them. The rules: ``naming.py`` (what a name stands for), ``serving.py`` (who serves it), ``resolving.py`` (all in order).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from monorelay.config.complexity import AUTO, LEVELS
from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import MODEL_NOT_FOUND, NOT_FOUND, RelayError
from monorelay.plan.naming import Naming
from monorelay.plan.near import near_miss, near_misses
from monorelay.plan.plan import Lane, Plan, Provider, Route
from monorelay.plan.resolution import Leg, Resolution, Target
from monorelay.plan.resolving import LevelWanted, Resolver, Unserved
from monorelay.plan.serving import admits, few, refuse_unusable, served_by, takers
from monorelay.plan.steps import Step

_REMEMBERED = 8192  # resolutions kept; a plain bound, since names come from clients


class Catalogue:
    """One plan plus the model lists by provider name.

    Mutable: only memories of pure results: the resolutions, all names, the merged lists.

    >>> catalogue.resolve(route, "gpt-4o@openai").targets[0].model
    'gpt-4o'
    """

    def __init__(self, plan: Plan, lists: Mapping[str, Sequence[ModelEntry]], created: int) -> None:
        self.plan = plan
        self.lists = lists
        self._created = created
        self._served = {name: served_by(provider, lists.get(name, ())) for name, provider in plan.providers.items()}
        self._naming = Naming(plan.config.routing, plan.providers)
        self._resolver = Resolver(plan, self._naming, self._served)
        self._memory: dict[tuple[str, str, str | None, str | None], Resolution | None] = {}
        self._every_name: list[str] | None = None
        self._merged: dict[str, tuple[ModelEntry, ...]] = {}  # by route's name; "" = over all routes

    # ------------------------------------------------------------------ resolving

    def resolve(self, route: Route, requested: str, pinned: str | None = None, level: str | None = None) -> Resolution:
        """Targets for ``requested`` on ``route``; ``pinned`` is the provider that the request names beside the model.

        Raises RelayError: model_not_found, provider_disabled, no_keys, or 400 where two providers are named. Raises LevelWanted
        where the name leads to ``auto`` and no ``level`` (one of LEVELS) was given.
        """
        key = (route.spec.name, requested, pinned, level)
        known = self._memory.get(key)
        if known is None:
            if key in self._memory:  # None is remembered of what depends on the request
                raise LevelWanted
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            try:
                known = self._memory[key] = self._resolver.resolve(route.lanes, requested, pinned, level)
            except Unserved as unserved:
                raise self._unknown(requested, unserved.name, route.lanes) from None
            except LevelWanted:
                self._memory[key] = None
                raise
        return known

    def way(self, route: Route, requested: str, level: str | None = None) -> tuple[Step, ...]:
        """The steps of a name as far as they lead, also where they end in a refusal."""
        steps: list[Step] = []
        with suppress(RelayError, Unserved, LevelWanted):
            self._resolver.resolve(route.lanes, requested, None, level, steps)
        return tuple(steps)

    def _unknown(self, requested: str, name: str, lanes: Mapping[str, Lane]) -> RelayError:
        _, at, tail = requested.rpartition("@")
        meant = near_miss(tail, self.plan.providers) if at and tail else None
        providers = [self.plan.providers[provider] for provider in lanes]
        if not any(provider.enabled for provider in providers):
            hint = f" Did you mean provider '{meant}'?" if meant is not None else ""
            text = f"The model '{_short(requested)}' cannot be served: {_who_would(name, providers)}{hint}"
            return RelayError(MODEL_NOT_FOUND, text, param="model")
        near = [f"'{other}'" for other in near_misses(name, self._names())]
        if meant is not None:
            near = [f"provider '{meant}'"]
        hint = f" Did you mean {' or '.join(near)}?" if near else " GET /v1/models lists what is served."
        alias = "" if name == requested else f", for which '{_short(requested)}' stands"
        return RelayError(MODEL_NOT_FOUND, f"No provider serves the model '{_short(name)}'{alias}.{hint}", param="model")

    # ------------------------------------------------------------------ without a model

    def without_model(self, route: Route, pinned: str | None) -> Resolution:
        """Targets of a request that names no model: the pinned provider, else the first enabled one in priority order.

        Raises RelayError as ``resolve`` does.
        """
        if pinned is not None:
            provider = self.plan.providers[pinned]
            refuse_unusable(provider)
            if pinned not in route.lanes:
                others = ", ".join(name for name in route.lanes if self.plan.providers[name].enabled) or "none that is enabled"
                text = f"[{pinned}] Provider '{pinned}' does not offer {route.spec.needs}; these would: {others}."
                raise RelayError(NOT_FOUND, text, curable=False)
            return _alone(route.lanes[pinned], Step("pinned", f"provider {pinned} is named"))
        for name, lane in route.lanes.items():
            provider = self.plan.providers[name]
            if provider.enabled:
                return _alone(lane, Step("priority", f"{name} is the first that offers it"))
        would = ", ".join(route.lanes)
        text = f"these would, once enabled: {would}" if would else "none is configured that would"
        raise RelayError(NOT_FOUND, f"No enabled provider offers {route.spec.needs}; {text}.", curable=False)

    def provider_named(self, text: str) -> str:
        """The configured provider that ``text`` names (case, - and _ do not count). Raises RelayError with a suggestion."""
        name = self._naming.provider(text)
        if name is None:
            near = near_miss(text, self.plan.providers)
            hint = f"; did you mean '{near}'?" if near else "."
            raise RelayError(MODEL_NOT_FOUND, f"No provider is called '{_short(text)}'{hint}")
        return name

    # ------------------------------------------------------------------ listing

    def models(self) -> tuple[ModelEntry, ...]:
        """Every model of every enabled provider, virtual names first; ``owned_by`` is the provider that a request would reach."""
        if "" not in self._merged:
            lanes = {name: lane for route in self.plan.routes for name, lane in route.lanes.items()}
            self._merged[""] = tuple(self._merge({name: lanes[name] for name in self.plan.providers if name in lanes}))
        return self._merged[""]

    def reachable(self, route: Route) -> tuple[ModelEntry, ...]:
        """Every model that ``route`` can serve; ``owned_by`` is the provider that a request on this route would reach."""
        name = route.spec.name
        if name not in self._merged:
            self._merged[name] = tuple(self._merge(route.lanes))
        return self._merged[name]

    def _merge(self, lanes: Mapping[str, Lane]) -> Iterable[ModelEntry]:
        for model in self._names():
            try:
                owner = self._resolver.resolve(lanes, model, level=LEVELS[0]).targets[0].provider.name
            except (RelayError, Unserved, IndexError):
                continue  # nobody serves it on these lanes, or an alias of it, or any leg of a cascade, any more
            entry = self._served[owner].listed.get(model, ModelEntry(model))
            yield ModelEntry(model, entry.created or self._created, entry.display_name, owner)

    def _names(self) -> list[str]:
        """Every name that somebody wrote or a provider told, each once: virtual ones, then provider by provider."""
        if self._every_name is not None:
            return self._every_name
        names = dict.fromkeys([*self._naming.aliases, *self._naming.cascades, *([AUTO] if self._naming.auto else [])])
        for one in self._served.values():
            if one.provider.enabled:
                names.update(dict.fromkeys(name for name in one.provider.spec.include if name in one.provider.included))
                names.update(dict.fromkeys(name for name in one.listed if admits(one.provider, name)))
        self._every_name = list(names)
        return self._every_name


def _alone(lane: Lane, step: Step) -> Resolution:
    target = Target(lane.provider, lane, "", "", lane.timeouts)
    return Resolution((Leg("", (target,)),), (step,))


def _who_would(name: str, asleep: Sequence[Provider]) -> str:
    """Of a route whose providers are all off, or without a key."""
    if not asleep:
        return "no provider serves this route."
    taking, likely = takers(name, asleep)
    if not taking:
        return "no provider of this route is on, and none of them would take this name."
    would = few([provider.name for provider in likely])
    return f"no provider of this route is on. {would} would take it: `monorelay enable {likely[0].name}` switches one on."


def _short(name: str) -> str:
    return name if len(name) <= 120 else f"{name[:117]}…"
