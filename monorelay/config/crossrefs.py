"""What one part of the configuration says about another: names that must exist, names that must be unique.

Each function returns the problems it found. ``unreadable`` are provider names that a file beyond reading seems to define.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from monorelay.config import chains
from monorelay.config.complexity import AUTO
from monorelay.config.dropins import Definition
from monorelay.config.fields import Origin, Origins, Path
from monorelay.config.globs import covers
from monorelay.config.problems import Problem, did_you_mean, dotted
from monorelay.config.reading import Sheet
from monorelay.config.route import RouteSpec
from monorelay.config.routing import RoutingSpec
from monorelay.config.settings import ClientSpec


def squeezed(provider: str) -> str:
    """A provider's name as ``model@provider`` compares it: case, ``-`` and ``_`` weigh nothing."""
    return provider.lower().replace("-", "").replace("_", "")


class Directory:
    """All provider names there are, as clients may spell them.

    >>> Directory(["open-router"]).real("Open_Router")
    'open-router'
    """

    def __init__(self, names: Iterable[str], unreadable: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        self._real = {squeezed(name): name for name in (*unreadable, *self.names)}

    def real(self, name: str) -> str | None:
        return self._real.get(squeezed(name))

    def unknown(self, name: str) -> str:
        return f"no provider is called {name}" + did_you_mean(name, self.names)


def problem(origins: Origins, path: Path, message: str) -> Problem:
    at = origins.of(*path)
    return Problem(at.file, at.line, at.column, dotted(path), message)


def same_names(definitions: Sequence[Definition]) -> Iterator[Problem]:
    """Two providers that a client could not tell apart."""
    seen: dict[str, Definition] = {}
    for one in definitions:
        first = seen.setdefault(squeezed(one.name), one)
        if first is not one:
            where = f"clients cannot tell {one.name} from {first.name} ({first.place.origin})"
            yield one.place.problem(f"{where}: case, - and _ do not count")


def clients(specs: Sequence[ClientSpec], origins: Origins, directory: Directory) -> Iterator[Problem]:
    for spec in specs:
        if spec.provider is not None and directory.real(spec.provider) is None:
            yield problem(origins, ("clients", spec.name, "provider"), directory.unknown(spec.provider))


def routing(spec: RoutingSpec, directory: Directory) -> Iterator[Problem]:
    for glob, provider in spec.provider_mapping:
        if directory.real(provider) is None:
            yield problem(spec.origins, ("model_routing", "provider_mapping", glob), directory.unknown(provider))
    for balance in spec.balancing:
        for index, provider in enumerate(balance.providers):
            if directory.real(provider) is None:
                path: Path = ("model_routing", "balancing", balance.models, "providers", index)
                yield problem(spec.origins, path, directory.unknown(provider))
    for path, _, target in (*chains.targets(spec), *chains.fallback_targets(spec)):
        model, at, provider = target.rpartition("@")
        # Vendors write versions behind an @, too (a date, a number), and paths before one: only what looks like a name is judged.
        if at and model and re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", provider) and directory.real(provider) is None:
            yield chains.problem(spec, path, directory.unknown(provider))
    yield from _virtual_names(spec)
    yield from _unreachable_names(spec, directory)
    yield from _rules_of_virtual_names(spec)
    yield from chains.circles(spec, lambda provider: directory.real(provider) is not None)
    yield from chains.fallbacks(spec, lambda provider: directory.real(provider) is not None)


def _virtual_names(spec: RoutingSpec) -> Iterator[Problem]:
    """One name, one meaning."""
    aliases = {name for name, _ in spec.aliases}
    has_auto = spec.complexity is not None and spec.complexity.enabled
    for cascade in spec.cascades:
        path = ("cascades", cascade.name)
        if cascade.name in aliases:
            where = spec.origins.of("model_routing", "aliases", cascade.name)
            yield chains.problem(spec, path, f"an alias has the same name ({where})")
        if cascade.name == AUTO and has_auto:
            yield chains.problem(spec, path, "is the name that model_routing.complexity answers to")
    if AUTO in aliases and has_auto:
        hidden = chains.problem(spec, ("aliases", AUTO), "hides the model of this name that model_routing.complexity makes")
        yield replace(hidden, severity="warning")


def _unreachable_names(spec: RoutingSpec, directory: Directory) -> Iterator[Problem]:
    """Virtual names that end in a provider's: who asks for one asks that provider, and nothing is looked up."""
    for section, names in (("aliases", [name for name, _ in spec.aliases]), ("cascades", [one.name for one in spec.cascades])):
        for name in names:
            model, _, tail = name.rpartition("@")
            provider = directory.real(tail) if model else None
            if provider is not None:
                yield chains.problem(spec, (section, name), f"is never looked at: it is the model {model} at provider {provider}")


def _rules_of_virtual_names(spec: RoutingSpec) -> Iterator[Problem]:
    """Rules for a name that stands for others: by the time they are looked at, those others stand in its place. Warnings, since
    they do count for the same name in other letters.
    """
    kinds = {name: "an alias" for name, _ in spec.aliases} | {one.name: "a cascade" for one in spec.cascades}
    if spec.complexity is not None and spec.complexity.enabled:
        kinds.setdefault(AUTO, "one of three models")
    if not kinds:
        return
    # An alias may lead to a model of its own name, at a provider or in other letters: that one does come by.
    ends = {end.lower() for _, _, target in chains.targets(spec) for end in (target, target.rpartition("@")[0])}
    rules = {
        "fallbacks": [one.name for one in spec.fallbacks],
        "balancing": [one.models for one in spec.balancing],
        "provider_mapping": [glob for glob, _ in spec.provider_mapping],
        "models": [one.models for one in spec.models],
        "model_overrides": [glob for glob, _ in spec.model_overrides],
    }
    for section, globs in rules.items():
        for glob in globs:
            if glob in kinds and glob.lower() not in ends:
                counts = f"counts for {glob}@PROVIDER only" if section in ("models", "model_overrides") else "does not count"
                text = f"{counts}: {glob} is {kinds[glob]}, and what it stands for goes by its own name"
                yield replace(chains.problem(spec, (section, glob), text), severity="warning")


def payload(spec: RoutingSpec, routes: Sequence[RouteSpec]) -> Iterator[Problem]:
    """Rules for routes that do not exist; a warning, since a route may be masked for a while."""
    for rule in spec.payload:
        for index, glob in enumerate(rule.routes):
            if not any(covers(glob, route.name) for route in routes):
                path: Path = ("payload_transformation", "rules", rule.index, "routes", index)
                message = "no route is called so" + did_you_mean(glob, [route.name for route in routes])
                yield replace(chains.problem(spec, path, message), severity="warning")


def routes(specs: Sequence[tuple[RouteSpec, Sheet]]) -> Iterator[Problem]:
    """Two routes of one name, or two that would answer the same call."""
    names: dict[str, Sheet] = {}
    served: dict[tuple[str, str], tuple[RouteSpec, Sheet]] = {}
    for spec, sheet in specs:
        namesake = names.setdefault(spec.name, sheet)
        if namesake is not sheet:
            yield sheet.places["route",].problem(f"another route is called {spec.name} ({namesake.places['route',].origin})")
            continue
        shape = re.sub(r"\{[a-z0-9_]+(\.\.\.)?\}", r"{\1}", spec.path)
        for method in spec.methods:
            other, elsewhere = served.setdefault((method, shape), (spec, sheet))
            if other is not spec:
                where = f"{method} {spec.path} is served by route {other.name} already ({elsewhere.places['path',].origin})"
                yield sheet.places["path",].problem(where)
                break


class Leaves:
    """What the files of config.d write, each of which may be written by one of them only."""

    # Mutable: both mappings grow with each file. ``_inner`` has the paths of all mappings around a leaf.

    def __init__(self) -> None:
        self._written: dict[Path, Origin] = {}
        self._inner: dict[Path, Origin] = {}

    def add(self, leaves: Mapping[Path, Origin]) -> Iterator[Problem]:
        """Take one file's leaves; yields those that an earlier file writes, too: the same one, or one inside the other."""
        for path, origin in leaves.items():
            prefixes = [path[:length] for length in range(1, len(path) + 1)]
            where = next((self._written[one] for one in prefixes if one in self._written), self._inner.get(path))
            if where is not None:
                yield Problem(origin.file, origin.line, origin.column, dotted(path), f"is written in {where}, too")
        for path, origin in leaves.items():
            self._written[path] = origin
            self._inner.update((path[:length], origin) for length in range(1, len(path)))
