"""The master: one loop over signals, the workers' messages, the control socket and deadlines. It never serves a request.

    start      fork the crew; READY when every worker is
    SIGHUP     a reload, see reload.py. No worker is replaced and no socket closed
    SIGTERM    close the listening sockets, let the workers finish what is in flight, up to server.drain. A second one: now
    SIGCHLD    a worker died: its successor is forked
    fact       what a worker found out goes to all others, unopened, and to those that are born later as long as it holds

It loads no Tornado, no curl, no YAML, and starts no thread: it is forked from again whenever a worker has to be replaced. Whatever
a worker may not inherit from it is closed in ``_work_here``.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
from functools import partial
from typing import Any

from monorelay import __version__
from monorelay.daemon.assignment import Assignment, Setup
from monorelay.daemon.channel import Channel, Fact, Message
from monorelay.daemon.crew import Crew, Worker
from monorelay.daemon.desk import Desk
from monorelay.daemon.noticeboard import Noticeboard
from monorelay.daemon.reading import Facts
from monorelay.daemon.reload import Reload, value_of
from monorelay.daemon.signals import Signals

START_LIMIT = 30.0  # seconds in which the first workers get ready
AFTER_DRAIN = 5.0  # seconds a worker has to end by itself after its drain is over

logger = logging.getLogger(__name__)


class Master:
    # Mutable, all by the one loop: whether the start was announced, how far a stop has come, and what the parts below hold.

    def __init__(self, setup: Setup, facts: Facts) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._signals = Signals()
        self._crew = Crew(setup.workers, self._work_here, setup.clock)
        self._reload = Reload(setup, facts, self._crew)
        self._board = Noticeboard()
        self._desk = Desk(setup.control, self._crew, self._reload, setup.clock, self._status)
        self._started = setup.clock.monotonic()
        self._announced = False
        self._kill_at: float | None = None  # set when a stop began
        self._exit_code = 0
        self._next_watchdog = 0.0

    @property
    def _stopping(self) -> bool:
        return self._kill_at is not None

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        try:
            self._crew.fill()
            while not self._stopping or len(self._crew):
                self._wait()
                self._take_signals()
                self._keep_deadlines()
                self._desk.serve(stopping=self._stopping)
                if self._announced and not self._stopping:
                    self._reload.maybe_begin()
        finally:
            for worker in self._crew:
                self._crew.kill(worker)
            self._signals.release()
            self._setup.listening.close()
            self._setup.control.close()
        return self._exit_code

    # One turn of the loop

    def _wait(self) -> None:
        with selectors.DefaultSelector() as selector:
            # What is registered with each source is called with the events that came.
            selector.register(self._signals, selectors.EVENT_READ, lambda _: None)  # _take_signals looks after them
            if self._setup.lifeline is not None and not self._stopping:
                selector.register(self._setup.lifeline, selectors.EVENT_READ, self._read_lifeline)
            for reading in self._reload.sources():
                selector.register(reading, selectors.EVENT_READ, partial(self._reload.hear_reading, reading))
            for worker in self._crew:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.unsent else 0)
                selector.register(worker.channel, wanted, partial(self._attend, worker))
            for sock, wanted, act in self._setup.control.sources():
                selector.register(sock, wanted, act)
            for ready, events in selector.select(self._patience()):
                ready.data(events)

    def _patience(self) -> float | None:
        """Seconds until the nearest deadline; None where there is none."""
        deadlines = [self._kill_at, self._desk.next_deadline(), *self._reload.deadlines()]
        if not self._stopping:
            deadlines.append(self._crew.next_fill())
            if not self._announced:
                deadlines.append(self._started + START_LIMIT)
        if self._setup.notifier.watchdog_interval is not None:
            deadlines.append(self._next_watchdog)
        known = [deadline for deadline in deadlines if deadline is not None]
        return max(0.0, min(known) - self._clock.monotonic()) if known else None

    def _read_lifeline(self, _: int) -> None:
        if self._setup.lifeline is not None and not os.read(self._setup.lifeline, 4096):
            self._stop("lifeline")

    def _take_signals(self) -> None:
        taken = self._signals.take()
        if signal.SIGCHLD in taken:
            self._bury()
        if signal.SIGHUP in taken:
            self._reload.want()
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
        if not self._stopping:
            self._crew.fill()
        self._reload.keep_deadlines(now)
        if not self._announced and not self._stopping and now >= self._started + START_LIMIT:
            self._give_up("the workers did not get ready")
        interval = self._setup.notifier.watchdog_interval
        if interval is not None and now >= self._next_watchdog:
            self._next_watchdog = now + interval
            self._setup.notifier.watchdog()

    # Workers

    def _attend(self, worker: Worker, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            worker.channel.flush()
        if events & selectors.EVENT_READ:
            self._hear(worker)

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
                self._reload.acknowledge(worker, message.body)
            elif message.kind == "fact":
                self._pass_on(worker, message.body)
            elif message.kind == "answer":
                self._desk.hear(worker, *message.body)

    def _pass_on(self, teller: Worker, fact: Fact) -> None:
        self._board.put(fact, self._clock.monotonic())
        for worker in self._crew:
            if worker is not teller:
                worker.channel.send_if_heard(Message("fact", fact.body))

    def _work_here(self, seat: int, channel: Channel) -> int:
        """In the child: shed what belongs to the master, then work."""
        self._signals.release()
        self._setup.control.release()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a signal to the whole group is the master's to handle
        return self._setup.work(
            Assignment(
                channel=channel,
                listening=self._setup.listening,
                config=self._reload.current.config,
                generation=self._reload.generation,
                outcome=self._reload.outcome,
                state_dir=self._setup.state_dir,
                workers=self._setup.workers,
                seat=seat,
                facts=self._board.read(self._clock.monotonic()),
                usage=self._setup.usage,
            )
        )

    def _bury(self) -> None:
        dead = self._crew.reap(expected=self._stopping)
        pids = {worker.pid for worker in dead}
        self._reload.forget(pids)
        self._desk.forget(pids)
        if dead and not self._announced and not self._stopping:
            self._give_up("a worker ended before it was ready")

    def _announce(self) -> None:
        if self._announced or not self._crew.all_ready:
            return
        self._announced = True
        summary = self._reload.current.summary
        self._setup.announce(f"listening on {self._setup.listening.url} (generation {self._reload.generation}, {summary})")
        self._setup.notifier.ready(self._reload.status)

    def _status(self) -> dict[str, Any]:
        """For the control socket."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "state": "stopping" if self._stopping else "serving" if self._announced else "starting",
            "generation": self._reload.generation,
            "summary": self._reload.current.summary,
            "last_reload": value_of(self._reload.outcome),
            "workers": [{"seat": worker.seat, "pid": worker.pid, "ready": worker.ready} for worker in self._crew],
            "seats": self._setup.workers,
            "listening": self._setup.listening.url,
            "config_dir": self._setup.config_dir,
            "state_dir": str(self._setup.state_dir),
        }

    # Stop

    def _stop(self, reason: str) -> None:
        """The first time: drain. Again: now."""
        limit = 0.0 if self._stopping else self._reload.current.drain
        self._kill_at = self._clock.monotonic() + limit + AFTER_DRAIN
        logger.info("stopping reason=%s drain=%g", reason, limit)
        self._setup.notifier.stopping()
        # First here, then in the workers: while they hold the sockets newcomers are served, afterwards refused at once. A reading
        # holds them too.
        self._reload.give_up()
        self._setup.listening.close()
        self._crew.tell(Message("drain", limit))

    def _give_up(self, reason: str) -> None:
        """Only at the first start: later a worker that cannot live is tried again for ever."""
        logger.error("cannot start: %s", reason)
        self._exit_code = 1
        self._kill_at = self._clock.monotonic() + AFTER_DRAIN
        self._crew.tell(Message("drain", 0.0))
