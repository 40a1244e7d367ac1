"""Balances that outlive the process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from monorelay.clock import ManualClock
from monorelay.store.balances import Balance, BalanceMemory, glance
from monorelay.store.database import Database
from monorelay.store.schema import MIGRATIONS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now=1_000.0)


def test_the_latest_balance_of_each_key_comes_back(path: Path, open_database: Callable[..., Database], clock: ManualClock) -> None:
    """What one process keeps another reads, with its time; an older one, of a slower worker, does not take its place."""
    database = open_database(path)
    memory = BalanceMemory(database, clock)
    memory.keep("one", "f1", Balance(1.0, 990.0))
    memory.keep("one", "f1", Balance(7.65, 1_000.0))
    memory.keep("one", "f1", Balance(9.0, 995.0))
    memory.keep("one", "f2", Balance(0.0, 1_000.0))
    memory.keep("two", "f1", Balance(-3.5, 1_000.0))
    database.close()
    kept = {("one", "f1"): Balance(7.65, 1_000.0), ("one", "f2"): Balance(0.0, 1_000.0), ("two", "f1"): Balance(-3.5, 1_000.0)}
    assert asyncio.run(BalanceMemory(open_database(path), clock).all()) == kept
    assert glance(path) == kept


def test_balances_of_keys_long_gone_are_dropped(path: Path, open_database: Callable[..., Database], clock: ManualClock) -> None:
    """After 30 days without an answer a balance says nothing."""
    database = open_database(path)
    memory = BalanceMemory(database, clock)
    memory.keep("one", "gone", Balance(1.0, clock.now()))
    clock.advance(31 * 86_400)
    memory.keep("one", "here", Balance(2.0, clock.now()))
    database.close()
    assert set(glance(path)) == {("one", "here")}


def test_a_glance_never_fails(tmp_path: Path) -> None:
    """No file, no database, a file of an earlier release: nothing is known, and nothing is made."""
    assert glance(tmp_path / "missing.db") == {} and not (tmp_path / "missing.db").exists()
    (tmp_path / "text.db").write_text("no database " * 100)
    assert glance(tmp_path / "text.db") == {}
    earlier = tmp_path / "earlier.db"
    connection = sqlite3.connect(earlier)
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    connection.close()
    assert glance(earlier) == {}
