"""The real engine: one libcurl multi handle per process behind the push interface of ``interface.py``.

Every exchange is carried by an easy handle from a pool (``curl_handle.py``), and every handle is in exactly one place: in the
pool, in the queue of what was put off (WAITING), or with libcurl (ATTACHED); whoever takes it from there puts it back into the
pool. Receivers are called from inside libcurl (head, chunk), or right after it (end, failed); what they ask for there takes
effect at once as far as they can see, and reaches libcurl in the next turn of the loop (``curl_driver.py``).

The limits first_byte, idle and total are our own: libcurl's are too coarse. One alarm serves all exchanges: it is set to the
earliest moment at which one of them could be overdue, and then all are looked at. So a chunk costs one reading of the clock, and
no timer.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pycurl

from monorelay.upstream.alarm import Alarm
from monorelay.upstream.curl_driver import SOCKET_TIMEOUT, CurlDriver
from monorelay.upstream.curl_handle import ATTACHED, BROKEN_UPLOAD, DEAD, IDLE, PAUSED, STARTING, WAITING, EasyHandle
from monorelay.upstream.curl_limits import first_look, look
from monorelay.upstream.curl_options import common_options
from monorelay.upstream.curl_sockets import Sockets, watch_sockets
from monorelay.upstream.interface import Receiver, Timings, UpstreamFailure, UpstreamRequest

log = logging.getLogger("monorelay.upstream")

KEPT_HANDLES = 256
TICK = 0.02  # seconds: the exchanges are looked at no more often than this
# Before this version (seen in 7.88 and 8.12, not in 8.16) libcurl keeps the reset of an HTTP/2 stream to itself until it has more
# to send on that connection.
FLUSHES_RESETS = pycurl.version_info()[2] >= 0x081000
DIED = frozenset({pycurl.E_HTTP2, pycurl.E_GOT_NOTHING, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR})
NO_ANSWER = UpstreamFailure("first_byte", "The upstream ended the exchange without an answer.")


class CurlExchange:
    """One request in flight. Mutable: ``handle``, taken away when the exchange is over."""

    __slots__ = ("_engine", "handle")

    def __init__(self, engine: CurlEngine, handle: EasyHandle) -> None:
        self._engine = engine
        self.handle: EasyHandle | None = handle

    def __repr__(self) -> str:
        return f"<CurlExchange {self.handle.request if self.handle else 'over'}>"

    def pause(self) -> None:
        if self.handle is not None:
            self.handle.hold |= PAUSED

    def resume(self) -> None:
        if self.handle is not None and self.handle.hold & PAUSED:
            self._engine.resume(self.handle)

    def abort(self) -> None:
        handle = self.handle
        if handle is not None:
            self.handle = None
            self._engine.abandon(handle)

    def timings(self) -> Timings:
        if self.handle is None:
            raise RuntimeError("the exchange is over, and its timings with it")
        return self._engine.timings(self.handle)


class CurlEngine(CurlDriver):
    """Mutable: ``_live`` (handles whose exchange is neither over nor aborted), ``_pool`` (idle handles), ``_handles`` (all of
    them, by what libcurl calls them), ``_known_h2`` (origins whose last answer came over HTTP/2), ``_rounds`` (when the limits
    are looked at).

    To be made where the loop runs; ``shut`` it there too.

    >>> engine = CurlEngine()
    >>> exchange = engine.start(UpstreamRequest("GET", "http://127.0.0.1:8000/", (), None, timeouts), receiver)
    """

    def __new__(cls, **options: Any) -> Any:
        # Tornado would hand out one instance per loop, and forget the options of all but the first.
        return super().__new__(cls, force_instance=True, **options)

    def initialize(  # type: ignore[override]
        self, ca_file: str | None = None, sockets: Callable[..., Sockets] = watch_sockets, **fetching: Any
    ) -> None:
        """``ca_file``: trusted certificates, instead of the system's. The rest is for ``fetch``."""
        self._is_shut = False
        self._live: set[EasyHandle] = set()
        self._pool: list[EasyHandle] = []
        self._handles: dict[pycurl.Curl, EasyHandle] = {}
        self._known_h2: set[str] = set()
        self._common = common_options(ca_file, os.environ)
        super().initialize(ca_file, sockets, **fetching)
        self._rounds = Alarm(self._loop, self._look_round)

    def __repr__(self) -> str:
        return f"<CurlEngine {len(self._live)} exchanges, {len(self._pool)} idle handles>"

    # -- the interface

    def start(self, request: UpstreamRequest, receiver: Receiver) -> CurlExchange:
        if self._is_shut:
            raise RuntimeError("the engine is shut")
        handle = self._pool.pop() if self._pool else self._new_handle()
        exchange = CurlExchange(self, handle)
        handle.begin(request, receiver, exchange, self._known_h2)
        if handle.upload is not None:
            handle.upload.on_bytes = partial(self._on_upload, handle)
        self._live.add(handle)
        if self._inside or handle.fault is not None:
            handle.state = WAITING
            self._put_off(self._launch, handle)
            return exchange
        self._attach(handle)
        self._inside = True
        try:
            running = self._socket_action(SOCKET_TIMEOUT, 0)[1]  # saves the trip through the loop that libcurl asks for
        finally:
            self._inside = False
        if handle.head_waits:  # an answer already, but nothing may be told before this method has returned
            self._put_off(self._reveal, handle)
        else:
            handle.hold &= ~STARTING
        if running != self._attached or len(self._free_list) != self._fetchers:
            self._soon()
        self._alarm.by(self._wanted_at)
        return exchange

    def shut(self) -> None:
        if not self._is_shut:
            self._is_shut = True
            for handle in list(self._live):
                handle.exchange.abort()
            if self._inside:
                self._loop.call_soon(self._close_all)
            else:
                self._close_all()

    def close(self) -> None:
        """Tornado's word for the same."""
        self.shut()

    def _close_all(self) -> None:
        while self._later:
            action, what = self._later.popleft()
            action(what)  # every exchange is aborted, so all that these can do is to put handles away
        self._rounds.cancel()
        for handle in self._pool:
            self._close_handle(handle)
        self._pool.clear()
        super().close()

    # -- what exchanges and uploads ask

    def resume(self, handle: EasyHandle) -> None:
        handle.hold &= ~PAUSED
        handle.touched = self._now()
        if handle.timeouts.idle is not None:
            self._rounds.by(handle.touched + handle.timeouts.idle)
        if handle.stalled:
            self._now_or_later(self._unpause, handle)

    def abandon(self, handle: EasyHandle) -> None:
        """Its exchange is aborted: the receiver hears nothing any more, and libcurl drops it as soon as it may be told."""
        handle.exchange = None
        handle.hold |= DEAD
        self._live.discard(handle)
        if handle.state == ATTACHED:  # WAITING: _launch puts it away
            self._now_or_later(self._drop, handle)

    def timings(self, handle: EasyHandle) -> Timings:
        return handle.timings(inside=self._inside and handle.state == ATTACHED)

    def _on_upload(self, handle: EasyHandle) -> None:
        upload = handle.upload
        if upload is None:
            return
        if upload.broken and (upload.held or not upload.finished):
            self._now_or_later(self._break_off, handle)
        elif handle.starved:
            self._now_or_later(self._feed, handle)

    # -- what may have been put off: each looks first whether there is still something to do

    def _launch(self, handle: EasyHandle) -> None:
        if handle.exchange is None:
            self._recycle(handle)
        elif handle.fault is not None:
            self._conclude(handle, handle.fault)
        else:
            handle.hold &= ~STARTING
            self._attach(handle)

    def _reveal(self, handle: EasyHandle) -> None:
        """Tells of a head that came while ``start`` was still running."""
        if handle.state != ATTACHED or not handle.head_waits or handle.exchange is None:
            return
        handle.hold &= ~STARTING
        self._inside = True
        handle.deliver_head()
        self._inside = False
        if handle.fault is not None and handle.exchange is not None:
            self._conclude(handle, handle.fault)
        else:
            self._unpause(handle)

    def _unpause(self, handle: EasyHandle) -> None:
        if handle.state == ATTACHED and handle.stalled and not handle.hold:
            handle.stalled = False
            self._let_go_on(handle)

    def _feed(self, handle: EasyHandle) -> None:
        if handle.state == ATTACHED and handle.starved:
            handle.starved = False
            handle.touched = self._now()
            self._let_go_on(handle)

    def _let_go_on(self, handle: EasyHandle) -> None:
        self._inside = True
        try:
            handle.curl.pause((pycurl.PAUSE_RECV if handle.stalled else 0) | (pycurl.PAUSE_SEND if handle.starved else 0))
        except pycurl.error:
            pass  # the transfer has ended meanwhile, and its message is on the way
        finally:
            self._inside = False
        self._alarm.by(self._wanted_at)

    def _break_off(self, handle: EasyHandle) -> None:
        if handle.state == ATTACHED and handle.exchange is not None and handle.upload is not None and handle.upload.broken:
            self._conclude(handle, BROKEN_UPLOAD)

    def _drop(self, handle: EasyHandle) -> None:
        if handle.state == ATTACHED and handle.exchange is None:
            self._cut(handle)
            self._recycle(handle)

    # -- the way of a handle: pool, libcurl, pool

    def _new_handle(self) -> EasyHandle:
        handle = EasyHandle(self._now, self._on_opened, self._common)
        self._handles[handle.curl] = handle
        return handle

    def _attach(self, handle: EasyHandle) -> None:
        self._idle.weed(self._is_used)
        handle.state = ATTACHED
        self._attached += 1
        self._inside = True
        try:
            self._add(handle.curl)
        finally:
            self._inside = False
        self._rounds.by(first_look(handle))

    def _on_opened(self, handle: EasyHandle, status_line: bytes) -> None:
        if handle.starved:
            # An answer before the upload is whole. libcurl stops sending if it is a refusal, but version 7 does not see the
            # end of the answer as long as the upload is paused.
            self._put_off(self._feed, handle)
        if status_line.startswith(b"HTTP/2"):
            self._known_h2.add(handle.origin)
        else:
            self._known_h2.discard(handle.origin)

    def _is_used(self, port: int) -> bool:
        return any(handle.state == ATTACHED and handle.connection() == port for handle in self._live)

    def _on_message(self, curl: pycurl.Curl, number: int, text: str) -> None:
        if not number:
            self._idle.rest(curl)
        handle = self._handles.get(curl)
        if handle is None:
            super()._on_message(curl, number, text)
            return
        self._detach(handle)
        if number in DIED and handle.may_repeat():
            handle.state = WAITING
            self._put_off(self._launch, handle)
            return
        if handle.head_waits:
            handle.hold &= ~STARTING
            handle.deliver_head()
        if handle.exchange is None:
            self._recycle(handle)
        elif number or handle.fault is not None:
            self._conclude(handle, handle.explain(number, text))
        elif not handle.opened:
            self._conclude(handle, NO_ANSWER)
        else:
            self._conclude(handle, None)

    def _conclude(self, handle: EasyHandle, failure: UpstreamFailure | None) -> None:
        """The last word to the receiver. Whatever it asks for there is put off."""
        self._live.discard(handle)
        if handle.state == ATTACHED:
            self._cut(handle)
        inside, self._inside = self._inside, True
        try:
            if failure is None:
                handle.receiver.end()
            else:
                handle.receiver.failed(failure)
        except Exception:
            log.exception("A receiver raised at the end of its exchange: %r", handle.request)
        self._inside = inside
        if handle.exchange is not None:
            handle.exchange.handle = None
        self._recycle(handle)

    def _detach(self, handle: EasyHandle) -> None:
        handle.state = IDLE
        self._attached -= 1
        inside, self._inside = self._inside, True
        try:
            self._remove(handle.curl)
        finally:
            self._inside = inside

    def _cut(self, handle: EasyHandle) -> None:
        """Takes a handle from libcurl in mid-exchange. The upstream sees its connection close, or on HTTP/2 its stream reset."""
        if FLUSHES_RESETS or not handle.origin:
            self._detach(handle)
            return
        connection = handle.connection()
        handle.forbid_reuse()
        self._detach(handle)
        for other in self._live:
            if other.state == ATTACHED and other.origin == handle.origin and other.connection() == connection:
                self._flush(other)
                break

    def _flush(self, handle: EasyHandle) -> None:
        """Changing a pause makes libcurl send what it holds for the connection."""
        inside, self._inside = self._inside, True
        paused = (pycurl.PAUSE_RECV if handle.stalled else 0) | (pycurl.PAUSE_SEND if handle.starved else 0)
        try:
            handle.curl.pause(paused ^ pycurl.PAUSE_RECV)
            handle.curl.pause(paused)
        except pycurl.error:
            pass
        self._inside = inside

    def _recycle(self, handle: EasyHandle) -> None:
        handle.release()
        if len(self._pool) < KEPT_HANDLES and not self._is_shut:
            self._pool.append(handle)
        else:
            self._close_handle(handle)

    def _close_handle(self, handle: EasyHandle) -> None:
        del self._handles[handle.curl]
        handle.curl.close()

    # -- our own limits

    def _look_round(self) -> None:
        now = self._now()
        soonest = math.inf
        self._inside = True
        try:
            for handle in list(self._live):
                if handle.state == ATTACHED and handle.exchange is not None:
                    verdict = look(handle, now)
                    if isinstance(verdict, UpstreamFailure):
                        self._conclude(handle, verdict)
                    elif verdict < soonest:
                        soonest = verdict
        finally:
            self._inside = False
        if soonest < math.inf:
            self._rounds.by(max(soonest, now + TICK))
