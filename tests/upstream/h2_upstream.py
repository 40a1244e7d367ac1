"""Just enough of an HTTP/2 server, over TLS, for a test to play by hand: frames, and headers without compression.

    async with H2Upstream() as upstream:
        stream = await upstream.stream()
        stream.head(200)
        stream.data(b"body", end=True)

https://www.rfc-editor.org/rfc/rfc9113
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))  # self-signed, with its key, for localhost and 127.0.0.1

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS = 1, 4


def tls_context(*protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Stream:
    """One request. Mutable: ``body``, ``whole`` and ``reset`` as frames come."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.body = b""
        self.whole = asyncio.Event()
        self.reset = asyncio.Event()

    def head(self, status: int, *headers: tuple[str, str], end: bool = False) -> None:
        self.fields((":status", str(status)), *headers, end=end)

    def fields(self, *fields: tuple[str, str], end: bool = False) -> None:
        block = b"".join(b"\0" + self._text(name) + self._text(value) for name, value in fields)
        self.connection.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), self.number, block)

    def data(self, data: bytes, end: bool = False) -> None:
        self.connection.frame(DATA, END_STREAM if end else 0, self.number, data)

    def break_off(self, code: int) -> None:
        self.connection.frame(RST_STREAM, 0, self.number, struct.pack("!I", code))

    @staticmethod
    def _text(text: str) -> bytes:
        assert len(text) < 127
        return bytes([len(text)]) + text.encode()


class Connection:
    def __init__(self, upstream: H2Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upstream = upstream
        self.reader = reader
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self.gone = asyncio.Event()

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.writer.write(struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload)

    def go_away(self) -> None:
        last = max(self.streams, default=0)
        self.frame(GOAWAY, 0, 0, struct.pack("!II", last, 0))

    def window(self, stream: int, size: int) -> None:
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", size))

    def close(self) -> None:
        self.gone.set()
        self.writer.transport.abort()

    async def run(self) -> None:
        try:
            await self.reader.readexactly(24)
            self.frame(SETTINGS, 0, 0, b"")
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self._take(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.close()

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & 1:
            self.frame(SETTINGS, 1, 0, b"")
        elif kind == PING and not flags & 1:
            self.frame(PING, 1, 0, payload)
        elif kind == HEADERS:
            self.streams[number] = stream = Stream(self, number)
            self.upstream.fresh.put_nowait(stream)
        stream = self.streams.get(number, Stream(self, number))
        if kind == DATA and payload:
            stream.body += payload
            self.window(0, len(payload))
            self.window(number, len(payload))
        elif kind == RST_STREAM:
            stream.reset.set()
            stream.whole.set()
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            stream.whole.set()


class H2Upstream:
    """Mutable: ``connections``, all that ever came; ``fresh``, streams that no test has taken yet."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.fresh: asyncio.Queue[Stream] = asyncio.Queue()

    async def __aenter__(self) -> H2Upstream:
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0, ssl=tls_context("h2", "http/1.1"))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self.connections:
            connection.close()
        await asyncio.sleep(0.01)

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        await connection.run()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    async def stream(self) -> Stream:
        """The next request's; its body may still be on the way."""
        return await self.fresh.get()
