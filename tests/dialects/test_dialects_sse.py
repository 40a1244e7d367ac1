"""Server-Sent Events: the three readers, on the WHATWG's cases and on every way to cut them."""

from __future__ import annotations

import itertools
import re

import pytest

from monorelay.dialects.sse import RUN_LIMIT, Boundary, Event, EventReader, EventRuns, EventTooLong, read_events

# (the case, the stream, the events that a reader of the standard is told of)
CASES: list[tuple[str, bytes, list[tuple[str, bytes]]]] = [
    ("nothing", b"", []),
    ("one event", b"data: a\n\n", [("", b"a")]),
    ("a name", b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    ("the name after the data", b"data: a\nevent: late\n\n", [("late", b"a")]),
    ("no space after the colon", b"data:a\n\n", [("", b"a")]),
    ("only one space is taken", b"data:  a \n\n", [("", b" a ")]),
    ("several data lines", b"data: a\ndata: b\ndata:\n\n", [("", b"a\nb\n")]),
    ("an empty data line is data", b"data\n\n", [("", b"")]),
    ("an empty data field is data", b"data:\n\n", [("", b"")]),
    ("no data, no event, and the name is forgotten", b"event: lost\n\ndata: a\n\n", [("", b"a")]),
    ("the last name wins", b"event: a\nevent: b\ndata: 1\n\n", [("b", b"1")]),
    ("names do not stick", b"event: a\ndata: 1\n\ndata: 2\n\n", [("a", b"1"), ("", b"2")]),
    ("comments", b": hello\n\n:\ndata: a\n: in between\ndata: b\n\n", [("", b"a\nb")]),
    ("id and retry mean nothing here", b"id: 7\nretry: 10\ndata: a\n\n", [("", b"a")]),
    ("unknown fields", b"data-x: 1\nDATA: 2\n data: 3\ndata: 4\n\n", [("", b"4")]),
    ("a colon in the value", b"data: a:b: c\n\n", [("", b"a:b: c")]),
    ("crlf", b"event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [("e", b"a"), ("", b"b")]),
    ("cr", b"event: e\rdata: a\r\rdata: b\r\r", [("e", b"a"), ("", b"b")]),
    ("mixed line ends", b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\r", [("", b"a"), ("", b"b"), ("", b"c"), ("", b"d")]),
    ("cr cr lf is two line ends", b"data: a\r\r\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    ("many blank lines", b"\n\r\n\rdata: a\n\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    ("a byte order mark at the start", b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
    ("a byte order mark elsewhere", b"\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("", b"b")]),
    ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    ("not UTF-8", b"event: \xff\ndata: \xff\xc3\n\n", [("\ufffd", b"\xff\xc3")]),
    ("UTF-8", "event: ü\ndata: 🌍\n\n".encode(), [("ü", "🌍".encode())]),
    ("other line separators are text", "data: a\u2028b\x0bc\x85d\n\n".encode(), [("", "a\u2028b\x0bc\x85d".encode())]),
    ("a NUL", b"data: a\x00b\n\n", [("", b"a\x00b")]),
    ("the last event has no blank line", b"data: a\n\ndata: b\n", [("", b"a")]),
    ("the last line has no end", b"data: a\n\ndata: b", [("", b"a")]),
]
EVERY = pytest.mark.parametrize(("stream", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])


def told(events: list[Event]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events]


def read(chunks: list[bytes]) -> tuple[list[tuple[str, bytes]], bytes]:
    """The events, and all raw bytes with the rest."""
    reader = EventReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return told(events), b"".join(event.raw for event in events) + reader.rest


@EVERY
def test_reader_whole(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    """The reader tells what the standard says, and loses no byte."""
    assert read([stream]) == (events, stream)
    assert told(read_events(stream)) == events


@EVERY
def test_reader_split_anywhere(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    """However the stream is cut, the events and the bytes are the same; empty chunks too."""
    assert read([stream[at : at + 1] for at in range(len(stream))]) == (events, stream)
    for first, second in itertools.combinations(range(len(stream) + 1), 2):
        assert read([stream[:first], stream[first:second], b"", stream[second:]]) == (events, stream)


def test_reader_takes_a_megabyte_in_small_pieces() -> None:
    """A line of 1 MB in pieces of 100 bytes comes out whole (the reader joins once, so this does not take minutes)."""
    line = b"x" * 1_000_000
    stream = b"data: " + line + b"\n\n"
    reader = EventReader()
    events = [event for at in range(0, len(stream), 100) for event in reader.feed(stream[at : at + 100])]
    assert events == [Event("", line, stream)]


def test_reader_gives_up_on_an_endless_event() -> None:
    """Past its limit the reader raises; whole events before do not count."""
    reader = EventReader(limit=100)
    assert len(reader.feed(b"data: a\n\n" * 50)) == 50
    reader.feed(b"data: " + b"x" * 90)
    with pytest.raises(EventTooLong):
        reader.feed(b"x" * 10)


def ends_whole(stream: bytes) -> bool:
    """The rule in the standard's terms, but for the half CRLF after a CRLF."""
    if stream.endswith(b"\r\n\r"):
        return False
    lines = re.split(rb"\r\n|\n|\r", stream)  # the last piece is the unfinished line
    return lines[-1] == b"" and (len(lines) == 1 or lines[-2] == b"")


@pytest.mark.parametrize("length", range(8))
def test_boundary_on_every_mix(length: int) -> None:
    """On every stream over {x, LF, CR} of up to 7 bytes, bytewise and whole, the tracker agrees with the rule."""
    for letters in itertools.product((b"x", b"\n", b"\r"), repeat=length):
        stream = b"".join(letters)
        bytewise = Boundary()
        for letter in letters:
            bytewise.feed(letter)
        whole = Boundary()
        whole.feed(stream)
        assert bytewise.reached == whole.reached == ends_whole(stream), stream


@EVERY
def test_runs_lose_nothing(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    """Runs and the rest, joined, are the stream; the runs hold its events, however it was cut."""
    for size in (1, 2, 3, 5, 1000):
        runs = EventRuns()
        given = [run for at in range(0, len(stream), size) if (run := runs.feed(stream[at : at + size]))]
        assert b"".join(given) + runs.rest == stream
        if b"\xef\xbb\xbf" not in stream:  # a mark opens a stream, and only a whole stream's reader can know that it is there
            assert told([event for run in (*given, runs.rest) for event in read_events(run)]) == events


def test_runs_pass_whole_events_uncopied() -> None:
    """A chunk of whole events is its own run."""
    chunk = b"data: a\n\ndata: b\n\n"
    assert EventRuns().feed(chunk) is chunk


def test_runs_cut_out_the_middle_of_a_long_event() -> None:
    """A long event is shown by its beginning and its end; what follows it is whole again."""
    runs = EventRuns()
    assert runs.feed(b"event: big\ndata: {") == b""
    for _ in range(100):
        assert runs.feed(b"x" * 10_000) == b""
    run = runs.feed(b"end}\n\ndata: next\n\n")
    assert len(run) < RUN_LIMIT
    big, following = read_events(run)
    assert big.name == "big" and big.data.startswith(b"{xx") and big.data.endswith(b"xxend}")
    assert following.data == b"next"
    assert runs.rest == b""


def test_runs_hold_little_of_an_endless_event() -> None:
    """100 MB without a line end leave less than twice the limit in memory, whatever the chunks."""
    chunk = b"x" * 65_000
    runs = EventRuns()
    runs.feed(b"data: ")
    for _ in range(1_600):
        assert runs.feed(chunk) == b""
        assert len(runs.rest) < 2 * RUN_LIMIT
