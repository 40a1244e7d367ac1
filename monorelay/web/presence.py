"""Is a client still there while nobody reads its socket?

Tornado notices a closed connection by reading. While an upload is held back nothing is read, on purpose; so its socket is asked,
once a second, whether the other side has hung up. ``POLLRDHUP`` tells that even when unread bytes are waiting.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any

EVERY = 1.0  # seconds

_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def has_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, _HUNG_UP)
    try:
        return bool(poll.poll(0))
    except OSError:
        return True


def watch_presence(stream: Any, until: asyncio.Future[None], loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
    """Looks once a second until ``until`` is done; calls ``gone`` when the peer has hung up."""

    def look() -> None:
        if until.done():
            return
        if stream.closed() or has_hung_up(stream.fileno()):
            gone()
        else:
            loop.call_later(EVERY, look)

    loop.call_later(EVERY, look)
