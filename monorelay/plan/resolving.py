"""From a name to its legs: every rule in its order, with no memory of its own.

A name may lead to several legs: a cascade, ``auto``, and what ``fallbacks`` add. A request that names its provider itself asked for
that one, and gets no other. In a cascade a name that leads nowhere is a leg with a refusal: the others still count.

``model@provider`` is that provider's own name of a model. Where the provider is named beside the model (by an object that it made,
by a header), the name is what it always is, an alias or a cascade too, and of its targets those at that provider count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf

from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import AUTO
from monorelay.errors import INVALID_REQUEST, MODEL_NOT_FOUND, RelayError
from monorelay.plan.globs import compile_glob
from monorelay.plan.naming import Naming
from monorelay.plan.near import near_miss
from monorelay.plan.plan import Lane, Plan, Provider
from monorelay.plan.resolution import Leg, Resolution, Target
from monorelay.plan.serving import Find, Served, find_all, find_one, is_excluded, refuse_unusable
from monorelay.plan.steps import Step

_DEEPEST = 16  # cascades within cascades; the files are refused where they go round in a circle
_INPUT_SHARE = 3  # tokens sent for each one that comes back, when prices are compared


class Unserved(Exception):
    """Nobody serves this name. Which one was meant is a slow question: it is asked for who reads the answer, not for a list."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Misspelt(RelayError):
    """Somebody meant a provider and wrote something else: whoever else is asked would not be whom they meant."""


class LevelWanted(Exception):
    """The name leads to ``auto``: the request has to be looked at first, and the question asked again with its level."""


class Resolver:
    """One plan and what its providers are known to serve. Immutable.

    >>> resolver.resolve(route.lanes, "gpt-4o@openai").targets[0].model
    'gpt-4o'
    """

    def __init__(self, plan: Plan, naming: Naming, served: Mapping[str, Served]) -> None:
        self._plan = plan
        self._naming = naming
        self._served = served
        self._prices = {
            name: [(compile_glob(models), _INPUT_SHARE * price.input + price.output) for models, price in provider.spec.prices]
            for name, provider in plan.providers.items()
        }

    def resolve(
        self,
        lanes: Mapping[str, Lane],
        requested: str,
        pinned: str | None = None,
        level: str | None = None,
        steps: list[Step] | None = None,
    ) -> Resolution:
        """``pinned`` is the provider that the request names beside the model, ``level`` what ``auto`` is to stand for. ``steps`` is
        where each is noted, for who wants to know them of a refusal, too.

        Raises RelayError, Unserved, or LevelWanted where the name leads to ``auto`` and no ``level`` was given.
        """
        steps = [] if steps is None else steps
        name, chosen = self._naming.split(requested, steps)
        if pinned is not None:
            if chosen is not None and chosen != pinned:
                raise RelayError(
                    INVALID_REQUEST, f"The model says provider '{chosen}', the request says '{pinned}'.", param="model"
                )
            steps.append(Step("pinned", f"the request names provider {pinned}"))
            if chosen is None and self._naming.is_virtual(name):
                return self._pinned(self.resolve(lanes, name, level=level), pinned, lanes, steps)
            chosen = pinned
        if chosen is not None:
            return Resolution((self._at(chosen, name, lanes, steps),), tuple(steps))
        name, chosen = self._naming.follow_aliases(name, steps)
        if chosen is None and name == AUTO and self._naming.auto is not None:
            if level is None:
                raise LevelWanted
            name, chosen = self._naming.split(self._naming.by_level(level, steps), steps)
            if chosen is None:
                name, chosen = self._naming.follow_aliases(name, steps)
        if chosen is None and name in self._naming.cascades:
            spec = self._naming.cascades[name]
            self._naming.note_cascade(spec, steps)
            return self._cascade(name, (), spec, lanes, level, steps)
        refused: RelayError | Unserved | None = None
        try:
            leg = self._leg(name, chosen, lanes, requested, steps)
        except Misspelt:
            raise
        except (RelayError, Unserved) as error:
            refused, leg = error, _nowhere(name, error)
        fallbacks = self._naming.fallbacks(name, steps)
        if fallbacks is not None:
            return self._cascade(name, (leg,), fallbacks, lanes, level, steps)
        if refused is not None:
            raise refused
        return Resolution((leg,), tuple(steps))

    def _pinned(self, whole: Resolution, provider: str, lanes: Mapping[str, Lane], steps: list[Step]) -> Resolution:
        """Of all that the name stands for what is at this provider; with nothing there, the models that it has all the same."""
        steps += whole.steps
        legs, context_length, content_filter = (
            tuple(
                Leg(leg.model, kept, leg.strategy)
                for leg in line
                if (kept := tuple(target for target in leg.targets if target.provider.name == provider))
            )
            for line in (whole.legs, whole.context_length, whole.content_filter)
        )
        if not legs:
            legs = self._at_any(provider, [self._naming.split(leg.model, [])[0] for leg in whole.legs], lanes, steps)
        return Resolution(legs, tuple(steps), context_length, content_filter, whole.cascade)

    def _at_any(self, provider: str, models: Iterable[str], lanes: Mapping[str, Lane], steps: list[Step]) -> tuple[Leg, ...]:
        """Those of these models that the provider has. Raises RelayError where it has none."""
        legs: list[Leg] = []
        refusals: list[RelayError] = []
        for model in models:
            try:
                legs.append(self._at(provider, model, lanes, steps))
            except RelayError as error:
                refusals.append(error)
        if not legs:
            raise refusals[0]
        return _distinct(legs)

    # ------------------------------------------------------------------ several legs

    def _cascade(
        self, name: str, first: tuple[Leg, ...], spec: CascadeSpec, lanes: Mapping[str, Lane], level: str | None, steps: list[Step]
    ) -> Resolution:
        legs, context_length, content_filter = (
            self._line(models, lanes, level, steps) for models in (spec.models, spec.context_length, spec.content_filter)
        )
        return Resolution(_distinct((*first, *legs)), tuple(steps), _distinct(context_length), _distinct(content_filter), name)

    def _line(
        self, models: Iterable[str], lanes: Mapping[str, Lane], level: str | None, steps: list[Step], depth: int = 0
    ) -> list[Leg]:
        legs: list[Leg] = []
        for model in models:
            try:
                legs += self._member(model, lanes, level, steps, depth)
            except (RelayError, Unserved) as error:
                legs.append(_nowhere(model, error))
        return legs

    def _member(self, model: str, lanes: Mapping[str, Lane], level: str | None, steps: list[Step], depth: int) -> list[Leg]:
        """One name of a cascade: a model, an alias, ``auto``, or another cascade, whose legs then stand here."""
        name, chosen = self._naming.split(model, steps)
        if chosen is None:
            name, chosen = self._naming.follow_aliases(name, steps)
        if chosen is None and name == AUTO and self._naming.auto is not None:
            if level is None:
                raise LevelWanted
            return self._deeper((self._naming.by_level(level, steps),), lanes, level, steps, depth)
        if chosen is None and name in self._naming.cascades:
            spec = self._naming.cascades[name]
            self._naming.note_cascade(spec, steps)
            return self._deeper(spec.models, lanes, level, steps, depth)
        return [self._leg(name, chosen, lanes, model, steps)]

    def _deeper(
        self, models: Iterable[str], lanes: Mapping[str, Lane], level: str | None, steps: list[Step], depth: int
    ) -> list[Leg]:
        return self._line(models, lanes, level, steps, depth + 1) if depth < _DEEPEST else []

    # ------------------------------------------------------------------ one leg

    def _leg(self, name: str, chosen: str | None, lanes: Mapping[str, Lane], requested: str, steps: list[Step]) -> Leg:
        if chosen is None:
            balancing = self._naming.balancing(name, steps)
            if balancing is not None:
                return self._balanced(name, balancing, lanes, requested, steps)
            chosen = self._naming.mapped(name, steps)
        if chosen is not None:
            return self._at(chosen, name, lanes, steps)
        found = self._among(name, lanes, requested)
        steps.append(found.step)
        return Leg(name, (self._target(found, name, lanes, steps),))

    def _balanced(self, name: str, spec: BalancingSpec, lanes: Mapping[str, Lane], requested: str, steps: list[Step]) -> Leg:
        """All providers that serve the model, or those of the listed ones that do."""
        enabled = [
            provider for provider in (spec.providers or lanes) if provider in lanes and self._plan.providers[provider].enabled
        ]
        finds = find_all(name, map(self._served.__getitem__, enabled), are_named=bool(spec.providers))
        if not finds:
            finds = [self._among(name, lanes, requested)]
        if finds[0].step.rule == "catch-all":
            self._refuse_misspelt_provider(requested)
        if spec.strategy == "cheapest":
            finds.sort(key=lambda find: self._price(find))
        steps += [find.step for find in finds]
        return Leg(name, tuple(self._target(find, name, lanes, steps) for find in finds), spec.strategy)

    def _price(self, find: Find) -> float:
        """Of four tokens, three sent and one received; who names no price comes last."""
        return next((price for models, price in self._prices[find.provider.name] if models.fullmatch(find.model)), inf)

    def _at(self, chosen: str, name: str, lanes: Mapping[str, Lane], steps: list[Step]) -> Leg:
        """The named provider, if it is there, on, serves this route and lets this model through."""
        provider = self._plan.providers[chosen]
        refuse_unusable(provider)
        if chosen not in lanes:
            others = ", ".join(other for other in lanes if self._plan.providers[other].enabled) or "no enabled provider"
            raise RelayError(
                MODEL_NOT_FOUND, f"[{chosen}] Provider '{chosen}' does not serve this route; {others} would.", param="model"
            )
        found = find_one(name, [self._served[chosen]])
        if found is None:
            rule = "excludes" if is_excluded(provider, name) else "does not include"
            raise RelayError(MODEL_NOT_FOUND, f"[{chosen}] Provider '{chosen}' {rule} the model '{name}'.", param="model")
        steps.append(found.step)
        return Leg(name, (self._target(found, name, lanes, steps),))

    def _among(self, name: str, lanes: Mapping[str, Lane], requested: str) -> Find:
        """The catalogue: all enabled providers of this route; what only a missing key keeps away is told apart."""
        found = find_one(name, self._served_where(lanes, lambda provider: provider.enabled))
        if found is not None and found.step.rule == "catch-all":
            self._refuse_misspelt_provider(requested)
        if found is None:
            asleep = find_one(
                name, self._served_where(lanes, lambda provider: provider.dormant and provider.spec.layer != "vendor")
            )
            if asleep is not None:
                refuse_unusable(asleep.provider)
            raise Unserved(name)
        return found

    def _served_where(self, lanes: Mapping[str, Lane], wanted: Callable[[Provider], bool]) -> Sequence[Served]:
        return [self._served[name] for name in lanes if wanted(self._plan.providers[name])]

    def _target(self, found: Find, asked: str, lanes: Mapping[str, Lane], steps: list[Step]) -> Target:
        lane = lanes[found.provider.name]
        model = self._naming.override(found.model, steps)
        return Target(found.provider, lane, model, asked, self._naming.timeouts(asked, lane.timeouts))

    def _refuse_misspelt_provider(self, requested: str) -> None:
        """``gpt-4o@opnai`` must not reach a catch-all as a model's name when somebody plainly meant a provider."""
        _, at, tail = requested.rpartition("@")
        near = near_miss(tail, self._plan.providers) if at and tail else None
        if near is not None:
            if tail == requested[1:] and self._naming.provider(tail) is not None:
                text = f"'{requested}' names provider '{near}' and no model; write MODEL@{near}."
            else:
                text = f"No provider is called '{tail}'; did you mean '{near}'?"
            raise Misspelt(MODEL_NOT_FOUND, text, param="model")


def _nowhere(model: str, error: RelayError | Unserved) -> Leg:
    """A leg whose name leads nowhere: the others still count."""
    if isinstance(error, Unserved):
        error = RelayError(MODEL_NOT_FOUND, f"No provider serves the model '{error.name}'.", param="model")
    return Leg(model, (), refusal=error.with_traceback(None))


def _distinct(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    """Without targets that stand in an earlier leg already: nobody is asked the same twice."""
    seen: set[tuple[str, str]] = set()
    kept: list[Leg] = []
    for leg in legs:
        fresh = tuple(target for target in leg.targets if (target.provider.name, target.model) not in seen)
        seen.update((target.provider.name, target.model) for target in fresh)
        if fresh or leg.refusal is not None:
            kept.append(Leg(leg.model, fresh, leg.strategy, leg.refusal))
    return tuple(kept)
