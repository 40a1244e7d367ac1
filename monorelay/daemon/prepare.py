"""The part of a start or a reload that can refuse: read every file, compile, judge. `monorelay check` is this and nothing more.

The master does not load this file: it runs in the child of reading.py.
"""

from __future__ import annotations

import pickle
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from monorelay.config.config import Config
from monorelay.config.describe import described
from monorelay.config.fields import Secret
from monorelay.config.load import Survey
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.snapshot import Snapshot, packed, snapshot
from monorelay.config.tls import TlsSpec
from monorelay.daemon.listen import is_loopback
from monorelay.daemon.reading import Facts, Outcome, Refusal
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan
from monorelay.plan.secure import end_of

Load = Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that holds together. The plan is the proof; a worker compiles its own."""

    config: Config
    plan: Plan

    @property
    def enabled_providers(self) -> int:
        return sum(provider.enabled for provider in self.plan.providers.values())

    @property
    def summary(self) -> str:
        """``2 providers, 51 routes``"""
        return f"{_count(self.enabled_providers, 'provider')}, {_count(len(self.plan.routes), 'route')}"


def prepare(load: Load, generation: int, hosts: tuple[str, ...] | None = None) -> Candidate:
    """Raises ConfigError with every problem found.

    ``hosts`` are the addresses that are, or will be, listened on; None means the one that the configuration names.
    """
    config = load()
    candidate = Candidate(config, compile_plan(config, generation))
    exposed = [host for host in (hosts or (config.startup.host,)) if not is_loopback(host)]
    if candidate.plan.admission.open and exposed:
        place = config.server.origins.of("server", "access_key")
        text = (
            f"there is no access key and no client token, so anybody who reaches {', '.join(exposed)} could use the relay: "
            "set server.access_key or clients, or listen on 127.0.0.1"
        )
        raise ConfigError((Problem(place.file, place.line, place.column, "server.access_key", text),))
    return candidate


def shown_of(found: Survey, plan: Plan) -> Snapshot:
    """What is in force once this plan is."""
    served = {
        route.spec.name: [name for name, lane in route.lanes.items() if lane.provider.enabled]
        for route in plan.routes
        if route.spec.needs is not None
    }
    states = {name: provider.state for name, provider in plan.providers.items()}
    tls = found.config.server.tls
    return snapshot(described(found), states, served, _certificate(tls) if tls is not None else "")


def _certificate(spec: TlsSpec) -> str:
    """``certificate 3f0c9a… until 2027-01-31, key 77ab12…``: all that a renewal changes, and nothing secret."""
    told = f"certificate {Secret(spec.certificate).fingerprint}"
    try:
        end = datetime.fromtimestamp(end_of(spec, even_if_over=True), UTC)
        told += f" until {end:%Y-%m-%d}"
    except ssl.SSLError:  # one that clients refuse for another reason is served all the same
        pass
    return f"{told}, key {spec.key.fingerprint}"


def read(load: Callable[[], Config | Survey], generation: int, hosts: tuple[str, ...] | None) -> Outcome:
    """``prepare`` in the words of the master. A survey can also be shown to those who ask the running relay."""
    effective = b""
    try:
        found = load()
        candidate = prepare(lambda: found.config if isinstance(found, Survey) else found, generation, hosts)
        if isinstance(found, Survey):
            effective = packed(shown_of(found, candidate.plan))
    except ConfigError as error:
        return Refusal(tuple(map(str, error.problems)))
    config = candidate.config
    return Facts(
        digest=config.digest,
        host=config.startup.host,
        port=config.startup.port,
        workers=config.startup.workers,
        state_dir=config.startup.state_dir,
        drain=config.server.drain,
        log_level=config.server.log_level,
        is_open=candidate.plan.admission.open,
        enabled_providers=candidate.enabled_providers,
        summary=candidate.summary,
        warnings=tuple(map(str, candidate.plan.warnings)),
        config=pickle.dumps(config.to_serve(), pickle.HIGHEST_PROTOCOL),
        scheme="http" if config.server.tls is None else "https",
        effective=effective,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
