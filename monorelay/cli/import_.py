"""``monorelay import OLD-CONFIG.yml``: the earlier system's one file, as config.yml, drop-ins and secrets of this one."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.command import Parser, add_config_dir, declare, prepared
from monorelay.cli.older import Outcome, Shipped, translate
from monorelay.config.document import parse
from monorelay.config.load import Places, find_places, load, templates_of
from monorelay.config.problems import ConfigError
from monorelay.config.writing import lines, tree_of
from monorelay.daemon.start import BAD_CONFIGURATION

DESCRIPTION = """
Turn a config.yml of the earlier system (server, providers, model_routing, key_selection, tool_calling, logging) into files of this
one: config.yml (config.d/50-imported.yml, where there is a config.yml already), a file per provider in providers.d/, built upon
the shipped provider of that name or address, and each key in a file of its own in secrets/.

What has no counterpart is told line by line, with the reason and what to use instead. The result is checked as `monorelay check`
does; if it would be refused, nothing is left of it. No existing file is ever overwritten.

    monorelay import old/config.yml --dry-run
    monorelay import old/config.yml --config-dir ./etc

exit codes: 0 imported, 1 the file cannot be read, or others are in the way, 78 the result would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("old", type=Path, metavar="OLD-CONFIG.yml")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written, and check it, but write nothing")
    add_config_dir(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        old = parse(options.old.read_text(encoding="utf-8"), str(options.old))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        print(f"{options.old} cannot be read: {error}" if isinstance(error, UnicodeDecodeError) else error, file=sys.stderr)
        return 1
    if old.value is None:
        print(f"{options.old} is empty", file=sys.stderr)
        return 1
    if options.config_dir is not None and not options.config_dir.exists() and not options.dry_run:
        options.config_dir.mkdir(parents=True)
    directory: Path = options.config_dir or Path("/etc/monorelay")
    shipped = Places(find_places(None, environ).vendor, None, None)
    providers = [Shipped(spec.name, spec.base_url) for spec in load(shipped, environ).providers]
    outcome = translate(old, providers, templates_of(shipped, environ))
    texts = _texts(outcome, options.old.name, (directory / "config.yml").exists())
    for note in outcome.notes:
        print(f"{options.old}:{note.line}: {note.path}: {note.text}")
    if options.dry_run:
        return _rehearse(texts, outcome.secrets, options, environ, directory)
    taken = [directory / name for name in (*texts, *(f"secrets/{name}" for name in outcome.secrets)) if (directory / name).exists()]
    if taken:
        print(*(f"{path} exists, and is not overwritten" for path in taken), sep="\n", file=sys.stderr)
        return 1
    return _write(texts, outcome.secrets, directory, options, environ)


def _texts(outcome: Outcome, source: str, beside: bool) -> dict[str, str]:
    """File name → text."""
    parts = {f"providers.d/{name}.yml": value for name, value in outcome.providers.items()}
    if outcome.settings:
        parts["config.d/50-imported.yml" if beside else "config.yml"] = outcome.settings
    return {
        name: "\n".join([f"# Imported from {source}.", *lines(tree_of(value), lambda _: ""), ""]) for name, value in parts.items()
    }


def _write(
    texts: Mapping[str, str], secrets: Mapping[str, str], directory: Path, options: argparse.Namespace, environ: Mapping[str, str]
) -> int:
    changes = Changes()
    try:
        for name, text in secrets.items():
            changes.write_secret(directory / "secrets" / name, text + "\n")
        for name, text in texts.items():
            changes.write(directory / name, text)
        candidate = prepared(options.config_dir, environ)
    except CannotWrite as error:
        changes.undo()
        print(error, file=sys.stderr)
        return 1
    except ConfigError as error:
        changes.undo()
        for problem in error.problems:
            print(problem, file=sys.stderr)
        print("refused: nothing was written", file=sys.stderr)
        return BAD_CONFIGURATION
    for path in changes.written:
        print(f"wrote {path}")
    print(f"ok: {candidate.summary}")
    return 0


def _rehearse(
    texts: Mapping[str, str], secrets: Mapping[str, str], options: argparse.Namespace, environ: Mapping[str, str], directory: Path
) -> int:
    """The same in a directory of its own, which goes again; existing files are there, too."""
    for name, text in texts.items():
        print(f"\n--- {directory / name}\n{text}", end="")
    for name in secrets:
        print(f"\n--- {directory / 'secrets' / name}: a key")
    with tempfile.TemporaryDirectory(prefix="monorelay-import-") as place:
        there = Path(place) / "etc"
        if directory.is_dir():
            shutil.copytree(directory, there, symlinks=True)
        there.mkdir(exist_ok=True)
        print()
        try:
            for name, text in (*texts.items(), *((f"secrets/{name}", text) for name, text in secrets.items())):
                Changes().write_secret(there / name, text)
            candidate = prepared(there, environ)
        except ConfigError as error:
            for problem in error.problems:
                print(str(problem).replace(str(there), str(directory)), file=sys.stderr)
            return BAD_CONFIGURATION
    print(f"ok: {candidate.summary}, if it were written")
    return 0
