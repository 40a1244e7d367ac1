"""A changed value in the spelling that it came in: what nobody changed stays byte for byte.

The edits of ``plan/body_paths.py``, the instructions of ``system_prompt.py`` and the tools that become text copy what stands on
the way to a change, and share the rest with what came. So what is the very same object is written as its text was, and only what
is another one is written anew: ``1.10``, ``1e999`` (which no float holds), a repeated member, escapes and blanks survive around a
change, also where it moved them up or pushed them aside.

Whatever is found to be the same, the text says what the changed value says: JSON that is not recognised is only spelled anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from monorelay.dialects.envelopes import as_json

_skip = re.compile("[ \t\n\r]*").match
# The C scanner; the type stubs do not know that a decoder shows it.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]

NEAREST = 8  # elements that another one is looked for among, where some were changed and some came or went

Piece = tuple[str, int, int, int]  # a member's name, or "" of an element; where it begins, where its value does, where both end


def spelled(after: Any, before: Any, text: str, at: int, end: int) -> str:
    """``after`` as JSON, where ``text[at:end]`` is the valid JSON that ``before`` was read from.

    >>> spelled({"a": 1.1, "b": 2}, {"a": 1.1}, '{"a" : 1.10}', 0, 12)  # if both hold the same 1.1
    '{"a" : 1.10,"b":2}'
    """
    if after is before:
        return text[at:end]
    if isinstance(after, dict) and isinstance(before, dict):
        return _object(after, before, text, at, end)
    if isinstance(after, list) and isinstance(before, list):
        return _array(after, before, text, at, end)
    return as_json(after).decode()


def _object(after: dict[str, Any], before: dict[str, Any], text: str, at: int, end: int) -> str:
    """Of a repeated member the last one counts; what it becomes, all of them become."""
    members = list(_pieces(text, at))
    changed: dict[str, str] = {}
    for name, _, value, stop in reversed(members):
        if name in after and name not in changed and after[name] is not before[name]:
            changed[name] = spelled(after[name], before[name], text, value, stop)
    kept: list[tuple[Piece | None, str]] = []
    for member in members:
        name, start, value, stop = member
        if name in after:
            kept.append((member, text[start:value] + changed[name] if name in changed else text[start:stop]))
    kept += [(None, _text(name) + ":" + _text(value)) for name, value in after.items() if name not in before]
    return _joined(kept, members, text, at, end)


def _array(after: list[Any], before: list[Any], text: str, at: int, end: int) -> str:
    elements = list(_pieces(text, at))
    kept: list[tuple[Piece | None, str]] = []
    for value, place in zip(after, _places(after, before), strict=True):
        if place is None:
            kept.append((None, _text(value)))
        else:
            _, _, start, stop = element = elements[place]
            kept.append((element, spelled(value, before[place], text, start, stop)))
    return _joined(kept, elements, text, at, end)


def _joined(kept: list[tuple[Piece | None, str]], pieces: list[Piece], text: str, at: int, end: int) -> str:
    """Brackets, and what stands between pieces, as they were: one that stays keeps the comma before it, a new one has its own."""
    commas = {then[1]: text[last[3] : then[1]] for last, then in zip(pieces, pieces[1:], strict=False)}
    inner, close = (pieces[0][1], pieces[-1][3]) if pieces else (end - 1, end - 1)
    out = [text[at:inner]]
    for number, (piece, said) in enumerate(kept):
        if number:
            out.append(commas.get(piece[1], ",") if piece is not None else ",")
        out.append(said)
    return "".join((*out, text[close:end]))


def _pieces(text: str, at: int) -> Iterator[Piece]:
    """The members of the object, or the elements of the array, that begins at ``at``."""
    is_object = text[at] == "{"
    at = _past_blanks(text, at + 1)
    while text[at] not in "}]":
        name, start = "", at
        if is_object:
            name, at = _scan(text, at)
            at = _past_blanks(text, _past_blanks(text, at) + 1)
        _, stop = _scan(text, at)
        yield name, start, at, stop
        at = _past_blanks(text, stop)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)


def _places(after: list[Any], before: list[Any]) -> list[int | None]:
    """Where each element stood before: the very same one, or one that it was made from; None of a new one. In rising order."""
    found = _same(after, before)
    last, lower = -1, -1  # of both lists, what was met before
    for number, place in [*((number, place) for number, place in enumerate(found) if place is not None), (len(after), len(before))]:
        fresh, gone = range(last + 1, number), range(lower + 1, place)
        if len(fresh) == len(gone):  # changed in place
            found[last + 1 : number] = gone
        elif gone:
            _pair(fresh, gone, after, before, found)
        last, lower = number, place
    return found


def _same(after: list[Any], before: list[Any]) -> list[int | None]:
    where: dict[int, list[int]] = {}
    for place in range(len(before) - 1, -1, -1):
        where.setdefault(id(before[place]), []).append(place)
    found: list[int | None] = []
    passed = -1
    for value in after:
        places = where.get(id(value), [])
        while places and places[-1] <= passed:  # of equal numbers Python may have but one
            places.pop()
        found.append(places.pop() if places else None)
        passed = passed if found[-1] is None else found[-1]
    return found


def _pair(fresh: range, gone: range, after: list[Any], before: list[Any], found: list[int | None]) -> None:
    """From the end, since what is new most often stands before what was there. Only the nearest few are looked at."""
    upper = gone.stop
    for number in reversed(fresh):
        nearest = range(upper - 1, max(gone.start, upper - NEAREST) - 1, -1)
        place = next((one for one in nearest if _is_made_from(after[number], before[one])), None)
        if place is not None:
            found[number] = upper = place


def _is_made_from(after: Any, before: Any) -> bool:
    """Whether they share something: then it is worth looking at both. However much was there before, only as much of it is looked
    at as there is now: a large element of the client's may stand beside many new ones."""
    if isinstance(after, dict) and isinstance(before, dict):
        return any(before.get(name, after) is value for name, value in after.items())
    if isinstance(after, list) and isinstance(before, list):
        known = {id(value) for value in after}
        return any(id(value) in known for value in before[: len(after) + NEAREST])
    return False


def _past_blanks(text: str, at: int) -> int:
    found = _skip(text, at)
    return found.end() if found else at


def _text(value: Any) -> str:
    return as_json(value).decode()
