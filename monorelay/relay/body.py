"""A client's JSON body: parsed once, with the place of each top-level value, so that what changes is spliced into the bytes.

``json.loads`` would forget where things stood, so the top level is walked here and the C scanner called for each value; that costs
a few microseconds on a small body and nothing on a large one. Strictly JSON (RFC 8259): no NaN, no bytes that are not UTF-8. A byte
order mark is tolerated, and passes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from monorelay.dialects.envelopes import as_json
from monorelay.errors import INVALID_REQUEST, RelayError
from monorelay.relay.spelling import spelled

_BLANK = " \t\n\r"
_BOM = "\ufeff"
_blanks = re.compile(f"[{_BLANK}]*").match


class JsonBody:
    """Frozen by convention: nothing changes after ``parse``.

    ``fields`` is what json.loads would have given. ``spans`` names every top-level member in order, a repeated one repeatedly, with
    the character positions of its value.

    >>> parse(b'{"model": "a", "n": 1.0}').with_model("b")
    b'{"model": "b", "n": 1.0}'
    """

    __slots__ = ("fields", "raw", "spans")

    def __init__(self, raw: bytes, fields: dict[str, Any], spans: list[tuple[str, int, int]]) -> None:
        self.raw = raw
        self.fields = fields
        self.spans = spans

    def __repr__(self) -> str:
        return f"<JsonBody {len(self.raw)} bytes: {', '.join(self.fields)}>"

    @property
    def model(self) -> str | None:
        """The model asked for; None when missing or null. Raises RelayError (400) when it is anything but a non-empty string."""
        model = self.fields.get("model")
        if model is None:
            return None
        if not isinstance(model, str) or not model:
            raise RelayError(INVALID_REQUEST, "'model' must be a non-empty string.", param="model")
        return model

    @property
    def stream(self) -> bool:
        return self.fields.get("stream") is True

    def with_model(self, name: str) -> bytes:
        """The bytes with every top-level ``model`` replaced, all else as it was; the very same bytes where nothing changes."""
        values = [(start, end) for key, start, end in self.spans if key == "model"]
        if not values or (len(values) == 1 and self.fields["model"] == name):
            return self.raw
        value = json.dumps(name).encode()
        return self._spliced([(start, end, value) for start, end in values])

    def with_fields(self, set: Mapping[str, Any], removed: Collection[str] = (), model: str | None = None) -> bytes:
        """The bytes with these top-level members set, those taken out, and the model renamed as ``with_model`` does; in one splice.

        A member that is there gets its value in place, each time where it is repeated; a new one comes last. One that is both set
        and removed is set. All else stays byte for byte, also inside of what is set, where it is what came (``spelling.py``).

        >>> parse(b'{"model": "a", "n": 1.0, "user": "u"}').with_fields({"n": 2, "top_p": 1}, ["user"])
        b'{"model": "a", "n": 2,"top_p":1}'
        """
        values = {name: self._spelled(name, value) for name, value in set.items()}
        added = [as_json(name) + b":" + value for name, value in values.items() if name not in self.fields]
        if model is not None and "model" in self.fields and not self._is_named(model):
            values.setdefault("model", json.dumps(model).encode())
        gone = {name for name in removed if name in self.fields and name not in values}
        splices = [(start, end, values[name]) for name, start, end in self.spans if name in values]
        if gone:
            splices += self._removals(gone)
        if added:
            at = self.spans[-1][2] if self.spans else self._opening()
            comma = b"," if len(gone) < len(self.fields) else b""
            splices.append((at, at, comma + b",".join(added)))
        return self._spliced(sorted(splices)) if splices else self.raw

    def _spelled(self, name: str, value: Any) -> bytes:
        before = self.fields.get(name)
        if not before or not isinstance(before, (dict, list)):
            return as_json(value)
        start, end = next((start, end) for key, start, end in reversed(self.spans) if key == name)
        return spelled(value, before, self.raw.decode(), start, end).encode("utf-8", "backslashreplace")

    def _is_named(self, model: str) -> bool:
        """Once, and by this name: of a repeated member nobody knows which one an upstream reads."""
        return self.fields["model"] == model and sum(name == "model" for name, _, _ in self.spans) == 1

    def _removals(self, gone: Collection[str]) -> list[tuple[int, int, bytes]]:
        """Each member that goes takes the comma before it along, the first ones the comma behind them."""
        text = self.raw.decode()
        found: list[tuple[int, int, bytes]] = []
        first = _skip(text, self._opening())
        leads = True  # nothing that stays has been met
        passed = first
        for name, _, end in self.spans:
            if name not in gone:
                if leads and passed != first:
                    found.append((first, _skip(text, _skip(text, passed) + 1), b""))
                leads = False
            elif not leads:
                found.append((passed, end, b""))
            passed = end
        if leads:
            found.append((first, passed, b""))
        return found

    def _opening(self) -> int:
        """The character behind the opening brace: nothing stands before that but blanks, and a mark that is one character."""
        return self.raw.index(b"{") + 1 - (len(_BOM.encode()) - 1 if self.raw.startswith(_BOM.encode()) else 0)

    def _spliced(self, splices: list[tuple[int, int, bytes]]) -> bytes:
        """``splices``: from and to, in characters, and what takes their place; in order, none over another."""
        pieces: list[bytes] = []
        passed = 0
        for start, end, value in self._in_bytes(splices):
            pieces += (self.raw[passed:start], value)
            passed = end
        return b"".join((*pieces, self.raw[passed:]))

    def _in_bytes(self, splices: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
        """Character positions as byte positions: the same, unless the body holds more than ASCII."""
        if self.raw.isascii():
            return splices
        text = self.raw.decode()
        found: list[tuple[int, int, bytes]] = []
        passed = place = 0  # the same place in characters and in bytes
        for start, end, value in splices:  # each from the one before: a body may repeat its model a million times
            begin = place + len(text[passed:start].encode())
            passed, place = end, begin + len(text[start:end].encode())
            found.append((begin, place, value))
        return found


def parse(raw: bytes) -> JsonBody:
    """Raises RelayError (400), with the position, for whatever is not one JSON object."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RelayError(INVALID_REQUEST, f"The body is not JSON: byte {error.start} is not UTF-8.") from None
    try:
        return _walk(raw, text)
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg} (line {error.lineno}, column {error.colno})")
    except StopIteration as stop:  # how the scanner says that no value begins at this position
        where = json.JSONDecodeError("", text, stop.value)
        _refuse(f"Expecting value (line {where.lineno}, column {where.colno})")
    except IndexError:
        _refuse("it ends before its closing brace")
    except RecursionError:
        _refuse("it is nested too deeply")
    except ValueError:  # all that is left: Python reads no integer of more than 4,300 digits
        _refuse("it holds an integer of too many digits")


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a JSON number")


# The C scanner; the type stubs do not know that a decoder shows it.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(parse_constant=_refuse_constant).scan_once  # type: ignore[attr-defined]


def _walk(raw: bytes, text: str) -> JsonBody:
    at = _skip(text, 1 if text.startswith(_BOM) else 0)
    if text[at : at + 1] != "{":
        _refuse_no_object(text, at)
    fields: dict[str, Any] = {}
    spans: list[tuple[str, int, int]] = []
    scan = _scan
    at = _skip(text, at + 1)
    more = text[at] != "}"
    while more:
        if text[at] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        key, at = scan(text, at)
        if text[at] != ":":
            at = _skip(text, at)
            if text[at] != ":":
                raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        at += 1
        if text[at] == " ":  # one space is what many writers put after a colon or a comma
            at += 1
        if text[at] in _BLANK:
            at = _skip(text, at)
        value, end = scan(text, at)
        fields[key] = value
        spans.append((key, at, end))
        at = end if text[end] in ",}" else _skip(text, end)
        more = text[at] == ","
        if more:
            at += 1
            if text[at] == " ":
                at += 1
            if text[at] in _BLANK:
                at = _skip(text, at)
        elif text[at] != "}":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    _check_end(text, at + 1)
    return JsonBody(raw, fields, spans)


def _check_end(text: str, at: int) -> None:
    end = _skip(text, at)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _skip(text: str, at: int) -> int:
    match = _blanks(text, at)
    return match.end() if match else at


def _refuse(reason: str) -> NoReturn:
    raise RelayError(INVALID_REQUEST, f"The body is not JSON: {reason}.") from None


def _refuse_no_object(text: str, at: int) -> NoReturn:
    if at == len(text):
        raise RelayError(INVALID_REQUEST, "The body is empty; a JSON object is needed.")
    _check_end(text, _scan(text, at)[1])  # text that is no JSON at all is refused as such
    raise RelayError(INVALID_REQUEST, 'The body must be a JSON object, like {"model": …}.')
