"""What translators read of a stream: the parsed data of each event, and nothing else.

An event is a pair: its name, and its data as a dict; None in the place of data is OpenAI's ``[DONE]``. Events whose data is no
JSON object are skipped, but for one that calls itself an error: its text is kept as the message. A ``[DONE]`` before anything else
ends no answer, for there is none: it is told as an error. Nearly all streams end their lines
with LF and their chunks with a blank line, so that is the fast way; a CR, or data over several lines, takes the exact one.
"""

from __future__ import annotations

import json
from typing import Any

from monorelay.dialects.openai_chat import DONE
from monorelay.dialects.sse import EVENT_LIMIT, EventReader, EventTooLong, read_events

Parsed = tuple[str, dict[str, Any] | None]

ENDED_AT_ONCE = {"message": "the stream ended with [DONE] before there was any answer"}
_LONGEST_TEXT = 500  # of an error that is no JSON
_BLANK = b"\n\n"
_decode = json.JSONDecoder(parse_constant=lambda _: None).decode  # NaN and Infinity are no JSON, and must not be passed on


class JsonEvents:
    """Mutable: the bytes of the open event, in ``_reader`` once a CR was seen; ``broken`` when one event outgrew every limit;
    ``_begun`` once there was an event.

    >>> JsonEvents().feed(b'data: {"a":1}\\n\\ndata: [DONE]\\n\\n')
    [('', {'a': 1}), ('', None)]
    """

    __slots__ = ("_begun", "_pending", "_reader", "broken")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._reader: EventReader | None = None
        self.broken = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[Parsed]:
        """The events that this chunk completes. Never raises."""
        if self._reader is not None:
            return self._feed_reader(chunk)
        if b"\r" in chunk:
            self._reader = EventReader()
            chunk = bytes(self._pending) + chunk
            self._pending.clear()
            return self._feed_reader(chunk)
        pending = self._pending
        if pending or not chunk.endswith(_BLANK):
            unseen = max(0, len(pending) - 1)  # a blank line may lie across the seam
            pending += chunk
            cut = pending.rfind(_BLANK, unseen) + 2
            if cut < 2:
                self._give_up_if_too_long()
                return []
            chunk = bytes(pending[:cut])
            del pending[:cut]
        return self._told(_parse_run(chunk))

    def finish(self) -> list[Parsed]:
        """The last event, if all it lacks is its blank line: servers forget it, and nothing is missing. Its data must be whole."""
        rest = bytes(self._pending) if self._reader is None else self._reader.rest
        if self.broken or not rest:
            return []
        events = read_events(rest + _BLANK)
        return self._told([(event.name, each[1]) for event in events if (each := _parse("", event.data)) is not None])

    def _told(self, found: list[Parsed]) -> list[Parsed]:
        if self._begun or not found:
            return found
        self._begun = True
        return [("error", ENDED_AT_ONCE), *found[1:]] if found[0][1] is None else found

    def _feed_reader(self, chunk: bytes) -> list[Parsed]:
        assert self._reader is not None
        if self.broken:
            return []
        try:
            events = self._reader.feed(chunk)
        except EventTooLong:
            self.broken = True
            return []
        return self._told([parsed for event in events if (parsed := _parse(event.name, event.data)) is not None])

    def _give_up_if_too_long(self) -> None:
        if len(self._pending) > EVENT_LIMIT:
            self.broken = True
            self._reader = EventReader()
            self._pending.clear()


def _parse_run(run: bytes) -> list[Parsed]:
    found: list[Parsed] = []
    for block in run.split(_BLANK):
        if block.startswith(b"data: "):
            name, data = b"", block[6:]
        else:
            name, _, data = block.partition(b"\ndata: ")
            if not name.startswith(b"event: ") or b"\n" in name:
                data = b""
        if data and b"\n" not in data:
            parsed = _parse(name[7:].decode("utf-8", "replace"), data)
            if parsed is not None:
                found.append(parsed)
        elif block:
            found += [each for event in read_events(block + _BLANK) if (each := _parse(event.name, event.data)) is not None]
    return found


def _parse(name: str, data: bytes) -> Parsed | None:
    try:
        fields = _decode(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        if data.strip() == DONE:
            return name, None
        return (name, {"message": data[:_LONGEST_TEXT].decode("utf-8", "replace")}) if name == "error" else None
    return (name, fields) if isinstance(fields, dict) else None
