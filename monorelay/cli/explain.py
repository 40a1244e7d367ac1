"""``monorelay explain MODEL``: which provider gets a model, step by step, with the rule that decided."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.matrix import place, upstream_url
from monorelay.cli.table import columns
from monorelay.daemon.statedir import existing_state_dir
from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.plan import Plan, Route
from monorelay.plan.resolution import Step, Target
from monorelay.store.lists import glance

DESCRIPTION = """
Print how a model's name finds its provider: every step, the rule that took it, and the line where that rule is written;
then the request that would go out.

Without --route every route that reads a model and that some provider could serve is looked at; those that agree are told
together. The lists of models that providers told a running relay count too, as far as its state directory can be read.

    monorelay explain gpt-4o
    monorelay explain llama3@local --route chat

exit codes: 0 it is served, 1 nobody serves it
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("model", metavar="MODEL", help="as a client would write it: a name, name@provider, or an alias")
    parser.add_argument("--route", metavar="ROUTE", help="only this route, by its name or path: chat, /v1/messages")
    add_config_dir(parser)
    add_json(parser)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one route resolves the model: steps and targets, or the refusal that a client would get."""

    route: Route
    steps: tuple[Step, ...]
    targets: tuple[Target, ...]
    refusal: RelayError | None = None

    @property
    def gist(self) -> tuple[Any, ...]:
        """What makes two routes' findings the same for a reader."""
        refusal = self.refusal.body.message if self.refusal is not None else ""
        return self.steps, tuple((target.provider.name, target.model) for target in self.targets), refusal


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    plan = prepared(options.config_dir, environ).plan
    routes = [route for route in plan.routes if _is_asked_for(route, options.route)]
    if not routes:
        known = ", ".join(route.spec.name for route in plan.routes if route.spec.model != "none")
        print(f"no route that reads a model is called '{options.route}'; there are {known}", file=sys.stderr)
        return 2
    catalogue = Catalogue(plan, _kept_lists(plan, environ), int(time.time()))
    findings = [_find(catalogue, route, options.model) for route in routes]
    if options.json:
        print(json.dumps([_value(finding) for finding in findings], indent=2))
    else:
        print("\n\n".join(_text(options.model, group) for group in _groups(findings)))
    return 0 if any(finding.refusal is None for finding in findings) else 1


def _is_asked_for(route: Route, asked: str | None) -> bool:
    if route.spec.needs is None or route.spec.model == "none":
        return False
    return bool(route.lanes) if asked is None else asked in (route.spec.name, route.path)


def _kept_lists(plan: Plan, environ: Mapping[str, str]) -> dict[str, tuple[ModelEntry, ...]]:
    """The model lists that an earlier or a running relay has learnt, of the providers as they are configured now."""
    directory = existing_state_dir(plan.config.startup.state_dir, environ)
    kept = glance(directory / "monorelay.db") if directory is not None else {}
    return {
        name: tuple(ModelEntry(model, created, shown, name) for model, created, shown in found.entries)
        for (name, base_url), found in kept.items()
        if name in plan.providers and plan.providers[name].spec.base_url == base_url
    }


def _find(catalogue: Catalogue, route: Route, model: str) -> Finding:
    try:
        resolution = catalogue.resolve(route, model)
    except RelayError as error:
        return Finding(route, (), (), error)
    return Finding(route, resolution.steps, resolution.targets)


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.gist, []).append(finding)
    return list(groups.values())


def _text(model: str, group: Sequence[Finding]) -> str:
    first = group[0]
    lines = [f"{model} on {', '.join(finding.route.spec.name for finding in group)}"]
    if first.refusal is not None:
        return "\n".join([*lines, f"  refused: {first.refusal.status} {first.refusal.body.type}: {first.refusal.body.message}"])
    rows = [(f"  {step.rule}", step.text, str(step.origin or "")) for step in first.steps]
    lines += columns(rows).splitlines() if rows else []
    for finding in group:
        for target in finding.targets:
            url = upstream_url(finding.route, target.lane)
            way = "" if target.lane.translator.native else f", translated to {target.lane.translator.upstream}"
            does = f"{finding.route.methods[0]} {url}{way}" if url else "does not offer this: the relay answers itself"
            lines.append(f"  → '{target.model}' at {target.provider.name}: {does}")
    return "\n".join(lines)


def _value(finding: Finding) -> dict[str, Any]:
    refusal = finding.refusal
    return {
        "route": finding.route.spec.name,
        "steps": [
            {"rule": step.rule, "text": step.text, "origin": place(step.origin) if step.origin is not None else None}
            for step in finding.steps
        ],
        "targets": [
            {
                "provider": target.provider.name,
                "model": target.model,
                "native": target.lane.translator.native,
                "url": upstream_url(finding.route, target.lane),
            }
            for target in finding.targets
        ],
        "refusal": None
        if refusal is None
        else {"status": refusal.status, "type": refusal.body.type, "message": refusal.body.message},
    }
