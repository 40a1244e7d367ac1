"""Drop-in schemas: how a field is declared.

A schema says which fields there are, of which shape, what each is for, and which reading function (``scalars.py``) understands its
text. ``checker.py`` holds a document against it; specs can be imported without that, and without Cerberus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rules = dict[str, Any]
Schema = dict[str, Rules]


class _Faulty:
    """The one value that stands where a fault was already reported."""

    def __repr__(self) -> str:
        return "FAULTY"


FAULTY = _Faulty()


def field(
    kind: str | list[str],
    meaning: str = "",
    *,
    reads: Callable[[Any], object] | None = None,
    default: str = "",
    shown: str = "",
    **rules: Any,
) -> Rules:
    """One field: its shape, one-line help, and the function that reads it. ``default`` and ``shown`` are for the reference page."""
    if reads is not None:
        rules["check_with"] = _check(reads)
    return {"type": kind, "meta": {"help": meaning, "default": default, "shown": shown}, **rules}


def holds_reference(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def _check(reads: Callable[[Any], object]) -> Callable[[Any, Any, Callable[[Any, str], None]], None]:
    def check(name: Any, value: Any, complain: Callable[[Any, str], None]) -> None:
        if value is None or (isinstance(value, str) and "$" in value):
            return
        try:
            reads(value)
        except ValueError as error:
            complain(name, str(error))

    return check
