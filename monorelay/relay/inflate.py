"""Undoing a content encoding, piece by piece: for answers that are read, because another dialect's client waits for them."""

from __future__ import annotations

import zlib

# zlib or gzip by its own head; then raw deflate, which some servers send under that name.
_WINDOWS = (47, -15)
ENCODINGS = ("gzip", "x-gzip", "deflate")


class Undecodable(Exception):
    """The bytes are not in the encoding that the head announced, or in none that is known here."""


class Inflater:
    """gzip and deflate. Mutable: the decompressor, replaced once if the first bytes are raw deflate.

    >>> Inflater("gzip")(gzip.compress(b"text"))
    b'text'
    """

    __slots__ = ("_windows", "_inside")

    def __init__(self, encoding: str) -> None:
        if encoding not in ENCODINGS:
            raise Undecodable(f"the answer is encoded with '{encoding}', which was not asked for")
        self._windows = list(_WINDOWS)
        self._inside = zlib.decompressobj(self._windows.pop(0))

    def __call__(self, piece: bytes, limit: int = 0) -> bytes:
        """``limit``: the most bytes to give; 0 = all. Raises Undecodable."""
        try:
            return self._inside.decompress(piece, limit)
        except zlib.error as error:
            if not self._windows:
                raise Undecodable("the answer is not in the encoding that its head announced") from error
            self._inside = zlib.decompressobj(self._windows.pop(0))
            return self(piece, limit)
