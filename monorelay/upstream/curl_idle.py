"""Kept connections, looked at before one of them may be used again: what an upstream said there unasked is nobody's answer.

libcurl reads no further than an answer's length says, and takes a connection for alive on which something waits to be read. So what
stands behind the end of an answer, or a 408 from a server that is tired of waiting, would be taken for the answer to the next
request, which may be another client's (seen in 7.88 and 8.23, wherever those bytes are not in one read with the head). Each
connection that becomes idle is put into an epoll set, which costs a C call, and the set is asked before each request; what is
readable is shut down, and libcurl, which notices that, opens another connection. An HTTP/2 connection may be spoken on at any time:
its frames say whose they are, and libcurl reads them.

The set loses a socket that is closed by itself: a number that comes back as another socket is no trap. Where there is no epoll it
would be one, and nothing is looked at.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

import pycurl

HTTP_2 = 3  # as libcurl counts; from there on connections are shared


class IdleSockets:
    """Mutable: the set, which is the kernel's, and ``_resting``: what was put into it and not used since, though perhaps closed."""

    def __init__(self) -> None:
        self._set = select.epoll() if hasattr(select, "epoll") else None
        self._resting: set[int] = set()

    def rest(self, curl: Any) -> None:
        """A transfer has ended well: its connection, if it is kept, waits for the next one."""
        if self._set is None or curl.getinfo(pycurl.INFO_HTTP_VERSION) >= HTTP_2:
            return
        fd = curl.getinfo(pycurl.LASTSOCKET)
        if fd >= 0:
            self._resting.add(fd)
            try:
                self._set.register(fd, select.EPOLLIN)
            except OSError:  # it is there, or the kernel has no room for it: that is no reason to lose an answer
                pass

    def wake(self, fd: int) -> None:
        """A transfer uses it."""
        if fd in self._resting:
            self._resting.discard(fd)
            try:
                self._set.unregister(fd)  # type: ignore[union-attr]
            except OSError:
                pass  # closed since, and another one now

    def weed(self, is_used: Callable[[int], bool]) -> None:
        """Shuts down those on which something was said. ``is_used``: whether a transfer is at this local port, which may have been
        paused before it was ever watched."""
        if not self._resting:
            return
        for fd, _ in self._set.poll(0):  # type: ignore[union-attr]
            self.wake(fd)
            spoilt = socket.socket(fileno=fd)  # no copy: there may be no descriptor left for one
            try:
                name = spoilt.getsockname()
                if not is_used(name[1] if isinstance(name, tuple) else 0):
                    spoilt.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the upstream has closed it
            finally:
                spoilt.detach()  # libcurl's

    def close(self) -> None:
        if self._set is not None:
            self._set.close()
            self._resting.clear()
