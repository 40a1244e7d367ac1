"""A worker: one event loop, one front, and the channel to the master.

It runs on the far side of the fork, and is the first file there to load Tornado. The front is everything that serves requests;
this file only tells it what the master says. When the channel closes, the master is gone: the worker finishes what is in flight
and ends.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from monorelay.config.config import Config
from monorelay.config.problems import Problem
from monorelay.daemon import logs
from monorelay.daemon.channel import Ack, Change, Message
from monorelay.daemon.master import Assignment
from monorelay.plan.outcome import ReloadOutcome

logger = logging.getLogger(__name__)


class Front(Protocol):
    """What serves requests: ``monorelay.web.serve.Front``, or a stand-in of a test."""

    def adopt(self, config: Config, generation: int) -> tuple[Problem, ...]:
        """Serve this from the next request on; () = done, else problems and nothing has changed."""
        ...

    def note_outcome(self, outcome: ReloadOutcome) -> None: ...

    def listen_on(self, sock: socket.socket) -> None: ...

    async def drain(self, limit: float) -> int:
        """Accept nobody new, wait for calls in flight, cut what is left; how many were cut."""
        ...

    def close(self) -> None: ...


MakeFront = Callable[[Config, int, Path, tuple[str, int], int], Front]


def front_of_web(config: Config, generation: int, state_dir: Path, listen: tuple[str, int], workers: int) -> Front:
    from monorelay.web.serve import Front as WebFront  # here, and not above: it loads Tornado and curl, which must not be forked

    return WebFront(config, generation, state_dir, listen, workers)


def work(assignment: Assignment, make_front: MakeFront = front_of_web) -> int:
    """Serve until the master says otherwise; the exit code."""
    lines = next((handler for handler in logging.getLogger().handlers if isinstance(handler, logs.Stderr)), None)
    if lines is not None:
        lines.start_thread()
    try:
        return asyncio.run(_Worker(assignment).serve(make_front))
    except Exception:
        logger.exception("worker")
        return 1
    finally:
        if lines is not None:
            lines.close()


class _Worker:
    # Mutable: the limit of the drain that was asked for, and the event that says so; both set by _drain only.

    def __init__(self, assignment: Assignment) -> None:
        self._given = assignment
        self._channel = assignment.channel
        self._config: Config = pickle.loads(assignment.config)
        self._limit = self._config.server.drain
        self._asked_to_end = asyncio.Event()

    async def serve(self, make_front: MakeFront) -> int:
        loop = asyncio.get_running_loop()
        given = self._given
        listen = (given.listening.host, given.listening.port)
        front = make_front(self._config, given.generation, given.state_dir, listen, given.workers)
        try:
            front.note_outcome(given.outcome)
            for sock in given.listening.sockets:
                front.listen_on(sock)
            loop.add_reader(self._channel, self._hear, loop, front)
            loop.add_signal_handler(signal.SIGTERM, lambda: self._drain(self._limit))
            # What has been loaded stays: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            self._say(loop, Message("ready"))
            await self._asked_to_end.wait()
            await self._finish(front)
        finally:
            front.close()
        return 0

    async def _finish(self, front: Front) -> None:
        """Drain up to the limit; being asked again cuts it short."""
        draining = asyncio.ensure_future(front.drain(self._limit))
        while not draining.done():
            self._asked_to_end.clear()
            again = asyncio.ensure_future(self._asked_to_end.wait())
            await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
            if not draining.done() and self._limit == 0:
                draining.cancel()
                await asyncio.wait({draining})
                await front.drain(0)
                return
        if cut := draining.result():
            logger.warning("stopped with %d requests cut after %g s", cut, self._limit)

    def _hear(self, loop: asyncio.AbstractEventLoop, front: Front) -> None:
        try:
            messages = self._channel.receive()
        except EOFError:
            loop.remove_reader(self._channel)
            logger.error("the master is gone")
            self._drain(self._limit)
            return
        for message in messages:
            if message.kind == "config":
                self._say(loop, Message("ack", self._take(front, message.body)))
            elif message.kind == "outcome":
                front.note_outcome(message.body)
            elif message.kind == "drain":
                self._drain(message.body)

    def _take(self, front: Front, change: Change) -> Ack:
        config: Config = pickle.loads(change.config)
        problems = front.adopt(config, change.generation)
        if not problems:
            self._limit = config.server.drain
            logs.set_level(config.server.log_level)
        return Ack(change.attempt, tuple(map(str, problems)))

    def _say(self, loop: asyncio.AbstractEventLoop, message: Message) -> None:
        self._channel.send(message)
        if self._channel.unsent:
            loop.add_writer(self._channel, self._send_rest, loop)

    def _send_rest(self, loop: asyncio.AbstractEventLoop) -> None:
        self._channel.flush()
        if not self._channel.unsent:
            loop.remove_writer(self._channel)

    def _drain(self, limit: float) -> None:
        self._limit = limit
        self._asked_to_end.set()
