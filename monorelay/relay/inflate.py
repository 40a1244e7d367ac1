"""Undoing a content encoding, piece by piece: for answers that are read, because another dialect's client waits for them."""

from __future__ import annotations

import zlib

# How zlib is to look at the bytes: by their own head, gzip's or zlib's; then as raw deflate, which some servers call deflate.
_WINDOWS = {"gzip": (47,), "x-gzip": (47,), "deflate": (47, -15)}
_MEMBER = b"\x1f\x8b"


class Undecodable(Exception):
    """The bytes are not in the encoding that the head announced, or in none that is known here."""


class Inflater:
    """gzip and deflate. Mutable: the decompressor, replaced at another member of a gzip, or if the first bytes are raw deflate.

    What follows the end is no part of the answer, and is not kept.

    >>> Inflater("gzip")(gzip.compress(b"text"))
    b'text'
    """

    __slots__ = ("_windows", "_inside")

    def __init__(self, encoding: str) -> None:
        if encoding not in _WINDOWS:
            raise Undecodable(f"the answer is encoded with '{encoding}', which was not asked for")
        self._windows = list(_WINDOWS[encoding])
        self._inside = zlib.decompressobj(self._windows.pop(0))

    def __call__(self, piece: bytes) -> bytes:
        """Raises Undecodable."""
        found = b""
        while piece:
            if self._inside.eof:
                if not piece.startswith(_MEMBER):
                    break
                self._inside = zlib.decompressobj(47)
            found += self._next(piece)
            piece = self._inside.unused_data
        return found

    def beginning(self, piece: bytes, limit: int) -> bytes:
        """At most ``limit`` bytes of it, whatever ``piece`` would become. Raises Undecodable."""
        return self._next(piece, limit)

    def _next(self, piece: bytes, limit: int = 0) -> bytes:
        try:
            found = self._inside.decompress(piece, limit)
        except zlib.error as error:
            if not self._windows:
                raise Undecodable("the answer is not in the encoding that its head announced") from error
            self._inside = zlib.decompressobj(self._windows.pop(0))
            return self._next(piece, limit)
        if found:
            self._windows.clear()  # it is what it was taken for
        return found
