"""A client that sends exactly the bytes it is told to, and keeps exactly those that come back.

No HTTP library lies between a test and the relay: libraries repair, reorder, decode and retry.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 15.0


@dataclass(frozen=True)
class Answer:
    """``headers`` with lower-case names, in order; ``body`` without chunk framing; ``chunks`` as they were framed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[bytes, ...]
    head: bytes
    whole: bool = True  # whether the body ended as its head promised
    first_byte_at: float = field(default=0.0, compare=False)

    def header(self, name: str) -> str | None:
        """The one value of this field; None without it. Twice is a failure."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def names(self) -> set[str]:
        return {name for name, _ in self.headers}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error = self.json["error"]
        assert isinstance(error["message"], str) and error["message"] and isinstance(error["type"], str), error
        return error  # type: ignore[no-any-return]

    def unzipped(self) -> bytes:
        return gzip.decompress(self.body)


class Wire:
    """One connection. Mutable: what was read and not yet taken, and whether the other side has ended."""

    def __init__(self, host: str, port: int, receive_buffer: int | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect((host, port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self.ended = False

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, target: str, *headers: tuple[str, str], body: Any = None) -> None:
        self.send(request_bytes(method, target, *headers, body=body))

    def more(self, patience: float = PATIENCE) -> bool:
        """Reads once; False at the end of the connection."""
        self.socket.settimeout(patience)
        try:
            data = self.socket.recv(256 * 1024)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        self._read += data
        self.ended = not data
        return not self.ended

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with ``mark``."""
        while mark not in self._read:
            assert self.more(), f"the connection ended before {mark!r}: {self._read[-2000:]!r}"
        taken, _, self._read = self._read.partition(mark)
        return taken + mark

    def exactly(self, size: int) -> bytes:
        while len(self._read) < size and self.more():
            pass
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def head(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        raw = self.until(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")[:-2]
        version, status, *_ = lines[0].split(" ")
        assert version == "HTTP/1.1", lines[0]
        pairs = (line.partition(":") for line in lines[1:])
        return int(status), tuple((name.lower(), value.strip(" \t")) for name, _, value in pairs), raw

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, read to its end."""
        status, headers, raw = self.head()
        first_byte_at = time.monotonic()
        fields = dict(headers)
        assert not ("content-length" in fields and "transfer-encoding" in fields), headers
        chunks: list[bytes] = []
        whole = True
        if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
            pass
        elif fields.get("transfer-encoding") == "chunked":
            whole = self._chunks(chunks)
        elif "content-length" in fields:
            length = int(fields["content-length"])
            chunks.append(self.exactly(length))
            whole = len(chunks[0]) == length
        else:
            assert "close" in fields.get("connection", ""), f"nothing says where this answer ends: {headers}"
            while self.more():
                pass
            chunks.append(self._read)
            self._read = b""
        return Answer(status, headers, b"".join(chunks), tuple(chunks), raw, whole, first_byte_at)

    def _chunks(self, chunks: list[bytes]) -> bool:
        """Whether the last chunk came."""
        while True:
            data = self.chunk()
            if data is None:
                return False
            if not data:
                return True
            chunks.append(data)

    def chunk(self) -> bytes | None:
        """The next chunk; b"" is the last one, None the end of the connection."""
        while b"\r\n" not in self._read:
            if not self.more():
                return None
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        data = self.exactly(size + 2)
        if len(data) < size + 2:
            return None
        assert data.endswith(b"\r\n"), data
        return data[:-2]

    def is_open(self) -> bool:
        """Whether the other side has neither ended the connection nor sent anything more."""
        self.socket.settimeout(0.15)
        try:
            data = self.socket.recv(1)
        except TimeoutError:
            return True
        except OSError:
            return False
        assert not data, f"something came unasked: {data!r}"
        return False

    def is_closed(self, patience: float = PATIENCE) -> bool:
        """Waits for the other side to end the connection."""
        self.socket.settimeout(patience)
        try:
            return not self.socket.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


def request_bytes(method: str, target: str, *headers: tuple[str, str], body: Any = None) -> bytes:
    """A request with Host, and Content-Length where it has a body; what the headers say themselves is not added."""
    said = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in said:
        lines.append("Host: 127.0.0.1")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        if "content-type" not in said:
            lines.append("Content-Type: application/json")
    if body is not None and not said & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def form(*fields: tuple[str, bytes]) -> bytes:
    """A multipart body with the boundary ``b``."""
    parts = [b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value) for name, value in fields]
    return b"".join(parts) + b"--b--\r\n"


def ask(host: str, port: int, method: str, target: str, *headers: tuple[str, str], body: Any = None) -> Answer:
    with Wire(host, port) as wire:
        wire.request(method, target, *headers, body=body)
        return wire.answer(method)
