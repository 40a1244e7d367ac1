"""The arguments of one tool call while they stream, told as text of one JSON object.

Servers open a call with ``{}`` and send the real arguments after it, or send the whole again at the end; models write nothing where
an object without fields is meant. So an empty object waits for what follows it, and what follows a whole object is not told.
"""

from __future__ import annotations

import json
import re

from monorelay.dialects.tool_input import INVALID, ObjectEnd, read_arguments

_EMPTY = re.compile(r"\s*\{\s*\}\s*")
_MAY_BE_EMPTY = re.compile(r"\s*(?:\{\s*(?:\}\s*)?)?")  # nothing yet, or the beginning of an empty object


class CallArguments:
    """Mutable: ``_end`` follows the text once it is an object, until then ``_held`` has it; ``is_whole`` when the object has ended.

    >>> arguments = CallArguments()
    >>> arguments.feed("{}"), arguments.feed('{"a":'), arguments.feed('1}{"a":1}'), arguments.finish()
    ('', '{"a":', '1}', '')
    """

    __slots__ = ("_end", "_held", "_is_odd", "is_whole")

    def __init__(self) -> None:
        self._end: ObjectEnd | None = None
        self._held: list[str] = []
        self._is_odd = False
        self.is_whole = False

    @property
    def may_be_over(self) -> bool:
        """Whether nothing more is needed: the object has closed, or is empty so far."""
        return self.is_whole or (self._end is None and len(self._held) == 1 and _EMPTY.fullmatch(self._held[0]) is not None)

    def feed(self, piece: str) -> str:
        """What of it can be told now."""
        if self.is_whole:
            return ""
        if self._end is None:
            self._held.append(piece)
            if self._is_odd:
                return ""
            piece = "".join(self._held)
            self._held = [piece]
            if _MAY_BE_EMPTY.fullmatch(piece):
                return ""
            empty = _EMPTY.match(piece)
            if empty is not None:
                piece = piece[empty.end() :]
            if not piece.lstrip().startswith("{"):
                self._is_odd = True
                return ""
            self._end = ObjectEnd()
            self._held = []
        told = piece[: self._end.feed(piece)]
        self.is_whole = self._end.reached
        return told

    def finish(self) -> str:
        """The rest, when nothing more comes: at least ``{}``, and what is no object as the model wrote it."""
        text = self.untold()
        if text is None:
            return ""
        found = read_arguments(text)
        return text if INVALID in found else json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    def untold(self) -> str | None:
        """All that came, where nothing of it was told because it is no object; None where it was."""
        if self._end is not None or self.is_whole:
            return None
        text = "".join(self._held)
        self._held = []
        self.is_whole = True
        return text
