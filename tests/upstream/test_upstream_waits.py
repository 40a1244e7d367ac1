"""How long a key rests after a 429."""

from __future__ import annotations

import pytest

from monorelay.upstream.waits import LONGEST, SHORTEST, cooldown_seconds

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
DEFAULT = 60.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, DEFAULT),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "5."}, 5.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "1500.5", "retry-after": "9"}, 1.5005),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, SHORTEST),
        ({"retry-after-ms": "0"}, SHORTEST),
        ({"retry-after": "999999999999"}, LONGEST),
        ({"retry-after": "86400"}, LONGEST),
        # dates: the preferred form, the two obsolete ones, with another zone, in the past, and far away
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue Nov 14 22:13:50 2023"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:13:50 +0100"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:20 GMT"}, SHORTEST),
        ({"retry-after": "Tue, 14 Nov 2000 22:13:20 GMT"}, SHORTEST),
        ({"retry-after": "Tue, 14 Nov 2033 22:13:20 GMT"}, LONGEST),
        # the upstream's own clock counts, where it says what it is
        ({"retry-after": "Tue, 14 Nov 2023 10:00:30 GMT", "date": "Tue, 14 Nov 2023 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": "yesterday"}, 30.0),
    ],
)
def test_what_the_headers_say(headers: dict[str, str], seconds: float) -> None:
    """Milliseconds, seconds, dates: between a moment and a day."""
    assert cooldown_seconds(headers, b"", NOW, DEFAULT) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "garbage",
    ["", " ", "soon", "-5", "+5", "1e3", "nan", "inf", "0x10", "1,5", "5 s", "\u0665", "1" * 400, "99 Foo 9999", "Tue, 99 Nov 2023"]
    + ["Tue, 14 Nov 99999 22:13:50 GMT", "Tue, 14 Nov 2023 25:99:99 GMT", "\0", "7\n8", "1.2.3"],
)
def test_garbage_is_the_default(garbage: str) -> None:
    """What cannot be read counts as not said, in either header."""
    assert cooldown_seconds({"retry-after": garbage}, b"", NOW, DEFAULT) == DEFAULT
    assert cooldown_seconds({"retry-after-ms": garbage}, b"", NOW, DEFAULT) == DEFAULT


def test_the_default_is_the_operators() -> None:
    """It is not bounded."""
    assert cooldown_seconds({}, b"", NOW, 0.0) == 0.0
    assert cooldown_seconds({}, b"", NOW, 1e6) == 1e6
