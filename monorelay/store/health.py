"""A look at the database of a relay, from outside and without a change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from monorelay.store.schema import MIGRATIONS


def trouble_of(path: Path) -> str:
    """What is wrong with the file, in a sentence's end; "" where nothing is, or where there is no file yet. It blocks."""
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                return f"was written by a newer release (version {version} of its tables; this one knows {len(MIGRATIONS)})"
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return "" if found == "ok" else f"is damaged: {found}"
    except sqlite3.Error as error:
        return f"cannot be read: {error}"
