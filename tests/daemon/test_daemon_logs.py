"""Log lines: one per event, written in order, never in the way."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from monorelay.daemon.logs import QUEUED, Line, Stderr


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            pass


def record(text: str, *values: object, level: int = logging.WARNING, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("name", level, "file", 1, text, values, exc_info)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("key=%s", "warning key=main"),
        ("two\nlines %s\r", "warning two\\x0alines main\\x0d"),
        ("tab\t%s \x1b[31m", "warning tab\tmain \\x1b[31m"),
        ("%s ü", "warning main ü"),
    ],
)
def test_one_line_per_event(text: str, line: str) -> None:
    """Level and message; what would break the line, or colour a terminal, is escaped."""
    assert Line().format(record(text, "main")) == line


def test_a_long_message_is_cut() -> None:
    """What a line quotes may come from a stranger, and thousands of lines may wait in memory."""
    line = Line().format(record("said %s", "\n" * 100_000))
    assert line.startswith("warning said \\x0a\\x0a") and line.endswith("… (100013 characters)")
    assert len(line) < 20_000


def test_traceback_follows() -> None:
    """A traceback comes in lines of its own, and each has the priority that the journal reads."""
    try:
        raise ValueError("boo")
    except ValueError as error:
        text = Line(priorities=True).format(record("x", level=logging.ERROR, exc_info=(type(error), error, error.__traceback__)))
    lines = text.split("\n")
    assert lines[0] == "<3>error x" and lines[-1] == "<3>ValueError: boo"
    assert all(line.startswith("<3>") for line in lines)


def test_thread_writes_in_order(pipe: tuple[int, int]) -> None:
    """Everything that was queued is written, in order, before close() returns."""
    reading, writing = pipe
    handler = Stderr(descriptor=writing)
    handler.start_thread()
    for number in range(1000):
        handler.emit(record("line %d", number))
    handler.close()
    os.close(writing)
    with open(reading, closefd=False) as lines:
        assert lines.read().splitlines() == [f"warning line {number}" for number in range(1000)]


def test_reader_that_stands_still(pipe: tuple[int, int]) -> None:
    """Nobody waits for a reader of stderr: lines beyond the queue are dropped, and how many is said once it reads again."""
    reading, writing = pipe
    fill(writing)
    handler = Stderr(descriptor=writing)
    handler.start_thread()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "logs")
    for _ in range(QUEUED + 3000):
        handler.handle(record("x" * 100))
    assert handler.dropped in (2999, 3000)  # the thread may have one line in hand
    read: list[str] = []
    told = threading.Event()

    def read_all() -> None:
        with open(reading, closefd=False) as lines:
            for line in lines:
                read.append(line)
                if "logs dropped=" in line:
                    told.set()

    reader = threading.Thread(target=read_all)
    reader.start()
    assert told.wait(30)  # from here on there is room in the queue for the word that ends the thread
    handler.close()
    thread.join()  # on a busy machine it takes longer than close() waits
    os.close(writing)
    reader.join()
    said = [line for line in read if "logs dropped=" in line]
    assert said == [f"warning logs dropped={handler.dropped}: stderr is not read fast enough\n"]
    assert len(read) - len(said) + handler.dropped == QUEUED + 3000


def fill(descriptor: int) -> None:
    """A pipe, until it takes not a byte more."""
    os.set_blocking(descriptor, False)
    for size in (1 << 16, 1):
        try:
            while True:
                os.write(descriptor, bytes(size))
        except BlockingIOError:
            pass
    os.set_blocking(descriptor, True)


def test_stderr_that_is_gone(pipe: tuple[int, int]) -> None:
    """Writing to a closed pipe ends neither the thread nor the caller."""
    reading, writing = pipe
    os.close(reading)
    handler = Stderr(descriptor=writing)
    handler.emit(record("x"))
    handler.start_thread()
    handler.emit(record("x"))
    handler.close()
    assert handler.dropped == 0
