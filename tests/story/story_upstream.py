"""An upstream that writes down every byte it is sent and answers with the bytes it was given.

upstream = Recorder()
upstream.answer(ok(b'{"id": "x"}'))              # the next request gets this
upstream.standing("/v1/models", ok(b"…"))        # every request of this path gets that, and is not counted
upstream.rule(lambda request: limited if …)      # what a request gets for which nothing was given, by what it says
request = upstream.taken()                       # the one request that came

Sockets by hand, in a thread with a loop of its own. An answer is a list of steps: bytes are written, a float is a pause in
seconds, ``CLOSE`` and ``RESET`` end the connection, ``HANG`` waits until the other side does, a ``threading.Event`` holds on until
it is set.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

PATIENCE = 15.0


class Then(Enum):
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


CLOSE, RESET, HANG = Then.CLOSE, Then.RESET, Then.HANG
Step = bytes | float | Then | threading.Event


@dataclass(frozen=True)
class Recorded:
    """One request. ``headers`` in order, names as they were written. ``gone`` is set when the peer left before the answer's end."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    head: bytes
    connection: int
    at: float
    gone: threading.Event = field(default_factory=threading.Event, compare=False)
    written: list[int] = field(default_factory=list, compare=False)  # bytes of the answer, step by step

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers}

    def header(self, name: str) -> str | None:
        """The one value of this field; None without it. Twice is a failure."""
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ok(body: Any = b"{}", *headers: str, kind: str = "application/json", status: str = "200 OK") -> tuple[Step, ...]:
    """A whole answer with its length; what is no bytes becomes JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join([*lines, "", ""]).encode("latin-1") + body,)


def streamed(*pieces: Step, kind: str = "text/event-stream", headers: Iterable[str] = (), end: bool = True) -> tuple[Step, ...]:
    """A chunked answer, one chunk for each piece of bytes; ``end`` False leaves the last chunk out and closes."""
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers, "", ""])
    steps: list[Step] = [head.encode("latin-1")]
    steps += [b"%x\r\n%b\r\n" % (len(piece), piece) if isinstance(piece, bytes) else piece for piece in pieces]
    return (*steps, b"0\r\n\r\n") if end else (*steps, CLOSE)


class Recorder:
    """Mutable: what is to be answered (by the test), and what came (by the loop's thread), under one condition."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self._queue: deque[tuple[Step, ...]] = deque()
        self._early: deque[tuple[Step, ...]] = deque()
        self._standing: dict[str, tuple[Step, ...]] = {}
        self._rule: Callable[[Recorded], tuple[Step, ...] | None] = lambda request: None
        self.background: list[Recorded] = []
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self.connections = 0
        self.peers: set[_Peer] = set()
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = listening.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ the test's side

    def answer(self, *answers: tuple[Step, ...]) -> None:
        """The next requests get these, in order; a request beyond them gets ``{}``."""
        with self._news:
            self._queue.extend(answers)

    def answer_early(self, *steps: Step) -> None:
        """The next request gets this as soon as its head has come; nothing more of it is read, and the connection ends."""
        with self._news:
            self._early.append(steps)

    def standing(self, path: str, steps: tuple[Step, ...]) -> None:
        """Each request of this path gets this; those requests are kept apart, in ``background``."""
        with self._news:
            self._standing[path] = steps

    def rule(self, rule: Callable[[Recorded], tuple[Step, ...] | None]) -> None:
        """Answers, in the loop's thread, each request for which nothing was given; where it is None that one gets ``{}``."""
        with self._news:
            self._rule = rule

    def reset(self) -> None:
        """Forgets what came and what was still to be answered; a rule stays."""
        with self._news:
            self.requests.clear()
            self._queue.clear()
            self._early.clear()

    def wait(self, count: int) -> list[Recorded]:
        """The first ``count`` requests."""
        with self._news:
            enough = self._news.wait_for(lambda: len(self.requests) >= count, PATIENCE)
            assert enough, f"{len(self.requests)} requests came, not {count}: {[request.line for request in self.requests]}"
            return self.requests[:count]

    def taken(self) -> Recorded:
        """The one request that came."""
        (request,) = self.wait(1)
        assert len(self.requests) == 1, [request.line for request in self.requests]
        return request

    @property
    def is_closing(self) -> bool:
        return self._over.is_set()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    # ------------------------------------------------------------------ the loop's side

    def _run(self, listening: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(listening))
        self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        server = await self._loop.create_server(lambda: _Peer(self), sock=listening)
        await self._over.wait()
        server.close()
        await asyncio.sleep(0)  # who was accepted just now is made a peer
        peers = list(self.peers)
        for peer in peers:
            peer.task.cancel()
        await asyncio.gather(*(peer.task for peer in peers), return_exceptions=True)
        for peer in peers:
            peer.transport.abort()  # a task that never began has closed nothing
        await asyncio.sleep(0)  # the connections are told that they are lost

    def early_for(self, request: Recorded) -> tuple[Step, ...] | None:
        """What a head is to be answered with before its body is read."""
        with self._news:
            if not self._early or request.target.partition("?")[0] in self._standing:
                return None
            self.requests.append(request)
            self._news.notify_all()
            return self._early.popleft()

    def script_for(self, request: Recorded) -> tuple[Step, ...]:
        """Writes the request down; what it is to be answered with."""
        with self._news:
            standing = self._standing.get(request.target.partition("?")[0])
            if standing is not None:
                self.background.append(request)
                steps = standing
            else:
                self.requests.append(request)
                steps = self._queue.popleft() if self._queue else self._rule(request) or ok()
            self._news.notify_all()
        return steps


class _Peer(asyncio.Protocol):
    """One connection. Mutable: what was read and not yet taken, whether the other side has ended, whether it reads."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._read = bytearray()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def unread(self) -> int:
        """Bytes that came and were not taken: of a request that is not complete."""
        return len(self._read)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        # asyncio only does so for sockets it made itself; without it every second piece waits 40 ms for the peer's ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        recorder = self._recorder
        recorder.connections += 1
        self._number = recorder.connections
        recorder.peers.add(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._read += data
        self._news.set()

    def eof_received(self) -> None:
        self._ended.set()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._news.set()
        self._room.set()
        self._recorder.peers.discard(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # ------------------------------------------------------------------ reading

    async def _more(self) -> None:
        if self._ended.is_set():
            raise ConnectionError
        self._news.clear()
        await self._news.wait()

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            await self._more()
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    async def _until(self, mark: bytes) -> bytes:
        while (at := self._read.find(mark)) < 0:
            await self._more()
        return await self._exactly(at + len(mark))

    async def _request(self) -> Recorded:
        head = await self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines[1:])
        headers = tuple((name, value.strip(" \t")) for name, _, value in pairs)
        fields = {name.lower(): value for name, value in headers}
        request = Recorded(lines[0], headers, b"", head, self._number, time.monotonic())
        early = self._recorder.early_for(request)
        if early is not None:
            self.transport.pause_reading()
            await self._play(early, request)
            raise ConnectionError
        if "chunked" in fields.get("transfer-encoding", ""):
            body = b""
            while size := int((await self._until(b"\r\n")).split(b";")[0], 16):
                body += (await self._exactly(size + 2))[:-2]
            await self._until(b"\r\n")
        else:
            body = await self._exactly(int(fields.get("content-length", "0")))
        return dataclasses.replace(request, body=body)

    # ------------------------------------------------------------------ answering

    async def _serve(self) -> None:
        try:
            while True:
                request = await self._request()
                writing = asyncio.ensure_future(self._play(self._recorder.script_for(request), request))
                ended = asyncio.ensure_future(self._ended.wait())
                await asyncio.wait((writing, ended), return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
                if not writing.done() or writing.exception() is not None:
                    writing.cancel()
                    request.gone.set()
                    break
                if not writing.result():
                    break
        except ConnectionError:
            pass
        finally:
            self.transport.abort() if self._recorder.is_closing else self.transport.close()

    async def _play(self, steps: tuple[Step, ...], request: Recorded) -> bool:
        """Whether the connection goes on."""
        for step in steps:
            if isinstance(step, bytes):
                if self._ended.is_set():
                    raise ConnectionError
                self.transport.write(step)
                request.written.append(len(step))
                await self._room.wait()
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, threading.Event):
                while not step.is_set():
                    await asyncio.sleep(0.002)
            elif step is HANG:
                await self._ended.wait()
                request.gone.set()
                return False
            elif step is RESET:
                linger = struct.pack("ii", 1, 0)
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.transport.abort()
                return False
            else:
                return False
        return True
