"""``monorelay doctor``: what on this machine would keep the relay from serving."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.file_findings import certificate, names, permissions, state
from monorelay.cli.findings import Finding, ok, problem, warning
from monorelay.cli.machine_findings import machine, port_of
from monorelay.cli.relay_user import as_relay_user
from monorelay.config.load import find_places
from monorelay.config.problems import ConfigError

DESCRIPTION = """
Look at everything around the relay, and say of each thing whether it is well: versions, libcurl and the certificates it trusts,
clock, limit of open files, who may read secrets, the configuration, the state directory and its database, the port, the names of
all providers that are on, and the certificate of server.tls.

Nothing is changed, no provider is called (`monorelay check --live` does that); only their host names are looked up. Run it as
the user that the relay runs as, or as root, who looks at files with the rights of the owner of /var/lib/monorelay.

exit codes: 0 no problem (warnings are none), 1 some
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    found = []
    for finding in _findings(options, environ):
        found.append(finding)
        if not options.json:
            print(_line(finding), flush=True)
    if options.json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    return int(any(finding.grade == "problem" for finding in found))


def _findings(options: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from machine(environ)
    places = find_places(options.config_dir, environ)
    with as_relay_user(options.config_dir):
        rights = list(permissions(places))
    yield from rights
    try:
        candidate = prepared(options.config_dir, environ)
    except ConfigError as error:
        first = error.problems[0]
        more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        yield problem("configuration", f"would be refused: {first}{more}", "monorelay check tells all of it")
        yield from _state(options, None, environ)
        return
    odd = len(candidate.plan.warnings)
    if odd:
        yield warning("configuration", f"{candidate.summary}; {odd} warning{'s' * (odd > 1)}", "monorelay check")
    else:
        yield ok("configuration", candidate.summary)
    startup = candidate.config.startup
    yield from _state(options, startup.state_dir, environ)
    yield port_of(startup.host, startup.port)
    yield from certificate(candidate.config.server.tls, time.time())
    yield from names(candidate.plan)


def _state(options: argparse.Namespace, asked: str | None, environ: Mapping[str, str]) -> list[Finding]:
    with as_relay_user(options.config_dir):
        return list(state(asked, environ))


def _line(finding: Finding) -> str:
    return f"{finding.grade:8} {finding.subject}: {finding.text}" + (f" → {finding.advice}" if finding.advice else "")
