"""The switchboard: where every connection asks for a delegate, and where a reload changes one reference.

It holds the current generation. ``start_request`` deliberately does not look at it: Tornado calls that before it waits for the next
request of a kept-alive connection, which may come generations later. The delegate takes ``plan`` when the head has arrived.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate

from monorelay.plan.plan import Plan
from monorelay.relay.resources import Resources
from monorelay.web.answers import Answers
from monorelay.web.delegate import RelayDelegate


class Switchboard(HTTPServerConnectionDelegate):
    """Mutable: ``plan``, assigned by a reload; ``calls``, the tasks of calls in flight; ``busy``, requests between head and end."""

    def __init__(self, plan: Plan, resources: Resources, answers: Answers) -> None:
        self.plan = plan
        self.resources = resources
        self.answers = answers
        self.calls: dict[asyncio.Task[None], str] = {}
        self.busy = 0

    def __repr__(self) -> str:
        return f"<Switchboard generation {self.plan.generation} busy {self.busy}>"

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        connection: Any = request_conn
        return RelayDelegate(self, connection)
