"""Values → YAML text that ``document.py``, and every other reader of YAML, takes for the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from monorelay.config.effective import Tree, Value

_COLUMN = 48  # where remarks begin, if the line leaves them room
_WIDE = 100  # a list that fits is written in one line
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+=*?-]*(?::[A-Za-z0-9/][A-Za-z0-9_./@+=*?-]*)*")
_TAKEN = frozenset("true false null yes no on off y n none".split())
_UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Remark = Callable[[Value], str]


def scalar(value: Any, inside: bool = False) -> str:
    """A scalar, or an empty mapping or list, in one line; ``inside`` [ ], where libyaml takes no colon in plain text.

    >>> scalar("yes"), scalar("gpt-4*"), scalar(None)
    ('"yes"', 'gpt-4*', 'null')
    """
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN and not (inside and ":" in value):
            return value
        return _UNPRINTABLE.sub(_escaped, json.dumps(value, ensure_ascii=False))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def tree_of(value: Any) -> Tree:
    """Plain values, ready to be written."""
    if isinstance(value, dict) and value:
        return {name: tree_of(inside) for name, inside in value.items()}
    if isinstance(value, list) and value:
        return [tree_of(item) for item in value]
    return Value(value, None)


def lines(tree: Tree, remark: Remark, indent: str = "") -> Iterator[str]:
    """A mapping or list in block style, each value with what ``remark`` says of it ("" = nothing) as a comment."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, inside in entries:
        begin = f"{indent}{scalar(name)}:" if isinstance(tree, dict) else f"{indent}-"
        if isinstance(inside, Value):
            yield _line(f"{begin} {scalar(inside.value)}", remark(inside))
        elif isinstance(inside, list) and (short := _in_one_line(inside, remark)) is not None:
            yield _line(f"{begin} {short[0]}", short[1])
        elif isinstance(tree, dict):
            yield begin
            yield from lines(inside, remark, indent + "  ")
        else:  # the first entry of an item stands behind its dash
            below = list(lines(inside, remark, indent + "  "))
            yield f"{indent}- {below[0][len(indent) + 2 :]}"
            yield from below[1:]


def _in_one_line(items: list[Tree], remark: Remark) -> tuple[str, str] | None:
    values = [item for item in items if isinstance(item, Value)]
    if len(values) < len(items) or len({remark(value) for value in values}) > 1:
        return None
    text = f"[{', '.join(scalar(value.value, inside=True) for value in values)}]"
    return (text, remark(values[0])) if len(text) <= _WIDE else None


def _line(text: str, remark: str) -> str:
    return f"{text:<{_COLUMN}}  # {remark}" if remark else text
