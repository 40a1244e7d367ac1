"""Counting the events of a stream."""

from __future__ import annotations

import pytest

from monorelay.upstream.event_count import EventCount

STREAMS = [
    (b"data: 1\n\ndata: 2\n\ndata: 3", [9, 18]),
    (b"event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n", [21, 42]),
    (b"data: 1\r\n\ndata: 2\n\r\n", [10, 20]),
    (b"data: 1\ndata: 2\n", []),
    (b"data: 1\n\n", [9]),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "ends"), STREAMS)
def test_events_end_where_a_blank_line_does(stream: bytes, ends: list[int]) -> None:
    """Whole, byte by byte, and split at every place, the same events are counted at the same bytes."""
    assert list(EventCount().ends(stream)) == ends
    splits = [[stream[:place], stream[place:]] for place in range(len(stream) + 1)]
    for chunks in (*splits, [stream[place : place + 1] for place in range(len(stream))]):
        count, found, before = EventCount(), [], 0
        for chunk in chunks:
            found += [before + end for end in count.ends(chunk)]
            before += len(chunk)
        assert found == ends, chunks
