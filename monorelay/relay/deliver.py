"""The way back: what an upstream sends, as it sends it, until it is committed to the client or the attempt has failed.

A ``Delivery`` is the receiver of one exchange. It holds the answer back until the commit, because until then a failure may still be
retried or become a real status:

    a stream         until its first content event, or 15 s after the upstream's head, or 64 KiB
    a JSON answer    until it is complete, or past 1 MiB (translated ones always until they are complete, and so is one where a
                     stream was asked for: it is told as one)
    anything else    until its first byte
    a refusal        always: the line decides what it means

After the commit, chunks go from libcurl's callback straight to the client's socket: no queue, no task, no copy. A client that reads
slowly pauses the exchange. A failure after the commit ends a stream with an in-band error in the client's dialect; any other answer
is cut, so that nobody takes it for whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from monorelay.dialects.interface import StreamError, Transducer, Truncated, Usage
from monorelay.dialects.object_ids import remembered_ids
from monorelay.dialects.watchers import is_over
from monorelay.dialects.whole_answers import error_inside, is_in_json, is_json
from monorelay.errors import UPSTREAM, ErrorBody
from monorelay.relay.delivering import Delivering
from monorelay.relay.inflate import Inflater, Undecodable
from monorelay.relay.outcome import FILTERED, STUMBLED, UNTOLD, Answered, Broke, Headers, Left, Outcome, Refused, RefusedInStream
from monorelay.upstream.interface import Exchange, UpstreamFailure

COMMIT_AFTER = 15.0  # seconds from the upstream's head
STREAM_HELD = 64 * 1024  # bytes of a stream held before the commit
ANSWER_HELD = 1024 * 1024  # bytes of a whole answer held before the commit
TRANSLATED_HELD = 64 * 1024 * 1024  # bytes of an answer, whole or streamed, that can be translated
LINGER = 3.0  # seconds of silence after its last event until a stream's upstream is not waited for any more
REFUSAL_HELD = 1024 * 1024  # bytes of a refusal that are kept

_WHOLE_JSON = ("/json", "+json")  # lines of JSON (x-ndjson, jsonl, json-seq) are delivered as they arrive


class Delivery:
    """The receiver of one exchange.

    Mutable: ``_on_chunk`` and ``_on_end`` say what the next bytes mean and change at the head and at the commit; ``_held`` is what
    waits for the commit, ``_size`` all that has come; ``_timer`` is the commit's, then the keep-alive's, and at last that of
    ``_linger``; ``outcome`` is settled exactly once. The rest is written down as the answer tells it.
    """

    # fmt: off
    __slots__ = (
        "about", "exchange", "outcome", "status", "headers", "usage", "head_at", "opened_at", "_loop", "_on_chunk",
        "_on_end", "_held", "_heard", "_size", "_json", "_transducer", "_timer", "_inflate", "_sent_at", "_made", "_lingers",
        "_closes", "_unrolls",
    )
    # fmt: on

    def __init__(self, about: Delivering, loop: asyncio.AbstractEventLoop) -> None:
        self.about = about
        self.exchange: Exchange | None = None
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.status = 0
        self.headers: Headers = ()
        self.usage: Usage | None = None
        self.head_at = 0.0
        self.opened_at = 0.0
        self._loop = loop
        self._on_chunk: Callable[[bytes], None] = self._hold_refusal
        self._on_end: Callable[[], None] = self._end_refusal
        self._held: list[bytes] = []
        self._heard: list[bytes] = []  # what came of a stream before the commit, where it may yet prove to be filtered
        self._size = 0
        self._json = False
        self._transducer: Transducer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inflate: Inflater | None = None
        self._sent_at = 0.0
        self._made: tuple[str, ...] = ()
        self._lingers = False
        self._unrolls = False  # JSON came where a stream was asked for
        self._closes = False  # the upstream says that it closes the connection after this answer

    def __repr__(self) -> str:
        return f"<Delivery {self.about.where} status {self.status} held {self._size} committed {self.about.reply.begun}>"

    # ------------------------------------------------------------------ the receiver

    def head(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.head_at = self._loop.time()
        if not 200 <= status < 300:
            return  # a refusal: held whole
        kind = encoding = ""
        for name, value in headers:
            if name == "content-type":
                kind = value.lower()
            elif name == "content-encoding":
                encoding = value.strip().lower()
            elif name == "connection" and value == "close":
                self._closes = True
        if status == 200 and not kind and is_in_json(self.about.capability):  # then it is what was asked for
            kind = "text/event-stream" if self.about.stream else "application/json"
        readable = encoding in ("", "identity")
        if not self.about.native and not self._read_encoded(kind, "" if readable else encoding):
            return
        readable = readable or not self.about.native
        if kind.startswith("text/event-stream"):
            if readable:
                self._transducer = self.about.translation.stream()
                self._on_chunk, self._on_end = self._hold_stream, self._end_stream
                self._timer = self._loop.call_later(COMMIT_AFTER, self._commit, None)  # long enough without a status
            else:
                self._on_chunk, self._on_end = self._first_chunk, self._end_whole  # what cannot be read is relayed as it is
        elif kind.partition(";")[0].rstrip().endswith(_WHOLE_JSON):
            self._json = readable
            self._unrolls = readable and self.about.unrolls is not None
            self._on_chunk = self._hold_answer if self.about.native and not self._unrolls else self._hold_all
            self._on_end = self._end_whole
        elif kind.startswith("text/html") and is_in_json(self.about.capability):
            self._give_up("the answer is a web page; check base_url")
        else:
            self._on_chunk, self._on_end = self._first_chunk, self._end_whole

    def _read_encoded(self, kind: str, encoding: str) -> bool:
        """A translation reads what comes: whether it can. If not, the attempt is over."""
        try:
            if encoding:
                self._inflate = Inflater(encoding)
            if not kind.startswith("text/event-stream") and not kind.partition(";")[0].rstrip().endswith(_WHOLE_JSON):
                raise Undecodable(f"the answer is '{kind[:60]}', where JSON or an event stream was expected")
        except Undecodable as error:
            self._give_up(str(error))
            return False
        return True

    def _give_up(self, reason: str) -> None:
        self._abandon()
        self.failed(UpstreamFailure("body", reason))

    def chunk(self, data: bytes) -> None:
        if self._inflate is not None:
            try:
                data = self._inflate(data)
            except Undecodable as error:
                return self._give_up(str(error))
            if not data:
                return
        self._on_chunk(data)

    def end(self) -> None:
        """The engine logs what this raises, and says no more: without an outcome the client would wait for ever."""
        try:
            self._on_end()
        except Exception:
            if not self.outcome.done():
                self.failed(STUMBLED)
            raise

    def failed(self, failure: UpstreamFailure) -> None:
        if not self.about.reply.begun:
            self._settle(Broke(failure, self.status or None))
        elif self._transducer is not None:
            self._fail_in_band(failure.reason)
        else:
            self.about.reply.cut()
            self._settle(Answered(self.status, failure.reason, self._made))

    # ------------------------------------------------------------------ a refusal

    def _hold_refusal(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size > REFUSAL_HELD:
            self._abandon()
            self._end_refusal()

    def _end_refusal(self) -> None:
        self._settle(Refused(self.status, self.headers, b"".join(self._held)[:REFUSAL_HELD]))

    # ------------------------------------------------------------------ a whole answer

    def _hold_answer(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size > ANSWER_HELD:
            self._commit(self._length())
            self._on_end = self._end_flow

    def _hold_all(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size > TRANSLATED_HELD:
            self._give_up(f"the answer is larger than the {TRANSLATED_HELD} bytes that can be translated")

    def _end_whole(self) -> None:
        """The transport says the answer is complete, and nothing of it was sent yet."""
        body = b"".join(self._held)
        if not body and (self.status == 200 or self.about.checked) and is_in_json(self.about.capability):  # 204 is no answer either
            return self._settle(Broke(UpstreamFailure("body", "the answer is empty"), self.status))
        if self._json:
            if self.about.checked and (error := error_inside(body)) is not None:
                return self._settle(RefusedInStream(error, self.headers))
            if self.about.checked and self._ends_with_connection() and not is_json(body):
                return self._settle(Broke(UpstreamFailure("body", "the answer was cut"), self.status))
            try:
                body = self.about.translation.answer(body) if self.about.checked or not self.about.native else body
            except Truncated as error:
                return self._settle(Broke(UpstreamFailure("body", str(error) or "the answer was cut"), self.status))
            if self.about.refuses is not None and self.about.refuses(b"".join(self._held)):
                return self._settle(RefusedInStream(FILTERED, self.headers))
            if self.about.native:  # what a translation calls its objects exists nowhere
                self._made = remembered_ids(self.about.capability, body)
        headers = self.headers
        if self._unrolls and self.about.unrolls is not None:
            told = self.about.unrolls(body)
            if told is None:
                return self._settle(Broke(UNTOLD, self.status))
            if isinstance(told, StreamError):
                return self._settle(RefusedInStream(told, self.headers))
            body = told
            headers = [*(pair for pair in headers if not pair[0].startswith("content-")), ("content-type", "text/event-stream")]
        self.opened_at = self._loop.time()
        self.about.reply.whole(self.status, self.about.commit(self.status, headers), body)
        self._settle(Answered(self.status, "", self._made))

    def _first_chunk(self, data: bytes) -> None:
        self._held.append(data)
        self._commit(self._length())
        self._on_end = self._end_flow

    def _end_flow(self) -> None:
        self.about.reply.end()
        self._settle(Answered(self.status, "", self._made))

    def _length(self) -> int | None:
        """The length that the upstream promised: relayed bytes keep it."""
        for name, value in self.headers:
            if name == "content-length" and value.isascii() and value.isdigit():
                return int(value)
        return None

    def _ends_with_connection(self) -> bool:
        """Whether nothing but the connection's end says where the answer ends. (HTTP/2 knows no such field, and frames all.)"""
        return self._closes and not dict(self.headers).keys() & {"content-length", "transfer-encoding"}

    # ------------------------------------------------------------------ a stream

    def _hold_stream(self, data: bytes) -> None:
        transducer = self._transducer
        assert transducer is not None
        self._held.append(transducer.feed(data))
        self._size += len(data)
        if self.about.refuses_stream is not None:
            self._heard.append(data)
        if transducer.opened and self._is_filtered():
            self._abandon()
            self._settle(RefusedInStream(FILTERED, self.headers))
        elif transducer.opened or self._size >= STREAM_HELD:
            self._commit(None)
            if transducer.finished and is_over(self.about.upstream, data):
                self._linger()
        elif transducer.error is not None:
            self._abandon()
            self._settle(RefusedInStream(transducer.error, self.headers))

    def _flow_stream(self, data: bytes) -> None:
        assert self._transducer is not None
        told = self._transducer.feed(data)
        if told:
            self.about.reply.chunk(told)
            self._sent_at = self._loop.time()
        self._size += len(data)
        if self._transducer.error is not None and not self.about.native:
            # Committed without content, and now this: the translated error is given out at the end, which is here.
            self._abandon()
            return self._end_stream()
        if self._transducer.finished and not self._lingers and is_over(self.about.upstream, data):
            self._linger()
        if self._size > TRANSLATED_HELD and not self.about.native:  # a translation may keep what it said, to repeat it at the end
            return self._give_up(f"it is larger than the {TRANSLATED_HELD} bytes that can be translated")
        self._maybe_pause()

    def _linger(self) -> None:
        """Everything was said. What still comes is relayed, but a client is not kept because its upstream does not hang up."""
        if self._timer is not None:
            self._timer.cancel()
        silent = self._loop.time() - self._sent_at if self._lingers and not self.about.reply.paused else 0.0
        if silent > LINGER - 0.01:
            self._abandon()
            return self._end_stream()
        self._lingers = True
        self._timer = self._loop.call_later(LINGER - silent, self._linger)

    def _end_stream(self) -> None:
        transducer = self._transducer
        assert transducer is not None
        try:
            rest = transducer.close()
        except Truncated:
            reason = "the upstream's stream was cut before its end"
            if self.about.reply.begun:
                return self._fail_in_band(reason)
            return self._settle(Broke(UpstreamFailure("body", reason), self.status))
        if not self.about.reply.begun:
            error = None if transducer.opened else transducer.error  # of an event that lacked its blank line
            if error is not None or self._is_filtered():
                return self._settle(RefusedInStream(error or FILTERED, self.headers))
            self._commit(None)
        if rest:
            self.about.reply.chunk(rest)
        self.about.reply.end()
        broken = transducer.error.body.message if transducer.error is not None else ""
        self._settle(Answered(self.status, broken, transducer.object_ids, transducer.error))

    def _is_filtered(self) -> bool:
        """Of a stream that is not committed: whether it is over, said nothing, and there is somebody else to ask."""
        return self.about.refuses_stream is not None and self.about.refuses_stream(b"".join(self._heard))

    def _fail_in_band(self, reason: str) -> None:
        assert self._transducer is not None
        if not self._transducer.finished:
            error = ErrorBody(UPSTREAM.type, f"{self.about.where} The stream broke off: {reason}")
            self.about.reply.chunk(self._transducer.fail(error))
        elif self._transducer.error is None:
            reason = ""  # everything was said before
        self.about.reply.end()
        self._settle(Answered(self.status, reason, self._transducer.object_ids, self._transducer.error))

    def _keep_alive(self) -> None:
        """Fires when the stream may have been silent for long enough; re-arms itself, so that no chunk has to."""
        assert self._transducer is not None
        silent = self._loop.time() - self._sent_at
        wait = self.about.keepalive - silent
        if wait <= 0.01:
            wait = min(self.about.keepalive, 1.0)  # in mid-event, or towards a client that does not read: look again soon
            if self._transducer.at_boundary and not self.about.reply.paused:
                self.about.reply.chunk(self._transducer.keepalive())
                self._sent_at = self._loop.time()
                wait = self.about.keepalive
        self._timer = self._loop.call_later(wait, self._keep_alive)

    # ------------------------------------------------------------------ the commit, and the end

    def _commit(self, length: int | None) -> None:
        """From here on the client has a status; what was held goes out first, in order, byte for byte."""
        reply = self.about.reply
        now = self.opened_at = self._sent_at = self._loop.time()
        held = b"".join(self._held)
        if self._json:
            self._made = remembered_ids(self.about.capability, held)
        self._held.clear()
        reply.head(self.status, self.about.commit(self.status, self.headers), length)
        if held:
            reply.chunk(held)
        if self._transducer is not None:
            self._on_chunk = self._flow_stream
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self.about.keepalive:
                self._timer = self._loop.call_at(now + self.about.keepalive, self._keep_alive)
        else:
            self._on_chunk = self._flow
        self._maybe_pause()

    def _flow(self, data: bytes) -> None:
        self.about.reply.chunk(data)
        self._maybe_pause()

    def _maybe_pause(self) -> None:
        if self.about.reply.paused and self.exchange is not None:
            self.exchange.pause()

    def leave(self) -> None:
        """The client is gone, or the call was cancelled, which has cancelled ``outcome`` before this: close the exchange."""
        if not self.outcome.done() or self.outcome.cancelled():
            self._abandon()
            # Some clients hang up as soon as they have read the terminal marker: they have their answer.
            whole = self._transducer if self._transducer is not None and self._transducer.finished else None
            self._settle(Answered(self.status, "", whole.object_ids) if whole is not None and self.about.reply.begun else Left())

    def resume(self) -> None:
        if self.exchange is not None:
            self.exchange.resume()

    def _abandon(self) -> None:
        if self.exchange is not None:
            self.exchange.abort()

    def _settle(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transducer is not None:
            self.usage = self._transducer.usage
        elif isinstance(outcome, Answered):
            self.usage = self.about.translation.usage
        if not self.outcome.done():
            self.outcome.set_result(outcome)
