"""The master: one loop over signals, the workers' messages and deadlines. It never serves a request.

    start      fork the crew; READY when every worker is
    SIGHUP     have the files read and compiled, in a child; a problem leaves everything as it is; else every worker takes the new
               configuration where it stands and acknowledges it. No worker is replaced and no socket closed
    SIGTERM    close the listening sockets, let the workers finish what is in flight, up to server.drain. A second one: now
    SIGCHLD    a worker died: its successor is forked

It loads no Tornado, no curl, no YAML, and starts no thread: it is forked from again whenever a worker has to be replaced. Whatever
a worker may not inherit from it is closed in ``_work_here``.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from monorelay.clock import Clock
from monorelay.daemon import logs
from monorelay.daemon.channel import Ack, Change, Channel, Message
from monorelay.daemon.crew import Crew, Worker
from monorelay.daemon.listen import Listening
from monorelay.daemon.notify import Notifier
from monorelay.daemon.reading import READ_LIMIT, Facts, Outcome, Read, Reading, Refusal
from monorelay.daemon.signals import Signals
from monorelay.plan.outcome import ReloadOutcome

ACK_LIMIT = 10.0  # seconds in which a worker takes over a configuration, before it is replaced
START_LIMIT = 30.0  # seconds in which the first workers get ready
AFTER_DRAIN = 5.0  # seconds a worker has to end by itself after its drain is over

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker is told when it is born."""

    channel: Channel
    listening: Listening
    config: bytes = field(repr=False)  # pickled
    generation: int
    outcome: ReloadOutcome
    state_dir: Path
    workers: int


@dataclass(frozen=True, slots=True)
class Setup:
    """What does not change while the master lives.

    ``overridden``: startup settings that the command line decided. ``lifeline``: a descriptor that is read only to notice its end,
    which is a reason to stop: whatever holds the other end is gone.
    """

    read: Read
    listening: Listening
    state_dir: Path
    workers: int
    notifier: Notifier
    clock: Clock
    work: Callable[[Assignment], int]
    announce: Callable[[str], None]
    overridden: frozenset[str] = frozenset()
    lifeline: int | None = None
    ack_limit: float = ACK_LIMIT


@dataclass(slots=True)
class Handover:
    """A reload that waits for its acknowledgements. ``waiting`` shrinks as they come; ``previous`` is what a refusal returns to."""

    outcome: ReloadOutcome
    previous: tuple[Facts, int]
    waiting: set[int]
    deadline: float
    began: float


class Master:
    # Mutable, all by the one loop: the configuration in force and its generation, the last outcome, how far a reload has come
    # (wanted, reading, hand-over), and how far a stop.

    def __init__(self, setup: Setup, facts: Facts) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._signals = Signals()
        self._crew = Crew(setup.workers, self._work_here, setup.clock)
        self._at_start = facts
        self._current = facts
        self._generation = 1
        self._outcome = ReloadOutcome(attempt=0, ok=True, generation=1, at=setup.clock.now())
        self._reload_wanted = False
        self._reading: Reading | None = None
        self._reading_since = 0.0
        self._handover: Handover | None = None
        self._started = setup.clock.monotonic()
        self._announced = False
        self._kill_at: float | None = None  # set when a stop began
        self._exit_code = 0
        self._next_watchdog = 0.0

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        try:
            self._crew.fill()
            while self._kill_at is None or len(self._crew):
                self._wait()
                self._take_signals()
                self._keep_deadlines()
                self._maybe_begin_reload()
        finally:
            for worker in self._crew:
                self._crew.kill(worker)
            self._signals.release()
            self._setup.listening.close()
        return self._exit_code

    # One turn of the loop

    def _wait(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._signals, selectors.EVENT_READ)
            if self._setup.lifeline is not None and self._kill_at is None:
                selector.register(self._setup.lifeline, selectors.EVENT_READ, self._setup.lifeline)
            if self._reading is not None:
                selector.register(self._reading, selectors.EVENT_READ, self._reading)
            for worker in self._crew:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.unsent else 0)
                selector.register(worker.channel, wanted, worker)
            for ready, events in selector.select(self._patience()):
                if isinstance(ready.data, Worker):
                    if events & selectors.EVENT_WRITE:
                        ready.data.channel.flush()
                    if events & selectors.EVENT_READ:
                        self._hear(ready.data)
                elif isinstance(ready.data, Reading):
                    if (outcome := ready.data.receive()) is not None:
                        self._judge(outcome)
                elif ready.data is not None and not os.read(ready.data, 4096):
                    self._stop("lifeline")

    def _patience(self) -> float | None:
        """Seconds until the nearest deadline; None where there is none."""
        deadlines = [self._kill_at, self._handover.deadline if self._handover else None]
        if self._reading is not None:
            deadlines.append(self._reading_since + READ_LIMIT)
        if self._kill_at is None:
            deadlines.append(self._crew.next_fill())
            if not self._announced:
                deadlines.append(self._started + START_LIMIT)
        if self._setup.notifier.watchdog_interval is not None:
            deadlines.append(self._next_watchdog)
        known = [deadline for deadline in deadlines if deadline is not None]
        return max(0.0, min(known) - self._clock.monotonic()) if known else None

    def _take_signals(self) -> None:
        taken = self._signals.take()
        if signal.SIGCHLD in taken:
            self._bury()
        if signal.SIGHUP in taken:
            self._reload_wanted = True
        for number in (signal.SIGTERM, signal.SIGINT):
            if number in taken:
                self._stop(number.name)

    def _keep_deadlines(self) -> None:
        now = self._clock.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            for worker in self._crew:
                logger.error("worker=%d pid=%d did not end by itself and is killed", worker.seat, worker.pid)
                self._crew.kill(worker)
            self._kill_at = now + AFTER_DRAIN
        if self._kill_at is None:
            self._crew.fill()
        if self._reading is not None and now >= self._reading_since + READ_LIMIT:
            self._judge(self._reading.give_up())
        if self._handover is not None and now >= self._handover.deadline:
            self._replace_the_silent(self._handover)
        if not self._announced and self._kill_at is None and now >= self._started + START_LIMIT:
            self._give_up("the workers did not get ready")
        interval = self._setup.notifier.watchdog_interval
        if interval is not None and now >= self._next_watchdog:
            self._next_watchdog = now + interval
            self._setup.notifier.watchdog()

    def _hear(self, worker: Worker) -> None:
        if worker not in self._crew:
            return  # buried earlier in this turn
        try:
            messages = worker.channel.receive()
        except EOFError:
            # It is dead or dying, and SIGCHLD tells the rest. One that closed its channel but lives on would be of no use.
            self._crew.kill(worker)
            self._bury()
            return
        for message in messages:
            if message.kind == "ready":
                worker.ready = True
                self._announce()
            elif message.kind == "ack":
                self._acknowledge(worker, message.body)

    # Workers

    def _work_here(self, seat: int, channel: Channel) -> int:
        """In the child: shed what belongs to the master, then work."""
        self._signals.release()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a signal to the whole group is the master's to handle
        return self._setup.work(
            Assignment(
                channel=channel,
                listening=self._setup.listening,
                config=self._current.config,
                generation=self._generation,
                outcome=self._outcome,
                state_dir=self._setup.state_dir,
                workers=self._setup.workers,
            )
        )

    def _bury(self) -> None:
        dead = self._crew.reap(expected=self._kill_at is not None)
        if self._handover is not None:
            # Its successor is born with the new configuration.
            self._handover.waiting -= {worker.pid for worker in dead}
            self._maybe_finish(self._handover)
        if dead and not self._announced and self._kill_at is None:
            self._give_up("a worker ended before it was ready")

    def _announce(self) -> None:
        if self._announced or not self._crew.all_ready:
            return
        self._announced = True
        self._setup.announce(f"listening on {self._setup.listening.url} (generation {self._generation}, {self._current.summary})")
        self._setup.notifier.ready(self._status())

    # Reload

    def _maybe_begin_reload(self) -> None:
        """One at a time; however often it was asked for meanwhile, the next one counts for all."""
        busy = self._reading is not None or self._handover is not None
        if self._reload_wanted and not busy and self._announced and self._kill_at is None:
            self._reload_wanted = False
            self._setup.notifier.reloading()
            self._reading_since = self._clock.monotonic()
            self._reading = Reading(self._setup.read, self._generation + 1, self._setup.listening.hosts)

    def _judge(self, read: Outcome) -> None:
        self._reading = None
        attempt, began = self._outcome.attempt + 1, self._reading_since
        if isinstance(read, Refusal):
            self._conclude(self._made(attempt, problems=read.problems), began)
            return
        pending = _settings_for_next_start(self._at_start, read, self._setup.overridden)
        if read.digest == self._current.digest:
            self._conclude(self._made(attempt, unchanged=True, pending=pending), began)
            return
        for warning in read.warnings:
            logger.warning("%s", warning)
        previous = (self._current, self._generation)
        self._current = read
        self._generation += 1
        self._handover = Handover(
            outcome=self._made(attempt, pending=pending),
            previous=previous,
            waiting={worker.pid for worker in self._crew},
            deadline=self._clock.monotonic() + self._setup.ack_limit,
            began=began,
        )
        self._crew.tell(Message("config", Change(attempt, self._generation, read.config)))
        self._maybe_finish(self._handover)

    def _made(
        self, attempt: int, problems: tuple[str, ...] = (), *, unchanged: bool = False, pending: tuple[str, ...] = ()
    ) -> ReloadOutcome:
        return ReloadOutcome(
            attempt=attempt,
            ok=not problems,
            generation=self._generation,
            at=self._clock.now(),
            problems=problems,
            unchanged=unchanged,
            pending=pending,
        )

    def _acknowledge(self, worker: Worker, ack: Ack) -> None:
        handover = self._handover
        if handover is None or ack.attempt != handover.outcome.attempt:
            return
        if ack.problems:
            self._roll_back(handover, ack.problems)
            return
        handover.waiting.discard(worker.pid)
        self._maybe_finish(handover)

    def _roll_back(self, handover: Handover, problems: tuple[str, ...]) -> None:
        """A worker could not take what the master could compile: everybody returns to the generation before."""
        self._handover = None
        self._current, self._generation = handover.previous
        self._crew.tell(Message("config", Change(handover.outcome.attempt, self._generation, self._current.config)))
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
        self._outcome = outcome
        logs.set_level(self._current.log_level)
        for problem in outcome.problems:
            logger.error("%s", problem)
        for sentence in outcome.pending:
            logger.warning("%s", sentence)
        verdict = "refused" if not outcome.ok else "unchanged" if outcome.unchanged else "taken"
        line = "reload attempt=%d outcome=%s generation=%d ms=%.0f"
        values = (outcome.attempt, verdict, outcome.generation, (self._clock.monotonic() - began) * 1000)
        logger.log(logging.INFO if outcome.ok else logging.ERROR, line, *values)
        self._crew.tell(Message("outcome", outcome))
        self._setup.notifier.ready(self._status())

    def _status(self) -> str:
        status = f"generation {self._generation}, {self._current.summary}"
        if self._outcome.ok:
            return status
        return f"{status}; LAST RELOAD REFUSED: {self._outcome.problems[0]}"

    # Stop

    def _stop(self, reason: str) -> None:
        """The first time: drain. Again: now."""
        again = self._kill_at is not None
        limit = 0.0 if again else self._current.drain
        self._kill_at = self._clock.monotonic() + limit + AFTER_DRAIN
        logger.info("stopping reason=%s drain=%g", reason, limit)
        self._setup.notifier.stopping()
        # First here, then in the workers: while they hold the sockets newcomers are served, afterwards refused at once. A reading
        # holds them too.
        if self._reading is not None:
            self._reading.give_up()
            self._reading = None
        self._setup.listening.close()
        self._crew.tell(Message("drain", limit))

    def _give_up(self, reason: str) -> None:
        """Only at the first start: later a worker that cannot live is tried again for ever."""
        logger.error("cannot start: %s", reason)
        self._exit_code = 1
        self._kill_at = self._clock.monotonic() + AFTER_DRAIN
        self._crew.tell(Message("drain", 0.0))


def _settings_for_next_start(running: Facts, read: Facts, overridden: frozenset[str]) -> tuple[str, ...]:
    """What was changed on disk but is settled when the process starts; what the command line decides is left out."""
    return tuple(
        f"server.{name} was {getattr(running, name)!r} when the relay started, is {getattr(read, name)!r} now: "
        "takes effect at next restart"
        for name in ("host", "port", "workers", "state_dir")
        if name not in overridden and getattr(read, name) != getattr(running, name)
    )
