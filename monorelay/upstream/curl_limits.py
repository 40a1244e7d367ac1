"""The time limits of one exchange: which of them has passed, or when to look again.

Nothing is counted down. The handle notes when it last saw a sign of life (``touched``), and a look compares that with the limits:
a chunk moves its idle limit by one reading of the clock. What the handle cannot note by itself is asked of libcurl at the look:
whether the connection is there, and how much of a body in memory went out. So a look is never from inside a callback.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pycurl

from monorelay.upstream.heads import is_final
from monorelay.upstream.interface import UpstreamFailure

if TYPE_CHECKING:
    from monorelay.upstream.curl_handle import EasyHandle

LOOKS = 8  # in one first-byte limit, while a large body goes up
GRACE = 1.0  # seconds that libcurl gets to notice the passing of its own connect limit; some of its waiting is not covered by it
BYTES_SENT = getattr(pycurl, "SIZE_UPLOAD_T", pycurl.SIZE_UPLOAD)  # the old one is deprecated, the new one is not everywhere


def first_look(handle: EasyHandle) -> float:
    """When to look for the first time: no later than any limit can pass."""
    limits = handle.timeouts
    connect, wait, idle, total = limits.connect, limits.first_byte, limits.idle, limits.total
    if wait is None:
        wait = math.inf
    elif handle.is_long:
        wait /= LOOKS
    if connect is not None and connect + GRACE < wait:
        wait = connect + GRACE
    if idle is not None and idle < wait:
        wait = idle
    if total is not None and total < wait:
        wait = total
    return handle.began + wait


def look(handle: EasyHandle, now: float) -> float | UpstreamFailure:
    """The failure, or the moment of the next look."""
    total = handle.timeouts.total
    at = math.inf if total is None else handle.started + total
    if total is not None and at <= now:
        return UpstreamFailure("total", f"The answer was not complete within {total:g} s.")
    if handle.opened or (handle.lines and is_final(handle.lines[0])):
        verdict = _answering(handle, now)
    elif not (connected := handle.getinfo(pycurl.PRETRANSFER_TIME)):
        verdict = _connecting(handle, now)
    else:
        verdict = _waiting(handle, now, handle.began + connected)
    return verdict if isinstance(verdict, UpstreamFailure) else min(at, verdict)


def _connecting(handle: EasyHandle, now: float) -> float | UpstreamFailure:
    limits = handle.timeouts
    if limits.connect is not None:
        at = handle.began + limits.connect + GRACE
        if at <= now:
            return UpstreamFailure("connect", f"No connection within {limits.connect:g} s.")
    return _soon(handle, now)


def _waiting(handle: EasyHandle, now: float, connected_at: float) -> float | UpstreamFailure:
    """first_byte runs from the last progress upward: the connection, then each piece of the body that went out."""
    limit = handle.timeouts.first_byte
    if limit is None:
        return _soon(handle, now)
    if handle.upload is None:
        sent = handle.getinfo(BYTES_SENT)
        if handle.seen < 0:
            handle.touched = connected_at
        elif handle.is_long and sent != handle.seen:
            handle.touched = now
        handle.seen = sent
    elif handle.starved:
        handle.touched = now  # it is the client who makes us wait
    at = handle.touched + limit
    if at <= now:
        if handle.stood() == "send":
            return UpstreamFailure("send", f"The upstream took nothing of the request body for {limit:g} s.")
        return UpstreamFailure("first_byte", f"No answer within {limit:g} s.")
    return min(at, _soon(handle, now))


def _answering(handle: EasyHandle, now: float) -> float | UpstreamFailure:
    """idle runs from the last bytes; a pause of the receiver's own is not the upstream's silence."""
    limit = handle.timeouts.idle
    if limit is None or handle.hold:
        return math.inf
    if not handle.opened and handle.seen != len(handle.lines):  # a head that comes line by line
        handle.seen, handle.touched = len(handle.lines), now
    at = handle.touched + limit
    if at <= now:
        return UpstreamFailure("idle", f"The upstream fell silent in mid-answer for {limit:g} s.")
    return at


def _soon(handle: EasyHandle, now: float) -> float:
    """Before the answer something may begin at any time that a limit runs from."""
    first_byte, idle = handle.timeouts.first_byte, handle.timeouts.idle
    wait = GRACE if first_byte is None else first_byte / LOOKS if handle.is_long else first_byte
    return now + (wait if idle is None or idle > wait else idle)
