"""``monorelay enable PROVIDER``: a key is asked for, kept where the service can read it, and the provider is on."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from monorelay.cli.applying import add_reload, checked, maybe_reload
from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.command import Parser, add_config_dir, declare
from monorelay.cli.provider_file import Provider, Unclear, is_switch_only, masks, new_file, provider_of, switched, unknown
from monorelay.config.load import Survey, find_places, survey
from monorelay.config.scalars import base_url
from monorelay.config.writing import scalar

DESCRIPTION = """
Switch a provider on. It asks for the key, without showing it, and writes two files of yours: secrets/NAME-main with the key, for
you and the service only, and providers.d/NAME.yml, which builds upon the shipped one. Then it checks the result as `monorelay
check` does; if anything would be refused, both files are gone again. An existing file is only changed in its line `enabled:`.

    monorelay enable openai
    monorelay enable openai --key-stdin --reload < key.txt   the same for scripts; with a key it has, the key is replaced
    monorelay enable house --base-url http://10.0.0.7:8000/v1      one that nobody ships
    monorelay enable house --base-url http://10.0.0.7:8000 --extends anthropic-compatible --no-key

exit codes: 0 it is on, 1 it is not, and why, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("provider", metavar="PROVIDER", help="one of `monorelay providers`, or a new name with --base-url")
    parser.add_argument("--base-url", metavar="URL", help="where it is")
    parser.add_argument("--extends", metavar="TEMPLATE", help="the template of a new one (openai-compatible)")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--key-file", type=Path, metavar="FILE", help="take the key from a file's first line")
    key.add_argument("--key-stdin", action="store_true", help="take it from the first line of standard input")
    key.add_argument("--no-key", action="store_true", help="it needs none")
    add_config_dir(parser)
    add_reload(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    places = find_places(options.config_dir, environ)
    assert places.operator is not None
    now = survey(places, environ)
    changes = Changes()
    try:
        found = provider_of(options.provider, places, environ, now)
        _plan(options, found, now, changes, places.operator, new_file(found.name, places) if found.file is None else found.file)
    except (Unclear, CannotWrite) as error:
        changes.undo()
        print(error, file=sys.stderr)
        return 1
    candidate = checked(changes, options, environ)
    provider = candidate.plan.providers.get(found.name)
    if provider is None or not provider.enabled:
        changes.undo()
        print(f"{found.name} would still be off: `monorelay edit {found.name}` shows its file", file=sys.stderr)
        return 1
    for path in changes.written:
        print(f"wrote {path}")
    keys = ", ".join(f"{key.label} ({key.secret.fingerprint})" for key in provider.spec.keys if key.enabled)
    if keys or provider.spec.auth is None:
        print(f"{found.name} is on, " + (f"with the key {keys}" if keys else "without a key"))
    else:
        path = Path(provider.spec.origins.root.file)
        how = f"enable {found.name} --key-stdin" if is_switch_only(path, found.name) else f"edit {found.name}"
        print(f"{found.name} is on, but no key of it is seen here; without one each call ends with no_keys: `monorelay {how}`")
    return maybe_reload(options)


def _plan(options: argparse.Namespace, found: Provider, now: Survey, changes: Changes, directory: Path, path: Path) -> None:
    """Writes what has to be written. Raises Unclear, CannotWrite."""
    given = options.key_file is not None or options.key_stdin
    if found.file is None or given and is_switch_only(path, found.name):
        _write_new(options, found, now, changes, directory, path)
        return
    text = path.read_text(encoding="utf-8")
    if options.base_url or options.extends:
        raise Unclear(f"{path} is yours already: change it with `monorelay edit {found.name}`")
    secret = directory / _secret_name(found.name)
    needs_key = found.spec is None or found.spec.auth is not None
    if (given and f"${{file:{_secret_name(found.name)}}}" not in text) or (options.no_key and needs_key):
        raise Unclear(f"{path} is yours already, and says itself where its keys are: `monorelay edit {found.name}`")
    if given:
        changes.write_secret(secret, _read_key(options, found.name) + "\n")
    if found.spec is not None and found.spec.enabled is False:
        try:
            changes.write(path, switched(text, "true"))
        except Unclear as error:
            raise Unclear(f"{path} {error}") from error
    elif not given and (found.spec is None or found.spec.enabled is True or found.spec.keys):
        raise Unclear(f"{found.name} is on already ({path})")


def _write_new(options: argparse.Namespace, found: Provider, now: Survey, changes: Changes, directory: Path, path: Path) -> None:
    lines = [f"provider: {scalar(found.name)}"]
    known = found.spec or found.shipped
    if known is None and not options.base_url:
        raise unknown(options.provider, now)
    if options.extends and known is not None:
        raise Unclear(f"{found.name} is known already: it is built upon what is shipped")
    lines.append(f"extends: {scalar(found.name if known is not None else options.extends or 'openai-compatible')}")
    if options.base_url:
        lines.append(f"base_url: {scalar(_valid(base_url, options.base_url, '--base-url'))}")
    if known is not None and known.enabled is False:
        lines.append("enabled: true")
    if options.no_key:
        lines += ["auth: none", "keys: []"] if known is None or known.auth is not None else []
    elif known is None or known.auth is not None:
        secret = _secret_name(found.name)
        lines.append(f'keys: [{{label: main, secret: "${{file:{secret}}}"}}]')
        key = _read_key(options, found.name)
        if (directory / secret).is_file() and (directory / secret).read_text(errors="replace").strip() != key:
            raise Unclear(f"{directory / secret} exists, with another key in it: remove it first, if nothing else reads it")
        changes.write_secret(directory / secret, key + "\n")
    if path.exists() and masks(path):
        print(f"{path} took the shipped file away; it is replaced")
    what = "yours; what it does not say is said by the shipped one" if known is not None else "yours"
    changes.write(path, f"# {found.name}, {what}. Written by `monorelay enable`.\n" + "\n".join(lines) + "\n")


def _secret_name(provider: str) -> str:
    return f"secrets/{provider}-main"


def _read_key(options: argparse.Namespace, provider: str) -> str:
    """Raises Unclear where there is none, or where it is none."""
    if options.key_file is not None:
        try:
            with open(options.key_file, encoding="utf-8", errors="replace") as file:
                key = file.readline()
        except OSError as error:
            raise Unclear(f"{options.key_file} cannot be read: {error.strerror}") from error
    elif options.key_stdin:
        key = sys.stdin.readline()
    elif sys.stdin.isatty():
        try:
            key = getpass.getpass(f"key for {provider} (it is not shown): ")
        except EOFError:
            print(file=sys.stderr)  # Ctrl-D leaves the cursor behind the question
            key = ""
    else:
        raise Unclear("nobody is there to be asked for the key: use --key-stdin or --key-file FILE")
    key = key.strip()
    if not key:
        raise Unclear("no key was given")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Unclear("what was given holds a space, or a character that no header can carry")
    return key


def _valid(reads: Callable[[str], str], text: str, what: str) -> str:
    try:
        return reads(text)
    except ValueError as error:
        raise Unclear(f"{what} {error}") from error
