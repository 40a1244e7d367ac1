"""Globs of header names and model names: ``*`` and ``?``, nothing else, matched whole and case-insensitively."""

from __future__ import annotations

import re
from collections.abc import Iterable


def is_glob(text: str) -> bool:
    return "*" in text or "?" in text


def compile_glob(pattern: str) -> re.Pattern[str]:
    found = compile_globs([pattern])
    assert found is not None
    return found


def compile_globs(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for all of them; None for none. Use ``fullmatch``."""
    parts = [_expression(pattern) for pattern in patterns]
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL) if parts else None


def _expression(pattern: str) -> str:
    """What stands between two stars is taken where it is met first, for good: else every star would multiply the time of a miss."""
    first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not rest:
        return first
    return first + "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece) + ".*" + rest[-1]
