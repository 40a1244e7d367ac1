"""``monorelay routes``: every route, and who serves it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.matrix import purpose, route_value
from monorelay.cli.table import columns
from monorelay.plan.plan import Lane, Route

DESCRIPTION = """
Print what the files add up to: every route with the capability that it needs, the providers that serve it in the order in
which they are asked, and the line that defines it.

A provider in brackets would serve it, but has no key, or is switched off. One followed by "via ..." is reached by
translating to the capability named there.

exit codes: 0 printed, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    plan = prepared(options.config_dir, environ).plan
    if options.json:
        print(json.dumps([route_value(route) for route in plan.routes], indent=2))
    else:
        print(columns([("METHODS", "PATH", "NEEDS", "SERVED BY", "DEFINED IN"), *map(_row, plan.routes)]))
    return 0


def _row(route: Route) -> tuple[str, str, str, str, str]:
    served = ", ".join(map(_lane, route.lanes.values())) if route.spec.needs is not None else "the relay"
    return ",".join(route.methods), route.path, purpose(route), served or "nobody", str(route.spec.origins.root)


def _lane(lane: Lane) -> str:
    name = lane.provider.name if lane.translator.native else f"{lane.provider.name} via {lane.translator.upstream}"
    if lane.local is not None:
        name = f"the relay for {lane.provider.name}"
    return name if lane.provider.enabled else f"({name})"
