"""The bounded buffer between a client that sends and an upstream that takes."""

from __future__ import annotations

from monorelay.upstream.upload import HIGH_WATER, Upload


def test_bytes_come_out_as_they_went_in() -> None:
    """Pieces are cut to size, never joined out of order; the end is b"", and nothing yet is None."""
    upload = Upload(length=None)
    assert upload.take(10) is None
    upload.write(b"abcdef")
    upload.write(b"")
    upload.write(b"gh")
    assert [upload.take(4), upload.take(4), upload.take(4), upload.take(4)] == [b"abcd", b"ef", b"gh", None]
    upload.finish()
    assert upload.take(4) == b"" and upload.take(4) == b""
    assert (upload.held, upload.taken) == (0, 8)


def test_the_writer_is_told_when_there_is_room_again() -> None:
    """on_room is called once, when taking brings the buffer below its mark."""
    upload = Upload(length=None)
    rooms: list[int] = []
    upload.on_room = lambda: rooms.append(upload.held)
    upload.write(bytes(HIGH_WATER - 1))
    assert not upload.full
    upload.write(b"x")
    assert upload.full
    upload.take(1)
    upload.take(1)
    assert rooms == [HIGH_WATER - 1]


def test_the_taker_is_told_of_everything() -> None:
    """on_bytes is called for bytes, for the end and for a break."""
    upload = Upload(length=None)
    calls: list[str] = []
    upload.on_bytes = lambda: calls.append(repr(upload))
    upload.write(b"x")
    upload.finish()
    upload.fail()
    assert len(calls) == 3 and upload.broken and upload.finished
