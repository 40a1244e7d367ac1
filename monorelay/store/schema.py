"""The tables, as steps that lead from an empty file to the newest shape.

``PRAGMA user_version`` counts the steps a file has seen. A step that was released is never edited: the next change is another
step. Steps only add, so that an older worker still running beside a newer one keeps working until it is replaced.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # seen_at, not created_at: what is still in use is not forgotten, however old it is.
        """
        CREATE TABLE objects (
            id TEXT PRIMARY KEY,
            provider TEXT NOT NULL,
            key TEXT NOT NULL,
            seen_at REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX objects_by_age ON objects (seen_at)",
        """
        CREATE TABLE lists (
            provider TEXT NOT NULL,
            base_url TEXT NOT NULL,
            entries TEXT NOT NULL,
            fetched_at REAL NOT NULL,
            PRIMARY KEY (provider, base_url)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE balances (
            provider TEXT NOT NULL,
            key TEXT NOT NULL,
            amount REAL NOT NULL,
            seen_at REAL NOT NULL,
            PRIMARY KEY (provider, key)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE key_states (
            provider TEXT PRIMARY KEY,
            records TEXT NOT NULL,
            kept_at REAL NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
