"""How long a key rests after a 429, and whether anything remains, in all the ways of saying it."""

from __future__ import annotations

import random
import time

import pytest

from monorelay.upstream.waits import LONGEST, MOST_TEXT, SHORTEST, WaitRules, cooldown_seconds, read_wait, spent

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


FORMATS = {
    "seconds": [("7", 7.0), ("0", 0.0), (" 1.5 ", 1.5), ("6m0s", None), ("1s", None), ("-1", None)],
    "milliseconds": [("250", 0.25), ("0", 0.0), ("1500.5", 1.5005), ("250ms", None)],
    "duration": [
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("120ms", 0.12),
        ("34", 34.0),
        ("5.289s", 5.289),
        ("2m59.56s", 179.56),
        ("17ms", 0.017),
        ("1d", 86_400.0),
        ("1d2h", 93_600.0),
        ("500us", 0.0005),
        ("500\u00b5s", 0.0005),
        ("1S", 1.0),
        ("2 minutes", 120.0),
        ("1 hour, 5 mins", 3900.0),
        ("10 sec", 10.0),
        ("6m 0s", 360.0),
        ("0s", 0.0),
        ("m", None),
        ("6m0", None),
        ("6x", None),
        ("6m0s!", None),
        ("-6m0s", None),
        ("1m1m1m1m1m1m1m", None),
        ("\u0665s", None),
    ],
    "rfc3339": [
        ("2023-11-14T22:13:50Z", 30.0),
        ("2023-11-14T22:13:50.25Z", 30.25),
        ("2023-11-14T22:13:50.123456789Z", 30.123456),
        ("2023-11-14t22:13:50z", 30.0),
        ("2023-11-14 22:13:50", 30.0),
        ("2023-11-14T22:13:50", 30.0),
        ("2023-11-14T23:13:50+01:00", 30.0),
        ("2023-11-14T17:13:50-0500", 30.0),
        ("2023-11-14T22:12:50Z", -30.0),
        ("2023-11-14", None),
        ("2023-11-14T22:13:5099Z", None),
        ("2023-13-14T22:13:50Z", None),
        ("2023-11-14T25:13:50Z", None),
        ("2023-W46-2T22:13:50Z", None),
        ("0000-00-00T00:00:00Z", None),
        ("2023-11-14T22:13:50+99:99", None),
    ],
    "epoch": [("1700000030", 30.0), ("1700000030.5", 30.5), ("1699999990", -10.0), ("soon", None), ("9" * 16, None)],
    "epoch_ms": [("1700000030000", 30.0), ("1700000030500", 30.5), ("0x1", None)],
    "http_date": [("Tue, 14 Nov 2023 22:13:50 GMT", 30.0), ("1700000030", None), ("2023-11-14T22:13:50Z", None)],
    "auto": [
        ("7", 7.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1700000030", 30.0),
        ("1700000030500", 30.5),
        ("2023-11-14T22:13:50.5Z", 30.5),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("86400", 86_400.0),
        ("soon", None),
        ("", None),
    ],
}


@pytest.mark.parametrize(
    ("format", "text", "wait"), [(format, text, wait) for format, cases in FORMATS.items() for text, wait in cases]
)
def test_every_format(format: str, text: str, wait: float | None) -> None:
    """Seconds from now; what is not written in that format is not said."""
    said = read_wait(text, format, NOW)  # type: ignore[arg-type]
    assert said == (None if wait is None else pytest.approx(wait, abs=1e-6))


@pytest.mark.parametrize("format", FORMATS)
def test_garbage_is_not_said(format: str) -> None:
    """In no format does any text raise, and none takes long."""
    chance = random.Random(format)
    for _ in range(3000):
        text = "".join(chance.choice("0123456789.-+:TZsmhd ,x\u00b5\u0665\0") for _ in range(chance.randrange(70)))
        said = read_wait(text, format, NOW)  # type: ignore[arg-type]
        assert said is None or abs(said) < 1e16
    assert read_wait("1" * 100_000, format, NOW) is None  # type: ignore[arg-type]


OWN = WaitRules(
    wait=(("x-wait-ms", "milliseconds"), ("x-reset", "rfc3339")), body=("Try again in {wait}.", 'retryDelay": "{wait}"')
)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"x-wait-ms": "250", "retry-after-ms": "900", "retry-after": "9"}, b"", 0.25),
        ({"x-wait-ms": "soon", "x-reset": "2023-11-14T22:13:50Z", "retry-after": "9"}, b"", 30.0),
        ({"x-reset": "2023-11-14T22:10:00Z", "retry-after": "9"}, b"", SHORTEST),
        ({"x-reset": "2033-11-14T22:10:00Z"}, b"", LONGEST),
        ({"x-reset": "2023-11-14T10:00:30Z", "date": "Tue, 14 Nov 2023 10:00:00 GMT"}, b"", 30.0),
        ({"retry-after": "9"}, b"try again in 5s.", 9.0),
        ({}, b'{"error": {"message": "Rate limit reached. Please try again in 5.289s. Visit us"}}', 5.289),
        ({}, b"please TRY  again\nin 6m0s.", 360.0),
        ({}, b"try again in 34.", 34.0),
        ({}, b"try again in 2 minutes.", 120.0),
        ({}, b'{"retryDelay": "17s"}', 17.0),
        ({}, b"try again in 0s.", SHORTEST),
        ({}, b"try again in 99d.", LONGEST),
        ({}, b"try again in a while.", DEFAULT),
        ({}, b"try again in -5s.", DEFAULT),
        ({}, b"\xff\xfe try again in 5s.", 5.0),
        ({}, b" " * (MOST_TEXT - 17) + b"try again in 5s.", 5.0),
        ({}, b" " * (MOST_TEXT - 7) + b"try again in 5s.", DEFAULT),
    ],
)
def test_what_a_provider_says_in_its_own_way(headers: dict[str, str], body: bytes, seconds: float) -> None:
    """Its own headers before the usual ones, its error's text after them, as far as anybody would write it."""
    assert cooldown_seconds(headers, body, NOW, DEFAULT, OWN) == pytest.approx(seconds)


def test_a_long_text_is_searched_quickly() -> None:
    """No pattern makes a hostile body expensive."""
    rules = WaitRules(body=("in {wait}", "{wait} left", "again {wait} and {wait}"))
    for body in (b"in 1m1m1m1m1m1m1m1m" * 300, b"1" * 5000, b"in " * 2000, b"1.1." * 2000):
        assert SHORTEST <= cooldown_seconds({}, body, NOW, DEFAULT, rules) <= LONGEST


@pytest.mark.parametrize("pattern", [" {wait}", "  in {wait}", "in {wait}"])
def test_blanks_in_front_of_a_pattern_cost_nothing(pattern: str) -> None:
    """A body of nothing but blanks is searched once, not once from each of them: some 400 ms of the event loop, else. The best of
    some runs, because machines are busy."""
    took = []
    for _ in range(5):
        began = time.thread_time()
        assert cooldown_seconds({}, b" " * 5000, NOW, DEFAULT, WaitRules(body=(pattern,))) == DEFAULT
        took.append(time.thread_time() - began)
    assert min(took) < 0.05
    assert cooldown_seconds({}, b"again \t in 7s", NOW, DEFAULT, WaitRules(body=(pattern,))) == 7.0
    assert cooldown_seconds({}, b"within 7s", NOW, DEFAULT, WaitRules(body=(" in {wait}",))) == DEFAULT


REMAINING = WaitRules(remaining=(("x-left-requests", "x-reset-requests", "duration"), ("x-left-tokens", "x-reset-tokens", "epoch")))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-left-requests": "1", "x-reset-requests": "6m0s"}, None),
        ({"x-left-requests": "0", "x-reset-requests": "6m0s"}, 360.0),
        ({"x-left-requests": "0.0", "x-reset-requests": "0s"}, SHORTEST),
        ({"x-left-requests": " 0 ", "x-reset-requests": "99d"}, LONGEST),
        ({"x-left-requests": "0"}, None),
        ({"x-left-requests": "0", "x-reset-requests": "soon"}, None),
        ({"x-left-requests": "none", "x-reset-requests": "6m0s"}, None),
        ({"x-left-requests": "", "x-reset-requests": "6m0s"}, None),
        ({"x-left-requests": "0", "x-reset-requests": "1s", "x-left-tokens": "0", "x-reset-tokens": "1700000030"}, 30.0),
        ({"x-left-requests": "0", "x-reset-requests": "1s", "x-left-tokens": "9", "x-reset-tokens": "1700000030"}, 1.0),
        ({"x-left-tokens": "0", "x-reset-tokens": "1699999000", "date": "Tue, 14 Nov 2023 21:56:30 GMT"}, 10.0),
    ],
)
def test_when_nothing_remains(headers: dict[str, str], seconds: float | None) -> None:
    """Until the last of what is used up is whole again; also what a 429 means that does not say how long."""
    assert spent(headers, NOW, REMAINING) == seconds
    assert cooldown_seconds(headers, b"", NOW, DEFAULT, REMAINING) == (DEFAULT if seconds is None else seconds)
    assert cooldown_seconds({**headers, "retry-after": "9"}, b"", NOW, DEFAULT, REMAINING) == 9.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"a-reset": "90"}, 90.0),  # a refusal need not say that nothing remains
        ({"a-left": "0", "a-reset": "90"}, 90.0),
        ({"a-left": "7", "a-reset": "90"}, 60.0),  # it was not this limit
        ({"a-left": "7", "a-reset": "90", "b-reset": "20"}, 20.0),
        ({"a-reset": "90", "retry-after": "5"}, 5.0),
        ({"a-reset": "soon"}, 60.0),
    ],
)
def test_a_refusal_is_over_when_its_limit_is_whole_again(headers: dict[str, str], seconds: float) -> None:
    """Where nothing says how long to wait, the reset of what is used up does; of an answer that was no refusal it must be told."""
    rules = WaitRules(remaining=(("a-left", "a-reset", "seconds"), ("b-left", "b-reset", "seconds")))
    assert cooldown_seconds(headers, b"", NOW, 60.0, rules) == seconds
    assert spent({name: value for name, value in headers.items() if name.endswith("reset")}, NOW, rules) is None
