"""What the relay knows of its keys (cooldowns, rests, counts of their limits), so that a restart does not forget it.

A record is the key pool's own, plain JSON about one key by its fingerprint; what is in it is no business of this file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from monorelay.clock import Clock
from monorelay.store.database import Database
from monorelay.store.glance import look

_KEPT_FOR = 90 * 86_400.0  # a provider that was taken out of the configuration is remembered that long

Record = dict[str, Any]


class KeyMemory:
    """Keeps the records of each provider. Turning them to text and back happens in the database's thread.

    ``keep`` is meant to be called at most once a second for a provider, and only when something has changed.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(self, provider: str, records: Sequence[Record]) -> None:
        """Takes the place of what was kept before. The records must not be changed any more."""
        self._database.submit(partial(_put, provider, tuple(records), self._clock.now()))

    async def all(self) -> dict[str, tuple[Record, ...]]:
        """The records of every provider; empty when the disk does not answer."""
        return await self._database.read(_read) or {}


def glance(path: Path) -> dict[str, tuple[Record, ...]]:
    """What is kept in the file of another process, for a command that only looks; empty when it cannot be read. It blocks."""
    return look(path, _read) or {}


def _put(provider: str, records: tuple[Record, ...], now: float, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO key_states VALUES (?, ?, ?)", (provider, json.dumps(records), now))
    connection.execute("DELETE FROM key_states WHERE kept_at < ?", (now - _KEPT_FOR,))


def _read(connection: sqlite3.Connection) -> dict[str, tuple[Record, ...]]:
    kept = {}
    for provider, text in connection.execute("SELECT provider, records FROM key_states"):
        try:
            records = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            continue  # not written by us: as good as absent
        if isinstance(records, list):
            kept[provider] = tuple(record for record in records if isinstance(record, dict))
    return kept
