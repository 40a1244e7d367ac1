"""What is known of keys, over a restart."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from monorelay.clock import ManualClock
from monorelay.store.key_states import KeyMemory, glance

COOLING = {"fingerprint": "f1", "cooling": 1_700_000_060.5, "models": [["m", 1.0, 2.0]]}
COUNTED = {"fingerprint": "f2", "used": 7, "windows": [[60.0, [[1_700_000_000.125, 3]]]]}


@pytest.fixture
def clock():
    return ManualClock(now=1_000.0)


def test_records_come_back_whole(path, open_database, clock):
    """What one process keeps another reads; of each provider what was kept last, also when that is nothing."""
    database = open_database(path)
    memory = KeyMemory(database, clock)
    memory.keep("one", [COUNTED])
    memory.keep("one", [COOLING, COUNTED])
    memory.keep("two", (COOLING,))
    memory.keep("three", [COOLING])
    memory.keep("three", [])
    database.close()
    kept = {"one": (COOLING, COUNTED), "two": (COOLING,), "three": ()}
    assert glance(path) == kept
    assert asyncio.run(KeyMemory(open_database(path), clock).all()) == kept


def test_nothing_kept_is_nothing(path, open_database, clock):
    """A new file holds no records, and a look at no file makes none."""
    assert glance(path) == {} and not path.exists()
    assert asyncio.run(KeyMemory(open_database(path), clock).all()) == {}


def test_an_outage_is_an_empty_memory(tmp_path, open_database, clock, expect_logs):
    """Without a disk nothing is known, and nobody is told but the log."""
    expect_logs("No such file")
    assert asyncio.run(KeyMemory(open_database(tmp_path / "missing" / "monorelay.db"), clock).all()) == {}


def test_a_glance_at_a_file_that_is_none(path):
    """Or that is of a release which kept no records: nothing is known."""
    path.write_bytes(b"not a database" * 100)
    assert glance(path) == {}
    path.unlink()
    sqlite3.connect(path).close()
    path.touch()
    assert glance(path) == {}


@pytest.mark.parametrize("text", ["", "{", "null", "7", '{"a": 1}', "[" * 100_000])
def test_a_row_that_makes_no_sense_is_skipped(path, open_database, clock, until, text):
    """A row that this release cannot read is as good as absent, and costs the others nothing."""
    database = open_database(path)
    memory = KeyMemory(database, clock)
    memory.keep("one", [COOLING])
    memory.keep("two", [COOLING])
    until(lambda: database.pending == 0)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE key_states SET records = ? WHERE provider = 'one'", (text,))
    connection.close()
    assert asyncio.run(memory.all()) == {"two": (COOLING,)}


def test_what_is_no_record_is_left_out(path, open_database, clock, until):
    """The others of the row count."""
    database = open_database(path)
    memory = KeyMemory(database, clock)
    memory.keep("one", [COOLING, None, 7, "x", [], COUNTED])
    until(lambda: database.pending == 0)
    assert asyncio.run(memory.all()) == {"one": (COOLING, COUNTED)}


def test_providers_long_gone_are_forgotten(path, open_database, clock):
    """Records that were not kept again for 90 days are not kept."""
    database = open_database(path)
    memory = KeyMemory(database, clock)
    memory.keep("gone", [COOLING])
    clock.advance(91 * 86_400)
    memory.keep("here", [COOLING])
    database.close()
    assert set(glance(path)) == {"here"}
