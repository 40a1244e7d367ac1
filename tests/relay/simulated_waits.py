"""How upstreams say how long to wait: every way and every format of it, from clocks that may be wrong."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate

FORMATS = ("seconds", "milliseconds", "duration", "rfc3339", "epoch", "epoch_ms", "http_date")
WAYS = ("retry-after", "retry-after-date", "retry-after-ms", "text", "remaining", "nothing", *FORMATS)
MOMENTS = ("rfc3339", "epoch", "epoch_ms", "http_date", "retry-after-date")
WAIT_HEADERS = tuple((f"x-wait-{format.replace('_', '-')}", format) for format in FORMATS)


@dataclass(frozen=True)
class Said:
    """``seconds`` is None where nothing is said of it."""

    headers: tuple[tuple[str, str], ...]
    text: str
    seconds: float | None


def say(way: str, seconds: float, wall: float, chance: random.Random) -> Said:
    """That so many seconds are to be waited, rounded up to what that way can say."""
    skew = chance.choice((0.0, 0.0, -47.0, 3600.0)) if way in MOMENTS else 0.0
    own = wall + skew  # a clock that is wrong is no harm where the answer says what it shows
    dated: tuple[tuple[str, str], ...] = (("date", formatdate(math.floor(own), usegmt=True)),) if skew else ()
    moment = own + seconds
    match way:
        case "nothing":
            return Said((), "slow down", None)
        case "retry-after":
            whole = math.ceil(seconds)
            return Said((("retry-after", str(whole)),), "slow down", whole)
        case "retry-after-ms":
            exact = math.ceil(seconds * 1000)
            return Said((("retry-after-ms", str(exact)), ("retry-after", "0")), "slow down", exact / 1000)
        case "text":
            return Said((), f"Rate limit reached. Please try again in {duration(seconds)}.", seconds)
        case "remaining":
            headers = (("x-left-requests", "0"), ("x-reset-requests", duration(seconds)), ("x-left-tokens", "17"))
            return Said((*headers, ("x-reset-tokens", "9999s")), "slow down", seconds)
        case "retry-after-date" | "http_date":
            name = "retry-after" if way == "retry-after-date" else "x-wait-http-date"
            return Said((*dated, (name, formatdate(math.ceil(moment), usegmt=True))), "slow down", math.ceil(moment) - own)
        case "seconds":
            text = f"{math.ceil(seconds * 100) / 100:.2f}"
        case "milliseconds":
            text = str(math.ceil(seconds * 1000))
        case "duration":
            text = duration(seconds)
        case "rfc3339":
            text = datetime.fromtimestamp(math.ceil(moment), UTC).isoformat().replace("+00:00", "Z")
        case "epoch":
            text = str(math.ceil(moment))
        case _:
            text = str(math.ceil(moment * 1000))
    return Said((*dated, (f"x-wait-{way.replace('_', '-')}", text)), "slow down", seconds)


def duration(seconds: float) -> str:
    thousandths = math.ceil(seconds * 1000)
    if thousandths < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{rest / 1000:g}s"
