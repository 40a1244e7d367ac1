"""``monorelay routes``: every route, and who serves it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.matrix import purpose, route_value
from monorelay.cli.table import columns
from monorelay.plan.plan import Lane, Route

DESCRIPTION = """
Print what the files add up to: every route with the capability that it needs, the providers that serve it in the order in
which they are asked, and the line that defines it.

Providers that would serve it, but have no key or are switched off, are counted; with --all they are named, in brackets. One
followed by "via ..." is reached by translating to the capability named there.

exit codes: 0 printed, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)
    parser.add_argument(
        "--all", action="store_true", help="name those, too, that would serve a route if they were on, as --json does anyway"
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    plan = prepared(options.config_dir, environ).plan
    if options.json:
        print(json.dumps([route_value(route) for route in plan.routes], indent=2))
    else:
        print(
            columns([("METHODS", "PATH", "NEEDS", "SERVED BY", "DEFINED IN"), *(_row(route, options.all) for route in plan.routes)])
        )
    return 0


def _row(route: Route, whole: bool) -> tuple[str, str, str, str, str]:
    served = _served(list(route.lanes.values()), whole) if route.spec.needs is not None else "the relay"
    return ",".join(route.methods), route.path, purpose(route), served, str(route.spec.origins.root)


def _served(lanes: Sequence[Lane], whole: bool) -> str:
    """With all that is shipped, those who are not on are too many for a line."""
    named = ", ".join(_lane(lane) for lane in lanes if whole or lane.provider.enabled) or "nobody"
    others = 0 if whole else sum(not lane.provider.enabled for lane in lanes)
    return f"{named} ({others} not on)" if others else named


def _lane(lane: Lane) -> str:
    name = lane.provider.name if lane.translator.native else f"{lane.provider.name} via {lane.translator.upstream}"
    if lane.local is not None:
        name = f"the relay for {lane.provider.name}"
    return name if lane.provider.enabled else f"({name})"
