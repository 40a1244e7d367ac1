"""Paths into a JSON body, and the three edits that an operator makes with them.

A path is names with dots between them: ``a.b``; ``messages.0.content``, where ``-1`` is the last; ``tools.*.function.strict`` for
each element or member. One that asks a list for a name, or for an element that it has not, leads nowhere, and nothing is changed:
a list is never made up, and never gives way to a mapping, because it is most often the conversation.

Each edit takes what stands at the beginning of a path and returns it changed: what stands on the path is copied, the rest is shared
with what came, and what is not changed is the very same.

>>> inject({"a": {"b": 1}}, path_of("a.c"), 2)
{'a': {'b': 1, 'c': 2}}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Path = tuple[str, ...]
Edit = Callable[[Any, Path, Any], Any]

_NUMBER = re.compile(r"-?[0-9]{1,6}")


def path_of(text: str) -> Path:
    return tuple(text.split("."))


def inject(holder: Any, path: Path, value: Any) -> Any:
    """The last name, where it is missing, with the mappings that lead to it."""
    name, rest = path[0], path[1:]
    if name == "*":
        return _each(holder, lambda one: inject(one, rest, value)) if rest else holder
    if isinstance(holder, dict) and name not in holder:
        return {**holder, name: _nested(rest, value)} if _is_plain(rest) else holder
    return _at(holder, name, lambda one: inject(one, rest, value)) if rest else holder


def override(holder: Any, path: Path, value: Any) -> Any:
    """The last name, whatever it was. What stands on the way and is no container gives way to a mapping."""
    name, rest = path[0], path[1:]

    def change(one: Any) -> Any:
        if not rest:
            return one if one == value and repr(one) == repr(value) else value  # True and 1.0 are equal to 1
        if isinstance(one, (dict, list)):
            return override(one, rest, value)
        return _nested(rest, value) if _is_plain(rest) else one

    if name == "*":
        return _each(holder, change)
    if isinstance(holder, dict) and name not in holder:
        return {**holder, name: _nested(rest, value)} if _is_plain(rest) else holder
    return _at(holder, name, change)


def remove(holder: Any, path: Path, _: Any) -> Any:
    """The last name is taken out, if it is there."""
    name, rest = path[0], path[1:]
    if rest:
        if name == "*":
            return _each(holder, lambda one: remove(one, rest, None))
        return _at(holder, name, lambda one: remove(one, rest, None))
    if name == "*":
        return type(holder)() if isinstance(holder, (dict, list)) and holder else holder
    if isinstance(holder, dict):
        return {other: value for other, value in holder.items() if other != name} if name in holder else holder
    at = _index(holder, name)
    return holder if at is None else [*holder[:at], *holder[at + 1 :]]


def _at(holder: Any, name: str, change: Callable[[Any], Any]) -> Any:
    """``holder`` with its member or element of this name changed, if it has one."""
    key: Any = name if isinstance(holder, dict) and name in holder else _index(holder, name)
    if key is None:
        return holder
    before = holder[key]
    after = change(before)
    if after is before:
        return holder
    copy = holder.copy()
    copy[key] = after
    return copy


def _each(holder: Any, change: Callable[[Any], Any]) -> Any:
    pairs = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
    changed = [(key, after) for key, before in pairs if (after := change(before)) is not before]
    if not changed:
        return holder
    copy = holder.copy()
    for key, after in changed:
        copy[key] = after
    return copy


def _index(holder: Any, name: str) -> int | None:
    """Where ``name`` stands in a list, counted from its beginning; None where it is no list or has no such element."""
    if not isinstance(holder, list) or not _NUMBER.fullmatch(name):
        return None
    at = int(name)
    at += len(holder) if at < 0 else 0
    return at if 0 <= at < len(holder) else None


def _is_plain(path: Path) -> bool:
    """Whether it leads through mappings only: a list is never made up."""
    return not any(name == "*" or _NUMBER.fullmatch(name) for name in path)


def _nested(path: Path, value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value
