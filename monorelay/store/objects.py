"""Which provider and key made an object (a file, a batch, a stored response): memory first, disk behind it."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from monorelay.clock import Clock
from monorelay.store.database import Database

_LONGEST_ID = 512  # bytes; whatever is longer was not made by a provider
_DAY = 86_400.0
_KEPT_FOR = 90 * _DAY  # since an object was last seen in use
_PRUNED_EVERY, _PRUNED_AT_ONCE = 3_600.0, 5_000
_UNKNOWN_FOR = 0.5  # with a batch's 0.1 s in the other worker, a new id is found within a second
_UNKNOWN_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Owner:
    """``key`` is the fingerprint of the key that made the object."""

    provider: str
    key: str


class ObjectMemory:
    """Remembers owners; forgets, in memory, the least recently used beyond ``capacity``, and on disk what nobody used for 90 days.

    memory.remember("file-abc", Owner("openai", "9f2c…"))
    owner = memory.recall("file-abc") or await memory.look_up("file-abc")
    """

    # Mutable, on the event loop only: _known (owner and when it was last written), _unknown (deadlines), _prune_at.

    def __init__(self, database: Database, clock: Clock, capacity: int = 10_000) -> None:
        self._database = database
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[Owner, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._prune_at = 0.0

    def __repr__(self) -> str:
        return f"<ObjectMemory {len(self._known)} known, {len(self._unknown)} lately unknown>"

    def remember(self, object_id: str, owner: Owner) -> None:
        """Takes note of an object that an upstream has just named."""
        if _is_memorable(object_id):
            self._unknown.pop(object_id, None)
            self._write(object_id, owner)

    def recall(self, object_id: str) -> Owner | None:
        """The owner, if this process knows it without asking the disk."""
        known = self._known.get(object_id)
        if known is None:
            return None
        self._known.move_to_end(object_id)
        owner, written_at = known
        if self._clock.now() - written_at > _DAY:
            self._write(object_id, owner)
        return owner

    async def look_up(self, object_id: str) -> Owner | None:
        """The owner by memory, else by one indexed read; an id found nowhere is not looked for again for half a second."""
        owner = self.recall(object_id)
        if owner is not None or not _is_memorable(object_id) or self._is_unknown(object_id):
            return owner
        rows = await self._database.read(partial(_find, object_id))
        if self._is_unknown(object_id):
            return None  # forgotten, or found missing by another request, while we waited
        owner = self.recall(object_id)
        if owner is not None or rows is None:
            return owner
        if not rows:
            self._take_for_unknown(object_id)
            return None
        provider, key, seen_at = rows[0]
        owner = Owner(provider, key)
        self._keep(object_id, owner, seen_at)
        return self.recall(object_id)

    def forget(self, object_id: str) -> None:
        """The object was deleted upstream."""
        self._known.pop(object_id, None)
        if _is_memorable(object_id):
            self._take_for_unknown(object_id)
            self._database.submit(partial(_remove, object_id))

    def _write(self, object_id: str, owner: Owner) -> None:
        now = self._clock.now()
        self._keep(object_id, owner, now)
        self._database.submit(partial(_put, object_id, owner, now))
        if self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + _PRUNED_EVERY
            self._database.submit(partial(_prune, now - _KEPT_FOR))

    def _keep(self, object_id: str, owner: Owner, written_at: float) -> None:
        self._known[object_id] = (owner, written_at)
        self._known.move_to_end(object_id)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def _is_unknown(self, object_id: str) -> bool:
        until = self._unknown.get(object_id)
        if until is not None and until <= self._clock.monotonic():
            del self._unknown[object_id]
            return False
        return until is not None

    def _take_for_unknown(self, object_id: str) -> None:
        self._unknown[object_id] = self._clock.monotonic() + _UNKNOWN_FOR
        self._unknown.move_to_end(object_id)
        if len(self._unknown) > _UNKNOWN_KEPT:
            self._unknown.popitem(last=False)


def _is_memorable(object_id: str) -> bool:
    """JSON can spell strings that are not text (lone surrogates); no provider makes such an id."""
    try:
        return 0 < len(object_id.encode()) <= _LONGEST_ID
    except UnicodeEncodeError:
        return False


def _find(object_id: str, connection: sqlite3.Connection) -> list[tuple[str, str, float]]:
    return connection.execute("SELECT provider, key, seen_at FROM objects WHERE id = ?", (object_id,)).fetchall()


def _put(object_id: str, owner: Owner, now: float, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (object_id, owner.provider, owner.key, now))


def _remove(object_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM objects WHERE id = ?", (object_id,))


def _prune(before: float, connection: sqlite3.Connection) -> None:
    """A bounded bite: the next hour takes the next one."""
    connection.execute(
        "DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE seen_at < ? LIMIT ?)", (before, _PRUNED_AT_ONCE)
    )
