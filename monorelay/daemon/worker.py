"""A worker: one event loop, one front, and the channel to the master.

It runs on the far side of the fork, and is the first file there to load Tornado. The front is everything that serves requests;
this file only tells it what the master says. When the channel closes, the master is gone: the worker finishes what is in flight
and ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import signal
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from monorelay.config.config import Config
from monorelay.config.problems import Problem
from monorelay.daemon import logs
from monorelay.daemon.assignment import Assignment
from monorelay.daemon.channel import Ack, Change, Fact, Message
from monorelay.daemon.control import LONGEST_ANSWER
from monorelay.plan.outcome import ReloadOutcome
from monorelay.upstream.shared_usage import Seat

logger = logging.getLogger(__name__)


class Tell(Protocol):
    """How a front tells the other workers something: each of their fronts hears it (``Front.hear``)."""

    def __call__(self, fact: object, until: float = 0.0) -> None:
        """``fact`` can be pickled. Until ``until`` (monotonic time) a worker that is born later hears it too."""
        ...


class Front(Protocol):
    """What serves requests: ``monorelay.web.serve.Front``, or a stand-in of a test."""

    def adopt(self, config: Config, generation: int) -> tuple[Problem, ...]:
        """Serve this from the next request on; () = done, else problems and nothing has changed."""
        ...

    def note_outcome(self, outcome: ReloadOutcome) -> None: ...

    def hear(self, fact: object) -> None:
        """What another worker's front told."""
        ...

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """To a question of the control socket, ``ask`` being its kind; None where this worker has nothing to say to it."""
        ...

    def listen_on(self, sock: socket.socket) -> None: ...

    async def drain(self, limit: float) -> int:
        """Accept nobody new, wait for calls in flight, cut what is left; how many were cut."""
        ...

    def close(self) -> None: ...


class MakeFront(Protocol):
    """``tell`` and ``seat``, its place in the memory that workers share, are None where there is one worker."""

    def __call__(
        self,
        config: Config,
        generation: int,
        state_dir: Path,
        listen: tuple[str, int],
        workers: int,
        *,
        tell: Tell | None,
        seat: Seat | None,
    ) -> Front: ...


def front_of_web(
    config: Config, generation: int, state_dir: Path, listen: tuple[str, int], workers: int, *, tell: Tell | None, seat: Seat | None
) -> Front:
    from monorelay.web.serve import Front as WebFront  # here, and not above: it loads Tornado and curl, which must not be forked

    return WebFront(config, generation, state_dir, listen, workers, tell=tell, seat=seat)


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
        front = make_front(
            self._config,
            given.generation,
            given.state_dir,
            listen,
            given.workers,
            tell=partial(self._tell, loop) if given.workers > 1 else None,
            seat=given.usage.sit(given.seat) if given.usage is not None else None,
        )
        try:
            front.note_outcome(given.outcome)
            for fact in given.facts:
                _pass_on(fact, front)
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
            elif message.kind == "fact":
                _pass_on(message.body, front)
            elif message.kind == "ask":
                number, question = message.body
                self._say(loop, Message("answer", (number, _answer(front, question))))

    def _take(self, front: Front, change: Change) -> Ack:
        config: Config = pickle.loads(change.config)
        problems = front.adopt(config, change.generation)
        if not problems:
            self._limit = config.server.drain
            logs.set_level(config.server.log_level)
        return Ack(change.attempt, tuple(map(str, problems)))

    def _tell(self, loop: asyncio.AbstractEventLoop, fact: object, until: float = 0.0) -> None:
        self._channel.send_if_heard(Message("fact", Fact(until, pickle.dumps(fact, pickle.HIGHEST_PROTOCOL))))
        self._send_later(loop)

    def _say(self, loop: asyncio.AbstractEventLoop, message: Message) -> None:
        self._channel.send(message)
        self._send_later(loop)

    def _send_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._channel.unsent:
            loop.add_writer(self._channel, self._send_rest, loop)

    def _send_rest(self, loop: asyncio.AbstractEventLoop) -> None:
        self._channel.flush()
        if not self._channel.unsent:
            loop.remove_writer(self._channel)

    def _drain(self, limit: float) -> None:
        self._limit = limit
        self._asked_to_end.set()


def _pass_on(fact: bytes, front: Front) -> None:
    try:
        front.hear(pickle.loads(fact))
    except Exception:  # what another worker says must not keep this one from hearing the master
        logger.exception("a fact that another worker told")


def _answer(front: Front, question: bytes) -> bytes:
    """JSON without a line break; empty where there is nothing to say."""
    try:
        answer = front.answer(json.loads(question))
    except Exception:  # a question must not harm what is served
        logger.exception("a question of the control socket")
        return b""
    if answer is None:
        return b""
    line = json.dumps(answer).encode()
    return line if len(line) < LONGEST_ANSWER else b'{"error": "the answer is too long"}'
