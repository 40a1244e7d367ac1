"""Where the events of an event stream end, however its bytes were cut into chunks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST = 3  # bytes of a blank line that may have come with earlier chunks


class EventCount:
    """Mutable: ``_tail``, the end of what came since the last event.

    >>> count = EventCount(); [list(count.ends(chunk)) for chunk in (b"data: 1", b"data: 1\\n", b"\\ndata: 2\\n\\n")]
    [[], [], [1, 10]]
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def ends(self, data: bytes) -> Iterator[int]:
        """The offsets in ``data`` right after the blank line of each event; to be used up before the next chunk comes."""
        seen = self._tail + data
        before = len(self._tail)
        end = 0
        for match in _BLANK_LINE.finditer(seen):
            end = match.end()
            yield end - before
        self._tail = seen[end:][-_LONGEST:]
