"""A tool that takes free text, over a dialect whose tools take JSON only: ``{"input": "the text"}``, unwrapped while it streams.

Used for custom tools: the upstream sees a function with one string argument, the client sees the text. What a model writes instead
of that shape is not lost: it comes out whole at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

ARGUMENT = "input"
SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {ARGUMENT: {"type": "string"}}, "required": [ARGUMENT]}

_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_WHOLE = re.compile(r'(?:[^"\\]+|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_OPEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_HIGH_SURROGATE = re.compile(r"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9a-fA-F]{2}\Z")  # not one whose backslash is escaped itself


def wrap(text: str) -> dict[str, str]:
    """The arguments that say this text."""
    return {ARGUMENT: text}


def unwrap(arguments: object) -> str:
    """The text that parsed arguments say; anything of another shape as the JSON it is."""
    if isinstance(arguments, dict) and isinstance(arguments.get(ARGUMENT), str):
        return str(arguments[ARGUMENT])
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))


class StringArgument:
    """Mutable: ``_held`` is what cannot be told yet: all until the text begins, then half an escape at most.

    >>> argument = StringArgument()
    >>> argument.feed('{"input": "a\\\\'), argument.feed('nb"}'), argument.finish()
    ('a', '\\nb', '')
    """

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state = "before"

    def feed(self, piece: str) -> str:
        """The text that this piece of JSON adds."""
        if self._state == "after":
            return ""
        self._held += piece
        if self._state == "before":
            opening = _OPENING.match(self._held)
            if opening is None:
                return ""
            self._state = "inside"
            self._held = self._held[opening.end() :]
        return self._read()

    def finish(self) -> str:
        """The rest, when the arguments are over: all of it where they had another shape."""
        if self._state != "before" or not self._held.strip():
            return ""
        held, self._held, self._state = self._held, "", "after"
        try:
            return unwrap(json.loads(held))
        except (ValueError, RecursionError):
            return held

    def _read(self) -> str:
        text = ""
        while True:
            whole = _WHOLE.match(self._held)
            assert whole is not None
            said, rest = whole[0], self._held[whole.end() :]
            waits = not rest or _OPEN_ESCAPE.fullmatch(rest) is not None
            if waits and _HIGH_SURROGATE.search(said):  # its other half may follow
                said, rest = said[:-6], said[-6:] + rest
            text += json.loads(f'"{said}"', strict=False) if "\\" in said else said
            self._held = rest
            if waits:
                return text
            if rest.startswith('"'):
                self._state, self._held = "after", ""
                return text
            text += "\\"  # no escape that JSON knows: models write them, in regular expressions most of all
            self._held = rest[1:]
