"""Renaming: what a model's name stands for, rule by rule, and which provider a rule names with it.

In order: ``@provider`` off → aliases (chained) → ``auto`` → cascades → provider_mapping (it only chooses) → model_overrides (they
only change the name that is sent). Every function notes what it did as a step with its place.
"""

from __future__ import annotations

from collections.abc import Iterable

from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import AUTO, LEVELS
from monorelay.config.routing import RoutingSpec
from monorelay.plan.globs import compile_glob
from monorelay.plan.near import fold
from monorelay.plan.plan import Timeouts
from monorelay.plan.steps import Step


class Naming:
    """The rules of one plan, compiled. Immutable after construction."""

    def __init__(self, routing: RoutingSpec, providers: Iterable[str]) -> None:
        self._routing = routing
        self._providers_by_fold = {fold(name): name for name in providers}
        self.aliases = dict(routing.aliases)
        self.cascades = {cascade.name: cascade for cascade in routing.cascades}
        self.auto = routing.complexity if routing.complexity is not None and routing.complexity.enabled else None
        self._mapping = [(glob, compile_glob(glob), name) for glob, name in routing.provider_mapping]
        self._overrides = [(glob, compile_glob(glob), name) for glob, name in routing.model_overrides]
        self._fallbacks = [(compile_glob(spec.name), spec) for spec in routing.fallbacks]
        self._balancing = [(compile_glob(spec.models), spec) for spec in routing.balancing]
        self._timeouts = [(compile_glob(spec.models), spec.timeouts) for spec in routing.models if spec.timeouts]

    def provider(self, text: str) -> str | None:
        """The configured provider that ``text`` names: case, ``-`` and ``_`` do not count."""
        return self._providers_by_fold.get(fold(text))

    def split(self, requested: str, steps: list[Step]) -> tuple[str, str | None]:
        """``@provider`` off: the part after the last ``@``, if it names a configured provider."""
        model, at, tail = requested.rpartition("@")
        if at and model:
            provider = self.provider(tail)
            if provider is not None:
                steps.append(Step("@provider", f"'{requested}' is model '{model}' at provider {provider}"))
                return model, provider
        return requested, None

    def is_virtual(self, name: str) -> bool:
        """Whether no provider was ever told this name."""
        return name in self.aliases or name in self.cascades or (name == AUTO and self.auto is not None)

    def follow_aliases(self, name: str, steps: list[Step]) -> tuple[str, str | None]:
        seen = set()
        while name in self.aliases and name not in seen:
            seen.add(name)
            target = self.aliases[name]
            origin = self._routing.origins.of("model_routing", "aliases", name)
            steps.append(Step("alias", f"'{name}' stands for '{target}'", origin))
            name, provider = self.split(target, steps)
            if provider is not None:
                return name, provider
        return name, None

    def by_level(self, level: str, steps: list[Step]) -> str:
        """What ``auto`` stands for at this level of complexity."""
        assert self.auto is not None and level in LEVELS
        model: str = getattr(self.auto, level)
        origin = self._routing.origins.of("model_routing", "complexity", level)
        steps.append(Step("complexity", f"the request looks {level}: '{model}'", origin))
        return model

    def note_cascade(self, spec: CascadeSpec, steps: list[Step]) -> None:
        origin = self._routing.origins.of("model_routing", "cascades", spec.name)
        steps.append(Step("cascade", f"'{spec.name}' is {_told(spec)}", origin))

    def fallbacks(self, name: str, steps: list[Step]) -> CascadeSpec | None:
        for pattern, spec in self._fallbacks:
            if pattern.fullmatch(name):
                origin = self._routing.origins.of("model_routing", "fallbacks", spec.name)
                steps.append(Step("fallbacks", f"'{name}' matches '{spec.name}': {_told(spec)}", origin))
                return spec
        return None

    def mapped(self, name: str, steps: list[Step]) -> str | None:
        for glob, pattern, provider in self._mapping:
            if pattern.fullmatch(name):
                origin = self._routing.origins.of("model_routing", "provider_mapping", glob)
                steps.append(Step("provider_mapping", f"'{name}' matches '{glob}': provider {provider}", origin))
                return provider
        return None

    def balancing(self, name: str, steps: list[Step]) -> BalancingSpec | None:
        for pattern, spec in self._balancing:
            if pattern.fullmatch(name):
                origin = self._routing.origins.of("model_routing", "balancing", spec.models)
                steps.append(Step("balancing", f"'{name}' matches '{spec.models}': {spec.strategy}", origin))
                return spec
        return None

    def override(self, name: str, steps: list[Step]) -> str:
        for glob, pattern, sent in self._overrides:
            if pattern.fullmatch(name):
                origin = self._routing.origins.of("model_routing", "model_overrides", glob)
                steps.append(Step("model_overrides", f"'{name}' matches '{glob}': '{sent}' is sent", origin))
                return sent
        return name

    def timeouts(self, name: str, usual: Timeouts) -> Timeouts:
        """The lane's limits, with those of ``model_routing.models`` laid upon them: what is nearest to the request wins."""
        said: dict[str, float | None] = {}
        for pattern, rules in self._timeouts:
            if pattern.fullmatch(name):
                said.update(rules or {})
        if not said:
            return usual
        return Timeouts(**{limit: said.get(limit, getattr(usual, limit)) for limit in ("connect", "first_byte", "idle", "total")})


def _told(spec: CascadeSpec) -> str:
    told = " → ".join(spec.models) or "nothing"
    if spec.context_length:
        told += f"; when it is too long {' → '.join(spec.context_length)}"
    if spec.content_filter:
        told += f"; when its content is refused {' → '.join(spec.content_filter)}"
    return told
