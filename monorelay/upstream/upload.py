"""A request body that is still arriving: a bounded buffer between the client's socket and the engine's.

The front writes what the client sends, the engine takes what the upstream accepts. Neither side blocks: the writer is told to wait
(``full``) and called back (``on_room``); the engine pauses when nothing is there and is called back (``on_bytes``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

HIGH_WATER = 256 * 1024  # bytes held before the client is slowed down


class Upload:
    """Mutable: the queue of pieces (front writes, engine takes), ``held``, ``taken``, ``finished``, ``broken``.

    ``length`` is the number of bytes the client announced, or None (chunked).

    >>> upload = Upload(length=5); upload.write(b"hello"); upload.finish(); upload.take(100)
    b'hello'
    """

    __slots__ = ("length", "held", "taken", "finished", "broken", "on_bytes", "on_room", "_pieces")

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.held = 0
        self.taken = 0
        self.finished = False
        self.broken = False
        self.on_bytes: Callable[[], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self._pieces: deque[bytes] = deque()

    def __repr__(self) -> str:
        return f"<Upload taken {self.taken} held {self.held} of {self.length}>"

    @property
    def full(self) -> bool:
        """Whether the writer should wait for ``on_room``."""
        return self.held >= HIGH_WATER

    def write(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self.held += len(piece)
            self._announce()

    def finish(self) -> None:
        """No more bytes will come."""
        self.finished = True
        self._announce()

    def fail(self) -> None:
        """The client left or stalled: the engine must break the request off, never send it as if it were whole."""
        self.broken = True
        self._announce()

    def take(self, size: int) -> bytes | None:
        """Up to ``size`` bytes; b"" at the end; None when nothing is there yet."""
        if not self._pieces:
            return b"" if self.finished else None
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        was_full = self.full
        self.held -= len(piece)
        self.taken += len(piece)
        if was_full and not self.full and self.on_room is not None:
            self.on_room()
        return piece

    def _announce(self) -> None:
        if self.on_bytes is not None:
            self.on_bytes()
