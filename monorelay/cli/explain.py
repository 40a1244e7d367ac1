"""``monorelay explain MODEL``: which targets a model has, step by step, with the rule that decided, and what would be sent."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monorelay.cli.balances import kept_balances
from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.explained import text_of
from monorelay.daemon.statedir import existing_state_dir
from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.plan import Plan, Route
from monorelay.plan.resolution import Target
from monorelay.plan.resolving import LevelWanted
from monorelay.plan.table import parameter_names
from monorelay.relay.aim import Aim, look_at
from monorelay.relay.call import Asked, Call, read_body
from monorelay.relay.explain import explanation, refusal
from monorelay.relay.pools import Pools
from monorelay.store import key_states
from monorelay.store.lists import glance
from monorelay.upstream.keypool import KeyState

DESCRIPTION = """
Print how a model's name finds its targets: every step, the rule that took it, and the line where that rule is written; then
each target in the order in which it is asked, with the state of its keys and the request that would go out. Keys are masked.

With --body the whole request is worked on: the complexity of `auto` is scored, and the rules that change bodies are applied.
Without --route every route that reads a model and that some provider could serve is looked at; those that agree are told
together. What providers told a running relay (lists of models, keys that rest) counts too, as far as its state directory can
be read. The same is told by a running relay to the header `x-monorelay-explain: true`.

    monorelay explain gpt-4o
    monorelay explain llama3@local --route chat
    monorelay explain auto --route chat --body request.json

exit codes: 0 it is served, 1 nobody serves it, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("model", metavar="MODEL", help="as a client would write it: a name, name@provider, or an alias")
    parser.add_argument("--route", metavar="ROUTE", help="only this route, by its name or path: chat, /v1/messages")
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="a JSON request, as a client would send it (- reads it from stdin)"
    )
    add_config_dir(parser)
    add_json(parser)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The view of a command that only looks: what a running or an earlier relay left in its state directory."""

    pools: Pools
    now: float
    monotonic: float

    def states(self, provider: str, model: str) -> tuple[KeyState, ...]:
        return self.pools[provider].states(self.monotonic, model, wall=self.now)

    def is_open(self, target: Target) -> bool:
        return False  # circuits are a worker's own, and not kept


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    plan = prepared(options.config_dir, environ).plan
    routes = [route for route in plan.routes if _is_asked_for(route, options.route)]
    if not routes:
        known = ", ".join(route.spec.name for route in plan.routes if route.spec.model != "none")
        print(f"no route that reads a model is called '{options.route}'; there are {known}", file=sys.stderr)
        return 2
    if options.body is not None and len(routes) > 1:
        print("a body belongs to one route: name it with --route", file=sys.stderr)
        return 2
    if options.body is not None and routes[0].spec.body != "json":
        print(f"route '{routes[0].spec.name}' takes no JSON body: leave out --body", file=sys.stderr)
        return 2
    directory = existing_state_dir(plan.config.startup.state_dir, environ)
    catalogue = Catalogue(plan, _kept_lists(plan, directory), int(time.time()))
    view = _view(plan, environ, directory)
    try:
        raw = _body(options.body, options.model)
        told = [_explained(catalogue, view, route, options.model, raw, options.body is not None) for route in routes]
    except (OSError, ValueError) as error:
        print(f"{options.body}: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        groups = _groups(told)
        if len(groups) > 1 and not any(provider.enabled for provider in plan.providers.values()):
            print(text_of(options.model, groups[0]))
            why = "no provider is on; each waits for a key, or is switched off (`monorelay providers`)"
            print(f"  nor is it on {sum(map(len, groups[1:]))} other routes: {why}")
        else:
            print("\n\n".join(text_of(options.model, group) for group in groups))
    return 0 if any("refusal" not in one for one in told) else 1


def _is_asked_for(route: Route, asked: str | None) -> bool:
    if route.spec.needs is None or route.spec.model == "none":
        return False
    return bool(route.lanes) if asked is None else asked in (route.spec.name, route.path)


def _kept_lists(plan: Plan, directory: Path | None) -> dict[str, tuple[ModelEntry, ...]]:
    """The model lists that an earlier or a running relay has learnt, of the providers as they are configured now."""
    kept = glance(directory / "monorelay.db") if directory is not None else {}
    return {
        name: tuple(ModelEntry(model, created, shown, name) for model, created, shown in found.entries)
        for (name, base_url), found in kept.items()
        if name in plan.providers and plan.providers[name].spec.base_url == base_url
    }


def _view(plan: Plan, environ: Mapping[str, str], directory: Path | None) -> _Kept:
    pools = Pools()
    pools.adopt(plan)
    view = _Kept(pools, time.time(), time.monotonic())
    if directory is not None:
        pools.restore(key_states.glance(directory / "monorelay.db"), view.monotonic, view.now)
    known = kept_balances(plan, environ)
    for name, provider in plan.providers.items():
        credits = provider.spec.credits
        if credits is None:
            continue
        told = ((key.fingerprint, known.get((name, key.fingerprint))) for key in provider.keys)
        pools[name].set_aside(
            frozenset(key for key, balance in told if balance and credits.is_too_low(balance.amount, view.now - balance.at))
        )
    return view


def _body(path: Path | None, model: str) -> bytes:
    """The request with the model that was asked for. Raises ValueError where it is no JSON object."""
    if path is None:
        return json.dumps({"model": model}).encode()
    text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("the body must be a JSON object")
    return json.dumps({**fields, "model": model}, ensure_ascii=False).encode()


def _explained(catalogue: Catalogue, view: _Kept, route: Route, model: str, raw: bytes, with_body: bool) -> dict[str, Any]:
    """How one route takes the model, or the refusal that a client would get."""
    call = Call(
        id="explain",
        plan=catalogue.plan,
        route=route,
        method=route.methods[0],
        parameters={name: f"{{{name}}}" for name in parameter_names(route.path)},
        query="",
        fields={"content-type": "multipart/form-data" if route.spec.body == "multipart" else "application/json"},
        client=None,
        family=route.family,
        started=0.0,
    )
    asked = Asked(model, False, {}, b"", lambda _: b"")
    try:
        asked = read_body(call, raw) if route.spec.body == "json" else asked
        return explanation(call, asked, _aim(catalogue, call, asked), view, with_body=with_body)
    except RelayError as error:
        return refusal(call, asked, catalogue, error)


def _aim(catalogue: Catalogue, call: Call, asked: Asked) -> Aim:
    try:
        return Aim(catalogue.resolve(call.route, asked.model), None)
    except LevelWanted:
        score = look_at(call, asked)
        return Aim(catalogue.resolve(call.route, asked.model, None, score.level), None, score=score)


def _groups(told: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Routes whose steps and targets are the same are told together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in told:
        places = [[(target["provider"], target["model"]) for target in leg["targets"]] for leg in one.get("legs", ())]
        groups.setdefault(json.dumps([one.get("steps"), places, one.get("refusal")]), []).append(one)
    return list(groups.values())
