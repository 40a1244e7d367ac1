"""The arguments of a tool call: text of JSON on OpenAI's side, an object on Anthropic's.

Models do not always write an object. What they wrote instead is never thrown away: it comes wrapped, as Anthropic's reference does
with input that is no JSON (https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming).
"""

from __future__ import annotations

import json
import re
from typing import Any

INVALID = "INVALID_JSON"

_lenient = json.JSONDecoder(strict=False, parse_constant=lambda _: None)  # models write bare line ends into their strings


def read_arguments(arguments: object) -> dict[str, Any]:
    """The object that these arguments are; ``{}`` where there are none.

    >>> read_arguments('{"a":1}'), read_arguments(""), read_arguments("[1]")
    ({'a': 1}, {}, {'INVALID_JSON': '[1]'})
    """
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str):
        return {} if arguments is None else {INVALID: json.dumps(arguments, ensure_ascii=False)}
    text = arguments.strip()
    if not text:
        return {}
    value = _first_value(text)
    if isinstance(value, str):  # written twice over
        value = _first_value(value.strip())
    if isinstance(value, dict):
        return value
    return {} if text == "null" else {INVALID: arguments}


def _first_value(text: str) -> Any:
    """The value that the text begins with, whatever follows it: models repeat themselves. None where there is none.

    But for an empty object before another one: some servers open with it, and send the real one behind.
    """
    value: Any = None
    try:
        value, end = _lenient.raw_decode(text)
        rest = text[end:].lstrip()
        if value == {} and rest.startswith("{"):
            return _lenient.raw_decode(rest)[0]
    except (ValueError, RecursionError):
        pass
    return value


_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


class ObjectEnd:
    """Follows the text of one object, piece by piece, to find its last brace. It counts brackets and knows strings, nothing else.

    Mutable: how deep the text is, whether inside a string, and whether a backslash was its last character.

    >>> end = ObjectEnd()
    >>> end.feed('{"a": "}'), end.feed('"} and more'), end.reached
    (8, 2, True)
    """

    __slots__ = ("_depth", "_escaped", "_inside", "reached")

    def __init__(self) -> None:
        self._depth = 0
        self._inside = False
        self._escaped = False
        self.reached = False

    def feed(self, piece: str) -> int:
        """How many characters of the piece belong to the object."""
        at, size = 0, len(piece)
        if self._escaped and piece:
            at, self._escaped = 1, False
        while at < size:
            if self._inside:
                inside = _INSIDE.match(piece, at)
                assert inside is not None
                at = inside.end()
                if at < size:  # a quote, or a backslash that is the last character
                    self._inside = self._escaped = piece[at] == "\\"
                    at += 1
                continue
            mark = _OUTSIDE.search(piece, at)
            if mark is None:
                return size
            at = mark.end()
            if mark[0] == '"':
                self._inside = True
            elif mark[0] in "{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth <= 0:
                    self.reached = True
                    return at
        return size
