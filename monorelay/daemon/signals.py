"""Signals as something to read: a handler only notes the number, and a descriptor wakes the master's loop."""

from __future__ import annotations

import os
import signal
from types import FrameType

HEARD = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def hold_back_reloads() -> None:
    """A SIGHUP that comes before there is anybody to hear it waits for that, instead of ending the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


class Signals:
    """Takes over the process's signals until ``release``; a hundred of one kind that arrive together count as one."""

    # Mutable: the numbers noted and not yet taken; added to by the handler, emptied by take().

    def __init__(self) -> None:
        self._noted: set[int] = set()
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._previous = {number: signal.signal(number, self._note) for number in HEARD}
        signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._readable

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.add(number)

    def take(self) -> set[int]:
        try:
            while os.read(self._readable, 4096):
                pass
        except BlockingIOError:
            pass
        taken = set()
        while self._noted:
            taken.add(self._noted.pop())
        return taken

    def release(self) -> None:
        """Give the signals back to whoever had them, in a child after a fork too."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._readable)
        os.close(self._writable)
