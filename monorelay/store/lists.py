"""The last good model list of each provider, so that the catalogue is whole again right after a restart, with no network."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from monorelay.clock import Clock
from monorelay.store.database import Database
from monorelay.store.glance import look

_KEPT_FOR = 90 * 86_400.0  # a provider that was taken out of the configuration leaves its list behind that long

Entry = tuple[str, int, str | None]  # model id, created, display name


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list as it was fetched, at ``fetched_at`` seconds since the epoch."""

    entries: tuple[Entry, ...]
    fetched_at: float


class ListMemory:
    """Keeps one list per provider and base URL. Turning lists to text and back happens in the database's thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(self, provider: str, base_url: str, entries: tuple[Entry, ...]) -> None:
        """Takes the place of the list kept before."""
        self._database.submit(partial(_put, provider, base_url, entries, self._clock.now()))

    async def all(self) -> dict[tuple[str, str], KeptList]:
        """Every kept list by (provider, base URL); empty when the disk does not answer."""
        return await self._database.read(_read) or {}


def glance(path: Path) -> dict[tuple[str, str], KeptList]:
    """What is kept in the file of another process, for a command that only looks; empty when it cannot be read. It blocks."""
    return look(path, _read) or {}


def _put(provider: str, base_url: str, entries: tuple[Entry, ...], now: float, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)", (provider, base_url, json.dumps(entries), now))
    connection.execute("DELETE FROM lists WHERE fetched_at < ?", (now - _KEPT_FOR,))


def _read(connection: sqlite3.Connection) -> dict[tuple[str, str], KeptList]:
    kept = {}
    for provider, base_url, text, fetched_at in connection.execute("SELECT provider, base_url, entries, fetched_at FROM lists"):
        try:
            entries = tuple((str(model), int(created), name) for model, created, name in json.loads(text))
        except (ValueError, TypeError):
            continue  # not written by us: as good as absent
        kept[provider, base_url] = KeptList(entries, fetched_at)
    return kept
