"""Directories → one frozen ``Config``, or every problem of every file at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import monorelay
from monorelay.clock import Clock, SystemClock
from monorelay.config import crossrefs
from monorelay.config.config import Config
from monorelay.config.crossrefs import Directory
from monorelay.config.digest import digest_of
from monorelay.config.dropins import LAYERS, Definition, Found, Inheritance, drop_ins, find, named, stand, topmost
from monorelay.config.fields import Layer, Origin, Origins
from monorelay.config.fields import Path as ValuePath
from monorelay.config.files import PROVIDER, ROUTES, SETTINGS, DocumentCache, Reader
from monorelay.config.problems import ConfigError, Problem, did_you_mean
from monorelay.config.provider import ProviderSpec, Surroundings, read_provider
from monorelay.config.quirks import read_tools
from monorelay.config.reading import Place, Reading, Sheet, merge
from monorelay.config.references import References
from monorelay.config.route import RouteSpec, read_route, routes_of
from monorelay.config.routing import read_routing
from monorelay.config.scalars import flag
from monorelay.config.scalars import name as a_name
from monorelay.config.schema import FAULTY
from monorelay.config.settings import read_clients, read_server, read_startup

__all__ = ["Config", "DocumentCache", "Places", "Survey", "find_places", "load", "survey", "templates_of"]

OPERATOR = Path("/etc/monorelay")
# What the vendor layer's config.d may speak of.
VENDOR_SECTIONS = frozenset({"key_selection", "model_routing", "retry", "tool_calling"})


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of the three layers; each may be missing or None (except vendor)."""

    vendor: Path
    operator: Path | None
    runtime: Path | None

    def by_layer(self) -> dict[Layer, Path | None]:
        return {"vendor": self.vendor, "operator": self.operator, "runtime": self.runtime}


def find_places(config_dir: Path | None, environ: Mapping[str, str]) -> Places:
    """Where the layers are. Raises ConfigError where a directory that was named does not exist, or no drop-ins are installed."""
    return Places(
        vendor=_vendor(environ),
        operator=_named(config_dir, "--config-dir") if config_dir is not None else OPERATOR,
        runtime=_absolute(environ["RUNTIME_DIRECTORY"].split(":")[0]) if environ.get("RUNTIME_DIRECTORY") else None,
    )


def _vendor(environ: Mapping[str, str]) -> Path:
    if environ.get("MONORELAY_VENDOR_DIR"):
        return _named(Path(environ["MONORELAY_VENDOR_DIR"]), "$MONORELAY_VENDOR_DIR")
    tree = Path(monorelay.__file__).resolve().parent.parent
    if (tree / "setup.py").is_file() and (tree / "routes.d").is_dir():
        return tree
    candidates = [Path(prefix, "share", "monorelay") for prefix in (sys.prefix, "/usr/local", "/usr")]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    message = "the shipped drop-ins are not installed here; $MONORELAY_VENDOR_DIR can name their directory"
    raise ConfigError((Problem(str(candidates[-1]), 0, 0, "", message),))


def _named(directory: Path, by: str) -> Path:
    if not os.path.isdir(directory):
        what = "is not a directory" if os.path.exists(directory) else "does not exist"
        raise ConfigError((Problem(str(directory), 0, 0, "", f"{what} ({by} names it)"),))
    return _absolute(directory)


def _absolute(directory: Path | str) -> Path:
    return Path(os.path.abspath(directory))  # not resolve(): problems show the path that the operator knows


def load(places: Places, environ: Mapping[str, str], cache: DocumentCache | None = None, clock: Clock | None = None) -> Config:
    """Read everything. Raises ConfigError with all errors, sorted by place; warnings come with the Config.

    With a ``cache``, files that have not changed since it saw them are not parsed and checked again.

    >>> config = load(find_places(None, os.environ), os.environ)
    """
    return _Loading(places, environ, cache, (clock or SystemClock()).now()).run()


@dataclass(frozen=True, slots=True)
class Survey:
    """A configuration and the sheets it was read from: what was written, laid together, with places. Templates are left out."""

    config: Config
    settings: Sheet
    providers: Mapping[str, Sheet]
    routes: Mapping[str, Sheet]
    references: References


def survey(places: Places, environ: Mapping[str, str]) -> Survey:
    """``load``, for those who want to know what was written, too. Raises ConfigError."""
    loading = _Loading(places, environ, None, SystemClock().now())
    config = loading.run()
    return Survey(config, loading.top, loading.provider_sheets, loading.route_sheets, loading.references)


def templates_of(places: Places, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the templates that providers can extend. Raises ConfigError."""
    loading = _Loading(places, environ, None, SystemClock().now())
    loading.run()
    return loading.templates


class _Loading:
    """One load, step by step."""

    # Mutable: ``problems`` grows with each step; run() empties it into the Config or a ConfigError. The sheets are kept as they
    # come together: ``top`` of config.yml, the others by name.

    def __init__(self, places: Places, environ: Mapping[str, str], cache: DocumentCache | None, now: float) -> None:
        self.places = places
        self.now = now
        self.references = References(environ, places.operator)
        self.cache = cache
        self.reader = Reader(cache)
        self.problems: list[Problem] = []
        self.top = Sheet({}, {})
        self.provider_sheets: dict[str, Sheet] = {}
        self.route_sheets: dict[str, Sheet] = {}
        self.templates: tuple[str, ...] = ()

    def run(self) -> Config:
        settings = self.settings()
        value = {name: section for name, section in settings.value.items() if name != "providers"}
        self.top = replace(settings, value=value)
        top = Reading(self.top, self.references, self.problems).top
        origins = Origins(
            settings.root.origin,
            {path: place.origin for path, place in settings.places.items() if path[:1] != ("providers",)},
        )
        startup = read_startup(top["server"], self.places.operator)
        server = read_server(top["server"], top["logging"], origins)
        clients = read_clients(top["clients"])
        tools = read_tools(top["tool_calling"])
        routing = read_routing(top["model_routing"], top["key_selection"], top["retry"], origins)

        around = Surroundings(self.references, self.now, routing.retry, server.allow_faults)
        providers, directory = self.providers(settings, around)
        routed = list(self.routes())
        routes = tuple(spec for spec, _ in routed)
        self.route_sheets = {spec.name: sheet for spec, sheet in routed}
        if self.cache is not None:
            self.cache.forget_others()

        self.problems += crossrefs.clients(clients, origins, directory)
        self.problems += crossrefs.routing(routing, directory)
        self.problems += crossrefs.routes(routed)
        self.problems += crossrefs.payload(routing, routes)
        errors = sorted({problem for problem in self.problems if problem.severity == "error"})
        if errors:
            raise ConfigError(tuple(errors))
        clients = tuple(replace(client, provider=client.provider and directory.real(client.provider)) for client in clients)
        mapping = tuple((glob, directory.real(provider) or provider) for glob, provider in routing.provider_mapping)
        balancing = tuple(
            replace(balance, providers=tuple(directory.real(provider) or provider for provider in balance.providers))
            for balance in routing.balancing
        )
        routing = replace(routing, provider_mapping=mapping, balancing=balancing)
        return Config(
            startup=startup,
            server=server,
            clients=clients,
            routing=routing,
            tools=tools,
            providers=providers,
            routes=routes,
            warnings=tuple(sorted(set(self.problems))),
            digest=digest_of(startup, server, clients, routing, tools, providers, routes),
        )

    # ---- config.yml and config.d

    def settings(self) -> Sheet:
        """config.yml with config.d laid upon it, all of it laid upon the vendor's own config.d; empty where there is nothing."""
        directory = self.places.operator
        root = str(directory / "config.yml") if directory is not None else "config.yml"
        whole = Sheet({}, {(): Place(Origin(root), ())})
        whole = self._config_d(whole, self.places.vendor / "config.d", self._defaults)
        if directory is None:
            return whole
        if os.path.exists(directory / "config.yaml"):
            self.problems.append(
                Problem(str(directory / "config.yaml"), 0, 0, "", "is not read: its name must be config.yml", "warning")
            )
        main = self._sheet(directory / "config.yml")
        if main is not None:
            whole = merge(whole, main)
        return self._config_d(whole, directory / "config.d", self._sheet)

    def _config_d(self, whole: Sheet, directory: Path, read: Callable[[Path], Sheet | None]) -> Sheet:
        """The files of one directory laid upon ``whole``, in order of name."""
        written = crossrefs.Leaves()
        for path in drop_ins(directory, self.problems):
            sheet = read(path)
            if sheet is None:
                continue
            leaves = {leaf: sheet.places[leaf].origin for leaf in _leaves(sheet.value) if leaf in sheet.places}
            self.problems += written.add(leaves)
            merged = merge(whole, sheet)
            whole = Sheet(merged.value, {**merged.places, (): whole.root})  # what nobody wrote belongs to config.yml
        return whole

    def _defaults(self, path: Path) -> Sheet | None:
        """A vendor's file, which has its say about routing alone: who listens, who may call and who is asked is the operator's."""
        sheet = self._sheet(path)
        if sheet is None:
            return None
        for name in sheet.value.keys() - VENDOR_SECTIONS:
            if sheet.value[name] is not FAULTY:
                known = ", ".join(sorted(VENDOR_SECTIONS))
                self.problems.append(sheet.places[name,].problem(f"is the operator's to say: a vendor's file may hold {known}"))
        return Sheet({name: value for name, value in sheet.value.items() if name in VENDOR_SECTIONS}, sheet.places)

    def _sheet(self, path: Path) -> Sheet | None:
        checked = self.reader.read(path, SETTINGS)
        if checked is None:
            return None
        self.problems += checked.problems
        return checked.sheet

    # ---- providers

    def providers(self, settings: Sheet, around: Surroundings) -> tuple[tuple[ProviderSpec, ...], Directory]:
        found = find(PROVIDER, "providers.d", self.places.by_layer(), self.reader, self.problems)
        inline = settings.value.get("providers")
        # Only for its warnings: here the files below a file still count.
        topmost(found, self.problems, [f"{name}.yml" for name in inline] if isinstance(inline, dict) else ())
        visible: tuple[Definition, ...] = ()
        for layer in LAYERS:
            defined = [one for file in found[layer] if (one := self._from_file(file, visible)) is not None]
            if layer == "operator":
                defined += self._from_settings(settings, visible)
            file_names = {file.path.name for file in found[layer]} | {one.file_name for one in defined if one.is_inline}
            visible = stand(visible, defined, file_names)
        visible = tuple(self._unique(visible))
        unreadable = frozenset(name for files in found.values() for file in files for name in file.checked.names)

        inheritance = Inheritance(visible, unreadable, self.problems)
        specs = []
        for definition in visible:
            lost = definition.is_inline and definition.extends is None and definition.name in unreadable
            sheet = inheritance.whole(definition) if not lost else None
            if sheet is None:  # already said; what it would have inherited is not missing
                sheet = Sheet({"base_url": FAULTY, "offers": FAULTY, **definition.sheet.value}, definition.sheet.places)
            if definition.is_template:
                continue
            hint = (
                "" if definition.extends else did_you_mean(definition.name, [one.name for one in visible if one is not definition])
            )
            spec, problems = read_provider(sheet, definition.name, definition.layer, around, hint)
            self.problems += problems
            if spec is not None:
                specs.append((spec.priority, definition.file_name, spec))
                self.provider_sheets[spec.name] = sheet
        self.templates = tuple(definition.name for definition in visible if definition.is_template)
        served = [definition for definition in visible if not definition.is_template]
        self.problems += crossrefs.same_names(served)
        names = [definition.name for definition in served]
        return tuple(spec for _, _, spec in sorted(specs, key=lambda one: one[:2])), Directory(names, unreadable)

    def _from_file(self, file: Found, below: tuple[Definition, ...]) -> Definition | None:
        sheet = file.checked.sheet
        if sheet is None:
            return None
        top = Reading(sheet, self.references, self.problems).top
        if top["provider"].value is None:
            top.missing("provider")
        name = top["provider"].read(a_name, None)
        if name is None:
            return None
        extends = top["extends"].read(a_name, None)
        lower = named(below, name) if extends == name else None  # what extends a template of its own name is one, too
        is_template = top["template"].read(flag, lower is not None and lower.is_template)
        return Definition(name, file.layer, file.path.name, sheet, extends, is_template, False, below)

    def _from_settings(self, settings: Sheet, below: tuple[Definition, ...]) -> Iterator[Definition]:
        """The entries of ``providers`` in config.yml. They extend what lies below them without having to say so."""
        for key, sheet in settings.part(("providers",)).items():
            name = str(key)
            lower = named(below, name)
            extends = Reading(sheet, self.references, self.problems).top["extends"].read(a_name, None)
            if lower is not None and sheet.value.get("extends") is None:
                extends = name
            is_template = lower is not None and lower.is_template and extends == name
            yield Definition(name, "operator", f"{name}.yml", sheet, extends, is_template, True, below)

    def _unique(self, visible: tuple[Definition, ...]) -> Iterator[Definition]:
        first: dict[str, Definition] = {}
        for definition in visible:
            other = first.setdefault(definition.name, definition)
            if other is definition:
                yield definition
                continue
            advice = ""
            if other.layer != definition.layer:
                advice = f": name the file {other.file_name} to replace it, or say `extends: {other.name}` to build upon it"
            message = f"{definition.name} is defined in {other.place.origin}, too{advice}"
            self.problems.append(definition.place.problem(message))

    # ---- routes

    def routes(self) -> Iterator[tuple[RouteSpec, Sheet]]:
        found = find(ROUTES, "routes.d", self.places.by_layer(), self.reader, self.problems)
        for file in topmost(found, self.problems):
            if file.checked.sheet is None:
                continue
            for sheet in routes_of(file.checked.sheet):
                spec, problems = read_route(sheet, file.layer, self.references)
                self.problems += problems
                if spec is not None:
                    yield spec, sheet


def _leaves(value: Mapping[str, object], path: ValuePath = ()) -> Iterator[ValuePath]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, (*path, name))
        elif item is not FAULTY:
            yield (*path, name)
