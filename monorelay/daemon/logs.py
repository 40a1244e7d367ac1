"""Log lines on stderr: ``level message``, one line per event, and never a stalled event loop.

A worker hands its lines to a thread, so that a reader of stderr who stands still stops nobody; lines that find the queue full are
counted and reported. The master writes by itself: it forks, and a thread does not survive that. Nothing here removes secrets,
because nothing that is logged holds any: a secret is an opaque object whose text form is a fingerprint.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Mapping

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUEUED = 10_000
LONGEST = 4_000  # characters of a message: what is quoted in one may come from anywhere, and QUEUED of them may wait
LAST_WORDS = 2.0  # seconds that close() waits for the thread

# The journal takes a line's priority from <n> before it (sd-daemon(3)).
PRIORITIES = {logging.DEBUG: "<7>", logging.INFO: "<6>", logging.WARNING: "<4>", logging.ERROR: "<3>", logging.CRITICAL: "<2>"}
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {9: "\t"}


class Line(logging.Formatter):
    """``warning key openai/main rests for 60 s``; control characters are escaped, so a message is one line."""

    def __init__(self, *, priorities: bool = False) -> None:
        super().__init__()
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.levelname.lower()} {record.getMessage()}"
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… ({len(text)} characters)"
        text = text.translate(CONTROLS)
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        if not self._priorities:
            return text
        priority = PRIORITIES.get(record.levelno, "<6>")
        return "\n".join(priority + line for line in text.split("\n"))


class Stderr(logging.Handler):
    """Writes at once, or, after ``start_thread``, by a thread of its own."""

    # Mutable: the queue's thread, started once and ended by close(); dropped, by callers, whom logging lets in one by one, and how
    # much of it was told, by the thread: each has its own, so that none is lost between two of them.

    def __init__(self, *, priorities: bool = False, descriptor: int = 2) -> None:
        super().__init__()
        self.setFormatter(Line(priorities=priorities))
        self._descriptor = descriptor
        self._queue: queue.Queue[str | None] = queue.Queue(QUEUED)
        self._thread: threading.Thread | None = None
        self.dropped = 0  # in all
        self._told = 0

    def start_thread(self) -> None:
        self._thread = threading.Thread(target=self._write_queued, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # a log call with wrong arguments must not end a request; the library prints where it was
            self.handleError(record)
            return
        if self._thread is None:
            self._write(line)
            return
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def _write_queued(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)
            dropped = self.dropped
            if dropped != self._told:
                self._write(f"warning logs dropped={dropped - self._told}: stderr is not read fast enough")
                self._told = dropped

    def _write(self, line: str) -> None:
        remaining = f"{line}\n".encode("utf-8", "backslashreplace")
        try:
            while remaining:
                remaining = remaining[os.write(self._descriptor, remaining) :]
        except OSError:
            pass  # nobody holds the other end any more

    def close(self) -> None:
        """Write what is queued, for two seconds at most."""
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._queue.put(None, timeout=LAST_WORDS)
                thread.join(LAST_WORDS)
            except queue.Full:
                pass
        super().close()


def to_stderr(level: str, environ: Mapping[str, str]) -> Stderr:
    """Send the root logger's records to stderr, and nowhere else."""
    handler = Stderr(priorities=_is_journal(environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    logging.captureWarnings(True)
    return handler


def set_level(level: str) -> None:
    logging.getLogger().setLevel(LEVELS[level])


def _is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that systemd connected to its journal ($JOURNAL_STREAM is its device and inode)."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
