"""Encodings undone piece by piece, whatever an upstream sends under their names."""

from __future__ import annotations

import gzip
import zlib

import pytest

from monorelay.relay.inflate import Inflater, Undecodable

TEXT = bytes(range(256)) * 40
RAW = zlib.compress(TEXT)[2:-4]


def inflate(encoding: str, data: bytes, size: int) -> bytes:
    inflater = Inflater(encoding)
    return b"".join(inflater(data[at : at + size]) for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [2, 3, 100, 10**6])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", RAW),
    ],
)
def test_each_encoding_in_pieces_of_any_size(encoding: str, data: bytes, size: int) -> None:
    assert inflate(encoding, data, size) == TEXT


def test_a_gzip_of_several_members_is_one_text() -> None:
    """RFC 1952 section 2.2."""
    data = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert inflate("gzip", data, 10**6) == b"one two"


def test_what_follows_the_end_is_neither_read_nor_kept() -> None:
    """zlib would keep it, and copy all of it at each piece: a minute for a hundred megabytes."""
    inflater = Inflater("gzip")
    assert inflater(gzip.compress(TEXT) + b"padding") == TEXT
    for _ in range(6000):
        assert inflater(bytes(16384)) == b""
    assert len(inflater._inside.unused_data) < 100


@pytest.mark.parametrize(("encoding", "data"), [("gzip", TEXT), ("gzip", RAW), ("deflate", b"\xff" * 100), ("gzip", b"<html>")])
def test_what_is_in_another_encoding_cannot_be_read(encoding: str, data: bytes) -> None:
    with pytest.raises(Undecodable, match="not in the encoding"):
        inflate(encoding, data, 10**6)


def test_bytes_broken_in_the_middle_are_not_taken_for_another_encoding() -> None:
    data = bytearray(zlib.compress(TEXT * 100, 0))
    inflater = Inflater("deflate")
    assert inflater(bytes(data[:70_000]))
    with pytest.raises(Undecodable):
        inflater(b"\xff" * 70_000)


def test_the_beginning_of_a_bomb_is_no_larger_than_was_asked_for() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert Inflater("gzip").beginning(bomb, 1000) == bytes(1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", ""])
def test_other_encodings_are_refused_at_once(encoding: str) -> None:
    with pytest.raises(Undecodable, match="was not asked for"):
        Inflater(encoding)
