"""Heads that somebody made to hurt: malformed, endless, slow; and more connections than there are descriptors."""

from __future__ import annotations

import asyncio
import errno
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from web_specs import CHAT, TOKEN
from web_stage import ASKED, GIVEN, WebStage, in_loop, request, soon, web_stage, whole

from monorelay.web.accepting import Acceptor
from monorelay.web.head_reading import HeadReader

BODY = b'{"model": "m"}'
LINES = {
    "a blank before the colon of the length": b"Content-Length : 14",
    "a blank before the colon of the coding": b"Content-Length: 14\r\nTransfer-Encoding : chunked",
    "a vertical tab before the coding": b"Transfer-Encoding: \x0bchunked",
    "a separator before the length": b"Content-Length: \x1f14",
    "a folded coding": b"Transfer-Encoding:\r\n chunked",
    "a control character behind a token": b"X-Api-Key: " + TOKEN.encode() + b"\x01",
    "a carriage return in a value": b"X-Any: a\rContent-Length: 14",
    "a NUL in a value": b"X-Any: a\0b",
    "a name with a blank": b"X Any: b",
    "a name with a byte of Latin-1": b"X-\xe9: b",
    "no name": b": b",
    "no colon": b"X-Any",
}


@pytest.mark.parametrize("name", LINES)
@in_loop
async def test_a_malformed_field_is_400(name: str) -> None:
    """In the envelope, on any Tornado; what follows on the connection is not read, and no log line quotes it (see conftest)."""
    async with web_stage() as stage:
        client = await stage.client()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
        await client.send(head + LINES[name] + b"\r\n\r\n" + BODY)
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert answer.fields["connection"] == "close"
        assert await client.rest() == b""
        assert not stage.upstream.peers


STARTS = [
    b"GET  /health HTTP/1.1",
    b"GET /health",
    b"GET /hea\tlth HTTP/1.1",
    b"GET /hea\x01lth HTTP/1.1",
    b"G\xc9T /health HTTP/1.1",
    b"GET /health HTTP/2.0",
    b"PRI * HTTP/2.0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("start", STARTS)
@in_loop
async def test_a_malformed_first_line_is_400(start: bytes) -> None:
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(start + b"\r\nHost: localhost\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert await client.rest() == b""


@in_loop
async def test_what_http_allows_is_read() -> None:
    """A blank line before the request, bare line feeds, bytes of Latin-1 in values, empty values, blanks around them."""
    async with web_stage(lambda peer: stage.upstream.answering(whole(GIVEN))(peer)) as stage:
        client = await stage.client()
        plain = request("POST", CHAT, ASKED, "X-Name: \xe9", "X-None:", "X-Blank:  \t a \t b ")
        head, _, body = plain.partition(b"\r\n\r\n")
        await client.send(b"\r\n" + head.replace(b"\r\n", b"\n") + b"\n\n" + body)
        assert (await client.answer()).body == GIVEN


@in_loop
async def test_a_head_of_a_thousand_lines_is_431() -> None:
    """However short they are: each costs more than its bytes. The connection goes on."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, ASKED, *["a: b"] * 1000)
        assert (await client.answer()).status == 431
        await client.ask("GET", "/health", None, *["a: b"] * 900)
        assert (await client.answer()).status == 200


def test_of_a_head_that_is_too_long_only_what_the_answer_needs_is_parsed() -> None:
    """A megabyte of short lines would keep the loop for half a second."""
    connection: Any = SimpleNamespace()
    reader = HeadReader(connection)
    lines = b"".join(b"%x: y\r\n" % number for number in range(100_000))
    start, headers = connection._parse_headers(b"POST /a HTTP/1.1\r\nHost: h\r\n" + lines + b"content-length: 5\r\n\r\n")
    assert (start, sorted(headers.get_all())) == ("POST /a HTTP/1.1", [("Content-Length", "5"), ("Host", "h")])
    assert (reader.is_too_long, reader.is_malformed) == (True, False)
    assert reader.size > 700_000
    connection._parse_headers(b"GET / HTTP/1.1\r\n" + b"host: a\r\n" * 8000 + b"\r\n")
    assert reader.is_malformed, "nobody can say which of so many counts"


@in_loop
async def test_a_long_head_that_comes_byte_by_byte_costs_no_more_than_its_bytes() -> None:
    """To search a megabyte again at each of these bytes would take a minute."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * 1_000_000)
        await client.trickle(b"y" * 2000, 1)
        await client.trickle(b"\r\n\r\n", 1)
        assert (await client.answer()).status == 431
        await client.send(request("GET", "/health"))
        assert (await client.answer()).status == 200


@in_loop
async def test_the_end_of_a_long_head_is_found_wherever_it_is_split() -> None:
    async with web_stage() as stage:
        client = await stage.client()
        for split in range(1, 8):
            data = request("GET", "/health", None, "X-Long: " + "x" * 9000) + request("GET", "/health")
            at = data.index(b"\r\n\r\n") + split - 2
            await client.send(data[:at])
            await asyncio.sleep(0.01)
            await client.send(data[at:])
            assert [(await client.answer()).status for _ in range(2)] == [200, 200]


@in_loop
async def test_a_head_without_an_end_closes_its_connection() -> None:
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(b"GET /health HTTP/1.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            while True:
                await client.send(b"x" * 65536)


@in_loop
async def test_connections_that_are_gone_leave_nothing_behind() -> None:
    """Whether they asked for something or not: nobody has to come by later to clear them away."""
    async with web_stage() as stage:
        for asks in (False, True):
            for _ in range(20):
                client = await stage.client()
                if asks:
                    await client.ask("GET", "/health")
                    await client.answer()
                client.leave()
        await soon(lambda: not stage.front._switchboard.waiting)


class FullSocket:
    """A listening socket that has no descriptor to give. Mutable: ``asked``; ``full``, by the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.full = True
        self.asked = 0

    def fileno(self) -> int:
        return self.sock.fileno()

    def setsockopt(self, *what: Any) -> None:
        self.sock.setsockopt(*what)

    def accept(self) -> Any:
        self.asked += 1
        if self.full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.sock.accept()


@in_loop
async def test_without_descriptors_accepting_rests_and_room_is_made(expect_logs: Any) -> None:
    """One line in the log, no core at work; when there is room again, who waited is served."""
    expect_logs("no connection can be accepted .*Too many open files")
    taken: list[socket.socket] = []
    room: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(False)
        full: Any = FullSocket(listening)
        acceptor = Acceptor(full, lambda connection, _: taken.append(connection), lambda: room.append(full.asked))
        await soon(lambda: len(room) > 1)
        assert (full.asked, room) == (len(room), list(range(1, len(room) + 1)))
        full.full = False
        await soon(lambda: bool(taken))
        acceptor.stop()
        taken[0].close()


@in_loop
async def test_room_is_made_by_closing_the_connections_that_waited_longest() -> None:
    async with web_stage() as stage:
        clients = []
        for _ in range(40):
            clients.append(await stage.client())
            await clients[-1].ask("GET", "/health")
            await clients[-1].answer()
        stage.front._switchboard.make_room()
        for client in clients[:32]:
            assert await client.rest() == b""
        await clients[-1].ask("GET", "/health")
        assert (await clients[-1].answer()).status == 200


@in_loop
async def test_the_kernel_gives_up_clients_that_take_nothing() -> None:
    """A peer that never reads would hold its answer, and the upstream's connection, for ever."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("GET", "/health")
        await client.answer()
        assert _timeout_of(stage) == 600_000


def _timeout_of(stage: WebStage) -> int:
    (connection,) = stage.front._server._connections
    value: int = connection.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    return value
