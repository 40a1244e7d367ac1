"""The whole configuration as one frozen value: what the master sends to its workers.

Nothing here, and nothing it imports, reads YAML or checks a schema: a worker needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monorelay.config.fields import Origins
from monorelay.config.problems import Problem
from monorelay.config.provider import ProviderSpec
from monorelay.config.quirks import ToolsSpec
from monorelay.config.route import RouteSpec
from monorelay.config.routing import RoutingSpec
from monorelay.config.settings import ClientSpec, ServerSpec, StartupSpec


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, resolved. Picklable: the master sends it to its workers.

    ``providers`` in priority order (ties by file name), templates left out. ``digest`` changes whenever anything that is served
    would change, secrets included (by fingerprint).
    """

    startup: StartupSpec
    server: ServerSpec
    clients: tuple[ClientSpec, ...]
    routing: RoutingSpec
    tools: ToolsSpec
    providers: tuple[ProviderSpec, ...]
    routes: tuple[RouteSpec, ...]
    warnings: tuple[Problem, ...]
    digest: str

    def to_serve(self) -> Config:
        """The same without the tests of providers and their places: a worker replays none, and they would be a third of it."""
        return replace(self, providers=tuple(map(_untested, self.providers)))


def _untested(spec: ProviderSpec) -> ProviderSpec:
    if not spec.tests:
        return spec
    places = {path: origin for path, origin in spec.origins.places.items() if path[:1] != ("tests",)}
    return replace(spec, tests=(), origins=Origins(spec.origins.root, places))
