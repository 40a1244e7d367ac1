"""What is in force, small enough to be kept and safe to be shown: what `monorelay diff` compares.

Parts (the settings, each provider, each route) hold values by path. A credential is its fingerprint; a key is known by its label,
so that one more in front does not change all others; a list of scalars is one value.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.describe import Description
from monorelay.config.effective import Tree, Value
from monorelay.config.fields import Origin, Path

Kind = Literal["settings", "provider", "route"]
Part = tuple[Kind, str]
SERVED: Path = ("served by",)  # nobody writes it: it follows from the providers
_KINDS: tuple[Kind, ...] = ("settings", "provider", "route")


@dataclass(frozen=True, slots=True)
class Shown:
    """``value`` is JSON; the origin is not compared, and None where it is built in, or comes from a relay."""

    value: Any
    origin: Origin | None = None


Snapshot = dict[Part, dict[Path, Shown]]


def snapshot(description: Description, states: Mapping[str, str], served: Mapping[str, list[str]], certificate: str) -> Snapshot:
    """``states`` of the providers in a word; ``served``: relayed route → the providers that take its calls, in order.

    ``certificate``: which one clients are shown, since the file of that name may be another tomorrow; empty where there is none.
    """
    by_file: dict[Path, Shown] = {("server", "tls"): Shown(certificate)} if certificate else {}
    parts: Snapshot = {("settings", ""): {**dict(_values(description.settings, ())), **by_file}}
    for name, tree in description.providers.items():
        parts["provider", name] = {("state",): Shown(states[name]), **dict(_values(tree, ()))}
    for name, tree in description.routes.items():
        by: dict[Path, Shown] = {SERVED: Shown(served[name])} if name in served else {}
        parts["route", name] = {**by, **dict(_values(tree, ()))}
    return parts


def _values(tree: Tree, path: Path) -> Iterator[tuple[Path, Shown]]:
    if isinstance(tree, Value):
        yield path, Shown(_shown(tree), tree.origin)
    elif isinstance(tree, dict):
        for name, inside in tree.items():
            yield from _values(inside, (*path, name))
    elif path == ("keys",):
        for index, key in enumerate(tree):
            label = key["label"] if isinstance(key, dict) and "label" in key else None
            name = str(label.value) if isinstance(label, Value) else f"key-{index + 1}"
            whole = key if isinstance(key, dict) else {"secret": key}
            yield from _values({field: inside for field, inside in whole.items() if field != "label"}, ("keys", name))
    else:
        values = [item for item in tree if isinstance(item, Value)]
        if len(values) == len(tree):
            yield path, Shown([_shown(value) for value in values], values[0].origin)
        else:
            for index, inside in enumerate(tree):
                yield from _values(inside, (*path, index))


def _shown(value: Value) -> Any:
    return f"secret {value.fingerprint}" if value.fingerprint else value.resolved or value.value


# ---------------------------------------------------------------------------------------------------- kept


def packed(parts: Snapshot) -> bytes:
    """One line of JSON for the control socket, compressed inside: a relay keeps it as long as the generation."""
    plain = [[*part, [[list(path), one.value] for path, one in values.items()]] for part, values in parts.items()]
    squeezed = zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 9)
    return json.dumps({"effective": base64.b64encode(squeezed).decode()}).encode()


def unpacked(answer: Mapping[str, Any]) -> Snapshot:
    """Raises ValueError where it is none."""
    try:
        plain = json.loads(zlib.decompress(base64.b64decode(answer["effective"])))
    except (KeyError, TypeError, zlib.error) as error:
        raise ValueError("is no snapshot of a configuration") from error
    return {(kind, name): {tuple(path): Shown(value) for path, value in values} for kind, name, values in plain}


# ---------------------------------------------------------------------------------------------------- compared


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` or ``after`` is None where the value, or (path empty) the whole part, is not there."""

    part: Part
    path: Path
    before: Shown | None
    after: Shown | None


def changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """All that a reload would change, part by part, routes after the providers that serve them; of a part that comes or goes only
    that, and its state."""
    for part in sorted({**before, **after}, key=lambda part: _KINDS.index(part[0])):
        old, new = before.get(part), after.get(part)
        if old is None or new is None:
            yield Change(part, (), _whole(old), _whole(new))
            continue
        for path in (*old, *(one for one in new if one not in old)):
            was, now = old.get(path), new.get(path)
            if (was.value if was is not None else None) != (now.value if now is not None else None):
                yield Change(part, path, was, now)


def _whole(values: Mapping[Path, Shown] | None) -> Shown | None:
    """A part in one value: its first ones say where it was written, and what it is."""
    if values is None:
        return None
    told = {str(path[0]): one.value for path, one in values.items() if path in (("state",), SERVED, ("methods",), ("path",))}
    keys = sorted({str(path[1]) for path in values if path[:1] == ("keys",)})
    origin = next((one.origin for one in values.values() if one.origin is not None), None)
    return Shown({**told, **({"keys": keys} if keys else {})}, origin)
