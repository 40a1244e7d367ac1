"""Targets of rules that nothing serves: what an alias, a cascade, a fallback or ``auto`` leads to, before anybody asks for it.

A name that no provider would take, on any route, is an error: whoever wrote it meant something else. One that waits for a provider
without a key, or one that is switched off, is a warning: that may change without a word in these files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from monorelay.config.chains import fallback_targets, targets
from monorelay.config.complexity import AUTO
from monorelay.config.config import Config
from monorelay.config.fields import Origin, Path
from monorelay.config.problems import Problem, dotted
from monorelay.plan.naming import Naming
from monorelay.plan.plan import Provider, Route
from monorelay.plan.serving import few, takers
from monorelay.plan.steps import Step


def dead_ends(config: Config, routes: Iterable[Route], providers: Mapping[str, Provider]) -> Iterator[Problem]:
    reachable = {name for route in routes if route.spec.model != "none" for name in route.lanes}
    naming = Naming(config.routing, providers)
    for place, _, target in (*targets(config.routing), *fallback_targets(config.routing)):
        path = ("model_routing", *place)
        yield from _judge(path, target, config.routing.origins.of(*path), naming, [providers[name] for name in sorted(reachable)])


def _judge(path: Path, target: str, origin: Origin, naming: Naming, reachable: list[Provider]) -> Iterator[Problem]:
    steps: list[Step] = []
    name, chosen = naming.split(target, steps)
    if chosen is None:
        name, chosen = naming.follow_aliases(name, steps)
    if chosen is None and (name in naming.cascades or (name == AUTO and naming.auto is not None)):
        return  # each of its own names is judged where it is written
    if chosen is None and naming.balancing(name, steps) is None:
        chosen = naming.mapped(name, steps)
    asked = [provider for provider in reachable if chosen is None or provider.name == chosen]
    taking, likely = takers(name, asked)
    if not taking:
        who = f"provider {chosen} does not serve" if chosen is not None else "no provider serves"
        yield Problem(origin.file, origin.line, origin.column, dotted(path), f"leads to '{name}', which {who}")
    elif not any(provider.enabled for provider in taking):
        waits = few([f"{provider.name} ({'has no key' if provider.dormant else 'is off'})" for provider in likely])
        text = f"leads to '{name}', which nobody serves now: {waits}"
        yield Problem(origin.file, origin.line, origin.column, dotted(path), text, "warning")
