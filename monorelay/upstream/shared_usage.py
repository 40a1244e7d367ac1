"""What several workers have used of one key, told through memory that they share: nobody asks, nobody waits.

The master makes a ``SharedUsage`` before it forks; each worker takes its ``Seat``, and the pools of its providers get a ``Share``
for every key that has limits. A key is a row, a worker's part of the row is a slot, and only that worker writes it:

    requests   how many it has reserved, ever
    given      how many of them never went out, and were given back
    tokens     how many its finished requests have spent, ever
    reserved   tokens of its requests in flight
    in_flight  its requests in flight
    and when it last added to requests and to tokens

Each number is eight bytes at a multiple of eight, which processors read and write at once. The others add to their own windows what
these totals have grown by since they last looked. Between looking and writing another worker may do the same: so a limit can be
exceeded by one request per worker, never by more. Rows are given out under a lock of the memory's file.

Workers are born one after the other, and the first may be serving before the last is there: so each begins with all that the others
have done in this run. A worker that is born again does not, for that may be long ago and the moments of it are not told: it begins
with nothing in flight, its pools count from then on, and what was before comes from the store.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

ROWS = 4096
_NAME = 32  # bytes of a row's name, a digest
_HEAD = 64  # bytes before the names: how many rows are taken, and behind the names one for each seat: whether somebody sat there
_SLOT = 8  # numbers in a slot: 64 bytes, a cache line of its own
_REQUESTS, _TOKENS, _RESERVED, _IN_FLIGHT, _REQUESTED_AT, _SPENT_AT, _GIVEN = range(7)


class SharedUsage:
    """The memory itself. Made once by the master; a fork inherits it, and it is gone with the last process. ``rows`` is how many
    keys with limits there can be: those beyond are counted by each worker for itself.

    >>> usage = SharedUsage(seats=2)                       # before the fork
    >>> share = usage.sit(0).share("provider", "f1")       # in the first worker
    """

    def __init__(self, seats: int, rows: int = ROWS) -> None:
        self.seats = seats
        self.rows = rows
        self._seats_at = _HEAD + rows * _NAME
        self._slots_at = self._seats_at + -(-seats // _HEAD) * _HEAD
        size = self._slots_at + rows * seats * _SLOT * 8
        self._file = os.memfd_create("monorelay-usage", os.MFD_CLOEXEC)
        os.ftruncate(self._file, size)
        self._memory = mmap.mmap(self._file, size)
        whole = memoryview(self._memory)
        self._head = whole[:_HEAD].cast("q")
        self._numbers = whole[self._slots_at :].cast("q")
        self._moments = whole[self._slots_at :].cast("d")

    def __repr__(self) -> str:
        return f"<SharedUsage {self._head[0]} of {self.rows} rows, {self.seats} seats>"

    def sit(self, seat: int) -> Seat:
        """In the worker, once it is born: what its forerunner in that seat had in flight is over."""
        for row in range(self._head[0]):
            base = self._base(row, seat)
            self._numbers[base + _IN_FLIGHT] = self._numbers[base + _RESERVED] = 0
        at = self._seats_at + seat
        is_first_time = not self._memory[at]
        self._memory[at] = 1
        return Seat(self, seat, is_first_time)

    def row(self, name: str) -> int | None:
        """The row of that name, a new one where there is none yet; None when all are taken."""
        digest = hashlib.sha256(name.encode()).digest()
        with self._lock():
            taken = self._head[0]
            at = self._memory.find(digest, _HEAD, _HEAD + taken * _NAME)
            while at >= 0 and (at - _HEAD) % _NAME:
                at = self._memory.find(digest, at + 1, _HEAD + taken * _NAME)
            if at >= 0:
                return (at - _HEAD) // _NAME
            if taken == self.rows:
                return None
            at = _HEAD + taken * _NAME
            self._memory[at : at + _NAME] = digest
            self._head[0] = taken + 1
            return taken

    def slot(self, row: int, seat: int) -> tuple[memoryview[int], memoryview[float]]:
        """The numbers of a slot, as integers and as moments."""
        base = self._base(row, seat)
        return self._numbers[base : base + _SLOT], self._moments[base : base + _SLOT]

    def _base(self, row: int, seat: int) -> int:
        return (row * self.seats + seat) * _SLOT

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Between processes; it is let go when its holder dies. Held for microseconds, at a reload."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


class Seat:
    """One worker's place in the shared memory."""

    __slots__ = ("_usage", "_seat", "_is_first_time")

    def __init__(self, usage: SharedUsage, seat: int, is_first_time: bool) -> None:
        self._usage = usage
        self._seat = seat
        self._is_first_time = is_first_time

    @property
    def is_first(self) -> bool:
        """Whether this worker does what only one of them should."""
        return self._seat == 0

    def share(self, provider: str, fingerprint: str) -> Share | None:
        """This worker's part in the use of that key; None when the memory is full."""
        usage = self._usage
        row = usage.row(f"{provider}\n{fingerprint}")
        if row is None:
            return None
        others = [usage.slot(row, seat) for seat in range(usage.seats) if seat != self._seat]
        return Share(usage.slot(row, self._seat), others, self._is_first_time)


class Share:
    """One worker's part in the use of one key. ``hears_all`` is whether what the others have done by now is news.

    Mutable: its own slot, by the three settlements; ``in_flight`` and ``reserved``, those of the others together, and ``_seen``, by
    ``growth``.
    """

    __slots__ = ("in_flight", "reserved", "_own", "_moments", "_others", "_seen")

    def __init__(
        self,
        own: tuple[memoryview[int], memoryview[float]],
        others: list[tuple[memoryview[int], memoryview[float]]],
        hears_all: bool,
    ) -> None:
        self.in_flight = 0
        self.reserved = 0
        self._own, self._moments = own
        self._others = others
        totals = ((numbers[_REQUESTS], numbers[_TOKENS], numbers[_GIVEN]) for numbers, _ in others)
        self._seen = [(0, 0, 0) if hears_all else total for total in totals]

    def growth(self) -> list[tuple[int, float, int, float, int]]:
        """(requests, when the last was, tokens, when the last were, requests given back) of each worker that did something since
        the last look. What is given back is told apart: it may be long since it was reserved, while others are new."""
        found = []
        in_flight = reserved = 0
        for place, (numbers, moments) in enumerate(self._others):
            in_flight += numbers[_IN_FLIGHT]
            reserved += numbers[_RESERVED]
            # The totals are read before their moments and written after them: a moment may be too late, never too early.
            now = numbers[_REQUESTS], numbers[_TOKENS], numbers[_GIVEN]
            before = self._seen[place]
            if now != before:
                self._seen[place] = now
                requests, tokens, given = (new - old for new, old in zip(now, before, strict=True))
                found.append((requests, moments[_REQUESTED_AT], tokens, moments[_SPENT_AT], given))
        self.in_flight, self.reserved = in_flight, reserved
        return found

    def reserve(self, at: float, tokens: int) -> None:
        own = self._own
        self._moments[_REQUESTED_AT] = at
        own[_REQUESTS] += 1
        own[_IN_FLIGHT] += 1
        own[_RESERVED] += tokens

    def settle(self, at: float, reserved: int, spent: int) -> None:
        own = self._own
        if spent:
            self._moments[_SPENT_AT] = at
            own[_TOKENS] += spent
        self._end(reserved)

    def give_back(self, reserved: int) -> None:
        self._own[_GIVEN] += 1
        self._end(reserved)

    def _end(self, reserved: int) -> None:
        own = self._own
        own[_IN_FLIGHT] = max(0, own[_IN_FLIGHT] - 1)
        own[_RESERVED] = max(0, own[_RESERVED] - reserved)
