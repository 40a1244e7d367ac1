"""The one SQLite file of a process, behind one thread: writes are queued and committed in batches, reads are few and bounded.

Nothing here ever raises to a caller or makes it wait: ``submit`` only queues, ``read`` gives None when the disk does not answer in
time. An outage (full disk, read-only directory, locked or missing file) is a warning, once, and ``healthy`` turns False until
a batch succeeds; meanwhile the queue keeps the newest changes. A damaged file is set aside and begun anew.

The thread starts at the first use, so a Database may be made before a fork and used after it, in each process on its own.

    database = Database(state_directory / "monorelay.db")
    database.submit(partial(put, object_id, owner))          # a job: any function of a sqlite3.Connection
    owner = await database.read(partial(find, object_id))    # a query: the same, with a result; None when there is none
    database.close()
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from monorelay.store.file import Identity, Trouble, identity, judge, open_file, set_aside

log = logging.getLogger("monorelay.store")

Job = Callable[[sqlite3.Connection], object]
T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts on a file that cannot be used


@dataclass(frozen=True, slots=True)
class Limits:
    """``interval`` seconds gather a batch, of at most ``batch`` jobs; ``queue`` jobs and ``reads`` queries may wait."""

    interval: float = 0.1
    batch: int = 1_000
    queue: int = 20_000
    reads: int = 1_000
    read_wait: float = 2.0
    busy_wait: float = 1.0


class Database:
    """See the module. ``pending``, ``errors``, ``dropped`` and ``healthy`` are for gauges; reading them costs nothing."""

    # Mutable, under _wake: _jobs, _reads, _since, _closing, _thread (callers and the thread).
    # Mutable, by the thread only: _batch, _connection, _opened, _pause, _retry_at, healthy, errors.

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.healthy = True
        self.errors = 0
        self.dropped = 0
        self._limits = limits or Limits()
        self._wake = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._reads: deque[tuple[Job, Future[Any]]] = deque()
        self._since = 0.0  # when the oldest queued job came
        self._closing = False
        self._thread: threading.Thread | None = None
        self._batch: list[Job] = []  # taken from the queue, not committed yet
        self._connection: sqlite3.Connection | None = None
        self._opened: Identity | None = None
        self._pause = _FIRST_PAUSE
        self._retry_at = 0.0

    def __repr__(self) -> str:
        state = "healthy" if self.healthy else "in trouble"
        return f"<Database {self.path} {state}, pending {self.pending}, dropped {self.dropped}, errors {self.errors}>"

    @property
    def pending(self) -> int:
        """Jobs not yet on disk."""
        return len(self._jobs) + len(self._batch)

    def submit(self, job: Job) -> None:
        """Queues a job; when the queue is full the oldest one is dropped, for newer facts are worth more.

        A job runs inside a transaction and leaves that alone; after a failed commit it runs again in another one.
        """
        with self._wake:
            if self._closing:
                self.dropped += 1
                return
            if len(self._jobs) >= self._limits.queue:
                self._jobs.popleft()
                self.dropped += 1
            if not self._jobs:
                self._since = time.monotonic()
            self._jobs.append(job)
            self._start()
            if len(self._jobs) in (1, self._limits.batch):
                self._wake.notify()

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T | None:
        """The query's result; None when the file cannot be used, the queue of reads is full, or two seconds have passed."""
        answer: Future[T | None] = Future()
        with self._wake:
            if self._closing or len(self._reads) >= self._limits.reads:
                return None
            self._reads.append((query, answer))
            self._start()
            self._wake.notify()
        try:
            # Not wait_for: up to Python 3.11 it swallows a cancellation that meets the result.
            async with asyncio.timeout(self._limits.read_wait):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            return None

    def close(self, wait: float = 2.0) -> None:
        """Flushes what is queued and stops the thread, waiting so long at most. For the end of a process: it blocks."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(wait)
            if self._thread.is_alive() or self.pending:
                log.warning("%s: %d changes could not be written before the end", self.path, self.pending)

    # The thread

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="monorelay-store", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._sleep():
            self._answer_reads()
            due = self._due()
            if due is not None and due <= time.monotonic():
                self._write_batch()
        self._retry_at = 0.0
        self._answer_reads()
        while self.pending and self._write_batch():
            pass
        self._disconnect()

    def _sleep(self) -> bool:
        """Until there is something to do. True when the process is about to end."""
        with self._wake:
            while not (self._closing or self._reads):
                now, due = time.monotonic(), self._due()
                if due is not None and due <= now:
                    break
                self._wake.wait(None if due is None else due - now)
            return self._closing

    def _due(self) -> float | None:
        """When the next batch is to be written; an empty one finds out whether a file in trouble works again."""
        if self.pending == 0 and self.healthy:
            return None
        gathered = not self._jobs or self._batch or len(self._jobs) >= self._limits.batch
        return self._retry_at if gathered else max(self._since + self._limits.interval, self._retry_at)

    def _answer_reads(self) -> None:
        while self._reads:
            query, answer = self._reads.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            connection = self._connected()
            result = None
            try:
                if connection is not None:
                    result = query(connection)
            except Exception as error:
                self._take_note(query, error)
            answer.set_result(result)

    def _write_batch(self) -> bool:
        """One transaction. False when the file is in trouble: the batch is kept and tried again later."""
        with self._wake:
            while self._jobs and len(self._batch) < self._limits.batch:
                self._batch.append(self._jobs.popleft())
            self._since = time.monotonic()
        connection = self._connected()
        if connection is None:
            return False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in self._batch:
                self._run(connection, job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon(connection)
            if judge(error) is Trouble.REFUSED:
                self._give_up_batch(error)
            else:
                self._in_trouble(error)
            return False
        self._batch = []
        self._well()
        return True

    def _run(self, connection: sqlite3.Connection, job: Job) -> None:
        """Runs one job in its own savepoint, so that a faulty one takes nothing else with it."""
        connection.execute("SAVEPOINT job")
        try:
            job(connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and judge(error) is not Trouble.REFUSED:
                raise
            connection.execute("ROLLBACK TO job")
            self._take_note(job, error)
        connection.execute("RELEASE job")

    def _connected(self) -> sqlite3.Connection | None:
        """The connection to the file that the path names now, opened anew when it was replaced or taken away."""
        if self._connection is not None and identity(self.path) == self._opened:
            return self._connection
        self._disconnect()
        if time.monotonic() < self._retry_at:
            return None
        try:
            self._connection, self._opened = open_file(self.path, self._limits.busy_wait)
        except Exception as error:
            self._in_trouble(error)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                log.info("%s: closing it failed: %s", self.path, error)

    @staticmethod
    def _abandon(connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has rolled back by itself, as it does after a full disk

    # Trouble

    def _take_note(self, job: Callable[..., object], error: Exception) -> None:
        """A single job or query failed."""
        if isinstance(error, sqlite3.Error) and judge(error) is not Trouble.REFUSED:
            self._in_trouble(error)
            return
        self.errors += 1
        name = getattr(job.func if isinstance(job, partial) else job, "__name__", "job")
        log.error("%s: %s failed and is given up: %s: %s", self.path, name, type(error).__name__, error)

    def _give_up_batch(self, error: Exception) -> None:
        """The transaction itself was refused: some job has ended it. Trying again would not help."""
        self.errors += 1
        self.dropped += len(self._batch)
        log.error("%s: %d changes are given up, one of them ended the transaction: %s", self.path, len(self._batch), error)
        self._batch = []

    def _in_trouble(self, error: Exception) -> None:
        self.errors += 1
        trouble = judge(error)
        if trouble is not Trouble.CROWDED:
            self._disconnect()
        if trouble is Trouble.DAMAGE:
            self._begin_anew(error)
        elif self.healthy:
            log.warning("%s: %s; what is to be remembered waits in memory and is tried again", self.path, error)
        self.healthy = False
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _begin_anew(self, error: Exception) -> None:
        try:
            set_aside(self.path, self._opened, error)
        except OSError as refusal:
            log.warning("%s: %s; it could not be set aside: %s", self.path, error, refusal)

    def _well(self) -> None:
        if not self.healthy:
            log.info("%s: works again", self.path)
        self.healthy = True
        self._pause = _FIRST_PAUSE
