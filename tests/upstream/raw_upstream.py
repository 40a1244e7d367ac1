"""Upstreams that a test plays by hand, byte for byte, on real sockets of 127.0.0.1; and what it needs to talk to an engine.

async with RawUpstream() as upstream, curl_engine() as engine:
    heard = Heard()
    engine.start(ask(upstream.url("/v1/x")), heard)
    peer = await upstream.accept()
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
    await heard.over()
    assert heard.body == b"hi"
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from monorelay.upstream.curl import CurlEngine
from monorelay.upstream.interface import Exchange, UpstreamFailure, UpstreamRequest
from monorelay.upstream.upload import Upload

PATIENCE = 20.0  # seconds until a test that hangs is given up


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def patiently() -> None:
            await asyncio.wait_for(test(*args, **kwargs), PATIENCE)

        asyncio.run(patiently())

    return run


@asynccontextmanager
async def curl_engine(**options: Any) -> AsyncIterator[CurlEngine]:
    engine = CurlEngine(**options)
    try:
        yield engine
    finally:
        engine.shut()


@dataclass(frozen=True, slots=True)
class Limits:
    connect: float | None = 10.0
    first_byte: float | None = 10.0
    idle: float | None = 10.0
    total: float | None = None


def ask(
    url: str,
    body: bytes | Upload | None = None,
    method: str | None = None,
    headers: tuple[str, ...] = (),
    **limits: float | None,
) -> UpstreamRequest:
    return UpstreamRequest(method or ("GET" if body is None else "POST"), url, headers, body, Limits(**limits))


class Heard:
    """A receiver that writes down what it hears; ``on`` holds what a test wants done inside its methods, by name."""

    def __init__(self, **on: Callable[..., None]) -> None:
        self.told: list[str] = []
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        self.failure: UpstreamFailure | None = None
        self.on = on
        self.exchange: Exchange | None = None
        self._news = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_over(self) -> bool:
        return bool(self.told) and self.told[-1] in ("end", "failed")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def over(self) -> None:
        await self.until(lambda: self.is_over)

    async def told_head(self) -> None:
        await self.until(lambda: "head" in self.told)

    def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.status, self.headers = status, list(headers)
        self._tell("head")

    def chunk(self, data: bytes) -> None:
        self.chunks.append(data)
        self._tell("chunk")

    def end(self) -> None:
        self._tell("end")

    def failed(self, failure: UpstreamFailure) -> None:
        self.failure = failure
        self._tell("failed")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self._news.set()
        if what in self.on:
            self.on[what]()


@dataclass(frozen=True, slots=True)
class RawRequest:
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Peer:
    """One connection, seen from the upstream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines[1:])
        return lines[0], tuple((name, value.strip()) for name, _, value in pairs)

    async def request(self) -> RawRequest:
        line, headers = await self.head()
        named = {name.lower(): value for name, value in headers}
        if named.get("transfer-encoding") == "chunked":
            body = b"".join([piece async for piece in self.pieces()])
        else:
            body = await self.reader.readexactly(int(named.get("content-length", "0")))
        return RawRequest(line, headers, body)

    async def pieces(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        await self.send("\r\n".join(lines).encode("latin-1") + body)

    async def gone(self) -> None:
        """Waits until the other side has closed the connection, however."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Breaks the connection off, without a good-bye."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class RawUpstream:
    """Listens, and hands every connection to the test. Mutable: ``peers``, all that ever came."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self.port = 0
        self._tls = tls
        self._fresh: asyncio.Queue[Peer] = asyncio.Queue()

    async def __aenter__(self) -> RawUpstream:
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0, ssl=self._tls, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._fresh.put_nowait(peer)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    async def accept(self) -> Peer:
        """The next connection."""
        return await self._fresh.get()

    async def exchange(self) -> tuple[Peer, RawRequest]:
        """The next connection, and the request on it."""
        peer = await self.accept()
        return peer, await peer.request()
