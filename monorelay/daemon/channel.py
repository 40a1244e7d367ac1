"""What master and worker say to each other: pickles with a length before them, over a socketpair.

The kinds of message are open: a side ignores a kind that it does not know.

    master → worker    config (a Change), outcome (a ReloadOutcome), drain (a limit in seconds), fact (its bytes),
                       ask (a number and a question in JSON)
    worker → master    ready (None), ack (an Ack), fact (a Fact), answer (the question's number and an answer in JSON, b"" for none)
"""

from __future__ import annotations

import pickle
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

LENGTH = struct.Struct("!Q")
READ_SIZE = 1 << 18
# A peer that stands still is not told more than this of what it can do without.
LONG_BACKLOG = 1 << 20


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Change:
    """The configuration to serve from now on, pickled: the master hands it on unopened."""

    attempt: int
    generation: int
    config: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ack:
    """A worker's answer to a Change; problems, as text, if it could not take it."""

    attempt: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """What one worker knows and the others should, pickled: the master hands it on unopened.

    ``until``, in monotonic time: as long as that a worker that is born later is told as well.
    """

    until: float
    body: bytes = field(repr=False)


class Channel:
    """One end of a socketpair, never blocking. Its owner calls ``flush`` while ``unsent``, when the socket is writable."""

    # Mutable: bytes that wait to be sent and bytes of a message that is not whole yet; changed by the owner's calls only.

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._out = bytearray()
        self._in = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def unsent(self) -> bool:
        return bool(self._out)

    def send_if_heard(self, message: Message) -> None:
        """``send``, unless the peer has not listened for so long that what waits for it is a lot already."""
        if len(self._out) < LONG_BACKLOG:
            self.send(message)

    def send(self, message: Message) -> None:
        """Queue the message and send what the socket takes. A peer that is gone is noticed by ``receive``, not here."""
        pickled = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._out += LENGTH.pack(len(pickled)) + pickled
        self.flush()

    def flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self._out.clear()

    def receive(self) -> list[Message]:
        """Every message that has arrived whole. Raises EOFError when the peer is gone and nothing is left to tell."""
        gone = False
        while True:
            try:
                piece = self._sock.recv(READ_SIZE)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                gone = True
                break
            self._in += piece
        messages = []
        while len(self._in) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._in)
            if len(self._in) < LENGTH.size + length:
                break
            messages.append(pickle.loads(self._in[LENGTH.size : LENGTH.size + length]))
            del self._in[: LENGTH.size + length]
        if gone and not messages:
            raise EOFError
        return messages

    def close(self) -> None:
        self._sock.close()
