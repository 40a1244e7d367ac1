"""``monorelay import OLD-CONFIG.yml``: the earlier system's one file, as config.yml, drop-ins and secrets of this one."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.command import Parser, add_config_dir, declare, prepared
from monorelay.cli.older import Shipped, translate
from monorelay.cli.older_outcome import Note, Outcome
from monorelay.cli.older_problems import Imported, in_old_words, leave_out
from monorelay.config.document import parse
from monorelay.config.load import Places, find_places, load, templates_of
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.writing import lines, tree_of
from monorelay.daemon.prepare import Candidate
from monorelay.daemon.start import BAD_CONFIGURATION

DESCRIPTION = """
Turn a config.yml of the earlier system (server, providers, model_routing, key_selection, tool_calling, logging) into files of this
one: config.yml (config.d/50-imported.yml, where there is a config.yml already), a file per provider in providers.d/, built upon
the shipped provider of that name or address, and each key in a file of its own in secrets/.

What has no counterpart is told line by line, with the reason and what to use instead. The result is checked as `monorelay check`
does: a rule for models that does not hold is left out and told, with its line; whatever else would be refused is told by the lines
of the old file, and nothing is written then. No existing file is ever overwritten.

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
    is_new = options.config_dir is not None and not options.config_dir.exists() and not options.dry_run
    if is_new:
        options.config_dir.mkdir(parents=True)
    shipped = Places(find_places(None, environ).vendor, None, None)
    providers = [Shipped(spec.name, spec.base_url) for spec in load(shipped, environ).providers]
    outcome = translate(old, providers, templates_of(shipped, environ))
    directory = Path(os.path.abspath(options.config_dir or "/etc/monorelay"))  # as problems name it
    job = _Import(options.old, outcome, directory, (directory / "config.yml").exists())
    if options.dry_run:
        return job.rehearse(environ)
    code = job.write(options.config_dir, environ)
    if code and is_new:
        with suppress(OSError):  # what is in it now is somebody else's
            options.config_dir.rmdir()
    return code


@dataclass(frozen=True, slots=True)
class _Import:
    """``beside``: there is a config.yml already."""

    source: Path
    outcome: Outcome
    directory: Path
    beside: bool

    @property
    def settings(self) -> str:
        """The name of the file that the settings go to."""
        return "config.d/50-imported.yml" if self.beside else "config.yml"

    def texts(self) -> dict[str, str]:
        """File name → text."""
        parts = {f"providers.d/{name}.yml": value for name, value in self.outcome.providers.items()}
        if settings := {name: section for name, section in self.outcome.settings.items() if section}:
            parts[self.settings] = settings
        head = f"# Imported from {self.source.name}."
        return {name: "\n".join([head, *lines(tree_of(value), lambda _: ""), ""]) for name, value in parts.items()}

    def write(self, config_dir: Path | None, environ: Mapping[str, str]) -> int:
        names = (*self.texts(), *(f"secrets/{name}" for name in self.outcome.secrets))
        if taken := [self.directory / name for name in names if (self.directory / name).exists()]:
            print(*(f"{path} exists, and is not overwritten" for path in taken), sep="\n", file=sys.stderr)
            return 1
        changes = Changes()
        try:
            candidate = self.put(self.directory, changes, lambda: prepared(config_dir, environ))
        except CannotWrite as error:
            changes.undo()
            print(error, file=sys.stderr)
            return 1
        self.tell()
        if not isinstance(candidate, Candidate):
            _refuse(candidate, self.source)
            print("refused: nothing was written", file=sys.stderr)
            return BAD_CONFIGURATION
        for path in changes.written:
            print(f"wrote {path}")
        print(f"ok: {candidate.summary}")
        return 0

    def rehearse(self, environ: Mapping[str, str]) -> int:
        """The same in a directory of its own, which goes again; existing files are there, too."""
        with tempfile.TemporaryDirectory(prefix="monorelay-import-") as place:
            there = Path(place) / "etc"
            try:
                if self.directory.is_dir():
                    shutil.copytree(self.directory, there, symlinks=True)
            except OSError as error:  # one line each would say the same of every file
                print(f"not all of {self.directory} can be read, so it cannot be rehearsed with: {_first(error)}", file=sys.stderr)
                return 1
            there.mkdir(exist_ok=True)
            candidate = self.put(there, Changes(), lambda: prepared(there, environ))
        self.tell()
        for name, text in self.texts().items():
            print(f"\n--- {self.directory / name}\n{text}", end="")
        for name in self.outcome.secrets:
            print(f"\n--- {self.directory / 'secrets' / name}: a key")
        print()
        if not isinstance(candidate, Candidate):
            _refuse([_elsewhere(one, there, self.directory) for one in candidate], self.source)
            return BAD_CONFIGURATION
        print(f"ok: {candidate.summary}, if it were written")
        return 0

    def put(self, directory: Path, changes: Changes, check: Callable[[], Candidate]) -> Candidate | list[Note | Problem]:
        """Writes the files and checks them, without what does not hold, as often as something can be left out. What remains wrong
        is returned, and nothing of the files is left. Raises CannotWrite."""
        while True:
            texts = self.texts()
            for name, text in self.outcome.secrets.items():
                changes.write_secret(directory / "secrets" / name, text + "\n")
            for name, text in texts.items():
                changes.write(directory / name, text)
            try:
                return check()
            except ConfigError as error:
                changes.undo()
                imported = Imported(texts, directory)
                if not leave_out(error.problems, imported, self.outcome, self.settings):
                    return list(in_old_words(error.problems, imported, self.outcome))

    def tell(self) -> None:
        for note in sorted(self.outcome.notes, key=lambda note: note.line):
            print(_line(note, self.source))


def _refuse(problems: Iterable[Note | Problem], source: Path) -> None:
    for problem in problems:
        print(_line(problem, source) if isinstance(problem, Note) else problem, file=sys.stderr)


def _line(note: Note, source: Path) -> str:
    return f"{source}:{note.line}: " + ": ".join(part for part in (note.path, note.text) if part)


def _elsewhere(told: Note | Problem, there: Path, directory: Path) -> Note | Problem:
    """As if the rehearsal had been where the files belong."""
    if isinstance(told, Note):
        return replace(told, text=told.text.replace(str(there), str(directory)))
    return replace(
        told, file=told.file.replace(str(there), str(directory)), message=told.message.replace(str(there), str(directory))
    )


def _first(error: OSError) -> str:
    """The first of the many that copying a directory collects."""
    several = error.args[0] if isinstance(error, shutil.Error) else ()
    return str(several[0][2]) if several else str(error)
