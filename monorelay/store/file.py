"""The SQLite file itself: opening, migrating, judging its failures, and setting a damaged one aside.

Several processes share the file, so everything that replaces or reshapes it happens under a lock on its directory: two workers
that find the same damage must not throw away each other's fresh file. (``flock`` on the directory needs no lock file; SQLite's own
locks cannot serve, for they live in the file that is being replaced.)
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from monorelay.store.schema import MIGRATIONS

log = logging.getLogger("monorelay.store")

_LOCK_WAIT = 2.0  # seconds; opening takes milliseconds, so whoever holds the lock longer is stuck
_KEPT_DAMAGED = 3  # files set aside that are kept for a look; a dying disk would otherwise fill itself with them

Identity = tuple[int, int]  # device and inode: tells a file from its successor of the same name


class Trouble(Enum):
    """What a failure means for the batch at hand."""

    CROWDED = "worth another try later, on the same connection"
    OUTAGE = "worth another try later, on a new connection"
    DAMAGE = "the file is not usable, whatever is tried"
    REFUSED = "this statement is at fault, not the file"


class TooNew(Exception):
    """The file was written by a newer release."""


_TROUBLES = {
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGE,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGE,
    sqlite3.SQLITE_AUTH: Trouble.OUTAGE,
    sqlite3.SQLITE_BUSY: Trouble.CROWDED,
    sqlite3.SQLITE_CANTOPEN: Trouble.OUTAGE,
    sqlite3.SQLITE_FULL: Trouble.CROWDED,
    sqlite3.SQLITE_INTERRUPT: Trouble.OUTAGE,
    sqlite3.SQLITE_IOERR: Trouble.OUTAGE,
    sqlite3.SQLITE_LOCKED: Trouble.CROWDED,
    sqlite3.SQLITE_NOLFS: Trouble.OUTAGE,
    sqlite3.SQLITE_NOMEM: Trouble.CROWDED,
    sqlite3.SQLITE_PERM: Trouble.OUTAGE,
    sqlite3.SQLITE_PROTOCOL: Trouble.OUTAGE,
    sqlite3.SQLITE_READONLY: Trouble.OUTAGE,
}


def judge(error: Exception) -> Trouble:
    """Says whose fault an error is. Extended result codes carry their primary code in the low byte."""
    if isinstance(error, (OSError, TooNew)):
        return Trouble.OUTAGE
    code = getattr(error, "sqlite_errorcode", None)
    return Trouble.REFUSED if code is None else _TROUBLES.get(code & 0xFF, Trouble.REFUSED)


def identity(path: Path) -> Identity | None:
    """Which file the path names now; None when it names none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_file(path: Path, busy_timeout: float) -> tuple[sqlite3.Connection, Identity | None]:
    """Opens, and creates or migrates where needed. A damaged file is set aside and begun anew.

    Raises OSError, sqlite3.Error or TooNew.
    """
    with _directory_lock(path.parent):
        try:
            connection = _connect(path, busy_timeout)
        except sqlite3.Error as error:
            if judge(error) is not Trouble.DAMAGE:
                raise
            _set_aside(path, error)
            connection = _connect(path, busy_timeout)
        return connection, identity(path)


def set_aside(path: Path, damaged: Identity | None, error: Exception) -> None:
    """Renames the damaged file, unless another process has replaced it already.

    Close your own connection first; one that another process still holds finds out by ``identity``, and SQLite itself notices
    that its file has moved and leaves the new file's log alone.
    """
    with _directory_lock(path.parent):
        if identity(path) == damaged:
            _set_aside(path, error)


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    _create_private(path)
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -1024")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> None:
    """Ids of objects are nobody else's business. SQLite gives the -wal and -shm files the mode of the main file."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass


def _migrate(connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise TooNew(f"the file has schema version {version}, this release knows {len(MIGRATIONS)}")
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in step:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
    # A log left behind would be replayed into the new file: it goes along.
    for suffix in ("-wal", "-shm", ""):
        try:
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
        except FileNotFoundError:
            pass
    log.warning("%s: %s; it is set aside as %s and begun anew", path, error, aside.name)
    mains = [file for file in path.parent.glob(f"{path.name}.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]
    for old in sorted(mains)[:-_KEPT_DAMAGED]:
        for suffix in ("-wal", "-shm", ""):
            Path(f"{old}{suffix}").unlink(missing_ok=True)


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Raises TimeoutError (an OSError) rather than wait for ever."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds the lock on {directory}") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
