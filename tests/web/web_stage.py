"""A whole front between two people with raw sockets: a client and an upstream, both played by the test, byte by byte.

async with web_stage() as stage:
    client = await stage.client()
    await client.ask("POST", CHAT, {"model": "m"})
    peer, request = await stage.upstream.exchange()
    await peer.answer(b"{}", "200 OK", "Content-Type: application/json")
    assert (await client.answer()).status == 200

With ``part`` the upstream plays itself: the part is given to every connection, and ``stage.upstream.asked`` keeps what came.
Every byte that a client is sent is searched for keys, and nothing may be left over at the end: no call, no task, no exception
that nobody looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import re
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raw_upstream import Peer, RawRequest, RawUpstream
from web_specs import KEY_MARK, TOKEN, relay_config

from monorelay.web.serve import Front

PATIENCE = 20.0  # seconds until a test that hangs is given up
JSON_TYPE = "Content-Type: application/json"
SSE_TYPE = "Content-Type: text/event-stream"
ASKED = {"model": "m", "messages": []}
GIVEN = b'{"id": "chatcmpl-1", "choices": []}'
MIB = 1024 * 1024
# Until the process ends, as a front's last thread may outlive its test; in memory where that can be had.
STATE = tempfile.TemporaryDirectory(prefix="monorelay-web-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

Part = Callable[[Peer], Coroutine[Any, Any, None]]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine test in a loop of its own; what nobody looked at in it is a failure."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        complaints: list[str] = []

        async def patiently() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, said: complaints.append(f"{said['message']}: {said.get('exception')!r}"))
            await asyncio.wait_for(test(*args, **kwargs), PATIENCE)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                if task.cancelling():  # up to Python 3.11 asyncio.wait_for may lose a cancellation that meets its result
                    task.cancel()
            if left:
                await asyncio.wait(left, timeout=1.0)
            assert all(task.done() for task in left), f"tasks left over: {left}"

        try:
            asyncio.run(patiently())
        finally:
            gc.collect()
            print(*complaints, sep="\n")
        assert not complaints, complaints

    return run


# ---------------------------------------------------------------------------------------------------- the upstream


class Upstream(RawUpstream):
    """Mutable: ``asked``, every request that a part has read; ``part``, what it plays (None: the test plays by hand)."""

    def __init__(self, part: Part | None = None) -> None:
        super().__init__()
        self.part = part
        self.asked: list[RawRequest] = []
        self._playing: set[asyncio.Task[None]] = set()

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super()._arrived(reader, writer)
        if self.part is not None:
            task = asyncio.ensure_future(self._play(self.part, self.peers[-1]))
            self._playing.add(task)
            task.add_done_callback(self._playing.discard)

    async def _play(self, part: Part, peer: Peer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await part(peer)

    async def __aexit__(self, *_: object) -> None:
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        await super().__aexit__()

    def answering(self, *pieces: bytes, close: bool = True) -> Part:
        """The part of one who reads a request and then sends these bytes, whatever they are."""

        async def part(peer: Peer) -> None:
            while True:
                self.asked.append(await peer.request())
                for piece in pieces:
                    await peer.send(piece)
                    await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
                if close:
                    return peer.close()

        return part


def whole(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """One answer with a Content-Length, right or wrong."""
    lines = (f"HTTP/1.1 {status}", *(headers or (JSON_TYPE,)), f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def chunked(*chunks: bytes, kind: str = SSE_TYPE, end: bool = True) -> bytes:
    return chunked_head(kind) + b"".join(map(chunk, chunks)) + (b"0\r\n\r\n" if end else b"")


def chunked_head(kind: str = SSE_TYPE) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str) -> bytes:
    """One content event of a chat stream."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


# ---------------------------------------------------------------------------------------------------- the client


@dataclass(frozen=True, slots=True)
class Answer:
    version: str
    status: int
    fields: dict[str, str]
    body: bytes
    pieces: tuple[bytes, ...] = ()  # the chunks of a chunked body

    @property
    def error(self) -> dict[str, Any]:
        """The error object; asserts that the body is the envelope, and that a person could read it aloud."""
        assert self.fields["content-type"] == "application/json", self.fields
        found: dict[str, Any] = json.loads(self.body)["error"]
        assert found["message"] and found["type"], found
        assert "Traceback" not in found["message"], found
        return found


class Client:
    """One connection, seen from the client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.socket: socket.socket = writer.get_extra_info("socket")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, method: str, path: str, body: object = None, *headers: str, token: str | None = TOKEN) -> None:
        """A request with Content-Length; ``body`` is bytes, or an object that is sent as JSON."""
        await self.send(request(method, path, body, *headers, token=token))

    async def head(self) -> Answer:
        """The next status line and fields, an informational one too; no field may come twice."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        assert KEY_MARK not in raw, raw
        lines = raw.decode("latin-1").split("\r\n")[:-2]
        version, status, _ = lines[0].split(" ", 2)
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        assert len(dict(pairs)) == len(pairs), f"a field twice: {pairs}"
        return Answer(version, int(status), dict(pairs), b"")

    async def answer(self, bodiless: bool = False) -> Answer:
        """The next answer, whole: by its length, its chunks, or the end of the connection."""
        head = await self.head()
        if bodiless or head.status in (204, 304):
            return head
        if head.fields.get("transfer-encoding") == "chunked":
            pieces = [piece async for piece in self.pieces()]
            return replace(head, body=b"".join(pieces), pieces=tuple(pieces))
        if "content-length" in head.fields:
            body = await self.reader.readexactly(int(head.fields["content-length"]))
        else:
            body = await self.reader.read(-1)
        assert KEY_MARK not in body, body
        return replace(head, body=body)

    async def pieces(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            piece = (await self.reader.readexactly(size + 2))[:-2]
            assert KEY_MARK not in piece, piece
            yield piece
        assert await self.reader.readexactly(2) == b"\r\n"

    async def piece(self) -> bytes:
        """The next chunk of a chunked body."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """All that still comes, until the connection is closed, however."""
        found = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                found += piece
        assert KEY_MARK not in found, found
        return bytes(found)

    async def trickle(self, data: bytes, size: int, pause: float = 0.0) -> None:
        for at in range(0, len(data), size):
            await self.send(data[at : at + size])
            await asyncio.sleep(pause)

    def half_close(self) -> None:
        self.writer.write_eof()

    def leave(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def request(method: str, path: str, body: object = None, *headers: str, token: str | None = TOKEN, version: str = "1.1") -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if body is not None:
        lines.append(f"Content-Length: {len(raw)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + raw


def form(*fields: tuple[str, bytes], boundary: str = "frontier") -> tuple[bytes, str]:
    """A multipart body and its Content-Type line."""
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary.encode(), n.encode(), v) for n, v in fields
    ]
    return b"".join(parts) + b"--%b--\r\n" % boundary.encode(), f"Content-Type: multipart/form-data; boundary={boundary}"


# ---------------------------------------------------------------------------------------------------- the front


class WebStage:
    """Mutable: the clients that have come."""

    def __init__(self, front: Front, upstream: Upstream, port: int) -> None:
        self.front = front
        self.upstream = upstream
        self.port = port
        self.clients: list[Client] = []

    async def client(self, receive_buffer: int | None = None, limit: int = 2**16) -> Client:
        """A new connection. A small ``receive_buffer`` makes a reader that soon does not take any more."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        client = Client(*await asyncio.open_connection(sock=sock, limit=limit))
        self.clients.append(client)
        return client

    async def once(self, method: str, path: str, body: object = None, *headers: str, **more: Any) -> Answer:
        """One request on a connection of its own, and its answer."""
        client = await self.client()
        await client.ask(method, path, body, *headers, **more)
        answer = await client.answer(bodiless=method == "HEAD")
        client.leave()
        return answer

    async def counted(self, metric: str, **labels: str) -> float:
        """One value of /metrics; 0 where it is not there."""
        page = (await self.once("GET", "/metrics")).body.decode()
        pairs = ",".join(f'{name}="{value}"' for name, value in labels.items())
        found = re.search(rf"^{metric}{re.escape('{' + pairs + '}') if pairs else ''} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def recorded(self, route_name: str, status: int) -> None:
        """Waits until one call of this route has ended with this status."""
        while not await self.counted("monorelay_calls_total", route=route_name, status=str(status)):
            await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Waits until no request is in flight."""
        while self.front.in_flight():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def web_stage(part: Part | None = None, *, to: RawUpstream | None = None, **options: Any) -> AsyncIterator[WebStage]:
    """The front serves ``relay_config(to or upstream, **options)``. At the end all clients leave, and nothing may be in flight."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        port = listening.getsockname()[1]
        async with Upstream(part) as upstream:
            served = Front(
                relay_config(to or upstream, **options), 1, Path(tempfile.mkdtemp(dir=STATE.name)), ("127.0.0.1", port), 1
            )
            listening.setblocking(False)
            served.listen_on(listening)
            stage = WebStage(served, upstream, port)
            try:
                yield stage
                for client in stage.clients:
                    client.writer.transport.abort()
                await asyncio.wait_for(stage.quiet(), 5)
                assert await asyncio.wait_for(served.drain(0.0), 5) == 0, "a call is still there, with all clients gone"
            finally:
                for client in stage.clients:
                    client.writer.transport.abort()
                served.close()
                await asyncio.sleep(0)


async def soon(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Waits until it is true; fails when it takes too long."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


async def within(seconds: float, thing: Awaitable[Any]) -> Any:
    """What the thing gives; TimeoutError when it takes longer than this of the time in which this process runs.

    Client, relay and upstream are all in this loop: a stop of the whole process, as on a busy machine, counts as one turn of 10 ms.
    """
    task = asyncio.ensure_future(thing)
    try:
        for _ in range(round(seconds / 0.01)):
            if (await asyncio.wait({task}, timeout=0.01))[0]:
                return task.result()
        raise TimeoutError(f"not within {seconds} s")
    finally:
        task.cancel()


def kernel_bytes(port: int, other: int) -> int:
    """Bytes between these two ports of 127.0.0.1 that were sent and not read yet: what both kernel ends hold, both ways."""
    ends = {(port, other), (other, port)}
    held = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, _, queues = line.split()[1:5]
        if (int(local[9:], 16), int(remote[9:], 16)) in ends:
            unsent, unread = queues.split(":")
            held += int(unsent, 16) + int(unread, 16)
    return held
