"""Are the clients of calls in flight still there?

Tornado notices a closed connection by reading it, and there are times when it does not read: while an upload is held back, and
while the beginning of another request already lies in its buffer. So once a second the sockets of all calls in flight are asked, in
one system call, whether the other side has hung up. ``POLLRDHUP`` tells that even when unread bytes are waiting. A client that
closes while more of its bytes are on their way than the kernels hold cannot be told from a slow one; then the time-outs decide.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any

EVERY = 1.0  # seconds

_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Presence:
    """One per worker. Mutable: ``_watched``, the streams of calls in flight and whom to tell; ``_timer`` while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[Any, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Presence of {len(self._watched)}>"

    def watch(self, stream: Any, gone: Callable[[], None]) -> None:
        """Calls ``gone`` once, when the peer of this stream has hung up."""
        self._watched[stream] = gone
        if self._timer is None:
            self._timer = self._loop.call_later(EVERY, self._look)

    def forget(self, stream: Any) -> None:
        self._watched.pop(stream, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        poll = select.poll()
        streams = {
            stream.socket.fileno(): stream for stream in self._watched if not stream.closed()
        }  # of closed ones Tornado tells
        for descriptor in streams:
            poll.register(descriptor, _HUNG_UP)
        for descriptor, _ in poll.poll(0):
            self._watched.pop(streams[descriptor])()
        self._timer = self._loop.call_later(EVERY, self._look) if self._watched else None
