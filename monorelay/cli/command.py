"""What the sub-commands share: how they are declared, and where they read the configuration.

``run`` must not load what reading needs (YAML, schemas, templates): it forks the relay, and what it loads stays in every process
of it for good. So those imports stand inside the functions that use them.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from monorelay.daemon.reading import Outcome

if TYPE_CHECKING:
    from monorelay.config.load import Places
    from monorelay.config.snapshot import Snapshot
    from monorelay.daemon.prepare import Candidate

Parser = argparse.ArgumentParser
Run = Callable[[argparse.Namespace, Mapping[str, str]], int]


def declare(parser: Parser, description: str, run: Run) -> None:
    """The help text of a sub-command, and the function that runs it."""
    parser.description = textwrap.dedent(description).strip()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)


def add_config_dir(parser: Parser) -> None:
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="read DIR instead of /etc/monorelay")


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def prepared(config_dir: Path | None, environ: Mapping[str, str]) -> Candidate:
    """What a start would serve, read with the rights that it would have. Raises ConfigError."""
    from monorelay.cli.relay_user import as_relay_user
    from monorelay.config.load import find_places, load
    from monorelay.daemon.prepare import prepare

    with as_relay_user(config_dir):
        return prepare(lambda: load(find_places(config_dir, environ), environ), 1)


def read_for_daemon(config_dir: Path | None, environ: Mapping[str, str], generation: int, hosts: tuple[str, ...] | None) -> Outcome:
    """The same for a relay that starts or reloads; it is called in a child of the master."""
    from monorelay.config.load import find_places, survey
    from monorelay.daemon.prepare import read

    return read(lambda: survey(find_places(config_dir, environ), environ), generation, hosts)


def snapshot_of(places: Places, environ: Mapping[str, str]) -> Snapshot:
    """What a start would serve, to be compared. Raises ConfigError."""
    from monorelay.config.load import survey
    from monorelay.daemon.prepare import prepare, shown_of

    found = survey(places, environ)
    return shown_of(found, prepare(lambda: found.config, 1).plan)
