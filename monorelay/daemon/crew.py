"""The workers as the master sees them: forked into seats, heard, and replaced when they die."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from monorelay.clock import Clock
from monorelay.daemon.channel import Channel, Message

# A worker that lives shorter than this was not killed by its work; the pause before its successor doubles each time.
YOUNG = 5.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

logger = logging.getLogger(__name__)

# What the child does: (seat number, its end of the channel) → exit code. It never returns to the master's code.
Work = Callable[[int, Channel], int]


@dataclass(slots=True, eq=False)
class Worker:
    """A living child. ``ready`` turns true when it says so."""

    seat: int
    pid: int
    channel: Channel
    born: float
    ready: bool = False


@dataclass(slots=True)
class Seat:
    """A place for one worker. Changed by Crew only: who sits there, how often it died young, when the next may come."""

    worker: Worker | None = None
    early_deaths: int = 0
    vacant_until: float = field(default=0.0)


class Crew:
    """As many seats as workers are wanted.

    >>> crew = Crew(2, work, clock); crew.fill(); [worker.pid for worker in crew]
    """

    # Mutable: the seats. fill() and reap() change who sits in them.

    def __init__(self, size: int, work: Work, clock: Clock) -> None:
        self._seats = [Seat() for _ in range(size)]
        self._work = work
        self._clock = clock

    def __iter__(self) -> Iterator[Worker]:
        return iter([seat.worker for seat in self._seats if seat.worker is not None])

    def __len__(self) -> int:
        return sum(seat.worker is not None for seat in self._seats)

    @property
    def all_ready(self) -> bool:
        return all(seat.worker is not None and seat.worker.ready for seat in self._seats)

    def fill(self) -> None:
        """Fork a worker into every vacant seat whose pause is over."""
        now = self._clock.monotonic()
        for number, seat in enumerate(self._seats):
            if seat.worker is None and seat.vacant_until <= now:
                seat.worker = self._fork(number, now)

    def next_fill(self) -> float | None:
        """When the next vacant seat may be filled, in monotonic time."""
        return min((seat.vacant_until for seat in self._seats if seat.worker is None), default=None)

    def reap(self, *, expected: bool) -> list[Worker]:
        """Collect the dead. Unless they were ``expected`` to go it is a warning, and their seats are to be filled again."""
        dead = []
        for seat in self._seats:
            worker = seat.worker
            if worker is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            seat.worker = None
            worker.channel.close()
            dead.append(worker)
            lived = self._clock.monotonic() - worker.born
            seat.early_deaths = seat.early_deaths + 1 if lived < YOUNG else 0
            pause = min(FIRST_PAUSE * 2 ** (seat.early_deaths - 1), LONGEST_PAUSE) if seat.early_deaths else 0.0
            seat.vacant_until = self._clock.monotonic() + pause
            if not expected:
                logger.warning("worker=%d pid=%d %s after %.1f s; replaced in %.1f s", *_obituary(worker, status, lived), pause)
        return dead

    def tell(self, message: Message) -> None:
        for worker in self:
            worker.channel.send(message)

    def kill(self, worker: Worker) -> None:
        """End a worker that does not listen any more; reap() collects it."""
        os.kill(worker.pid, signal.SIGKILL)

    def _fork(self, number: int, now: float) -> Worker:
        ours, theirs = socket.socketpair()
        # What the child's collector never looks at stays in memory that both share.
        gc.collect()
        gc.freeze()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                # Whoever holds the master's end of another worker's channel would keep that worker alive when the master dies.
                ours.close()
                for worker in self:
                    worker.channel.close()
                code = self._work(number, Channel(theirs))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        theirs.close()
        return Worker(number, pid, Channel(ours), born=now)


def _obituary(worker: Worker, status: int, lived: float) -> tuple[int, int, str, float]:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return worker.seat, worker.pid, f"ended with exit code {code}", lived
    return worker.seat, worker.pid, f"was ended by {signal.Signals(-code).name}", lived
