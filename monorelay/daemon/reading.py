"""Reading the configuration in a child of its own, so that the master stays as small as it is simple.

YAML, schemas and templates take 20 MB that a process never gives back; here they go with the child. The master gets what it has to
know (``Facts``) and the configuration itself as bytes, which it hands to its workers unopened. A file that cannot be read to its
end (a pipe, a disk that hangs) holds up nobody either.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

READ_LIMIT = 60.0  # seconds
PIPE_READ = 1 << 18

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the master knows of a configuration that holds together; ``config`` is the pickled whole."""

    digest: str
    host: str
    port: int
    workers: int
    state_dir: str | None
    drain: float
    log_level: str
    is_open: bool
    enabled_providers: int
    summary: str
    warnings: tuple[str, ...]
    config: bytes = field(repr=False)
    scheme: str = "http"
    effective: bytes = field(default=b"", repr=False)  # what is in force, as the control socket tells it


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a configuration is not taken: every problem, as a line."""

    problems: tuple[str, ...]


Outcome = Facts | Refusal
# Reads, compiles and judges: (generation, the addresses listened on, or None for the configured one) → what came of it.
Read = Callable[[int, tuple[str, ...] | None], Outcome]


class Reading:
    """One reading under way. Readable when something has come; ``receive`` until it gives an outcome."""

    # Mutable: the bytes come so far; whether the child has been waited for.

    def __init__(self, read: Read, generation: int, hosts: tuple[str, ...] | None) -> None:
        self._come = bytearray()
        self._readable, writable = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            with _end_here():
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _write_all(writable, pickle.dumps(_outcome(read, generation, hosts), pickle.HIGHEST_PROTOCOL))
        os.close(writable)

    def fileno(self) -> int:
        return self._readable

    def receive(self) -> Outcome | None:
        """None while there is more to come."""
        piece = os.read(self._readable, PIPE_READ)
        if piece:
            self._come += piece
            return None
        code = self._bury()
        if code != 0:
            return Refusal((f"the process that reads the configuration ended with {code}",))
        outcome: Outcome = pickle.loads(self._come)
        return outcome

    def give_up(self) -> Refusal:
        os.kill(self._pid, signal.SIGKILL)
        self._bury()
        return Refusal((f"the configuration could not be read within {READ_LIMIT:g} s",))

    def _bury(self) -> int:
        os.close(self._readable)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def read_now(read: Read, generation: int, hosts: tuple[str, ...] | None) -> Outcome:
    """A reading, waited for: at the start nobody is kept waiting by that."""
    reading = Reading(read, generation, hosts)
    while select.select([reading], [], [], READ_LIMIT)[0]:
        if (outcome := reading.receive()) is not None:
            return outcome
    return reading.give_up()


def _outcome(read: Read, generation: int, hosts: tuple[str, ...] | None) -> Outcome:
    try:
        return read(generation, hosts)
    except Exception as error:  # whatever is wrong with a file, the running generation must not suffer from it
        logger.exception("reading the configuration")
        return Refusal((f"{type(error).__name__} while the configuration was read",))


def _write_all(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


@contextmanager
def _end_here() -> Iterator[None]:
    """The child never returns to the code of its parent: whatever happens inside, the process ends."""
    code = 1
    try:
        yield
        code = 0
    finally:
        os._exit(code)
