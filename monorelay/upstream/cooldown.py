"""How long a key rests after a 429, as the upstream's headers say it. Pure.

``retry-after-ms`` (milliseconds) is preferred to ``Retry-After`` (seconds, decimals allowed, or an HTTP date), because it is
finer. A date is compared with the upstream's own ``Date`` header where there is one: then neither clock has to be right. What
cannot be read counts as not said. A wait of nothing, or a date in the past, still rests the key for a moment, lest every request
run into the same refusal. https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

SHORTEST = 0.1
LONGEST = 86_400.0

NUMBER = re.compile(r"\d{1,15}(\.\d*)?|\.\d+", re.ASCII)


def cooldown_seconds(headers: Mapping[str, str], now: float, default: float) -> float:
    """Seconds to rest, between SHORTEST and LONGEST; ``default`` (as it is) where the headers say nothing readable.

    ``headers`` has lower-case names; ``now`` is the wall clock.

    >>> cooldown_seconds({"retry-after": "7"}, now=0.0, default=60.0)
    7.0
    """
    said = _number(headers.get("retry-after-ms"))
    if said is not None:
        said /= 1000
    else:
        text = headers.get("retry-after")
        said = _number(text)
        if said is None:
            until = _date(text)
            if until is None:
                return default
            said = until - (_date(headers.get("date")) or now)
    return min(LONGEST, max(SHORTEST, said))


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if NUMBER.fullmatch(text) else None


def _date(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000", or the asctime form: HTTP dates are always UTC
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
