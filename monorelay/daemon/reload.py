"""The configuration in force, and how the next one takes its place.

wanted      by SIGHUP or at the control socket; one attempt at a time, and the next one counts for all who asked meanwhile
read        in a child (reading.py); a problem leaves everything as it is
handed over to every worker, where it stands; each acknowledges it. One that cannot take it: everybody returns to the generation
            before. One that does not answer is replaced
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from monorelay.daemon import logs
from monorelay.daemon.assignment import Setup
from monorelay.daemon.channel import Ack, Change, Message
from monorelay.daemon.crew import Crew, Worker
from monorelay.daemon.reading import READ_LIMIT, Facts, Outcome, Reading, Refusal
from monorelay.plan.outcome import ReloadOutcome

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Handover:
    """A reload that waits for its acknowledgements. ``waiting`` shrinks as they come; ``previous`` is what a refusal returns to."""

    outcome: ReloadOutcome
    previous: tuple[Facts, int]
    waiting: set[int]
    deadline: float
    began: float


class Reload:
    # Mutable, all by the master's one loop: the configuration in force (``current``) and its generation, the last outcome, and how
    # far a reload has come (wanted, reading, hand-over).

    def __init__(self, setup: Setup, facts: Facts, crew: Crew) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._crew = crew
        self._at_start = facts
        self.current = facts
        self.generation = 1
        self.outcome = ReloadOutcome(attempt=0, ok=True, generation=1, at=setup.clock.now())
        self._wanted = False
        self._reading: Reading | None = None
        self._reading_since = 0.0
        self._handover: Handover | None = None

    @property
    def _busy(self) -> bool:
        return self._reading is not None or self._handover is not None

    def want(self) -> int:
        """The number of the attempt that will read the files: never one that began before, for it may have read them already."""
        self._wanted = True
        return self.outcome.attempt + (2 if self._busy else 1)

    def maybe_begin(self) -> None:
        if self._wanted and not self._busy:
            self._wanted = False
            self._setup.notifier.reloading()
            self._reading_since = self._clock.monotonic()
            self._reading = Reading(self._setup.read, self.generation + 1, self._setup.listening.hosts)

    def give_up(self) -> None:
        """The relay stops: what is being read is read for nobody."""
        if self._reading is not None:
            self._reading.give_up()
            self._reading = None

    @property
    def status(self) -> str:
        """One line for people."""
        line = f"generation {self.generation}, {self.current.summary}"
        return line if self.outcome.ok else f"{line}; LAST RELOAD REFUSED: {self.outcome.problems[0]}"

    # What the master's loop watches

    def sources(self) -> Iterator[Reading]:
        if self._reading is not None:
            yield self._reading

    def hear_reading(self, reading: Reading, _: int) -> None:
        if (outcome := reading.receive()) is not None:
            self._judge(outcome)

    def deadlines(self) -> Iterator[float]:
        if self._reading is not None:
            yield self._reading_since + READ_LIMIT
        if self._handover is not None:
            yield self._handover.deadline

    def keep_deadlines(self, now: float) -> None:
        if self._reading is not None and now >= self._reading_since + READ_LIMIT:
            self._judge(self._reading.give_up())
        if self._handover is not None and now >= self._handover.deadline:
            self._replace_the_silent(self._handover)

    def acknowledge(self, worker: Worker, ack: Ack) -> None:
        handover = self._handover
        if handover is None or ack.attempt != handover.outcome.attempt:
            return
        if ack.problems:
            self._roll_back(handover, ack.problems)
            return
        handover.waiting.discard(worker.pid)
        self._maybe_finish(handover)

    def forget(self, pids: set[int]) -> None:
        """These workers are dead; their successors are born with the new configuration."""
        if self._handover is not None:
            self._handover.waiting -= pids
            self._maybe_finish(self._handover)

    # Step by step

    def _judge(self, read: Outcome) -> None:
        self._reading = None
        attempt, began = self.outcome.attempt + 1, self._reading_since
        if isinstance(read, Refusal):
            self._conclude(self._made(attempt, problems=read.problems), began)
            return
        pending = _settings_for_next_start(self._at_start, read, self._setup.overridden)
        if read.digest == self.current.digest:
            # It may be written otherwise (a reference instead of what it gives), and that is compared with other files.
            self.current = replace(self.current, effective=read.effective)
            self._conclude(self._made(attempt, unchanged=True, pending=pending), began)
            return
        for warning in read.warnings:
            logger.warning("%s", warning)
        previous = (self.current, self.generation)
        self.current = read
        self.generation += 1
        self._handover = Handover(
            outcome=self._made(attempt, pending=pending),
            previous=previous,
            waiting={worker.pid for worker in self._crew},
            deadline=self._clock.monotonic() + self._setup.ack_limit,
            began=began,
        )
        self._crew.tell(Message("config", Change(attempt, self.generation, read.config)))
        self._maybe_finish(self._handover)

    def _made(
        self, attempt: int, problems: tuple[str, ...] = (), *, unchanged: bool = False, pending: tuple[str, ...] = ()
    ) -> ReloadOutcome:
        return ReloadOutcome(
            attempt=attempt,
            ok=not problems,
            generation=self.generation,
            at=self._clock.now(),
            problems=problems,
            unchanged=unchanged,
            pending=pending,
        )

    def _roll_back(self, handover: Handover, problems: tuple[str, ...]) -> None:
        """A worker could not take what the master could compile: everybody returns to the generation before."""
        self._handover = None
        self.current, self.generation = handover.previous
        self._crew.tell(Message("config", Change(handover.outcome.attempt, self.generation, self.current.config)))
        self._conclude(self._made(handover.outcome.attempt, problems=problems), handover.began)

    def _replace_the_silent(self, handover: Handover) -> None:
        for worker in self._crew:
            if worker.pid in handover.waiting:
                limit = self._setup.ack_limit
                logger.error("worker=%d pid=%d did not acknowledge the reload within %g s", worker.seat, worker.pid, limit)
                self._crew.kill(worker)
        handover.deadline = self._clock.monotonic() + self._setup.ack_limit  # until SIGCHLD has come for each

    def _maybe_finish(self, handover: Handover) -> None:
        if not handover.waiting:
            self._handover = None
            self._conclude(handover.outcome, handover.began)

    def _conclude(self, outcome: ReloadOutcome, began: float) -> None:
        self.outcome = outcome
        self._crew.tell(Message("outcome", outcome))  # before the line in the log: who reads that and asks a worker hears the same
        logs.set_level(self.current.log_level)
        for problem in outcome.problems:
            logger.error("%s", problem)
        for sentence in outcome.pending:
            logger.warning("%s", sentence)
        line = "reload attempt=%d outcome=%s generation=%d ms=%.0f"
        values = (outcome.attempt, _verdict(outcome), outcome.generation, (self._clock.monotonic() - began) * 1000)
        logger.log(logging.INFO if outcome.ok else logging.ERROR, line, *values)
        self._setup.notifier.ready(self.status)


def _verdict(outcome: ReloadOutcome) -> str:
    return "refused" if not outcome.ok else "unchanged" if outcome.unchanged else "taken"


def value_of(outcome: ReloadOutcome) -> dict[str, Any]:
    """For the control socket. Attempt 0 is the start."""
    return {
        "attempt": outcome.attempt,
        "outcome": _verdict(outcome) if outcome.attempt else "started",
        "generation": outcome.generation,
        "at": outcome.at,
        "problems": outcome.problems,
        "pending": outcome.pending,
    }


def _settings_for_next_start(running: Facts, read: Facts, overridden: frozenset[str]) -> tuple[str, ...]:
    """What was changed on disk but is settled when the process starts; what the command line decides is left out."""
    return tuple(
        f"server.{name} was {getattr(running, name)!r} when the relay started, is {getattr(read, name)!r} now: "
        "takes effect at next restart"
        for name in ("host", "port", "workers", "state_dir")
        if name not in overridden and getattr(read, name) != getattr(running, name)
    )
