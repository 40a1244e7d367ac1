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
    parts = [re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns]
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL) if parts else None
