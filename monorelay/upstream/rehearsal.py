"""Faults that an operator asked for, staged on the way to a real upstream: how fail-over is rehearsed with one's own files.

A ``RehearsingEngine`` stands before another engine. ``start`` hands everything on as it is; ``start_with`` plays one fault:

    rate_limit   a 429, with Retry-After if it has one; the upstream is not asked
    status       any refusal, with a small JSON body; the upstream is not asked
    latency      the upstream is asked some seconds later, and the wait counts as the upstream's own
    cut          the upstream's answer, broken off after so many events
    stall        the upstream's answer, silent after so many events until the idle limit passes
    bad_json     the upstream's answer, made unreadable: a stream after so many events, anything else at once

Where the answer is no event stream, or an encoded one, chunks are counted in the place of events. The last three spare answers
that are refusals already: a rehearsal does not hide what is really wrong. To the receiver a fault looks like the real thing, by the
rules of ``interface.py``, but for the word "rehearsal" in each reason and each body.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from monorelay.upstream.event_count import EventCount
from monorelay.upstream.interface import Engine, Exchange, Phase, Receiver, Timeouts, Timings, UpstreamFailure, UpstreamRequest
from monorelay.upstream.scripted import Script, ScriptedExchange, reply

log = logging.getLogger("monorelay.upstream")

Kind = Literal["rate_limit", "status", "latency", "cut", "stall", "bad_json"]
Header = tuple[str, str]

BROKEN_EVENT = b'data: {"rehearsal": "this event is broken\n\n'
BROKEN_JSON = b'{"rehearsal": "this answer is broken'


@dataclass(frozen=True, slots=True)
class Fault:
    """``share`` of the requests meet it; ``keys`` are labels, () = any key. ``status``, ``retry_after`` (None: not said),
    ``seconds`` and ``after_events`` are for the kinds that need them.
    """

    kind: Kind
    share: float = 1.0
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    after_events: int = 0
    keys: tuple[str, ...] = ()


def choose_fault(faults: Sequence[Fault], label: str, draw: float) -> Fault | None:
    """The fault that a request with the key ``label`` meets. ``draw`` is a number in [0, 1).

    Shares add up: of 0.3 and 0.2, in this order, three requests of ten meet the first and two the second.

    >>> choose_fault((Fault("cut", share=0.3), Fault("stall", share=0.2)), "main", draw=0.4).kind
    'stall'
    """
    for fault in faults:
        if not fault.keys or label in fault.keys:
            draw -= fault.share
            if draw < 0:
                return fault
    return None


class RehearsingEngine:
    """Mutable: ``_staged``, the exchanges that are not the other engine's own; ``_is_shut``.

    >>> engine = RehearsingEngine(CurlEngine(), loop)
    >>> exchange = engine.start_with(request, receiver, Fault("rate_limit", retry_after=7))
    """

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._staged: weakref.WeakSet[ScriptedExchange | RehearsedExchange] = weakref.WeakSet()
        self._is_shut = False

    def __repr__(self) -> str:
        return f"<RehearsingEngine before {self._engine!r}>"

    def start(self, request: UpstreamRequest, receiver: Receiver) -> Exchange:
        return self._engine.start(request, receiver)

    def start_with(self, request: UpstreamRequest, receiver: Receiver, fault: Fault) -> Exchange:
        if self._is_shut:
            raise RuntimeError("the engine is shut")
        staged: ScriptedExchange | RehearsedExchange
        if fault.kind in ("rate_limit", "status"):
            # Without its body: an upload that the upstream never saw may still go to another.
            staged = ScriptedExchange(replace(request, body=None), receiver, _refusal(fault), self._loop)
        else:
            staged = RehearsedExchange(self._engine, request, receiver, fault, self._loop)
        self._staged.add(staged)
        return staged

    def shut(self) -> None:
        self._is_shut = True
        for staged in list(self._staged):
            staged.abort()
        self._engine.shut()


def _refusal(fault: Fault) -> Script:
    """In a form that clients of either family read."""
    status = 429 if fault.kind == "rate_limit" else fault.status
    kind = "rate_limit_error" if status == 429 else "rehearsal"
    error = {"type": kind, "message": f"rehearsal: a staged refusal with status {status}", "code": "rehearsal"}
    body = json.dumps({"type": "error", "error": error}).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    if fault.retry_after is not None:
        headers.append(("retry-after", f"{math.ceil(fault.retry_after)}"))
        headers.append(("retry-after-ms", f"{fault.retry_after * 1000:.0f}"))
    return reply(status, body, headers)


@dataclass(frozen=True, slots=True)
class _Left:
    """What a wait has left of the limits."""

    connect: float | None
    first_byte: float | None
    idle: float | None
    total: float | None


def _less(limit: float | None, seconds: float) -> float | None:
    return None if limit is None else limit - seconds


class RehearsedExchange:
    """Between a receiver and the exchange of its upstream, of which it is the receiver.

    Mutable: ``_inner`` (None while the fault delays it, and from the moment when it was left), ``_is_over`` (nothing more is told),
    ``_is_paused`` (the receiver's wish), ``_passes`` (the rest goes through as it comes), ``_replaces`` and ``_count`` (set at the
    head), ``_to_come`` (what is still to come before the fault), ``_timings`` (of an upstream that was left), and the timers.
    """

    def __init__(
        self, engine: Engine, request: UpstreamRequest, receiver: Receiver, fault: Fault, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._engine = engine
        self._request = request
        self._receiver = receiver
        self._fault = fault
        self._loop = loop
        self._inner: Exchange | None = None
        self._is_over = False
        self._is_paused = False
        self._passes = fault.kind == "latency"
        self._replaces = False  # the whole body by a broken one
        self._count: EventCount | None = None  # None: chunks are counted
        self._to_come = fault.after_events
        self._timings: Timings | None = None
        self._timer: asyncio.TimerHandle | None = None  # the wait's, later the idle limit's
        self._last: asyncio.TimerHandle | None = None  # the total limit's
        self._started = loop.time()
        if fault.kind == "latency":
            self._wait(request.timeouts)
        else:
            self._inner = engine.start(request, self)

    def __repr__(self) -> str:
        return f"<RehearsedExchange {self._fault.kind} {self._request!r}>"

    # -- the exchange

    def pause(self) -> None:
        self._is_paused = True
        if self._inner is not None:
            self._inner.pause()
        elif self._timings is not None:
            self._stop_timer()

    def resume(self) -> None:
        if not self._is_paused:
            return
        self._is_paused = False
        if self._inner is not None:
            self._inner.resume()
        elif self._timings is not None:
            self._await_idle()

    def abort(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._leave()

    def timings(self) -> Timings:
        if self._timings is not None:
            return self._timings
        if self._inner is None:
            raise RuntimeError("there are no timings: the exchange has not begun, or is over")
        return self._inner.timings()

    # -- the receiver

    def head(self, status: int, headers: Sequence[Header]) -> None:
        if self._is_over:
            return
        if not 200 <= status < 300:
            self._passes = True
        if not self._passes:
            headers = self._look_at(headers)
        self._receiver.head(status, headers)
        if not self._passes and self._to_come <= 0 and self._fault.kind != "bad_json":
            self._strike()

    def chunk(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._passes:
            self._receiver.chunk(data)
            return
        if self._replaces:
            self._receiver.chunk(BROKEN_JSON)
            self._finish(None)
            return
        data, is_due = self._counted(data)
        if is_due and self._fault.kind == "bad_json":
            data += BROKEN_EVENT  # in one with what came before: the receiver may pause after each chunk
        if data:
            self._receiver.chunk(data)
        if is_due:
            self._strike()

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._stop_timer()
            self._receiver.end()

    def failed(self, failure: UpstreamFailure) -> None:
        if not self._is_over:
            self._is_over = True
            self._stop_timer()
            self._receiver.failed(failure)

    # -- latency

    def _wait(self, limits: Timeouts) -> None:
        """A limit that passes first ends the exchange, as it would with a slow upstream."""
        seconds = self._fault.seconds
        told: tuple[tuple[float | None, Phase], ...] = ((limits.first_byte, "first_byte"), (limits.total, "total"))
        passed = [(limit, phase) for limit, phase in told if limit is not None and limit <= seconds]
        if not passed:
            self._timer = self._loop.call_later(seconds, self._launch)
            return
        limit, phase = min(passed)
        failure = UpstreamFailure(phase, f"rehearsal: no answer within {limit:g} s, for the upstream is {seconds:g} s late")
        self._timer = self._loop.call_later(limit, self._finish, failure)

    def _launch(self) -> None:
        limits, seconds = self._request.timeouts, self._fault.seconds
        left = _Left(limits.connect, _less(limits.first_byte, seconds), limits.idle, _less(limits.total, seconds))
        self._timer = None
        self._inner = self._engine.start(replace(self._request, timeouts=left), self)
        if self._is_paused:
            self._inner.pause()

    # -- cut, stall, bad_json

    def _look_at(self, headers: Sequence[Header]) -> Sequence[Header]:
        fields = dict(headers)
        if fields.get("content-type", "").lower().startswith("text/event-stream"):
            if fields.get("content-encoding", "identity").strip().lower() == "identity":
                self._count = EventCount()
        elif self._fault.kind == "bad_json":
            self._replaces = True
            return [(name, value) for name, value in headers if name not in ("content-length", "content-encoding")]
        return headers

    def _counted(self, data: bytes) -> tuple[bytes, bool]:
        """What goes through before the fault, and whether it is due then."""
        if self._to_come <= 0:
            return b"", True
        if self._count is None:
            self._to_come -= 1
            return data, not self._to_come
        for end in self._count.ends(data):
            self._to_come -= 1
            if not self._to_come:
                return data[:end], True
        return data, False

    def _strike(self) -> None:
        if self._is_over:  # aborted in the method that was just called
            return
        if self._fault.kind == "stall":
            self._fall_silent()
            return
        what = "made unreadable and cut" if self._fault.kind == "bad_json" else "cut"
        self._finish(UpstreamFailure("body", f"rehearsal: the answer was {what} after {self._told()}"))

    def _told(self) -> str:
        count = self._fault.after_events
        return f"{count} {'chunk' if self._count is None else 'event'}{'' if count == 1 else 's'}"

    def _fall_silent(self) -> None:
        """The upstream is left: nobody pays for what nobody hears. Its limits go on here."""
        assert self._inner is not None
        self._timings = self._inner.timings()
        self._inner.abort()
        self._inner = None
        total = self._request.timeouts.total
        if total is not None:
            failure = UpstreamFailure("total", f"rehearsal: the answer was not complete within {total:g} s")
            self._last = self._loop.call_at(self._started + total, self._finish, failure)
        if not self._is_paused:
            self._await_idle()

    def _await_idle(self) -> None:
        idle = self._request.timeouts.idle
        if idle is not None and not self._is_over:
            failure = UpstreamFailure("idle", f"rehearsal: the upstream fell silent for {idle:g} s after {self._told()}")
            self._timer = self._loop.call_later(idle, self._finish, failure)

    # -- the end

    def _finish(self, failure: UpstreamFailure | None) -> None:
        """The last word to the receiver; until it returns, the timings can be read."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if failure is None:
                self._receiver.end()
            else:
                self._receiver.failed(failure)
        except Exception:
            log.exception("A receiver raised at the end of its exchange: %r", self._request)
        self._leave()

    def _leave(self) -> None:
        self._stop_timer()
        if self._last is not None:
            self._last.cancel()
            self._last = None
        self._timings = None
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
