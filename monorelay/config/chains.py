"""Names that lead to names: aliases, cascades and ``auto``. Where they lead round in a circle, and what a fallback comes back to.

A chain ends with the name of a model, and with any name that says its provider. Names count as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import AUTO, LEVELS
from monorelay.config.fields import Path
from monorelay.config.problems import Problem, dotted
from monorelay.config.routing import RoutingSpec

IsProvider = Callable[[str], bool]


def problem(spec: RoutingSpec, path: Path, message: str) -> Problem:
    at = spec.origins.of("model_routing", *path)
    return Problem(at.file, at.line, at.column, dotted(("model_routing", *path)), message)


def targets(spec: RoutingSpec) -> Iterator[tuple[Path, str, str]]:
    """(path, virtual name, target) of all that leads on: once per target, in the order in which they are written."""
    for name, target in spec.aliases:
        yield ("aliases", name), name, target
    for cascade in spec.cascades:
        for path, target in _of_cascade("cascades", cascade):
            yield path, cascade.name, target
    if spec.complexity is not None and spec.complexity.enabled:
        for which in LEVELS:
            yield ("complexity", which), AUTO, getattr(spec.complexity, which)


def fallback_targets(spec: RoutingSpec) -> Iterator[tuple[Path, str, str]]:
    """The same of ``fallbacks``; the name is a glob of those that it is for."""
    for fallback in spec.fallbacks:
        for path, target in _of_cascade("fallbacks", fallback):
            yield path, fallback.name, target


def _of_cascade(section: str, cascade: CascadeSpec) -> Iterator[tuple[Path, str]]:
    for which in ("models", "context_length", "content_filter"):
        for index, target in enumerate(getattr(cascade, which)):
            yield (section, cascade.name, which, index), target


def names_provider(target: str, is_provider: IsProvider) -> bool:
    model, _, provider = target.rpartition("@")
    return bool(model) and is_provider(provider)


def circles(spec: RoutingSpec, is_provider: IsProvider) -> Iterator[Problem]:
    """Each circle once, at the place of the name where it was met first."""
    leads: dict[str, list[str]] = {}
    paths: dict[str, Path] = {}
    for path, name, target in targets(spec):
        paths.setdefault(name, path[:2] if path[0] == "cascades" else ("complexity",) if path[0] == "complexity" else path)
        onward = leads.setdefault(name, [])
        if not names_provider(target, is_provider):
            onward.append(target)
    settled: set[str] = set()
    for start in leads:
        yield from _walk(spec, start, leads, paths, settled)


def _walk(
    spec: RoutingSpec, start: str, leads: Mapping[str, list[str]], paths: Mapping[str, Path], settled: set[str]
) -> Iterator[Problem]:
    """Depth first, without recursion: a chain may be as long as a file."""
    if start in settled:
        return
    trail = {start: iter(leads[start])}
    while trail:
        name = next(reversed(trail))
        onward = next(trail[name], None)
        if onward is None:
            settled.add(name)
            del trail[name]
        elif onward in trail:
            names = list(trail)
            circle = names[names.index(onward) :]
            yield problem(spec, paths[onward], f"goes round in a circle: {' → '.join((*circle, onward))}")
        elif onward in leads and onward not in settled:
            trail[onward] = iter(leads[onward])


def fallbacks(spec: RoutingSpec, is_provider: IsProvider) -> Iterator[Problem]:
    """Fallbacks of one model that are that model again, by whatever alias."""
    aliases = dict(spec.aliases)
    for path, name, target in fallback_targets(spec):
        seen: set[str] = set()
        end = target
        while end in aliases and end not in seen and not names_provider(end, is_provider):
            seen.add(end)
            end = aliases[end]
        if end.lower() == name.lower():
            yield problem(spec, path, "is the model that failed" if end == target else f"is {name}, the model that failed")
