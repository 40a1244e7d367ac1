"""What each key had left when its provider was asked last, so that a key without credit is left alone right after a restart."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from monorelay.clock import Clock
from monorelay.store.database import Database
from monorelay.store.glance import look

_KEPT_FOR = 30 * 86_400.0  # a key that was taken out of the configuration leaves its balance behind that long


@dataclass(frozen=True, slots=True)
class Balance:
    """``amount`` in the provider's own currency, as it was told ``at`` seconds since the epoch."""

    amount: float
    at: float


Balances = dict[tuple[str, str], Balance]  # by provider and fingerprint of the key


class BalanceMemory:
    """Keeps the latest balance of each key, by provider and fingerprint."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(self, provider: str, key: str, balance: Balance) -> None:
        """Takes the place of the one kept before, unless that is newer: a worker may still write while its successor asks."""
        self._database.submit(partial(_put, provider, key, balance, self._clock.now()))

    async def all(self) -> Balances:
        """Empty when the disk does not answer."""
        return await self._database.read(_read) or {}


def glance(path: Path) -> Balances:
    """What is kept in the file of another process; empty when it cannot be read. It blocks."""
    return look(path, _read) or {}


def _put(provider: str, key: str, balance: Balance, now: float, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO balances VALUES (?, ?, ?, ?) ON CONFLICT (provider, key)"
        " DO UPDATE SET amount = excluded.amount, seen_at = excluded.seen_at WHERE excluded.seen_at >= seen_at",
        (provider, key, balance.amount, balance.at),
    )
    connection.execute("DELETE FROM balances WHERE seen_at < ?", (now - _KEPT_FOR,))


def _read(connection: sqlite3.Connection) -> Balances:
    rows = connection.execute("SELECT provider, key, amount, seen_at FROM balances")
    return {(provider, key): Balance(amount, seen_at) for provider, key, amount, seen_at in rows}
