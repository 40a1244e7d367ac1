"""``monorelay dump``: the configuration in force, every value with its origin."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.cli.command import Parser, add_config_dir, add_json, declare
from monorelay.config.describe import Description, described
from monorelay.config.effective import Tree, Value, flat
from monorelay.config.load import find_places, survey
from monorelay.config.problems import did_you_mean
from monorelay.config.writing import lines
from monorelay.plan.compile import compile_plan

DESCRIPTION = """
Print what a start would serve, whole: all layers laid together, inherited values and built-in ones included, each followed by the
file and line where it was written. Every part is YAML that can be read back, under the name in its first line.

A secret is shown as the reference that leads to it, or masked, and by its fingerprint: the one that logs and `providers` tell.

    monorelay dump
    monorelay dump --providers openai      only this one; without a name all of them
    monorelay dump --routes chat messages
    monorelay dump --json                  a list of {part, path, value, file, line}; no file = built in

exit codes: 0 printed, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("--routes", nargs="*", metavar="NAME", help="only these routes")
    parser.add_argument("--providers", nargs="*", metavar="NAME", help="only these providers")
    add_config_dir(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    found = survey(find_places(options.config_dir, environ), environ)
    compile_plan(found.config, 1)  # what a start would refuse is not in force
    whole = described(found)
    try:
        parts = list(_chosen(whole, options.routes, options.providers))
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([entry for name, tree in parts for entry in _entries(name, tree)], indent=1))
    else:
        print("\n---\n".join("\n".join([f"# {name}", *lines(tree, _remark)]) for name, tree in parts))
    return 0


def _chosen(whole: Description, routes: list[str] | None, providers: list[str] | None) -> Iterator[tuple[str, Tree]]:
    """Every part that was asked for, by the file's name under which it could be read back."""
    if routes is None and providers is None:
        yield "config.yml", whole.settings
    for folder, parts, asked in (("providers.d", whole.providers, providers), ("routes.d", whole.routes, routes)):
        if asked is None and (routes is not None or providers is not None):
            continue
        for name in asked or ():
            if name not in parts:
                raise KeyError(f"no {folder[:-3]} is called '{name}'" + did_you_mean(name, parts))
        for name, tree in parts.items():
            if not asked or name in asked:
                yield f"{folder}/{name}.yml", tree


def _remark(value: Value) -> str:
    origin = str(value.origin) if value.origin is not None else "built in"
    if value.resolved:
        return f"{value.resolved}, {origin}"
    return f"secret {value.fingerprint}, {origin}" if value.fingerprint else origin


def _entries(part: str, tree: Tree) -> Iterator[dict[str, Any]]:
    for path, value in flat(tree):
        yield {
            "part": part,
            "path": list(path),
            "value": value.value,
            **({"fingerprint": value.fingerprint} if value.fingerprint else {}),
            **({"resolved": value.resolved} if value.resolved else {}),
            "file": value.origin.file if value.origin is not None else None,
            "line": value.origin.line if value.origin is not None else None,
        }
