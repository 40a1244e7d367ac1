"""Rows of text in columns, for people; scripts ask for JSON."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Every column as wide as its widest cell; the last one is left as it is.

    >>> columns([("a", "bb"), ("ccc", "d")])
    'a    bb\\nccc  d'
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    )
