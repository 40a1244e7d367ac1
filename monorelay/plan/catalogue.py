"""Model name → targets: renaming, choosing, and the catalogue of who serves what.

A ``Catalogue`` is one plan plus the model lists that providers last told; it is rebuilt when either changes and never changes
itself. Every answer comes with the steps that led to it, each with the place of the rule that decided: ``monorelay explain``
prints them.

Renaming, in order: ``@provider`` off → aliases → model_overrides (only the name that is sent).
Choosing, first that names a provider: ``@provider`` → the alias's ``@provider`` → provider_mapping → the rules of ``_find``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monorelay.config.fields import Origin
from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import INVALID_REQUEST, MODEL_NOT_FOUND, NO_KEYS, NOT_FOUND, PROVIDER_DISABLED, RelayError
from monorelay.plan.globs import compile_glob
from monorelay.plan.near import fold, near_miss, near_misses
from monorelay.plan.plan import Lane, Plan, Provider, Route

_REMEMBERED = 8192  # resolutions kept; a plain bound, since names come from clients


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a resolution, for people: what the rule did, and where it is written."""

    rule: str
    text: str
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and the model's name as it will be sent there ("" for a request without a model)."""

    provider: Provider
    lane: Lane
    model: str


@dataclass(frozen=True, slots=True)
class Resolution:
    targets: tuple[Target, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Served:
    """What one provider is known to serve."""

    provider: Provider
    listed: Mapping[str, ModelEntry]
    folded: Mapping[str, str]  # folded name → listed spelling, of include and list


class _Unserved(Exception):
    """Nobody serves this name. Which one was meant is a slow question: it is asked for who reads the answer, not for a list."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


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
        self._served = {name: _served(provider, lists.get(name, ())) for name, provider in plan.providers.items()}
        routing = plan.config.routing
        self._aliases = dict(routing.aliases)
        self._mapping = [(glob, compile_glob(glob), name) for glob, name in routing.provider_mapping]
        self._overrides = [(glob, compile_glob(glob), name) for glob, name in routing.model_overrides]
        self._providers_by_fold = {fold(name): name for name in plan.providers}
        self._memory: dict[tuple[str, str, str | None], Resolution] = {}
        self._every_name: list[str] | None = None
        self._merged: dict[str, tuple[ModelEntry, ...]] = {}  # by route's name; "" = over all routes

    # ------------------------------------------------------------------ resolving

    def resolve(self, route: Route, requested: str, pinned: str | None = None) -> Resolution:
        """Targets for ``requested`` on ``route``; ``pinned`` is the provider that the request names beside the model.

        Raises RelayError: model_not_found, provider_disabled, no_keys, or 400 where two providers are named.
        """
        key = (route.spec.name, requested, pinned)
        known = self._memory.get(key)
        if known is None:
            try:
                known = self._resolve(route.lanes, requested, pinned)
            except _Unserved as unserved:
                raise self._unknown(requested, unserved.name, route.lanes) from None
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            self._memory[key] = known
        return known

    def _resolve(self, lanes: Mapping[str, Lane], requested: str, pinned: str | None) -> Resolution:
        steps: list[Step] = []
        name, chosen = self._split(requested, steps)
        if pinned is not None:
            if chosen is not None and chosen != pinned:
                raise RelayError(
                    INVALID_REQUEST, f"The model says provider '{chosen}', the request says '{pinned}'.", param="model"
                )
            chosen = pinned
            steps.append(Step("pinned", f"the request names provider {pinned}"))
        elif chosen is None:
            name, chosen = self._follow_aliases(name, steps)
            if chosen is None:
                chosen = self._mapped(name, steps)
        if chosen is not None:
            provider, sent = self._at(chosen, name, lanes, steps)
        else:
            provider, sent = self._among(name, lanes, requested, steps)
        return Resolution((Target(provider, lanes[provider.name], self._override(sent, steps)),), tuple(steps))

    def _split(self, requested: str, steps: list[Step]) -> tuple[str, str | None]:
        """``@provider`` off: the part after the last ``@``, if it names a configured provider."""
        model, at, tail = requested.rpartition("@")
        if at and model:
            provider = self._providers_by_fold.get(fold(tail))
            if provider is not None:
                steps.append(Step("@provider", f"'{requested}' is model '{model}' at provider {provider}"))
                return model, provider
        return requested, None

    def _follow_aliases(self, name: str, steps: list[Step]) -> tuple[str, str | None]:
        seen = set()
        while name in self._aliases and name not in seen:
            seen.add(name)
            target = self._aliases[name]
            origin = self.plan.config.routing.origins.of("model_routing", "aliases", name)
            steps.append(Step("alias", f"'{name}' stands for '{target}'", origin))
            name, provider = self._split(target, steps)
            if provider is not None:
                return name, provider
        return name, None

    def _mapped(self, name: str, steps: list[Step]) -> str | None:
        for glob, pattern, provider in self._mapping:
            if pattern.fullmatch(name):
                origin = self.plan.config.routing.origins.of("model_routing", "provider_mapping", glob)
                steps.append(Step("provider_mapping", f"'{name}' matches '{glob}': provider {provider}", origin))
                return provider
        return None

    def _override(self, name: str, steps: list[Step]) -> str:
        for glob, pattern, sent in self._overrides:
            if pattern.fullmatch(name):
                origin = self.plan.config.routing.origins.of("model_routing", "model_overrides", glob)
                steps.append(Step("model_overrides", f"'{name}' matches '{glob}': '{sent}' is sent", origin))
                return sent
        return name

    def _at(self, chosen: str, name: str, lanes: Mapping[str, Lane], steps: list[Step]) -> tuple[Provider, str]:
        """The named provider, if it is there, on, serves this route and lets this model through."""
        provider = self.plan.providers[chosen]
        refuse_unusable(provider)
        if chosen not in lanes:
            others = ", ".join(other for other in lanes if self.plan.providers[other].enabled) or "no enabled provider"
            raise RelayError(
                MODEL_NOT_FOUND, f"[{chosen}] Provider '{chosen}' does not serve this route; {others} would.", param="model"
            )
        found = self._find(name, [chosen])
        if found is None:
            rule = "excludes" if _excluded(provider, name) else "does not include"
            raise RelayError(MODEL_NOT_FOUND, f"[{chosen}] Provider '{chosen}' {rule} the model '{name}'.", param="model")
        steps.append(found[2])
        return found[0], found[1]

    def _among(self, name: str, lanes: Mapping[str, Lane], requested: str, steps: list[Step]) -> tuple[Provider, str]:
        """The catalogue: all enabled providers of this route; what only a missing key keeps away is told apart."""
        enabled = [name for name in lanes if self.plan.providers[name].enabled]
        found = self._find(name, enabled)
        if found is not None and found[2].rule == "catch-all":
            self._refuse_misspelt_provider(requested)
        if found is None:
            dormant = [
                name for name in lanes if self.plan.providers[name].dormant and self.plan.providers[name].spec.layer != "vendor"
            ]
            asleep = self._find(name, dormant)
            if asleep is not None:
                refuse_unusable(asleep[0])
            raise _Unserved(name)
        steps.append(found[2])
        return found[0], found[1]

    def _find(self, name: str, names: Iterable[str]) -> tuple[Provider, str, Step] | None:
        """Rules (a) to (e), each over all providers in their order: who serves ``name``, and under which spelling."""
        served = [one for one in map(self._served.__getitem__, names) if not _excluded(one.provider, name)]
        for one in served:
            if name in one.provider.included:
                return one.provider, name, _step(one, "include", f"lists '{name}'")
        for one in served:
            if name in one.listed and _admits(one.provider, name):
                return one.provider, name, _step(one, "model list", f"has '{name}' in its own list")
        for one in served:
            if one.provider.include is not None and one.provider.include.fullmatch(name):
                return one.provider, name, _step(one, "include glob", f"includes '{name}' by a glob")
        folded = fold(name)
        for one in served:
            spelling = one.folded.get(folded)
            if spelling is not None and not _excluded(one.provider, spelling):
                return (
                    one.provider,
                    spelling,
                    _step(one, "spelling", f"lists '{spelling}', which is '{name}' but for case, - and _"),
                )
        for one in served:
            if one.provider.takes_all:
                return one.provider, name, _step(one, "catch-all", "takes any model")
        return None

    def _refuse_misspelt_provider(self, requested: str) -> None:
        """``gpt-4o@opnai`` must not reach a catch-all as a model's name when somebody plainly meant a provider."""
        _, at, tail = requested.rpartition("@")
        near = near_miss(tail, self.plan.providers) if at and tail else None
        if near is not None:
            raise RelayError(MODEL_NOT_FOUND, f"No provider is called '{tail}'; did you mean '{near}'?", param="model")

    def _unknown(self, requested: str, name: str, lanes: Mapping[str, Lane]) -> RelayError:
        if not any(self.plan.providers[provider].enabled for provider in lanes):
            would = ", ".join(lanes)
            text = (
                f"No enabled provider serves this route; {would} would, once enabled."
                if would
                else "No provider serves this route."
            )
            return RelayError(MODEL_NOT_FOUND, f"The model '{_short(requested)}' cannot be served: {text}", param="model")
        near = [f"'{other}'" for other in near_misses(name, self._names())]
        _, at, tail = requested.rpartition("@")
        provider = near_miss(tail, self.plan.providers) if at and tail else None
        if provider is not None:
            near = [f"provider '{provider}'"]
        hint = f" Did you mean {' or '.join(near)}?" if near else " GET /v1/models lists what is served."
        return RelayError(MODEL_NOT_FOUND, f"No provider serves the model '{_short(requested)}'.{hint}", param="model")

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
            return Resolution((Target(provider, route.lanes[pinned], ""),), (Step("pinned", f"provider {pinned} is named"),))
        for name, lane in route.lanes.items():
            provider = self.plan.providers[name]
            if provider.enabled:
                return Resolution((Target(provider, lane, ""),), (Step("priority", f"{name} is the first that offers it"),))
        would = ", ".join(route.lanes)
        text = f"these would, once enabled: {would}" if would else "none is configured that would"
        raise RelayError(NOT_FOUND, f"No enabled provider offers {route.spec.needs}; {text}.", curable=False)

    def provider_named(self, text: str) -> str:
        """The configured provider that ``text`` names (case, - and _ do not count). Raises RelayError with a suggestion."""
        name = self._providers_by_fold.get(fold(text))
        if name is None:
            near = near_miss(text, self.plan.providers)
            hint = f"; did you mean '{near}'?" if near else "."
            raise RelayError(MODEL_NOT_FOUND, f"No provider is called '{_short(text)}'{hint}")
        return name

    # ------------------------------------------------------------------ listing

    def models(self) -> tuple[ModelEntry, ...]:
        """Every model of every enabled provider, aliases first; ``owned_by`` is the provider that a request for it would reach."""
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
                owner = self._resolve(lanes, model, None).targets[0].provider.name
            except (RelayError, _Unserved):
                continue  # nobody serves it on these lanes, or an alias of it any more
            entry = self._served[owner].listed.get(model, ModelEntry(model))
            yield ModelEntry(model, entry.created or self._created, entry.display_name, owner)

    def _names(self) -> list[str]:
        """Every name that somebody wrote or a provider told, each once: aliases, then provider by provider."""
        if self._every_name is not None:
            return self._every_name
        names = dict.fromkeys(self._aliases)
        for one in self._served.values():
            if one.provider.enabled:
                names.update(dict.fromkeys(name for name in one.provider.spec.include if name in one.provider.included))
                names.update(dict.fromkeys(name for name in one.listed if _admits(one.provider, name)))
        self._every_name = list(names)
        return self._every_name


def refuse_unusable(provider: Provider) -> None:
    """Raises the error of a provider that somebody named, but that takes no calls."""
    if provider.spec.enabled is False:
        raise RelayError(PROVIDER_DISABLED, f"[{provider.name}] Provider '{provider.name}' is not enabled")
    if not provider.keys:
        text = f"[{provider.name}] No available keys for provider '{provider.name}': none is configured"
        raise RelayError(NO_KEYS, text, curable=False)


def _served(provider: Provider, entries: Sequence[ModelEntry]) -> _Served:
    folded: dict[str, str] = {}
    for name in [*provider.spec.include, *(entry.id for entry in entries)]:
        if name in provider.included or _admits(provider, name):
            folded.setdefault(fold(name), name)
    return _Served(provider, {entry.id: entry for entry in entries}, folded)


def _admits(provider: Provider, name: str) -> bool:
    """Whether ``models.include`` lets this name through: empty, listed, or matched."""
    if provider.takes_all or name in provider.included:
        return True
    return provider.include is not None and provider.include.fullmatch(name) is not None


def _excluded(provider: Provider, name: str) -> bool:
    return provider.exclude is not None and provider.exclude.fullmatch(name) is not None


def _step(one: _Served, rule: str, text: str) -> Step:
    origins = one.provider.spec.origins
    written = rule in ("include", "include glob", "spelling")
    return Step(rule, f"{one.provider.name} {text}", origins.of("models", "include") if written else origins.root)


def _short(name: str) -> str:
    return name if len(name) <= 120 else f"{name[:117]}…"
