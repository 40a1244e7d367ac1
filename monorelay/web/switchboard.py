"""The switchboard: where every connection asks for a delegate, and where a reload changes one reference.

It holds the current generation. ``start_request`` deliberately does not look at it: Tornado calls that before it waits for the next
request of a kept-alive connection, which may come generations later. The delegate takes ``plan`` when the head has arrived.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate

from monorelay.plan.plan import Plan
from monorelay.relay.resources import Resources
from monorelay.web.answers import Answers
from monorelay.web.delegate import RelayDelegate
from monorelay.web.presence import Presence

HEAD_WAIT = 650.0  # seconds a connection may take to send a head; longer than common reverse proxies keep idle connections
LOOK_EVERY = 30.0
MADE_ROOM = 32  # connections closed at a time when there are too many


class Switchboard(HTTPServerConnectionDelegate):
    """One per worker.

    Mutable: ``plan``, assigned by a reload; ``calls``, the tasks of calls in flight; ``busy``, requests between head and end;
    ``waiting``, the connections whose next head has not come yet, by their stream, the longest waiting first.
    """

    def __init__(self, plan: Plan, resources: Resources, answers: Answers) -> None:
        self.plan = plan
        self.resources = resources
        self.answers = answers
        self.calls: dict[asyncio.Task[None], str] = {}
        self.busy = 0
        self.waiting: dict[Any, tuple[Any, float]] = {}
        self.presence = Presence(resources.loop)
        self._look: asyncio.TimerHandle | None = resources.loop.call_later(LOOK_EVERY, self._close_idle)

    def __repr__(self) -> str:
        return f"<Switchboard generation {self.plan.generation} busy {self.busy}>"

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        connection: Any = request_conn
        self.waiting[connection.stream] = (connection, self.resources.loop.time())
        return RelayDelegate(self, connection)

    def on_close(self, server_conn: Any) -> None:
        self.waiting.pop(server_conn.stream, None)

    def make_room(self) -> None:
        """Closes connections that have waited for longest: there are too many to accept another."""
        for connection, _ in list(islice(self.waiting.values(), MADE_ROOM)):
            connection.close()

    def _close_idle(self) -> None:
        """Closes connections that send nothing. One look now and then: Tornado's own time-out costs a timer per request."""
        now = self.resources.loop.time()
        for stream, (connection, since) in list(self.waiting.items()):
            if stream.closed() or now - since > HEAD_WAIT:
                del self.waiting[stream]
                connection.close()
        self._look = self.resources.loop.call_later(LOOK_EVERY, self._close_idle)

    def close(self) -> None:
        self.presence.close()
        if self._look is not None:
            self._look.cancel()
            self._look = None
