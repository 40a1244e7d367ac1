"""A pooled libcurl easy handle, and the one exchange that it carries at the moment.

A handle remembers what is set on it, so that a new request costs only the options in which it differs from the last one: there is
no ``reset()``. libcurl calls it back with header lines, body bytes and the wish for upload bytes; the handle passes them to the
receiver or tells libcurl to wait, and never calls libcurl from there: ``setopt``, ``getinfo``, ``add_handle``, ``remove_handle``
and ``socket_action`` raise inside callbacks. What has to be done next is the engine's business (``curl.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pycurl

from monorelay.upstream.curl_faults import explain
from monorelay.upstream.curl_limits import BYTES_SENT
from monorelay.upstream.curl_options import Unsendable, header_lines, url_bytes
from monorelay.upstream.heads import is_final, parse_head
from monorelay.upstream.interface import Phase, Receiver, Timeouts, Timings, UpstreamFailure, UpstreamRequest
from monorelay.upstream.upload import Upload

log = logging.getLogger("monorelay.upstream")

IDLE, WAITING, ATTACHED = range(3)  # in the pool; start() came where libcurl forbids it; libcurl is at work on it

# Why libcurl may not hand over body bytes: the bits of ``hold``.
PAUSED = 1  # the receiver has paused
STARTING = 2  # start() has not returned yet
DEAD = 4  # aborted, or the receiver raised

LONG = 64 * 1024  # larger bodies leave in several pieces
NO_LIMIT = 2**31 - 1  # ms; libcurl takes 0 for its own default of 300 s
WITH_BODY = ("POST", "PUT", "PATCH")  # these say Content-Length: 0 when there is none
HTTP_VERSIONS = {1: "1.0", 2: "1.1", 3: "2", 30: "3"}

MOST_SENDINGS = 2  # of one request, and only when a kept connection died before a byte of the answer
DIED_AGAIN = UpstreamFailure("first_byte", "The upstream closed one kept connection after another without an answer.")
RAISED = UpstreamFailure("body", "The relay could not take the answer.")
BROKEN_UPLOAD = UpstreamFailure("send", "The client broke its upload off.")
SHORT_UPLOAD = UpstreamFailure("send", "The client's upload ended before the announced length.")


class EasyHandle:
    """Wraps ``curl``, instead of being one: attributes of PycURL's classes are found by way of an exception, at half a
    microsecond each.

    Mutable: what is set on it (``_url`` and after, by ``begin`` only), and the exchange it carries: ``state`` and ``exchange``
    (by the engine), ``hold`` (by the exchange), ``stalled`` and ``starved`` (libcurl waits for our leave to go on), ``lines``,
    ``opened`` and ``head_waits`` (the head), ``touched`` (the last sign of life), ``fault`` (why a callback made libcurl give
    up).
    """

    # fmt: off
    __slots__ = (
        "curl", "getinfo",
        "state", "exchange", "request", "receiver", "timeouts", "upload", "origin", "is_long",
        "hold", "stalled", "starved", "lines", "opened", "head_waits", "fault", "repeats", "sendings",
        "started", "began", "touched", "seen", "first_byte_at",
        "_setopt", "_now", "_on_opened", "_url", "_headers", "_shape", "_has_body", "_connect", "_waits_for_h2",
    )
    # fmt: on

    def __init__(
        self, now: Callable[[], float], on_opened: Callable[[EasyHandle, bytes], None], options: Sequence[tuple[int, object]]
    ) -> None:
        self.curl = curl = pycurl.Curl()
        self._now = now
        self._on_opened = on_opened
        self.state = IDLE
        self.hold = 0
        self.exchange: Any = None
        self.receiver: Receiver
        self.timeouts: Timeouts
        self.request: UpstreamRequest | None = None
        self.upload: Upload | None = None
        self.lines: list[bytes] = []
        self._url: str = ""
        self._headers: tuple[str, ...] | None = None
        self._shape: tuple[str, bool] | None = None  # method, whether there is a body; None: to be set anew
        self._connect: float | None = -1.0
        self._has_body = self.is_long = self._waits_for_h2 = False
        self._setopt = curl.setopt
        self.getinfo = curl.getinfo
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.READFUNCTION, self._on_read)
        if hasattr(pycurl, "PREREQFUNCTION"):  # PycURL 7.45.3
            curl.setopt(pycurl.PREREQFUNCTION, self._on_sending)
        for option, value in options:
            curl.setopt(option, value)

    def __repr__(self) -> str:
        return f"<EasyHandle {self.request} state {self.state} hold {self.hold}>"

    # -- the request

    def begin(self, request: UpstreamRequest, receiver: Receiver, exchange: object, known_h2: set[str]) -> None:
        """Takes a request on. Where it cannot be sent, ``fault`` says so."""
        self.request = request
        self.receiver = receiver
        self.exchange = exchange
        self.timeouts = request.timeouts
        self.hold = STARTING
        self.stalled = self.starved = self.opened = self.head_waits = self.repeats = False
        self.sendings = 0
        self.fault: UpstreamFailure | None = None
        self.started = self.began = self.touched = self._now()
        self.first_byte_at = 0.0
        self.seen = -1
        url = request.url
        self.origin = url[8:].partition("/")[0] if url.startswith("https:") else ""  # to know again who speaks HTTP/2
        try:
            if url != self._url:
                self._setopt(pycurl.URL, url_bytes(url))
                self._url = url
            headers = request.headers
            if headers is not self._headers and headers != self._headers:
                self._setopt(pycurl.HTTPHEADER, header_lines(headers))
                self._headers = headers
            self._set_body(request.method, request.body)
            connect = request.timeouts.connect
            if connect != self._connect:
                self._setopt(pycurl.CONNECTTIMEOUT_MS, NO_LIMIT if connect is None else max(1, min(NO_LIMIT, int(connect * 1000))))
                self._connect = connect
            if (self.origin in known_h2) is not self._waits_for_h2:
                # Only where HTTP/2 was seen: on a cold HTTP/1.1 host it makes simultaneous requests wait for the first one's end.
                self._waits_for_h2 = not self._waits_for_h2
                self._setopt(pycurl.PIPEWAIT, self._waits_for_h2)
        except (Unsendable, pycurl.error, UnicodeError) as error:
            reason = str(error) if isinstance(error, Unsendable) else "libcurl does not take the request."
            self.fault = UpstreamFailure("send", reason)

    def _set_body(self, method: str, body: bytes | Upload | None) -> None:
        if isinstance(body, Upload):
            return self._set_upload(method, body)
        if body is None and method in WITH_BODY:
            body = b""
        shape = (method, body is not None)
        if shape != self._shape:
            if self._shape is None:
                self._setopt(pycurl.FRESH_CONNECT, 0)
                self._setopt(pycurl.FORBID_REUSE, 0)
            self._shape = None
            self._setopt(pycurl.HTTPGET, 1)  # back to the neutral state from any other
            if method == "HEAD" and body is None:
                self._setopt(pycurl.NOBODY, 1)
            if shape in (("GET", False), ("HEAD", False), ("POST", True)):
                self.curl.unsetopt(pycurl.CUSTOMREQUEST)
            else:
                self._setopt(pycurl.CUSTOMREQUEST, method)
            self._shape = shape
        if body is not None:
            self._has_body = True
            self.is_long = len(body) > LONG
            self._setopt(pycurl.POSTFIELDS, body)  # which also makes it a POST again, of this length

    def _set_upload(self, method: str, upload: Upload) -> None:
        self._shape = None
        self._setopt(pycurl.FORBID_REUSE, 0)
        self._setopt(pycurl.HTTPGET, 1)
        self._setopt(pycurl.UPLOAD, 1)
        self._setopt(pycurl.INFILESIZE_LARGE, -1 if upload.length is None else upload.length)
        self._setopt(pycurl.CUSTOMREQUEST, method)
        # What was taken from an upload cannot be sent again, so no connection that may have died meanwhile.
        self._setopt(pycurl.FRESH_CONNECT, 1)
        self.upload = upload
        self.is_long = True

    def release(self) -> None:
        """Forgets the exchange: nothing of it may be kept alive by a handle in the pool."""
        self.state = IDLE
        self.exchange = self.request = None
        del self.receiver, self.timeouts
        self.lines.clear()
        if self.upload is not None:
            self.upload.on_bytes = None
            self.upload = None
        if self._has_body:
            self._setopt(pycurl.POSTFIELDS, b"")
            self._has_body = False
        self.is_long = False

    # -- libcurl's callbacks; 0 makes it give up

    def _on_sending(self, *where: object) -> int:
        """The request is about to go out, on a new connection or a kept one.

        libcurl repeats it for every kept connection that turns out to be dead; an upstream that closes them all sees it twice.
        """
        self.sendings += 1
        if self.sendings <= MOST_SENDINGS:
            return int(pycurl.PREREQFUNC_OK)
        self.fault = DIED_AGAIN
        return int(pycurl.PREREQFUNC_ABORT)

    def _on_header(self, line: bytes) -> int | None:
        if self.opened:
            return None  # a trailer
        lines = self.lines
        if not lines:
            self.first_byte_at = self._now()
            if is_final(line):  # what comes before the answer is no sign of one: an upstream could send it for ever
                self.touched = self.first_byte_at
        if line != b"\r\n" and line != b"\n":
            lines.append(line)
            return None
        if not is_final(lines[0]):
            lines.clear()
            return None
        self.opened = True
        self.touched = self._now()
        if self.hold & STARTING:
            self.head_waits = True
            return None
        return self.deliver_head()

    def deliver_head(self) -> int | None:
        if self.hold & DEAD:
            return 0
        self.head_waits = False
        lines = self.lines
        try:
            if self.origin or self.starved:
                self._on_opened(self, lines[0])
            self.receiver.head(*parse_head(lines))
        except Exception:
            return self._raised()
        lines.clear()
        return 0 if self.hold & DEAD else None

    def _on_body(self, piece: bytes) -> int | None:
        if self.hold:
            if self.hold & DEAD:
                return 0
            self.stalled = True
            return int(pycurl.WRITEFUNC_PAUSE)
        self.touched = self._now()
        try:
            self.receiver.chunk(piece)
        except Exception:
            return self._raised()
        return None

    def _on_read(self, size: int) -> bytes | int:
        upload = self.upload
        if upload is None or upload.broken or self.hold & DEAD:
            return int(pycurl.READFUNC_ABORT)
        try:
            piece = upload.take(size)
        except Exception:
            self._raised()
            return int(pycurl.READFUNC_ABORT)
        if piece is None:
            self.starved = True
            return int(pycurl.READFUNC_PAUSE)
        self.touched = self._now()
        if not piece and upload.length is not None and upload.taken != upload.length:
            self.fault = SHORT_UPLOAD
            return int(pycurl.READFUNC_ABORT)
        return piece

    def _raised(self) -> int:
        log.exception("A receiver raised; its exchange is given up: %r", self.request)
        self.hold |= DEAD
        self.fault = RAISED
        return 0

    # -- what the engine asks, never from inside a callback

    def may_repeat(self) -> bool:
        """Whether the same request may go out once more: a kept connection died before a byte of the answer. Says yes once.

        libcurl does this by itself, but version 8 not for the first request on a kept HTTP/2 connection that was just closed.
        """
        if self.sendings >= MOST_SENDINGS:
            return False
        if self.repeats or self.first_byte_at or self.upload is not None or self.hold & DEAD or self.getinfo(pycurl.NUM_CONNECTS):
            return False
        self.repeats = True
        self.began = self._now()
        self.seen = -1
        return True

    def stood(self) -> Phase:
        if self.opened:
            return "body"
        if self.getinfo(pycurl.LOCAL_PORT) <= 0:
            return "connect"
        upload = self.upload
        if upload is not None:
            return "first_byte" if upload.finished and not upload.held else "send"
        assert self.request is not None
        body = self.request.body
        assert not isinstance(body, Upload)
        return "send" if body and self.getinfo(BYTES_SENT) < len(body) else "first_byte"

    def connection(self) -> int:
        """A number that exchanges of one origin have in common if they share a connection."""
        return int(self.getinfo(pycurl.LOCAL_PORT))

    def forbid_reuse(self) -> None:
        """Its connection is closed when this exchange is cut, unless others use it."""
        self._setopt(pycurl.FORBID_REUSE, 1)
        self._shape = None

    def explain(self, number: int, text: str) -> UpstreamFailure:
        """Why libcurl ended this exchange with an error."""
        if self.fault is not None:
            return self.fault
        if self.upload is not None and self.upload.broken:
            return BROKEN_UPLOAD
        if number == pycurl.E_OPERATION_TIMEDOUT and self._connect is not None:
            in_tls = self.origin and self.getinfo(pycurl.NUM_CONNECTS)
            what = "The TLS handshake was not done" if in_tls else "No connection"
            return UpstreamFailure("tls" if in_tls else "connect", f"{what} within {self._connect:g} s.")
        return explain(number, text, self.stood())

    def timings(self, inside: bool) -> Timings:
        """libcurl does not answer inside its callbacks: there our own clock tells the two times that it knows."""
        first_byte = max(0.0, self.first_byte_at - self.started)
        if inside:
            return Timings(0.0, 0.0, 0.0, 0.0, first_byte, self._now() - self.started, False, "", "")
        ask = self.getinfo
        return Timings(
            name_lookup=ask(pycurl.NAMELOOKUP_TIME),
            connect=ask(pycurl.CONNECT_TIME),
            tls=ask(pycurl.APPCONNECT_TIME),
            sent=ask(pycurl.PRETRANSFER_TIME),
            first_byte=first_byte,
            total=self._now() - self.started,
            reused=ask(pycurl.NUM_CONNECTS) == 0,
            http_version=HTTP_VERSIONS.get(ask(pycurl.INFO_HTTP_VERSION), ""),
            remote_ip=ask(pycurl.PRIMARY_IP) or "",
        )
