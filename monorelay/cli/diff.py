"""``monorelay diff``: what a reload would change."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from monorelay.cli.command import Parser, add_json, declare, snapshot_of
from monorelay.cli.relay_socket import NoRelay, add_relay, ask, denial, find
from monorelay.config.load import Places, find_places
from monorelay.config.problems import dotted
from monorelay.config.settings import StartupSpec
from monorelay.config.snapshot import SERVED, Change, Shown, Snapshot, changes, unpacked
from monorelay.plan.serving import few

DESCRIPTION = """
Compare the files with what the running relay serves: providers, keys (by label and fingerprint), rules for models, routes and
settings that a reload would bring, take away or change. What follows for routes comes last, those that gain or lose the same
providers in one (--json has each). Nothing is changed, and no secret is shown.

References such as ${NAME} are resolved in the environment of this command, which may differ from a running service's.

    monorelay diff
    monorelay diff --against /root/etc-before     with the files of another directory, instead of a relay

exit codes: 0 nothing would change, 1 something would, 2 there is nothing to compare with, 78 the files would be refused
"""
AT_RESTART = {("server", name) for name in ("listen", *StartupSpec.__dataclass_fields__)}  # listen is host and port
LIMIT = 10.0


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_relay(parser)
    parser.add_argument("--against", type=Path, metavar="DIR", help="compare with the files in DIR instead")
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if options.against is not None and (options.socket is not None or options.pid is not None):
        print("--against compares with files: --socket and --pid name a relay, and none is asked", file=sys.stderr)
        return 2
    places = find_places(options.config_dir, environ)
    after = snapshot_of(places, environ)
    try:
        before = _before(options, places, environ)
    except (NoRelay, PermissionError, TimeoutError, ValueError) as error:
        print(denial(error) if isinstance(error, PermissionError) else error, file=sys.stderr)
        return 2
    found = list(changes(before, after))
    if options.json:
        print(json.dumps([_value(change) for change in found], indent=1))
    else:
        print("\n".join(_lines(found)) or "nothing would change")
    return 1 if found else 0


def _before(options: argparse.Namespace, places: Places, environ: Mapping[str, str]) -> Snapshot:
    if options.against is not None:
        return snapshot_of(Places(places.vendor, find_places(options.against, environ).operator, places.runtime), environ)
    return unpacked(ask(find(options, environ), {"ask": "effective"}, LIMIT))


def _lines(found: list[Change]) -> Iterator[str]:
    """What was written first; what follows from it for routes after that, those with the same consequence together."""
    yield from _written([change for change in found if change.path != SERVED])
    routes: dict[tuple[str, ...], list[str]] = {}
    for change in found:
        if change.path == SERVED:
            routes.setdefault(tuple(_changed(change)), []).append(change.part[1])
    for consequence, names in routes.items():
        yield f"~ route {names[0]}" if len(names) == 1 else f"~ {len(names)} routes: {few(names)}"
        yield from consequence


def _written(found: list[Change]) -> Iterator[str]:
    for (kind, name), group in groupby(found, lambda change: change.part):
        whole = list(group)
        title = f"{kind} {name}".strip()
        if not whole[0].path:
            yield _line("-" if whole[0].after is None else "+", title, _about(whole[0].after or whole[0].before), whole[0].after)
            continue
        yield f"~ {title}"
        for change in whole:
            yield from _changed(change)


def _changed(change: Change) -> Iterator[str]:
    path = dotted(change.path)
    was, now = change.before, change.after
    restart = "  (at the next restart)" if change.part[0] == "settings" and change.path in AT_RESTART else ""
    if isinstance(was and was.value, list) and isinstance(now and now.value, list):
        assert was is not None and now is not None
        lost = [item for item in was.value if item not in now.value]
        gained = [item for item in now.value if item not in was.value]
        for item in lost:
            yield f"    - {path}: {_text(item)}"
        for item in gained:
            yield _line("    +", f"{path}: {_text(item)}", "", now)
        if not lost and not gained:
            yield _line("    ~", f"{path}: in another order: {_text(now.value)}", "", now)
    elif now is None:
        assert was is not None
        yield f"    - {path}: {_text(was.value)}{restart}"
    elif was is None:
        yield _line("    +", f"{path}: {_text(now.value)}{restart}", "", now)
    else:
        yield _line("    ~", f"{path}: {_text(was.value)} → {_text(now.value)}{restart}", "", now)


def _line(sign: str, text: str, about: str, shown: Shown | None) -> str:
    place = f"  {shown.origin}" if shown is not None and shown.origin is not None else ""
    return f"{sign} {text}{about}{place}"


def _about(shown: Shown | None) -> str:
    """``: on, keys main, spare`` or ``: POST /v1/x, served by a``"""
    told: dict[str, Any] = shown.value if shown is not None else {}
    words = []
    if "path" in told:
        words.append(f"{','.join(told.get('methods', []))} {told['path']}")
    if "state" in told:
        words.append(told["state"])
    if told.get("keys"):
        words.append(f"keys {', '.join(told['keys'])}")
    if told.get("served by"):
        words.append(f"served by {', '.join(told['served by'])}")
    return f": {', '.join(words)}" if words else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _value(change: Change) -> dict[str, Any]:
    place = change.after.origin if change.after is not None else None
    return {
        "part": change.part[0],
        "name": change.part[1],
        "path": list(change.path),
        "change": "gained" if change.before is None else "lost" if change.after is None else "changed",
        "before": change.before.value if change.before is not None else None,
        "after": change.after.value if change.after is not None else None,
        "file": place.file if place is not None else None,
        "line": place.line if place is not None else None,
    }
