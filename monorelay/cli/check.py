"""``monorelay check``: a reload, stopped before anything changes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.config.problems import ConfigError, Problem
from monorelay.daemon.prepare import Candidate
from monorelay.daemon.start import BAD_CONFIGURATION

if TYPE_CHECKING:
    from monorelay.relay.replay import Replayed

DESCRIPTION = """
Read every file and compile it, exactly as a start or a reload does, and say what is wrong: one line per problem,
FILE:LINE:COLUMN: dotted.path: text, all of them at once. What is only odd comes as a warning and changes nothing.

References such as ${NAME} are resolved in the environment of this command, which may differ from a running service's. Root reads
/etc/monorelay with the rights of the owner of /var/lib/monorelay, the relay's user, and with the credentials of its service.

With --fixtures the tests that providers' files hold are replayed too, nothing being sent: whether a request goes up as
expected, and whether an answer is understood.

With --live every key is asked of its provider, by a call for the list of models, which costs nothing: whether it is taken, how
long that took, and what the answer says about limits. Without names all providers are asked that are on.

--fixtures and --live are said one at a time.

exit codes: 0 it would be served, 1 a key was not taken (with --live), 78 it would be refused, or a test failed
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)
    further = parser.add_mutually_exclusive_group()
    further.add_argument("--fixtures", action="store_true", help="replay the tests of the providers' files, offline")
    further.add_argument("--live", nargs="*", metavar="PROVIDER", help="ask every key of these providers for the list of models")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        candidate = prepared(options.config_dir, environ)
    except ConfigError as error:
        return _report(options.json, error.problems, None, None)
    if options.live is not None:
        from monorelay.cli.live import ask_all  # it brings an event loop and libcurl along

        return ask_all(candidate.plan, options.live, options.json)
    return _report(options.json, candidate.plan.warnings, candidate, _replayed(candidate) if options.fixtures else None)


def _replayed(candidate: Candidate) -> Replayed:
    from monorelay.relay.replay import replay  # it brings half of the relay along

    return replay(candidate.config)


def _report(as_json: bool, problems: tuple[Problem, ...], candidate: Candidate | None, replayed: Replayed | None) -> int:
    problems += replayed.problems if replayed is not None else ()
    is_good = candidate is not None and not (replayed is not None and replayed.failed)
    code = 0 if is_good else BAD_CONFIGURATION
    if as_json:
        split = {kind: [asdict(found) for found in problems if found.severity == kind] for kind in ("error", "warning")}
        told: dict[str, object] = {"ok": is_good, "problems": split["error"], "warnings": split["warning"]}
        if replayed is not None:
            told["tests"] = {"run": replayed.tests, "failed": replayed.failed, "providers": replayed.providers}
        print(json.dumps(told, indent=2))
        return code
    for problem in problems:
        print(f"{problem}" if problem.severity == "error" else f"warning: {problem}", file=sys.stderr)
    print(_verdict(problems, candidate, replayed))
    return code


def _verdict(problems: tuple[Problem, ...], candidate: Candidate | None, replayed: Replayed | None) -> str:
    if candidate is None:
        errors = sum(problem.severity == "error" for problem in problems)
        return f"refused: {errors} problem{'s' * (errors != 1)}"
    if replayed is None:
        return f"ok: {candidate.summary}"
    if replayed.failed:
        return f"refused: {replayed.failed} of {replayed.tests} test{'s' * (replayed.tests != 1)} failed"
    tests, providers = replayed.tests, replayed.providers
    return f"ok: {candidate.summary}; {tests} test{'s' * (tests != 1)} of {providers} provider{'s' * (providers != 1)} held"
