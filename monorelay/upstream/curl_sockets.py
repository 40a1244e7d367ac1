"""The sockets that libcurl wants watched, behind one descriptor of the event loop.

libcurl says anew for every request which socket it waits for. Telling asyncio each time (``add_reader``, ``remove_reader``) costs
more than all the rest that the engine does for a small request. An epoll set of our own takes one C call for each, hands over all
ready sockets at once, and forgets closed ones by itself, so that a descriptor number which comes back as a new socket is no trap.
The set is a descriptor too, and the loop watches that one (epoll sets nest). Where there is no epoll, the loop watches each
socket.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Protocol

READ, WRITE = 1, 2  # the values of libcurl's CSELECT_IN and CSELECT_OUT

Ready = Callable[[list[tuple[int, int]]], None]
"""Is told of all sockets that are ready: (number, READ | WRITE)."""


class Sockets(Protocol):
    def watch(self, fd: int, wanted: int) -> None:
        """From now on only ``wanted`` (READ, WRITE or both) is of interest at this socket."""
        ...

    def forget(self, fd: int) -> None: ...

    def close(self) -> None: ...


def watch_sockets(loop: asyncio.AbstractEventLoop, ready: Ready) -> Sockets:
    """The best way this machine has."""
    return EpollSockets(loop, ready) if hasattr(select, "epoll") else LoopSockets(loop, ready)


class EpollSockets:
    """Mutable: the epoll set, which is the kernel's; libcurl closes sockets without a word, and the set loses them then."""

    # A hang-up or an error is ready both ways: libcurl finds out itself which it is.
    _BOTH = select.EPOLLHUP | select.EPOLLERR if hasattr(select, "epoll") else 0

    def __init__(self, loop: asyncio.AbstractEventLoop, ready: Ready) -> None:
        self._loop = loop
        self._ready = ready
        self._set = select.epoll()
        self._poll = self._set.poll
        self._events = (0, select.EPOLLIN, select.EPOLLOUT, select.EPOLLIN | select.EPOLLOUT)
        self._wanted = tuple(
            (READ if event & (select.EPOLLIN | self._BOTH) else 0) | (WRITE if event & (select.EPOLLOUT | self._BOTH) else 0)
            for event in range(32)
        )
        loop.add_reader(self._set.fileno(), self._on_ready)

    def watch(self, fd: int, wanted: int) -> None:
        try:
            self._set.register(fd, self._events[wanted])
        except FileExistsError:
            self._set.modify(fd, self._events[wanted])

    def forget(self, fd: int) -> None:
        try:
            self._set.unregister(fd)
        except OSError:  # closed already, and so gone from the set
            pass

    def close(self) -> None:
        self._loop.remove_reader(self._set.fileno())
        self._set.close()

    def _on_ready(self) -> None:
        wanted = self._wanted
        self._ready([(fd, wanted[event & 31]) for fd, event in self._poll(0)])


class LoopSockets:
    """Mutable: ``_watched``, the sockets that the loop watches for us."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ready: Ready) -> None:
        self._loop = loop
        self._ready = ready
        self._watched: set[int] = set()

    def watch(self, fd: int, wanted: int) -> None:
        # Never an update: libcurl may have closed the socket and opened another of the same number, which the selector would not
        # know.
        self.forget(fd)
        self._watched.add(fd)
        if wanted & READ:
            self._loop.add_reader(fd, self._ready, [(fd, READ)])
        if wanted & WRITE:
            self._loop.add_writer(fd, self._ready, [(fd, WRITE)])

    def forget(self, fd: int) -> None:
        if fd in self._watched:
            self._watched.discard(fd)
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def close(self) -> None:
        for fd in list(self._watched):
            self.forget(fd)
