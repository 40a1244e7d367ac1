"""``monorelay disable PROVIDER``: it takes no calls any more, and keeps its keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from monorelay.cli.applying import add_reload, checked, maybe_reload
from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.command import Parser, add_config_dir, declare
from monorelay.cli.provider_file import Unclear, new_file, provider_of, switch_only, switched
from monorelay.config.load import find_places, survey
from monorelay.config.problems import did_you_mean

DESCRIPTION = """
Switch a provider off: `enabled: false` in your file of it, which is made if there is none. Keys stay where they are, so that
`monorelay enable PROVIDER` needs nothing to switch it on again. The result is checked; if it would be refused, nothing has changed.

exit codes: 0 it is off, 1 it is not, and why, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("provider", metavar="PROVIDER", help="one of `monorelay providers`")
    add_config_dir(parser)
    add_reload(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    places = find_places(options.config_dir, environ)
    now = survey(places, environ)
    changes = Changes()
    try:
        found = provider_of(options.provider, places, environ, now)
        if found.spec is None:
            names = [spec.name for spec in now.config.providers]
            raise Unclear(f"no provider is called {options.provider}{did_you_mean(options.provider, names)}")
        if found.spec.enabled is False:
            print(f"{found.name} is off already ({found.spec.origins.of('enabled')})")
            return 0
        if found.file is None:
            changes.write(new_file(found.name, places), switch_only(found.name, "false"))
        else:
            try:
                changes.write(found.file, switched(found.file.read_text(encoding="utf-8"), "false"))
            except Unclear as error:
                raise Unclear(f"{found.file} {error}") from error
    except (Unclear, CannotWrite) as error:
        changes.undo()
        print(error, file=sys.stderr)
        return 1
    checked(changes, options, environ)
    print(f"wrote {changes.written[0]}\n{found.name} is off")
    return maybe_reload(options)
