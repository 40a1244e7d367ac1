"""Directories → one frozen ``Config``, or every problem of every file at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monorelay.config.problems import Problem
from monorelay.config.provider import ProviderSpec
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
    providers: tuple[ProviderSpec, ...]
    routes: tuple[RouteSpec, ...]
    warnings: tuple[Problem, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of the three layers; each may be missing or None (except vendor)."""

    vendor: Path
    operator: Path | None
    runtime: Path | None
