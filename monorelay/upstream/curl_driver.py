"""Tornado's ``CurlAsyncHTTPClient`` with its machinery replaced: how libcurl and the event loop drive each other.

libcurl says which sockets and which moment it waits for. When one comes, ``socket_action`` makes it go on; it calls the transfers
back from in there, and leaves messages about those that are over. While that happens (``_inside``) hardly anything may be asked
of libcurl, so whatever somebody wants then is put off to the next turn of the loop. The stock ``fetch`` runs on the same multi
handle, so that its connections are shared; it stays what it is (it queues, buffers, follows redirects) and may be called at any
time.

Never set CLOSESOCKETFUNCTION: PycURL up to 7.45.2 crashes when a connection made by a pooled handle is closed while idle.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable
from typing import Any

import pycurl
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import HTTPRequest, HTTPResponse

from monorelay.upstream.alarm import Alarm
from monorelay.upstream.curl_idle import IdleSockets
from monorelay.upstream.curl_options import fetch_options
from monorelay.upstream.curl_sockets import READ, WRITE, Sockets, watch_sockets

KEPT_CONNECTIONS = 1024  # idle ones; libcurl's default is four times the handles of the moment
SOCKET_TIMEOUT = pycurl.SOCKET_TIMEOUT
WANTED = {pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE, pycurl.POLL_INOUT: READ | WRITE}


class CurlDriver(CurlAsyncHTTPClient):
    """Mutable: ``_inside`` (libcurl, or a receiver at the end of its exchange, is at work), ``_later`` (what was put off),
    ``_attached`` (how many transfers of ours libcurl has), ``_wanted_at`` (the moment libcurl asked for last).
    """

    def initialize(  # type: ignore[override]
        self,
        ca_file: str | None = None,
        sockets: Callable[..., Sockets] = watch_sockets,
        **fetching: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._inside = False
        self._catching_up = False
        self._later: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._attached = 0
        self._wanted_at = math.inf
        self._alarm = Alarm(self._loop, self._on_alarm)
        self._sockets = sockets(self._loop, self._on_ready)
        self._idle = IdleSockets()
        self._fetch_options = fetch_options(ca_file, os.environ)
        super().initialize(**fetching)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._fetchers = len(self._free_list)  # that of them which are missing there are at work
        # Attributes of PycURL's classes are slow to find.
        self._socket_action = self._multi.socket_action
        self._add = self._multi.add_handle
        self._remove = self._multi.remove_handle
        self._messages = self._multi.info_read

    def close(self) -> None:
        """At once; not from inside libcurl."""
        self._alarm.cancel()
        self._inside = True  # libcurl takes leave of every connection
        super().close()
        self._sockets.close()
        self._idle.close()

    # -- putting off

    def _now_or_later(self, action: Callable[[Any], None], what: Any) -> None:
        if self._inside:
            self._put_off(action, what)
        else:
            action(what)

    def _put_off(self, action: Callable[[Any], None], what: Any) -> None:
        """The action has to look first whether there is still something to do."""
        self._later.append((action, what))
        self._soon()

    def _soon(self) -> None:
        if not self._catching_up:
            self._catching_up = True
            self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._catching_up = False
        if self._closed:
            return
        try:
            for _ in range(len(self._later)):  # not what these put off in their turn
                action, what = self._later.popleft()
                action(what)
        finally:
            if self._later:
                self._soon()
        if self._wanted_at <= self._now():
            self._on_moment()
        else:
            self._finish_pending_requests()

    # -- what makes libcurl go on

    def _on_ready(self, ready: list[tuple[int, int]]) -> None:
        running = self._attached
        self._inside = True
        try:
            for fd, what in ready:
                running = self._socket_action(fd, what)[1]
        finally:
            self._inside = False
        if running != self._attached or len(self._free_list) != self._fetchers:
            self._finish_pending_requests()
        self._alarm.by(self._wanted_at)

    def _on_alarm(self) -> None:
        if self._wanted_at <= self._now() + 0.0005:
            self._on_moment()
        else:
            self._alarm.by(self._wanted_at)

    def _on_moment(self) -> None:
        self._wanted_at = math.inf
        self._inside = True
        try:
            self._socket_action(SOCKET_TIMEOUT, 0)
            if self._wanted_at == math.inf and (milliseconds := self._multi.timeout()) >= 0:
                # libcurl tells of a moment once. Should its clock have found this call too early, it will not tell again.
                self._wanted_at = self._now() + max(milliseconds, 1) / 1000
        finally:
            self._inside = False
        self._finish_pending_requests()
        self._alarm.by(self._wanted_at)

    # -- Tornado's names: libcurl calls the first two, and ``fetch`` needs all of them

    def _handle_socket(self, event: int, fd: int, multi: object, data: object) -> None:
        wanted = WANTED.get(event)
        if wanted is None:
            self._sockets.forget(fd)
        else:
            self._idle.wake(fd)
            self._sockets.watch(fd, wanted)

    def _set_timeout(self, milliseconds: int) -> None:
        self._wanted_at = math.inf if milliseconds < 0 else self._now() + milliseconds / 1000
        if not self._inside:
            self._alarm.by(self._wanted_at)

    def _finish_pending_requests(self) -> None:
        """Reads libcurl's messages about transfers that are over."""
        self._inside = True
        try:
            left = 1
            while left:
                left, done, broken = self._messages()
                for curl in done:
                    self._on_message(curl, 0, "")
                for curl, number, text in broken:
                    self._on_message(curl, number, text)
        finally:
            self._inside = False
        if self._requests:
            self._process_queue()

    def _on_message(self, curl: pycurl.Curl, number: int, text: str) -> None:
        self._finish(curl, number or None, text)

    def _handle_force_timeout(self) -> None:
        """Tornado's own look at all sockets, once a second: a remedy for libcurl 7.2x that would run outside ``_inside``."""

    def fetch_impl(self, request: HTTPRequest, callback: Callable[[HTTPResponse], None]) -> None:
        if self._inside:
            self._loop.call_soon(self.fetch_impl, request, callback)
        else:
            self._idle.weed(self._is_used)
            super().fetch_impl(request, callback)

    def _is_used(self, port: int) -> bool:
        """Whether a transfer of ours is at this local port."""
        return False

    def _curl_setup_request(self, curl: pycurl.Curl, request: HTTPRequest, *rest: Any) -> None:
        super()._curl_setup_request(curl, request, *rest)
        for option, value in self._fetch_options:
            if request.ca_certs is None or option not in (pycurl.CAINFO, pycurl.CAPATH):
                curl.setopt(option, value)
