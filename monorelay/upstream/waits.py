"""How long a key rests after a 429, and whether an answer says that nothing remains, as the upstream's headers say it. Pure.

A provider's own headers come first, by its wait rules. Then ``retry-after-ms`` (milliseconds) is preferred to ``Retry-After``
(seconds, decimals allowed, or an HTTP date), because it is finer; then comes what the text of the error says, then when the next
request remains. A moment is compared with the upstream's own ``Date`` header where there is one: then neither clock has to be
right. What cannot be read counts as not said. A wait of nothing, or a moment in the past, still rests the key for a moment, lest
every request run into the same refusal. https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Literal

SHORTEST = 0.1
LONGEST = 86_400.0
MOST_TEXT = 4096  # bytes of an error's body that are searched

Format = Literal["seconds", "milliseconds", "duration", "rfc3339", "epoch", "epoch_ms", "http_date", "auto"]

_NUMBER = r"(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WORDS = {
    "millisecond": "ms",
    "msec": "ms",
    "second": "s",
    "sec": "s",
    "minute": "m",
    "min": "m",
    "hour": "h",
    "hr": "h",
    "day": "d",
}
_UNIT = rf"(?:(?:{'|'.join(_WORDS)})s?|{'|'.join(_UNITS)})(?![a-zµμ])"
_PART = rf"{_NUMBER} ?{_UNIT}"
_DURATION = rf"(?:{_PART}(?:,? ?{_PART}){{0,5}}|{_NUMBER})"
# In a duration such as 6m0s a unit is followed by the next number: no letter may follow, a digit may.
NUMBER = re.compile(_NUMBER, re.ASCII)
PARTS = re.compile(rf"({_NUMBER}) ?({_UNIT})", re.ASCII | re.IGNORECASE)
DURATION = re.compile(_DURATION, re.ASCII | re.IGNORECASE)
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:(\.\d{1,6})\d{0,9})?(?:[Zz]|([+-]\d\d):?(\d\d))?", re.ASCII)
EPOCH, EPOCH_MS = 1e9, 1e11  # numbers from which on `auto` takes them for moments: as waits they would be thirty years


@dataclass(frozen=True, slots=True)
class WaitRules:
    """How one provider says it. ``wait``: (header, format), the first that can be read counts. ``body``: texts in which ``{wait}``
    stands for a duration. ``remaining``: (header with what remains, header with when it is whole again, format of that one).
    Header names are lower-case."""

    wait: tuple[tuple[str, Format], ...] = ()
    body: tuple[str, ...] = ()
    remaining: tuple[tuple[str, str, Format], ...] = ()


NO_RULES = WaitRules()
_STANDARD: tuple[tuple[str, tuple[Format, ...]], ...] = (
    ("retry-after-ms", ("milliseconds",)),
    ("retry-after", ("seconds", "http_date")),
)


def cooldown_seconds(headers: Mapping[str, str], body: bytes, now: float, default: float, rules: WaitRules = NO_RULES) -> float:
    """Seconds to rest, between SHORTEST and LONGEST; ``default`` (as it is) where nothing readable is said.

    ``headers`` has lower-case names; ``now`` is the wall clock.

    >>> cooldown_seconds({"retry-after": "7"}, b"", now=0.0, default=60.0)
    7.0
    """
    theirs = _http_date(headers.get("date", "")) or now
    for name, formats in (*((name, (format,)) for name, format in rules.wait), *_STANDARD):
        for format in formats:
            said = read_wait(headers.get(name, ""), format, theirs)
            if said is not None:
                return _bounded(said)
    said = _said_in(body, rules.body) if rules.body and body else None
    if said is not None:
        return _bounded(said)
    said = spent(headers, now, rules, refused=True)
    return default if said is None else said


def spent(headers: Mapping[str, str], now: float, rules: WaitRules, *, refused: bool = False) -> float | None:
    """Seconds until everything that is used up is whole again, between SHORTEST and LONGEST; None where something remains, or
    nothing is said. Of a limit that ``refused`` a request nobody has to say that nothing remains."""
    longest = None
    for remaining, reset, format in rules.remaining:
        left = headers.get(remaining, "0" if refused else None)
        if left is None or _seconds(left) != 0.0:
            continue
        wait = read_wait(headers.get(reset, ""), format, _http_date(headers.get("date", "")) or now)
        if wait is not None:
            longest = wait if longest is None else max(longest, wait)
    return None if longest is None else _bounded(longest)


def read_wait(text: str, format: Format, now: float) -> float | None:
    """Seconds from ``now``, below 0 for a moment that is over; None where it cannot be read."""
    text = text.strip()
    if len(text) > 64:
        return None
    if format == "auto":
        return _guessed(text, now)
    said = _READERS[format](text)
    return said if said is None or format in _WAITS else said - now


def _guessed(text: str, now: float) -> float | None:
    number = _seconds(text)
    if number is not None:
        return number / 1000 - now if number >= EPOCH_MS else number - now if number >= EPOCH else number
    wait = _duration(text)
    if wait is not None:
        return wait
    moment = _rfc3339(text)
    moment = _http_date(text) if moment is None else moment
    return None if moment is None else moment - now


def _seconds(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text.strip()) else None


def _milliseconds(text: str) -> float | None:
    number = _seconds(text)
    return None if number is None else number / 1000


def _duration(text: str) -> float | None:
    if DURATION.fullmatch(text) is None:
        return None
    parts = PARTS.findall(text)
    return sum(float(number) * _unit(word) for number, word in parts) if parts else float(text)


def _unit(word: str) -> float:
    word = word.lower()
    return _UNITS[word if word in _UNITS else _WORDS[word.removesuffix("s")]]


def _rfc3339(text: str) -> float | None:
    """No zone is UTC."""
    found = RFC3339.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, hours, minutes = found.groups()
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    try:
        return datetime.fromisoformat(f"{day}T{time}{zone}").timestamp() + float(fraction or 0)
    except (ValueError, OverflowError):
        return None


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000", or the asctime form: HTTP dates are always UTC
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


_WAITS = ("seconds", "milliseconds", "duration")  # the others are moments
_READERS: dict[Format, Callable[[str], float | None]] = {
    "seconds": _seconds,
    "milliseconds": _milliseconds,
    "duration": _duration,
    "rfc3339": _rfc3339,
    "epoch": _seconds,
    "epoch_ms": _milliseconds,
    "http_date": _http_date,
}


def _said_in(body: bytes, patterns: tuple[str, ...]) -> float | None:
    text = body[:MOST_TEXT].decode("utf-8", "replace")
    for pattern in patterns:
        found = _compiled(pattern).search(text)
        if found is not None:
            return _duration(found["wait"])
    return None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Upper and lower case are alike, and so are all kinds of white space. Where the pattern begins with some, one is looked for
    behind: a search for several would begin anew at each of a thousand.
    """
    begin = r"(?<!\S)" if pattern[:1].isspace() else ""
    before, _, after = (r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in pattern.lstrip().partition("{wait}"))
    return re.compile(f"{begin}{before}(?P<wait>{_DURATION}){after}", re.ASCII | re.IGNORECASE)


def _bounded(seconds: float) -> float:
    return min(LONGEST, max(SHORTEST, seconds))
