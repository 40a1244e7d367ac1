"""The engine's stand-in for tests: it answers from scripts, keeps the interface's rules to the letter, and opens no socket.

A script is a sequence of steps, played once the request is up whole, one step per turn of the loop. What it leaves open, the test
plays by hand. A test of the relay reads like a dialogue with it::

    engine = ScriptedEngine(reply(429, headers=[("retry-after", "7")]), reply(200, b'{"ok":true}'))
    ...
    engine = ScriptedEngine(())                     # an upstream that says nothing yet
    exchange = await engine.exchange(0)             # waits until it was asked
    assert exchange.request.method == "POST"
    exchange.push(Head(200), Chunk(b"data: 1\\n\\n"))
    exchange.push(End())

Scripts are used up in order; or there is one function that makes a script of each request. Nothing here watches time-outs: a test
that wants one plays ``Failed("idle", "…")``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from monorelay.upstream.interface import Phase, Receiver, Timings, UpstreamFailure, UpstreamRequest
from monorelay.upstream.upload import Upload

log = logging.getLogger("monorelay.upstream")

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Head:
    status: int = 200
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    phase: Phase
    reason: str = "The script says so."


Step: TypeAlias = Head | Chunk | End | Failed
Script: TypeAlias = Sequence[Step]

RAISED = Failed("body", "The relay could not take the answer.")
BROKEN_UPLOAD = Failed("send", "The client broke its upload off.")


def reply(status: int = 200, body: bytes | Iterable[bytes] = b"", headers: Iterable[Header] = ()) -> Script:
    """A whole answer; ``body`` may be several chunks."""
    chunks = [body] if isinstance(body, bytes) else body
    return (Head(status, tuple(headers)), *(Chunk(chunk) for chunk in chunks if chunk), End())


def failing(phase: Phase, reason: str = "The script says so.") -> Script:
    """No answer at all."""
    return (Failed(phase, reason),)


class ScriptedExchange:
    """Mutable: ``body`` (grows while the upload is taken), ``paused`` and ``over`` (the relay, or the last step), ``aborted``
    (the relay), and the steps that are still to be played.
    """

    def __init__(self, request: UpstreamRequest, receiver: Receiver, script: Script, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.receiver = receiver
        self.body = b""
        self.sent = False  # the request is up whole
        self.paused = False
        self.aborted = False
        self.over = False
        self._loop = loop
        self._script = deque(script)  # waits until the request is up
        self._steps: deque[Step] = deque()
        self._due = False
        self._telling = False
        self._send()

    def __repr__(self) -> str:
        how = "aborted" if self.aborted else "over" if self.over else "paused" if self.paused else "open"
        return f"<ScriptedExchange {self.request.method} {self.request.url.partition('?')[0]} {how}>"

    # -- for the test

    def push(self, *steps: Step) -> None:
        """Plays these steps now, whether the request is up or not."""
        self._steps.extend(steps)
        self._soon()

    @property
    def unplayed(self) -> int:
        """Steps that wait for ``resume()``, or for the loop."""
        return len(self._steps)

    # -- for the relay

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._soon()

    def abort(self) -> None:
        if not self.over:
            self.aborted = True
            self._finish()

    def timings(self) -> Timings:
        if self.over and not self._telling:
            raise RuntimeError("the exchange is over, and its timings with it")
        return Timings(0.001, 0.002, 0.0, 0.003, 0.01, 0.02, False, "1.1", "192.0.2.1")

    # -- how it goes on

    def _send(self) -> None:
        body = self.request.body
        if not isinstance(body, Upload):
            self.body = body or b""
            self._sent()
            return
        if body.broken:
            self.push(BROKEN_UPLOAD)
            return
        body.on_bytes = self._soon_send
        while (piece := body.take(64 * 1024)) is not None:
            if not piece:
                body.on_bytes = None
                self._sent()
                return
            self.body += piece

    def _soon_send(self) -> None:
        self._loop.call_soon(self._send_on)

    def _send_on(self) -> None:
        if not self.over and not self.sent:
            self._send()

    def _sent(self) -> None:
        self.sent = True
        self.push(*self._script)

    def _soon(self) -> None:
        if not self._due and not self.over:
            self._due = True
            self._loop.call_soon(self._play)

    def _play(self) -> None:
        self._due = False
        if self.over or not self._steps or (self.paused and isinstance(self._steps[0], Chunk)):
            return
        step = self._steps.popleft()
        try:
            self._tell(step)
        except Exception:
            log.exception("A receiver raised; its exchange is given up: %r", self.request)
            if not self.over:
                self._steps.clear()
                self.push(RAISED)
        if self._steps:
            self._soon()

    def _tell(self, step: Step) -> None:
        match step:
            case Head(status, headers):
                self.receiver.head(status, list(headers))
            case Chunk(data):
                self.receiver.chunk(data)
            case End() | Failed():
                self._finish()
                self._telling = True
                try:
                    if isinstance(step, Failed):
                        self.receiver.failed(UpstreamFailure(step.phase, step.reason))
                    else:
                        self.receiver.end()
                finally:
                    self._telling = False

    def _finish(self) -> None:
        self.over = True
        self._steps.clear()
        if isinstance(self.request.body, Upload):
            self.request.body.on_bytes = None


class ScriptedEngine:
    """Mutable: ``scripts`` (used up), ``exchanges`` (one per ``start``), ``is_shut``.

    >>> engine = ScriptedEngine(lambda request: reply(200, request.url.encode()))
    """

    def __init__(self, *scripts: Script | Callable[[UpstreamRequest], Script]) -> None:
        self.scripts = deque(scripts)
        self.exchanges: list[ScriptedExchange] = []
        self.is_shut = False
        self._asked = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ScriptedEngine {self.exchanges}>"

    @property
    def requests(self) -> list[UpstreamRequest]:
        return [exchange.request for exchange in self.exchanges]

    async def exchange(self, number: int = 0) -> ScriptedExchange:
        """The exchange of this number, from 0; waits until it is started."""
        while len(self.exchanges) <= number:
            self._asked.clear()
            await self._asked.wait()
        return self.exchanges[number]

    def start(self, request: UpstreamRequest, receiver: Receiver) -> ScriptedExchange:
        """Raises AssertionError when no script is left: the test did not expect this request."""
        if self.is_shut:
            raise RuntimeError("the engine is shut")
        exchange = ScriptedExchange(request, receiver, self._script_of(request), asyncio.get_running_loop())
        self.exchanges.append(exchange)
        self._asked.set()
        return exchange

    def _script_of(self, request: UpstreamRequest) -> Script:
        if not self.scripts:
            raise AssertionError(f"no script is left for request {len(self.exchanges) + 1}: {request!r}")
        script = self.scripts[0]
        if callable(script):
            return script(request)
        self.scripts.popleft()
        return script

    def shut(self) -> None:
        self.is_shut = True
        for exchange in self.exchanges:
            exchange.abort()
