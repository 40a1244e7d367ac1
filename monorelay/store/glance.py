"""A look into the file from outside its own thread, for commands and for a start. It blocks, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def look(path: Path, query: Callable[[sqlite3.Connection], T]) -> T | None:
    """The query's result; None when the file is not there, or cannot be read."""
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
            return query(connection)
    except sqlite3.Error:
        return None
