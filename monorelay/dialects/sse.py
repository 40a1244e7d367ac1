"""Server-Sent Events: bytes in, events out, as the WHATWG reads them (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Three readers of the same bytes, by how much they must know:

* ``EventReader`` gives every event with its name, its data and its raw bytes. ``id`` and ``retry`` have no meaning to a relay.
* ``EventRuns`` only groups the bytes into runs of whole events, for who looks at few of them. Its memory is bounded.
* ``Boundary`` only answers whether an event is open: four bytes of memory.

A line ends with CR, LF or CRLF, and a CRLF may be split between two chunks. All three take linear time, however small the chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENT_LIMIT = 64 * 1024 * 1024  # what EventReader keeps of one event before it gives up
RUN_LIMIT = 64 * 1024  # what EventRuns keeps of one event before it cuts out the middle
_HEAD = 4 * 1024
_TAIL = 16 * 1024
_BOM = b"\xef\xbb\xbf"
_WHOLE = (b"\n\n", b"\r\n\r\n")


class EventTooLong(Exception):
    """One event passed the limit without ending."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event that a client would be told of. ``name`` is "" where the stream gave none.

    ``raw`` holds all bytes since the event before it: comments, nameless fields and the closing blank line included.
    """

    name: str
    data: bytes
    raw: bytes


class EventReader:
    """Mutable: the unfinished line, and what the open event has so far; both changed by ``feed`` only.

    The raw bytes of all events, and then ``rest``, joined, are the bytes that were fed. (A LF that turns the CR at the end of an
    event into a CRLF may arrive after that event was given out: then it opens the next one's raw bytes.)

    >>> EventReader().feed(b"event: ping\\ndata: {}\\n\\n")
    [Event(name='ping', data=b'{}', raw=b'event: ping\\ndata: {}\\n\\n')]
    """

    __slots__ = ("_after_cr", "_data", "_held", "_limit", "_line", "_name", "_raw", "_untouched")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._held = 0
        self._line: list[bytes] = []
        self._after_cr = False
        self._untouched = True
        self._name = b""
        self._data: list[bytes] = []
        self._raw: list[bytes] = []

    @property
    def rest(self) -> bytes:
        """The bytes of the event that is still open. At the end of a stream a client never hears of it."""
        return b"".join(self._raw) + b"".join(self._line)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes. Raises EventTooLong."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                self._raw.append(b"\n")
                self._held += 1
                chunk = chunk[1:]
        self._held += len(chunk)
        events: list[Event] = []
        if b"\n" in chunk or b"\r" in chunk:
            self._line.append(chunk)
            lines = b"".join(self._line).splitlines(keepends=True)
            self._line = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
            self._after_cr = not self._line and lines[-1].endswith(b"\r")
            for line in lines:
                self._take(line, events)
        elif chunk:
            self._line.append(chunk)
        if self._held > self._limit:
            raise EventTooLong(f"one event is longer than {self._limit} bytes")
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        self._raw.append(line)
        text = line.rstrip(b"\r\n")
        if self._untouched:
            self._untouched = False
            text = text.removeprefix(_BOM)
        if not text:
            self._dispatch(events)
            return
        field, _, value = text.partition(b":")  # a comment is a line whose field has no name
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._name = value.removeprefix(b" ")

    def _dispatch(self, events: list[Event]) -> None:
        """A blank line: without a data field there is nothing to tell, and the name is forgotten with it."""
        if self._data:
            raw = b"".join(self._raw)
            events.append(Event(self._name.decode("utf-8", "replace"), b"\n".join(self._data), raw))
            self._held -= len(raw)
            self._data = []
            self._raw = []
        self._name = b""


def read_events(run: bytes) -> list[Event]:
    """The events of a run of whole events, however long."""
    return EventReader(limit=len(run)).feed(run)


class EventRuns:
    """Groups bytes into runs of whole events.

    Mutable: ``_pending``, the bytes of the open event, and ``_head``, the beginning of one that grew past RUN_LIMIT. Such an event
    is given out with its middle cut out: enough to know its name and to find what stands near its end.
    """

    __slots__ = ("_head", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._head = b""

    @property
    def rest(self) -> bytes:
        """The open event so far."""
        return self._head + self._pending

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that this chunk completes, in one piece; b"" when none."""
        pending = self._pending
        if not pending and chunk.endswith(_WHOLE):  # nearly always
            return chunk
        unseen = max(0, len(pending) - 3)  # a blank line may lie across the seam
        pending += chunk
        cut = _end_of_last_blank_line(pending, unseen)
        if cut:
            run = self._head + pending[:cut]
            self._head = b""
            del pending[:cut]
            return run
        if len(pending) > RUN_LIMIT:
            self._head = self._head or bytes(pending[:_HEAD])
            del pending[:-_TAIL]
        return b""


def _end_of_last_blank_line(pending: bytearray, start: int) -> int:
    """Where it ends; 0 when there is none."""
    end = 0
    for mark in (b"\n\n", b"\n\r\n", b"\r\r"):
        at = pending.rfind(mark, start)
        if at >= 0:
            end = max(end, at + len(mark))
    return end


class Boundary:
    """Whether the bytes given so far end with a whole event. Mutable: the last bytes.

    A CR that follows a CRLF is the half of the next CRLF, so the event is held open until its LF came.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\n\n"  # before the first byte no event is open

    def feed(self, chunk: bytes) -> None:
        self._tail = chunk[-4:] if len(chunk) > 3 else (self._tail + chunk)[-4:]

    @property
    def reached(self) -> bool:
        tail = self._tail
        return tail.endswith((b"\n\n", b"\n\r\n", b"\r\r", b"\r\r\n", b"\n\r")) and not tail.endswith(b"\r\n\r")
