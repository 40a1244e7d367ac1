"""A database on a path of its own, and patience without fixed sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monorelay.store.database import Database, Limits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "monorelay.db"


@pytest.fixture
def open_database() -> Iterator[Callable[..., Database]]:
    """Makes databases that are closed when the test ends."""
    made: list[Database] = []

    def make(path: Path, **limits: float) -> Database:
        database = Database(path, Limits(**{"interval": 0.01, **limits}))
        made.append(database)
        return database

    yield make
    for database in made:
        database.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for something that another thread or process brings about; ten seconds are never needed."""

    def wait(happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not happened():
            assert time.monotonic() < deadline, "it did not happen within ten seconds"
            time.sleep(0.005)

    return wait
