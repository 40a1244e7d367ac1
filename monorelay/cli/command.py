"""What the sub-commands share: how they are declared, and where they read the configuration."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from monorelay.config.load import DocumentCache, find_places, load
from monorelay.daemon.prepare import Load, prepare
from monorelay.plan.plan import Plan

Commands = Any  # argparse keeps the type of add_subparsers() to itself
Run = Callable[[argparse.Namespace, Mapping[str, str]], int]


def declare(commands: Commands, name: str, summary: str, description: str, run: Run) -> argparse.ArgumentParser:
    """A sub-command with its help; its first sentence is also its line in the list of commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.dedent(description).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="read DIR instead of /etc/monorelay")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def compiled(options: argparse.Namespace, environ: Mapping[str, str]) -> Plan:
    """The plan that a start would serve. Raises ConfigError."""
    return prepare(loader(options, environ), 1).plan


def loader(options: argparse.Namespace, environ: Mapping[str, str]) -> Load:
    """Reads the configuration anew at every call; files that have not changed since the last one are not parsed again.

    Raises ConfigError at once when a directory that was named is missing.
    """
    return partial(load, find_places(options.config_dir, environ), environ, DocumentCache())
