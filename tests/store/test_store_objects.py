"""Who made an object: memory, the disk behind it, and the other workers."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys

import pytest

from monorelay.clock import ManualClock, SystemClock
from monorelay.store.objects import ObjectMemory, Owner

DAY = 86_400.0
ONE, TWO = Owner("one", "k1"), Owner("two", "k2")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def database(path, open_database):
    return open_database(path)


@pytest.fixture
def memory(database, clock):
    return ObjectMemory(database, clock)


def look_up(memory, object_id):
    return asyncio.run(memory.look_up(object_id))


def test_what_is_remembered_is_known_at_once(memory):
    """An object is known from the moment it was seen, before anything is on disk; the newest owner wins."""
    memory.remember("file-1", ONE)
    assert memory.recall("file-1") == ONE
    memory.remember("file-1", TWO)
    assert look_up(memory, "file-1") == TWO
    assert memory.recall("file-2") is None


def test_it_survives_a_restart(path, memory, database, open_database, clock):
    """Another process finds on disk what this one remembered."""
    memory.remember("file-1", ONE)
    database.close()
    later = ObjectMemory(open_database(path), clock)
    assert later.recall("file-1") is None, "recall asks memory only"
    assert look_up(later, "file-1") == ONE
    assert later.recall("file-1") == ONE, "found once, known from then on"


def test_another_process_is_found_within_about_a_second(path, open_database, until):
    """An id that was unknown a moment ago is found soon after another worker has remembered it."""
    here = ObjectMemory(open_database(path), SystemClock())
    code = (
        "import sys; from pathlib import Path; from monorelay.clock import SystemClock\n"
        "from monorelay.store.database import Database; from monorelay.store.objects import ObjectMemory, Owner\n"
        "database = Database(Path(sys.argv[1])); memory = ObjectMemory(database, SystemClock())\n"
        "sys.stdin.readline(); memory.remember('batch-1', Owner('one', 'k1')); sys.stdin.readline(); database.close()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE)
    assert look_up(here, "batch-1") is None
    other.stdin.write(b"\n")
    other.stdin.flush()
    until(lambda: look_up(here, "batch-1") == ONE)
    other.communicate(b"\n", timeout=30)


def test_unknown_ids_do_not_hammer_the_disk(memory, database, clock, monkeypatch):
    """After one look at the disk an unknown id is taken for unknown for half a second, and no longer."""
    reads = []
    real = database.read
    monkeypatch.setattr(database, "read", lambda query: reads.append(1) or real(query))
    for _ in range(50):
        assert look_up(memory, "nobody") is None
    assert len(reads) == 1
    clock.advance(0.6)
    assert look_up(memory, "nobody") is None
    assert len(reads) == 2
    memory.remember("nobody", ONE)
    assert look_up(memory, "nobody") == ONE


def test_an_outage_is_not_taken_for_an_answer(tmp_path, open_database, clock, expect_logs):
    """When the disk does not answer, nothing is known and nothing is taken for unknown."""
    expect_logs("unable to open|No such file")
    database = open_database(tmp_path / "missing" / "monorelay.db")
    memory = ObjectMemory(database, clock)
    assert look_up(memory, "file-1") is None
    assert "0 lately unknown" in repr(memory)
    memory.remember("file-1", ONE)
    assert memory.recall("file-1") == ONE
    (tmp_path / "missing").mkdir()


def test_memory_is_bounded_and_the_disk_remembers_the_rest(database, clock, until):
    """Beyond the capacity the least recently used objects leave memory, and come back by one read."""
    memory = ObjectMemory(database, clock, capacity=3)
    for number in range(3):
        memory.remember(f"file-{number}", ONE)
    assert memory.recall("file-0") == ONE  # used: so file-1 is the eldest now
    memory.remember("file-3", TWO)
    assert memory.recall("file-1") is None and memory.recall("file-0") == ONE
    until(lambda: database.pending == 0)
    assert look_up(memory, "file-1") == ONE


def test_what_is_forgotten_is_gone_everywhere(path, memory, database, clock, open_database, until):
    """A deleted object is unknown at once, and unknown to the disk soon after."""
    memory.remember("file-1", ONE)
    until(lambda: database.pending == 0)
    memory.forget("file-1")
    assert memory.recall("file-1") is None
    assert look_up(memory, "file-1") is None
    until(lambda: database.pending == 0)
    clock.advance(1)
    assert look_up(memory, "file-1") is None


def test_forgotten_while_being_looked_up(memory, database, until):
    """An object that is deleted while a look-up of it is under way does not come back by it."""
    memory.remember("file-1", ONE)
    until(lambda: database.pending == 0)
    memory._known.clear()

    async def both():
        answer = asyncio.ensure_future(memory.look_up("file-1"))
        await asyncio.sleep(0)
        memory.forget("file-1")
        return await answer

    assert asyncio.run(both()) is None
    assert memory.recall("file-1") is None


@pytest.mark.parametrize("object_id", ["", "x" * 513, "ü" * 257, "\ud800"])
def test_what_no_provider_would_call_an_object(memory, database, object_id):
    """Ids over 512 bytes, empty ones and those that are not text are neither remembered nor looked for."""
    memory.remember(object_id, ONE)
    memory.forget(object_id)
    assert memory.recall(object_id) is None
    assert look_up(memory, object_id) is None
    assert database.pending == 0


@pytest.mark.parametrize("object_id", ["x" * 512, "ü" * 256, "'; DROP TABLE objects; --", "a\0b", "🙂"])
def test_strange_ids_are_ids(path, memory, database, open_database, clock, object_id):
    """Whatever else an id is made of, it comes back from the disk as it was."""
    memory.remember(object_id, ONE)
    database.close()
    assert look_up(ObjectMemory(open_database(path), clock), object_id) == ONE


def test_unused_objects_are_pruned_after_ninety_days(path, memory, database, clock, until):
    """What nobody has seen for 90 days leaves the disk; what is in use stays, however old."""
    memory.remember("unused", ONE)
    memory.remember("used", ONE)
    for _ in range(10):
        clock.advance(9.5 * DAY)
        assert memory.recall("used") == ONE
        until(lambda: database.pending == 0)
    memory.remember("new", ONE)
    until(lambda: database.pending == 0)
    connection = sqlite3.connect(path)
    assert {row[0] for row in connection.execute("SELECT id FROM objects")} == {"used", "new"}
    connection.close()


def test_pruning_is_rare(memory, database, clock, monkeypatch):
    """At most one pruning an hour, whatever the traffic."""
    jobs = []
    monkeypatch.setattr(database, "submit", lambda job: jobs.append(job.func.__name__))
    for number in range(100):
        memory.remember(str(number), ONE)
    assert jobs.count("_prune") == 1
    clock.advance(3_601)
    memory.remember("x", ONE)
    assert jobs.count("_prune") == 2
