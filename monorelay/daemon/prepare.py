"""The part of a start or a reload that can refuse: read every file, compile, judge. `monorelay check` is this and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monorelay.config.load import Config
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.settings import StartupSpec
from monorelay.daemon.listen import is_loopback
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan

Load = Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that holds together. The plan is the proof; a worker compiles its own."""

    config: Config
    plan: Plan

    @property
    def summary(self) -> str:
        """``2 providers, 51 routes``"""
        enabled = sum(provider.enabled for provider in self.plan.providers.values())
        return f"{_count(enabled, 'provider')}, {_count(len(self.plan.routes), 'route')}"


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


def settings_for_next_start(running: StartupSpec, read: StartupSpec, overridden: frozenset[str]) -> tuple[str, ...]:
    """What was changed on disk but is settled when the process starts; what the command line decides is left out."""
    return tuple(
        f"server.{name} was {getattr(running, name)!r} when the relay started, is {getattr(read, name)!r} now: "
        "takes effect at next restart"
        for name in ("host", "port", "workers", "state_dir")
        if name not in overridden and getattr(read, name) != getattr(running, name)
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
