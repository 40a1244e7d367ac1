"""``monorelay edit PROVIDER``: the operator's file of a provider in an editor, and in force only if it holds."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from monorelay.cli.applying import add_reload, ask, maybe_reload
from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.command import Parser, add_config_dir, declare, prepared
from monorelay.cli.provider_file import Provider, Unclear, new_file, provider_of, unknown
from monorelay.config.load import Survey, find_places, survey
from monorelay.config.problems import ConfigError
from monorelay.config.writing import scalar
from monorelay.daemon.start import BAD_CONFIGURATION

DESCRIPTION = """
Open your file of a provider in $VISUAL, else $EDITOR, else the system's `editor`, else vi. Where there is no file yet you begin
with one that builds upon the shipped provider and shows, in comments, what that says. The result is checked as `monorelay check`
does before it replaces anything; you are asked whether to edit again while it would be refused.

    monorelay edit openai
    monorelay edit house --base-url http://10.0.0.7:8000/v1     begins a new one

exit codes: 0 it is in place, or nothing was changed, 1 it could not be edited, 78 it would be refused, and nothing has changed
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("provider", metavar="PROVIDER", help="one of `monorelay providers`, or a new name with --base-url")
    parser.add_argument("--base-url", metavar="URL", help="where a new one is")
    parser.add_argument("--extends", metavar="TEMPLATE", help="its template (openai-compatible)")
    add_config_dir(parser)
    add_reload(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    places = find_places(options.config_dir, environ)
    try:
        now: Survey | None = survey(places, environ)
    except ConfigError:
        now = None  # perhaps this very file is what is to be mended
    try:
        found = provider_of(options.provider, places, environ, now)
        if (options.base_url or options.extends) and (found.file is not None or found.shipped is not None):
            raise Unclear(f"{found.name} is no new one: --base-url and --extends belong into its file, where you can write them")
        path = found.file or new_file(found.name, places)
        before = found.file.read_text(encoding="utf-8") if found.file is not None else _skeleton(found, options, now)
        return _edit(path, before, options, environ)
    except (Unclear, CannotWrite, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _edit(path: Path, before: str, options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """A copy is edited. Its name begins with a dot, so no reload reads it; what was refused stays in it."""
    editor = _editor(environ)  # before the copy is made: one that nobody has seen would be taken for refused the next time
    draft = path.with_name(f".{path.stem}.draft.yml")
    if draft.exists():
        print(f"going on with what was refused the last time ({draft})")
    else:
        Changes().write_private(draft, before)  # a file of one's own may hold keys
    while True:
        _open_editor(draft, editor)
        text = draft.read_text(encoding="utf-8")
        if text == before:
            draft.unlink()
            print("nothing was changed")
            return 0
        changes = Changes()
        changes.write(path, text)
        try:
            candidate = prepared(options.config_dir, environ)
            break
        except ConfigError as error:
            changes.undo()
            for problem in error.problems:
                print(problem, file=sys.stderr)
        if not (sys.stdin.isatty() and ask("it would be refused. edit again?")):
            print(f"nothing has changed; what you wrote is in {draft}", file=sys.stderr)
            return BAD_CONFIGURATION
    draft.unlink()
    for warning in candidate.plan.warnings:
        if warning.file == str(path):
            print(f"warning: {warning}", file=sys.stderr)
    print(f"wrote {path}")
    return maybe_reload(options)


def _editor(environ: Mapping[str, str]) -> list[str]:
    """The command, without a file. Raises Unclear where there is none."""
    places = environ.get("PATH", os.defpath)
    usual = "editor" if shutil.which("editor", path=places) else "vi"  # Debian's own, which update-alternatives sets
    command = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or usual)
    if not command or shutil.which(command[0], path=places) is None:
        raise Unclear(f"the editor {' '.join(command) or '(none)'} is not there: set VISUAL or EDITOR")
    return command


def _open_editor(path: Path, command: list[str]) -> None:
    code = subprocess.call([*command, str(path)])
    if code != 0:
        raise Unclear(f"the editor ended with {code}; what you wrote is in {path}")


def _skeleton(found: Provider, options: argparse.Namespace, now: Survey | None) -> str:
    name = scalar(found.name)
    if found.shipped is not None:
        shipped = "\n".join(f"#   {line}".rstrip() for line in found.shipped_text.splitlines())
        source = found.shipped.origins.root.file
        return (
            f"# {found.name}, yours: what you say here stands above what is shipped, entry by entry; lists are replaced whole.\n"
            f"provider: {name}\nextends: {name}\n\n# What {source} says:\n#\n{shipped}\n"
        )
    if not options.base_url:
        raise unknown(found.name, now)
    return (
        f"# {found.name}, yours; `monorelay dump --providers {found.name}` shows what its template adds.\n"
        f"provider: {name}\nextends: {scalar(options.extends or 'openai-compatible')}\nbase_url: {scalar(options.base_url)}\n"
        f'keys: [{{label: main, secret: "${{file:secrets/{found.name}-main}}"}}]     # or: auth: none\n'
    )
