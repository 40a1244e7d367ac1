"""Model lists that outlive the process."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from monorelay.clock import ManualClock
from monorelay.store.lists import KeptList, ListMemory

ENTRIES = (("m-1", 1_700_000_000, "Model One"), ("org/m-2", 0, None), ("ünï", 1, "🙂"))


@pytest.fixture
def clock():
    return ManualClock(now=1_000.0)


def test_a_kept_list_comes_back_whole(path, open_database, clock):
    """What one process keeps another reads, with the time it was fetched; one list per provider and base URL, the newest."""
    database = open_database(path)
    lists = ListMemory(database, clock)
    lists.keep("one", "https://one/v1", (("old", 0, None),))
    lists.keep("one", "https://one/anthropic", ENTRIES[:1])
    clock.advance(5)
    lists.keep("one", "https://one/v1", ENTRIES)
    lists.keep("two", "https://two/v1", ())
    database.close()
    assert asyncio.run(ListMemory(open_database(path), clock).all()) == {
        ("one", "https://one/v1"): KeptList(ENTRIES, 1_005.0),
        ("one", "https://one/anthropic"): KeptList(ENTRIES[:1], 1_000.0),
        ("two", "https://two/v1"): KeptList((), 1_005.0),
    }


def test_nothing_kept_is_nothing(path, open_database, clock):
    """A new file holds no lists."""
    assert asyncio.run(ListMemory(open_database(path), clock).all()) == {}


def test_an_outage_is_an_empty_memory(tmp_path, open_database, clock, expect_logs):
    """Without a disk the lists are empty, and nobody is told but the log."""
    expect_logs("No such file")
    assert asyncio.run(ListMemory(open_database(tmp_path / "missing" / "monorelay.db"), clock).all()) == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["a"]]', '[["a", "b", "c"]]', "null"])
def test_a_list_that_makes_no_sense_is_skipped(path, open_database, clock, until, text):
    """A row that this release cannot read is as good as absent, and costs the others nothing."""
    database = open_database(path)
    lists = ListMemory(database, clock)
    lists.keep("one", "u", ENTRIES)
    lists.keep("two", "u", ENTRIES)
    until(lambda: database.pending == 0)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE lists SET entries = ? WHERE provider = 'one'", (text,))
    connection.close()
    assert set(asyncio.run(lists.all())) == {("two", "u")}


def test_lists_of_providers_long_gone_are_dropped(path, open_database, clock):
    """A list that was not fetched again for 90 days is not kept."""
    database = open_database(path)
    lists = ListMemory(database, clock)
    lists.keep("gone", "u", ENTRIES)
    clock.advance(91 * 86_400)
    lists.keep("here", "u", ENTRIES)
    database.close()
    assert set(asyncio.run(ListMemory(open_database(path), clock).all())) == {("here", "u")}
