"""The file behind one thread: batches, bounds, outages, damage, and several processes at once."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from functools import partial

import pytest

from monorelay.store.database import Database, Limits

WRITER = """
import sys
from functools import partial
from pathlib import Path
from monorelay.clock import SystemClock
from monorelay.store.database import Database
from monorelay.store.objects import ObjectMemory, Owner
database = Database(Path(sys.argv[1]))
memory = ObjectMemory(database, SystemClock())
for number in range(int(sys.argv[3])):
    memory.remember(f"{sys.argv[2]}-{number}", Owner("one", "k"))
database.close(10)
sys.exit(database.pending)
"""


def put(name, connection):
    connection.execute("INSERT OR REPLACE INTO objects VALUES (?, 'p', 'k', 1.0)", (name,))


def names(connection):
    return {row[0] for row in connection.execute("SELECT id FROM objects")}


def read(database, query=names):
    return asyncio.run(database.read(query))


def on_disk(path):
    connection = sqlite3.connect(path)
    try:
        return names(connection)
    finally:
        connection.close()


def lines(caplog):
    """What was said at warning or above since the last look."""
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return said


def test_what_is_submitted_is_soon_on_disk(path, open_database, until):
    """A submitted job is committed by the thread without anybody waiting for it."""
    database = open_database(path)
    database.submit(partial(put, "a"))
    until(lambda: database.pending == 0)
    assert on_disk(path) == {"a"}
    assert read(database) == {"a"}
    assert database.healthy and database.errors == 0


def test_jobs_are_committed_together(path, open_database, until):
    """Jobs that come within the interval share one transaction: nobody else sees the first before the last is done."""
    database = open_database(path, interval=0.3)
    seen = []
    for name in "abc":
        database.submit(partial(put, name))
    database.submit(lambda connection: seen.extend([names(connection), on_disk(path)]))
    until(lambda: database.pending == 0)
    assert seen == [{"a", "b", "c"}, set()]
    assert on_disk(path) == {"a", "b", "c"}


def test_a_full_batch_does_not_wait_for_the_interval(path, open_database, until):
    """When as many jobs wait as a batch may hold, they are written at once."""
    database = open_database(path, interval=3600.0, batch=3)
    for name in "abc":
        database.submit(partial(put, name))
    until(lambda: database.pending == 0)


def test_no_thread_before_the_first_use(path, open_database):
    """A database may be made before a fork: it has neither a thread nor a file until it is used."""
    before = threading.active_count()
    database = open_database(path)
    assert threading.active_count() == before and not path.exists()
    assert read(database) == set()
    assert threading.active_count() == before + 1


def test_closing_flushes(path):
    """What was queued is on disk after close, even before the interval is over; later jobs are counted as dropped."""
    database = Database(path, Limits(interval=3600.0))
    for number in range(2_500):
        database.submit(partial(put, str(number)))
    database.close()
    assert len(on_disk(path)) == 2_500
    database.submit(partial(put, "late"))
    assert database.dropped == 1
    assert read(database) is None
    database.close()


def test_closing_what_was_never_used(path):
    """Closing is harmless when nothing ever happened, and leaves no file."""
    Database(path).close()
    assert not path.exists()


def test_nothing_committed_is_lost_without_a_close(path, until):
    """A process that dies leaves a file that opens again with everything committed."""
    code = WRITER.replace("database.close(10)", "import time, os\nwhile database.pending: time.sleep(0.01)\nos._exit(0)")
    assert subprocess.run([sys.executable, "-c", code, str(path), "w", "50"], timeout=30).returncode == 0
    assert os.path.exists(f"{path}-wal")
    database = Database(path)
    assert len(read(database)) == 50
    database.close()


def test_the_queue_is_bounded_and_drops_the_oldest(path, open_database, until, caplog):
    """While the disk is away the newest changes are kept and the rest is counted."""
    path.mkdir()  # something that cannot be opened as a file
    database = open_database(path, queue=10, batch=5)
    database.submit(partial(put, "first"))
    until(lambda: not database.healthy)
    for number in range(100):
        database.submit(partial(put, str(number)))
    assert database.pending <= 15
    assert database.dropped >= 86
    path.rmdir()
    database.close()
    assert {str(number) for number in range(90, 100)} <= on_disk(path)


def test_a_faulty_job_takes_nothing_else_with_it(path, open_database, until, caplog):
    """A job that fails is given up and named; the others of its batch are committed, and the file stays healthy."""
    database = open_database(path, interval=0.2)

    def half(connection):
        put("half", connection)
        connection.execute("INSERT INTO nowhere VALUES (1)")

    def broken(connection):
        raise ZeroDivisionError("not SQL at all")

    for job in (partial(put, "a"), half, broken, partial(put, "\ud800"), partial(put, "b")):
        database.submit(job)
    until(lambda: database.pending == 0)
    assert on_disk(path) == {"a", "b"}
    assert database.healthy and database.errors == 3
    said = lines(caplog)
    assert len(said) == 3 and "half failed" in said[0] and "broken failed" in said[1] and "put failed" in said[2]


def test_a_job_that_meddles_with_the_transaction(path, open_database, until, caplog):
    """A job that commits by itself costs its batch, said once; the next batch is written."""
    database = open_database(path)
    database.submit(lambda connection: connection.execute("COMMIT"))
    until(lambda: database.pending == 0)
    database.submit(partial(put, "a"))
    until(lambda: database.pending == 0)
    assert on_disk(path) == {"a"}
    assert database.dropped == 1 and len(lines(caplog)) == 1


def test_a_faulty_query_gives_none(path, open_database, caplog):
    """A read that fails is None to its caller, and said in the log."""
    database = open_database(path)
    assert read(database, lambda connection: connection.execute("SELECT * FROM nowhere")) is None
    assert read(database) == set()
    assert len(lines(caplog)) == 1


def test_a_directory_that_is_none(tmp_path, open_database, until, caplog):
    """A state directory that is a file is one warning, whatever is submitted; reads give None at once; nothing is raised."""
    (tmp_path / "state").write_text("I am a file.")
    database = open_database(tmp_path / "state" / "monorelay.db")
    for number in range(20):
        database.submit(partial(put, str(number)))
        assert read(database) is None
    until(lambda: not database.healthy)
    assert len(lines(caplog)) == 1
    database.close()
    assert "20 changes could not be written" in lines(caplog)[-1]


def test_an_outage_that_ends(tmp_path, open_database, until, caplog):
    """When the directory comes into being, what waited is written and the database is healthy again."""
    caplog.set_level(logging.INFO, "monorelay.store")
    path = tmp_path / "state" / "monorelay.db"
    database = open_database(path)
    database.submit(partial(put, "a"))
    until(lambda: not database.healthy)
    path.parent.mkdir()
    until(lambda: database.healthy)
    assert on_disk(path) == {"a"} and database.pending == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_full_disk(path, open_database, until, caplog):
    """A full disk is an outage: the batch is kept whole, reads go on, and it is written once there is room."""
    database = open_database(path)
    database.submit(lambda connection: connection.execute("PRAGMA max_page_count = 1"))
    until(lambda: database.pending == 0)
    # PRAGMA max_page_count never goes below the pages in use, so the file has to grow to meet the limit.
    for number in range(400):
        database.submit(partial(put, f"{number:0200}"))
    until(lambda: not database.healthy)
    assert database.pending > 0
    assert read(database) is not None
    assert len(lines(caplog)) == 1
    asyncio.run(database.read(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone()))
    until(lambda: database.healthy)
    assert len(on_disk(path)) == 400


def test_a_locked_file(path, open_database, until, caplog):
    """A database that somebody else keeps locked is an outage, not a hang."""
    database = open_database(path, busy_wait=0.01)
    assert read(database) == set()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database.submit(partial(put, "a"))
    until(lambda: not database.healthy)
    assert read(database) == set(), "readers do not wait for a writer"
    other.execute("COMMIT")
    other.close()
    until(lambda: database.healthy)
    assert on_disk(path) == {"a"}
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("content", [b"this is not a database at all, " * 200, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database(path, open_database, until, content, caplog):
    """A corrupt file is set aside under a name that says so, its content untouched, and a new one is begun."""
    path.write_bytes(content)
    database = open_database(path)
    database.submit(partial(put, "a"))
    until(lambda: database.pending == 0)
    assert on_disk(path) == {"a"}
    (aside,) = [file for file in path.parent.glob("monorelay.db.corrupt-*") if file.suffix not in ("-wal", "-shm")]
    assert aside.read_bytes() == content
    said = lines(caplog)
    assert len(said) == 1 and aside.name in said[0]


def test_damage_while_running(path, open_database, until, caplog):
    """Damage that one process finds sets the file aside once, and all who had it open go on with the new one."""
    one, two, finder = open_database(path), open_database(path), open_database(path)
    for number in range(2_000):
        one.submit(partial(put, f"{number:050}"))
    until(lambda: one.pending == 0)
    assert len(read(two)) == 2_000
    assert read(one, lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()) == (0, 0, 0)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert read(finder) is None  # the others may still live on their page caches
    for number in range(500):
        one.submit(partial(put, f"{number:040}"))
        two.submit(partial(put, f"{number:045}"))
    until(lambda: one.pending + two.pending == 0)
    assert len(on_disk(path)) == 1_000
    assert len([file for file in path.parent.glob("*.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]) == 1
    assert "malformed" in lines(caplog)[0]
    for database in (two, one, finder):
        database.close()
    assert len(on_disk(path)) == 1_000, "closing the connections to the old file left the new one alone"


def test_a_file_taken_away(path, open_database, until):
    """When the file is removed or replaced by hand, the next batch goes to the file of that name, not to the ghost."""
    database = open_database(path)
    database.submit(partial(put, "a"))
    until(lambda: database.pending == 0)
    path.unlink()
    database.submit(partial(put, "b"))
    until(lambda: database.pending == 0)
    assert on_disk(path) == {"b"}


def test_a_file_of_a_newer_release(path, open_database, until, caplog):
    """A newer schema is left alone: an outage with a reason, no damage done."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    database = open_database(path)
    database.submit(partial(put, "a"))
    until(lambda: not database.healthy)
    assert "schema version 99" in lines(caplog)[0]
    assert not list(path.parent.glob("*.corrupt-*"))


def test_several_processes(path):
    """Workers share one file: three at once lose nothing, from the very first moment on."""
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, "2000"]) for name in "abc"]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert len(on_disk(path)) == 6_000


def test_a_slow_disk_does_not_hold_a_reader(path, open_database):
    """A read that takes too long gives None; the event loop was free all the time."""
    database = open_database(path, read_wait=0.05)
    release = threading.Event()
    database.submit(lambda connection: release.wait(10))

    async def turn():
        await asyncio.sleep(0.05)
        answer = await database.read(names)
        release.set()
        return answer

    assert asyncio.run(turn()) is None


def test_reads_are_bounded(path, open_database):
    """More than so many waiting reads are refused at once."""
    database = open_database(path, reads=2)
    release = threading.Event()

    async def turn():
        answers = [asyncio.ensure_future(database.read(lambda connection: release.wait(10))) for _ in range(3)]
        await asyncio.sleep(0.1)
        more = [asyncio.ensure_future(database.read(names)) for _ in range(3)]
        await asyncio.sleep(0)
        refused = [future for future in (*answers, *more) if future.done()]
        release.set()
        await asyncio.gather(*answers, *more)
        return len(refused)

    assert asyncio.run(turn()) >= 2


def test_its_repr(path):
    """The state is readable in a debugger and in a failed test."""
    assert repr(Database(path)) == f"<Database {path} healthy, pending 0, dropped 0, errors 0>"
