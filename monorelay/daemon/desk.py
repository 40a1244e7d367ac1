"""What can be asked at the control socket, and how an answer comes to be.

    {"ask": "status"}             at once
    {"ask": "effective"}          at once: what is in force, packed, keys by fingerprint (config/snapshot.py)
    {"ask": "reload"}             when a reload that read the files after the question is over
    {"ask": "workers"}            what every worker says of itself
    {"ask": "curl", "id": ID}     what the first worker that knows the call says of it

The last two are for the workers: the question goes to each of them as it came, and so do their answers. Whoever has not answered
within WORKER_LIMIT is counted as silent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monorelay.clock import Clock
from monorelay.daemon.channel import Message
from monorelay.daemon.control import Control, Peer
from monorelay.daemon.crew import Crew, Worker
from monorelay.daemon.reload import Reload, value_of

WORKER_LIMIT = 2.0  # seconds that workers have to answer
# What only workers know → whether everybody is to be heard, or the first who knows.
FOR_WORKERS = {"workers": True, "curl": False}


@dataclass(slots=True)
class Inquiry:
    """A question that is with the workers. ``waiting`` (pids) shrinks and ``answers`` (by seat) grows as they answer."""

    peer: Peer
    everybody: bool
    waiting: set[int]
    deadline: float
    answers: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return not self.waiting or bool(self.answers and not self.everybody)


class Desk:
    # Mutable: who waits for which attempt of a reload, and the questions that are with the workers, by number.

    def __init__(self, control: Control, crew: Crew, reload: Reload, clock: Clock, status: Callable[[], Mapping[str, Any]]) -> None:
        self._control = control
        self._crew = crew
        self._reload = reload
        self._clock = clock
        self._status = status
        self._reloads: list[tuple[int, Peer]] = []
        self._inquiries: dict[int, Inquiry] = {}
        self._numbers = 0

    def next_deadline(self) -> float | None:
        deadlines = [inquiry.deadline for inquiry in self._inquiries.values()]
        stalled = self._control.next_deadline()
        return min(deadlines if stalled is None else [*deadlines, stalled], default=None)

    def serve(self, *, stopping: bool) -> None:
        """Once in each turn of the master's loop: take what was asked, answer what can be answered."""
        for peer, question in self._control.take():
            self._take(peer, question, stopping)
        still = []
        for attempt, peer in self._reloads:
            if self._reload.outcome.attempt >= attempt:
                self._control.answer(peer, value_of(self._reload.outcome))
            elif stopping:
                self._control.answer(peer, {"error": "the relay stops"})
            else:
                still.append((attempt, peer))
        self._reloads = still
        now = self._clock.monotonic()
        for number, inquiry in list(self._inquiries.items()):
            if inquiry.is_over or inquiry.deadline <= now:
                del self._inquiries[number]
                self._control.answer(inquiry.peer, _summed_up(inquiry))
        self._control.drop_the_stalled()

    def hear(self, worker: Worker, number: int, answer: bytes) -> None:
        inquiry = self._inquiries.get(number)
        if inquiry is not None:
            inquiry.waiting.discard(worker.pid)
            if answer:
                inquiry.answers.setdefault(worker.seat, answer)

    def forget(self, pids: set[int]) -> None:
        """These workers will not answer any more."""
        for inquiry in self._inquiries.values():
            inquiry.waiting -= pids

    def _take(self, peer: Peer, question: Mapping[str, Any], stopping: bool) -> None:
        kind = question["ask"]
        if kind == "status":
            self._control.answer(peer, self._status())
        elif kind == "effective":
            self._control.answer(peer, self._reload.current.effective or {"error": "it was started without"})
        elif kind == "reload" and stopping:
            self._control.answer(peer, {"error": "the relay stops"})
        elif kind == "reload":
            self._reloads.append((self._reload.want(), peer))
        elif kind in FOR_WORKERS:
            self._ask_workers(peer, question)
        else:
            known = ", ".join(["status", "effective", "reload", *FOR_WORKERS])
            self._control.answer(peer, {"error": f"this relay can be asked for {known}"})

    def _ask_workers(self, peer: Peer, question: Mapping[str, Any]) -> None:
        self._numbers += 1
        deadline = self._clock.monotonic() + WORKER_LIMIT
        waiting = {worker.pid for worker in self._crew}
        self._inquiries[self._numbers] = Inquiry(peer, FOR_WORKERS[question["ask"]], waiting, deadline)
        asked = Message("ask", (self._numbers, json.dumps(question).encode()))
        for worker in self._crew:
            worker.channel.send_if_heard(asked)


def _summed_up(inquiry: Inquiry) -> bytes:
    """The workers' answers are JSON already and are not looked into."""
    silent = json.dumps({"silent": len(inquiry.waiting) if inquiry.everybody or not inquiry.answers else 0})[1:-1].encode()
    answers = [answer for _, answer in sorted(inquiry.answers.items())]
    if inquiry.everybody:
        return b'{"answers": [' + b", ".join(answers) + b"], " + silent + b"}"
    return b'{"answer": ' + (answers[0] if answers else b"null") + b", " + silent + b"}"
