"""``monorelay check``: a reload, stopped before anything changes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.config.problems import ConfigError, Problem
from monorelay.daemon.prepare import Candidate
from monorelay.daemon.start import BAD_CONFIGURATION

DESCRIPTION = """
Read every file and compile it, exactly as a start or a reload does, and say what is wrong: one line per problem,
FILE:LINE:COLUMN: dotted.path: text, all of them at once. What is only odd comes as a warning and changes nothing.

References such as ${NAME} are resolved in the environment of this command, which may differ from a running service's.

exit codes: 0 it would be served, 78 it would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        candidate = prepared(options.config_dir, environ)
    except ConfigError as error:
        return _report(options.json, error.problems, None)
    return _report(options.json, candidate.plan.warnings, candidate)


def _report(as_json: bool, problems: tuple[Problem, ...], candidate: Candidate | None) -> int:
    code = BAD_CONFIGURATION if candidate is None else 0
    if as_json:
        split = {kind: [asdict(found) for found in problems if found.severity == kind] for kind in ("error", "warning")}
        print(json.dumps({"ok": candidate is not None, "problems": split["error"], "warnings": split["warning"]}, indent=2))
        return code
    for problem in problems:
        print(f"{problem}" if problem.severity == "error" else f"warning: {problem}", file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    print(f"ok: {candidate.summary}" if candidate is not None else f"refused: {errors} problem{'s' * (errors != 1)}")
    return code
