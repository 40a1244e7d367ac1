"""Accepting connections, also when there is no descriptor left for another one.

Tornado lets that error pass to the event loop. The connection stays in the queue, so the loop would try again at once, for ever:
a core at work, and thousands of tracebacks in the log each second. Here accepting rests for a moment instead, and connections that
have been idle for longest are closed to make room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

log = logging.getLogger("monorelay.web")

AT_ONCE = 128  # connections, before others get their turn
REST = 0.5  # seconds
# What a client is sent and does not take is given up after this time, by the kernel: a peer that is gone, or never reads.
UNTAKEN = 600.0


class Acceptor:
    """One listening socket. Calls ``take`` with each connection and its address, ``make_room`` when no more can be had.

    Mutable: ``_timer`` while accepting rests; ``_troubled`` from the first failure to the next success.
    """

    def __init__(self, sock: socket.socket, take: Callable[[socket.socket, Any], None], make_room: Callable[[], None]) -> None:
        self._sock = sock
        self._take = take
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._troubled = False
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNTAKEN * 1000))  # connections inherit it
        self._begin()

    def _begin(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # it left while it waited
            except OSError as error:
                self._rest(error)
                return
            self._troubled = False
            self._take(connection, address)

    def _rest(self, error: OSError) -> None:
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(REST, self._begin)
        if not self._troubled:
            self._troubled = True
            log.warning("no connection can be accepted (%s): idle ones are closed; raise the limit of open files", error.strerror)
        self._make_room()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)
