"""The end of every command that writes files of the operator: the check, the way back, and the offer to reload."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping

from monorelay.cli.changes import Changes
from monorelay.cli.command import Parser, prepared
from monorelay.cli.relay_socket import NoRelay, find
from monorelay.config.problems import ConfigError
from monorelay.daemon.prepare import Candidate


def add_reload(parser: Parser) -> None:
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--reload", action="store_true", default=None, help="put it in force at once, without asking")
    when.add_argument("--no-reload", dest="reload", action="store_false", help="do not ask whether to put it in force")


def checked(changes: Changes, options: argparse.Namespace, environ: Mapping[str, str]) -> Candidate:
    """What the files add up to now. Raises ConfigError, with every file as it was before."""
    try:
        return prepared(options.config_dir, environ)
    except ConfigError:
        changes.undo()
        raise


def ask(question: str) -> bool:
    """Yes unless somebody says no."""
    try:
        return input(f"{question} [Y/n] ").strip().lower() in ("", "y", "yes")
    except EOFError:
        return False


def maybe_reload(options: argparse.Namespace) -> int:
    """Reloads if that was asked for, asks where somebody is there to answer and a relay to reload, else says how. The exit code."""
    from monorelay.cli.main import main  # not above: it is what loads this file

    command = ["reload", *(("--config-dir", str(options.config_dir)) if options.config_dir is not None else ())]
    wanted = options.reload
    if wanted is None:
        wanted = sys.stdin.isatty() and _is_running(options) and ask("reload the running relay now?")
    if not wanted:
        print(f"it takes effect at the next reload: {shlex.join(['monorelay', *command])}")
        return 0
    return main(command)


def _is_running(options: argparse.Namespace) -> bool:
    """Whether there is one relay that reads these files. Another user's counts: why it cannot be asked is worth telling."""
    try:
        find(argparse.Namespace(config_dir=options.config_dir, socket=None, pid=None), os.environ)
    except PermissionError:
        return True
    except NoRelay:
        return False
    return True
