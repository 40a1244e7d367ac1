"""The control socket: where `monorelay reload`, `status` and others ask the master something.

A Unix socket for this user and root only. A peer sends one line of JSON and gets one; then the connection ends. This file knows
peers and lines; what the questions mean is known to desk.py. Nothing here waits: the master's loop calls in when a socket is ready,
and a peer that neither asks nor listens within STALL is dropped.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from monorelay.clock import Clock

NAME = "control.sock"
MOST_PEERS = 16
BACKLOG = 128  # peers that may come between two turns of the loop; whoever finds it full is refused by the kernel, without a word
LONGEST_QUESTION = 64 * 1024
LONGEST_ANSWER = 1024 * 1024
STALL = 5.0  # seconds a peer has to ask, and again to take the answer
LOCK_LIMIT = 2.0  # seconds that another relay may take to open a socket in the same directory
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

logger = logging.getLogger(__name__)

Source = tuple[socket.socket, int, Callable[[int], None]]


def control_path(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """In $RUNTIME_DIRECTORY (the first, where systemd made several), else in the state directory."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(os.path.abspath(runtime or state_dir)) / NAME


def credentials(sock: socket.socket) -> tuple[int, int]:
    """Process and user at the other end, as the kernel knows them; of a listening end, whoever began to listen."""
    pid, uid, _ = CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return pid, uid


@dataclass(slots=True, eq=False)
class Peer:
    """One connection. Changed by Control only: what has come, what is still to go, and until when it may take its time."""

    sock: socket.socket
    deadline: float | None
    come: bytearray = field(default_factory=bytearray)
    going: bytearray = field(default_factory=bytearray)
    asked: bool = False


class Control:
    """The listening socket and its peers. ``sources`` are to be watched; ``take`` gives the questions that have come.

    Without a socket (it could not be opened, which was logged) it has neither.
    """

    # Mutable: the peers, and the questions that nobody has taken yet.

    def __init__(self, sock: socket.socket | None, path: Path, clock: Clock) -> None:
        self.path = path
        self._sock = sock
        self._clock = clock
        self._inode = os.stat(path).st_ino if sock is not None else 0
        self._peers: list[Peer] = []
        self._asked: list[tuple[Peer, Mapping[str, Any]]] = []

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    # What the master's loop calls

    def sources(self) -> Iterator[Source]:
        """(socket, events to watch, what to call with those that came)."""
        if self._sock is not None:
            yield self._sock, selectors.EVENT_READ, self._accept
        for peer in self._peers:
            if peer.going:
                yield peer.sock, selectors.EVENT_WRITE, partial(self._send, peer)
            elif not peer.asked:
                yield peer.sock, selectors.EVENT_READ, partial(self._receive, peer)

    def take(self) -> list[tuple[Peer, Mapping[str, Any]]]:
        """The questions that have come since the last time. Each is to be answered once."""
        asked, self._asked = self._asked, []
        return asked

    def answer(self, peer: Peer, answer: Mapping[str, Any] | bytes) -> None:
        """Bytes are JSON already, without a line break. A peer that has gone meanwhile is no harm."""
        if peer not in self._peers:
            return
        line = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if len(line) >= LONGEST_ANSWER:
            line = b'{"error": "the answer is longer than a peer is sent"}'
        peer.asked = True
        peer.going += line + b"\n"
        peer.deadline = self._clock.monotonic() + STALL
        self._send(peer)

    def next_deadline(self) -> float | None:
        return min((peer.deadline for peer in self._peers if peer.deadline is not None), default=None)

    def drop_the_stalled(self) -> None:
        now = self._clock.monotonic()
        for peer in [peer for peer in self._peers if peer.deadline is not None and peer.deadline <= now]:
            self._drop(peer)

    def close(self) -> None:
        """The end: nobody is listened to any more, and the file goes, if it is still this one's."""
        for peer in list(self._peers):
            self._drop(peer)
        if self._sock is None:
            return
        try:
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except OSError:
            pass  # it is gone already, or so is its directory
        self.release()

    def release(self) -> None:
        """In a child after a fork: let go of what is the master's, and disturb nobody."""
        for peer in self._peers:
            peer.sock.close()
        self._peers.clear()
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    # Peers

    def _accept(self, _: int) -> None:
        assert self._sock is not None
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return  # gone again, or no descriptor is free
        sock.setblocking(False)
        peer = Peer(sock, self._clock.monotonic() + STALL)
        if credentials(sock)[1] not in (0, os.geteuid()):
            sock.close()  # the file's mode refuses others already; this holds for a directory that ignores modes, too
            return
        full = len(self._peers) >= MOST_PEERS
        self._peers.append(peer)
        if full:
            self.answer(peer, {"error": f"{MOST_PEERS} others are asking already: try again"})
            if peer in self._peers:
                self._drop(peer)

    def _receive(self, peer: Peer, _: int) -> None:
        try:
            piece = peer.sock.recv(LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        peer.come += piece
        line, end = peer.come.partition(b"\n")[:2]
        if end:
            self._read(peer, bytes(line))
        elif not piece:
            self._drop(peer)
        elif len(line) >= LONGEST_QUESTION:
            self.answer(peer, {"error": f"a question is one line of at most {LONGEST_QUESTION} bytes"})

    def _read(self, peer: Peer, line: bytes) -> None:
        try:
            question = json.loads(line)
        except (ValueError, RecursionError):
            question = None
        if not isinstance(question, dict) or not isinstance(question.get("ask"), str):
            self.answer(peer, {"error": 'a question is one line of JSON, such as {"ask": "status"}'})
            return
        peer.asked = True
        peer.deadline = None  # now it is the relay's turn
        self._asked.append((peer, question))

    def _send(self, peer: Peer, _: int = 0) -> None:
        try:
            while peer.going:
                del peer.going[: peer.sock.send(peer.going)]
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        if peer in self._peers:
            self._peers.remove(peer)
        try:
            # A child that was forked meanwhile holds the connection too; closing alone would end it only with that child.
            peer.sock.shutdown(socket.SHUT_RDWR)
            # What came and was never read would turn the end into a reset.
            peer.sock.recv(LONGEST_QUESTION)
        except OSError:
            pass
        peer.sock.close()


def open_control(path: Path, clock: Clock) -> Control:
    """Listen at the path. Where that cannot be it is logged, and the relay goes without."""
    try:
        return Control(_listen(path), path, clock)
    except OSError as error:
        logger.warning(
            "no control socket, so `monorelay reload` will not find this relay (signals work): %s: %s", path, _why(error)
        )
        return Control(None, path, clock)


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_in(path.parent):
            if _is_listened_on(path):
                raise OSError(errno.EADDRINUSE, "another relay listens there")
            path.unlink(missing_ok=True)  # what a relay left behind that was killed
            sock.bind(str(path))
            path.chmod(0o600)  # before anybody can connect
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Of several relays that start at once in one directory, one looks and binds at a time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        end = time.monotonic() + LOCK_LIMIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise OSError(errno.EAGAIN, "another program holds a lock on the directory") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _is_listened_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            pass  # more are waiting there than it takes: somebody is there
        return True


def _why(error: OSError) -> str:
    return error.strerror or str(error)
