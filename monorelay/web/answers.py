"""The relay's own answers: what a route's ``answer`` names. All from memory; none calls an upstream, none waits.

Each is a method that takes a ``Question`` and gives an ``Answer``, or raises RelayError.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from monorelay import __version__
from monorelay.dialects.envelopes import Family
from monorelay.dialects.model_lists import (
    PAGED_CAPABILITY,
    ModelEntry,
    anthropic_model,
    anthropic_model_list,
    openai_model,
    openai_model_list,
)
from monorelay.errors import INVALID_REQUEST, NOT_FOUND, RelayError
from monorelay.plan.near import near_misses
from monorelay.plan.outcome import ReloadOutcome
from monorelay.plan.plan import Plan, Route
from monorelay.relay.resources import Resources
from monorelay.relay.tally import counter, render
from monorelay.store.database import Database
from monorelay.web.base_url import BaseUrl
from monorelay.web.machine import Machine
from monorelay.web.pages.welcome import welcome_page

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Question:
    plan: Plan
    family: Family
    parameters: Mapping[str, str]
    query: str
    fields: Mapping[str, str]

    @property
    def paged(self) -> bool:
        """Whether the client expects the paged list of models: it says which version of that API it speaks."""
        return "anthropic-version" in self.fields


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    kind: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Answers:
    """One per worker.

    Mutable: ``last_reload``, noted by the daemon; ``_list``, the rendered catalogue and what it was rendered from.
    """

    def __init__(
        self, resources: Resources, database: Database, base_url: BaseUrl, machine: Machine, listen: tuple[str, int]
    ) -> None:
        self._resources = resources
        self._database = database
        self._base_url = base_url
        self._machine = machine
        self._host, self._port = listen
        self.last_reload: ReloadOutcome | None = None
        self._list: tuple[object, bytes] = (None, b"")
        self._started = time.time()

    def give(self, name: str, question: Question) -> Answer:
        """``name`` is one of ``config.route.ANSWERS``: no other gets through the schema."""
        answer: Answer = getattr(self, f"answer_{name}")(question)
        return answer

    # ------------------------------------------------------------------ the catalogue

    def answer_models(self, question: Question) -> Answer:
        if question.paged:
            return self._page_of(question, self._reachable(question.plan))
        catalogue = self._resources.catalogue(question.plan)
        entries = catalogue.models()
        if self._list[0] is not entries:
            self._list = (entries, openai_model_list(entries))
        return Answer(self._list[1])

    def answer_model(self, question: Question) -> Answer:
        wanted = unquote(next(iter(question.parameters.values())))
        entries = self._reachable(question.plan) if question.paged else self._resources.catalogue(question.plan).models()
        for entry in entries:
            if entry.id == wanted:
                return Answer(anthropic_model(entry) if question.paged else openai_model(entry))
        near = near_misses(wanted, [entry.id for entry in entries])
        hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        text = f"The model '{wanted[:200]}' is not in the list of models.{hint}"
        raise RelayError(NOT_FOUND, text, code="model_not_found", curable=False)

    def answer_anthropic_models(self, question: Question) -> Answer:
        """Only what providers offer natively in that dialect."""
        native = {
            name
            for route in _routes_of_pages(question.plan)
            for name, lane in route.lanes.items()
            if lane.translator.native and lane.provider.enabled
        }
        return self._page_of(question, [entry for entry in self._reachable(question.plan) if entry.owned_by in native])

    def _reachable(self, plan: Plan) -> Iterable[ModelEntry]:
        """What any route of the paged family can reach."""
        routes = _routes_of_pages(plan)
        return self._resources.catalogue(plan).reachable(routes[0]) if routes else ()

    def _page_of(self, question: Question, entries: Iterable[ModelEntry]) -> Answer:
        given = parse_qs(question.query, keep_blank_values=True)
        try:
            body = anthropic_model_list(tuple(entries), _last(given, "limit"), _last(given, "after_id"), _last(given, "before_id"))
        except ValueError as error:
            raise RelayError(INVALID_REQUEST, str(error)) from error
        return Answer(body)

    # ------------------------------------------------------------------ what an operator looks at

    def answer_health(self, question: Question) -> Answer:
        plan = question.plan
        now, wall = self._resources.clock.monotonic(), self._resources.clock.now()
        providers = {
            name: {
                "enabled": provider.enabled,
                "keys": len(provider.spec.keys),
                "available": self._resources.pool(name).available(now, wall=wall) if provider.enabled else 0,
                "base_url": provider.spec.base_url,
            }
            for name, provider in plan.providers.items()
        }
        report = {
            "status": "ok",
            "version": __version__,
            "generation": plan.generation,
            "open": plan.admission.open,
            "providers": providers,
            "store": {"healthy": self._database.healthy},
            "last_reload": _told(self.last_reload),
        }
        return Answer(json.dumps(report).encode())

    def answer_info(self, question: Question) -> Answer:
        server = question.plan.config.server
        report = {
            "local_ip": self._base_url.local_ip,
            "host": self._host,
            "port": self._port,
            "base_url": self._base_url.of(server),
            "access_key_enabled": question.plan.admission.access_key is not None,
            "version": __version__,
            "system": self._machine.latest(),
        }
        return Answer(json.dumps(report).encode())

    def answer_metrics(self, question: Question) -> Answer:
        plan = question.plan
        now, wall = self._resources.clock.monotonic(), self._resources.clock.now()
        states = [
            (name, state)
            for name, provider in plan.providers.items()
            if provider.enabled
            for state in self._resources.pool(name).states(now, wall=wall)
        ]
        gauges = [
            *counter("monorelay_generation", "The generation being served.", [({}, plan.generation)], "gauge"),
            *counter("monorelay_start_time_seconds", "When this worker started.", [({}, round(self._started, 3))], "gauge"),
            *counter(
                "monorelay_key_usable",
                "Whether a key may be used now.",
                [({"provider": name, "key": state.label}, int(state.usable)) for name, state in states],
                "gauge",
            ),
            *counter(
                "monorelay_key_wait_seconds",
                "Seconds until a cooling, resting or limited key is free.",
                [({"provider": name, "key": state.label}, round(state.seconds, 1)) for name, state in states],
                "gauge",
            ),
            *counter(
                "monorelay_circuits_open", "Targets that are asked last.", [({}, self._resources.circuits.count_open(now))], "gauge"
            ),
            *counter("monorelay_calls_held", "Calls that wait for a key.", [({}, self._resources.holding.count)], "gauge"),
            *counter("monorelay_store_healthy", "Whether the store can be written.", [({}, int(self._database.healthy))], "gauge"),
        ]
        return Answer(render(self._resources.tally, gauges), "text/plain; version=0.0.4; charset=utf-8")

    def answer_welcome(self, question: Question) -> Answer:
        base_url = self._base_url.of(question.plan.config.server)
        page = welcome_page(base_url, __version__, question.plan.admission.open)
        return Answer(
            page,
            "text/html; charset=utf-8",
            headers=(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),),
        )


def _routes_of_pages(plan: Plan) -> list[Route]:
    return [route for route in plan.routes if route.spec.needs == PAGED_CAPABILITY]


def _last(given: Mapping[str, list[str]], name: str) -> str | None:
    return given[name][-1] if name in given else None


def _told(outcome: ReloadOutcome | None) -> dict[str, object] | None:
    """The last reload for /health. Problems name files and fields; they hold no secret."""
    if outcome is None:
        return None
    return {
        "attempt": outcome.attempt,
        "ok": outcome.ok,
        "unchanged": outcome.unchanged,
        "generation": outcome.generation,
        "at": round(outcome.at, 3),
        "problems": list(outcome.problems),
    }
