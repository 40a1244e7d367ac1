"""Large bodies in constant memory, both ways; and an upload's ends that come early: answers, refusals, limits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from raw_upstream import Peer
from web_specs import CHAT, EDITS, FILES, KEY_MARK, ROUTES
from web_stage import (
    ASKED,
    GIVEN,
    JSON_TYPE,
    MIB,
    Client,
    WebStage,
    chunk,
    form,
    in_loop,
    kernel_bytes,
    request,
    soon,
    web_stage,
    whole,
)

KIND = "Content-Type: application/octet-stream"
MADE = b'{"id": "file-1", "object": "file"}'
HUGE = 200 * MIB


def announced(size: int, *fields: str, path: str = FILES) -> bytes:
    """The head of an upload of so many bytes."""
    return request("POST", path, None, KIND, f"Content-Length: {size}", *fields)


def block(number: int) -> bytes:
    """A megabyte unlike the others."""
    return number.to_bytes(8, "big") * (MIB // 8)


async def swallow(peer: Peer, size: int) -> str:
    """Reads so many bytes, and says what they were."""
    digest = hashlib.md5(usedforsecurity=False)
    while size:
        piece = await peer.reader.read(min(size, MIB))
        assert piece, "the upload was broken off"
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def digest_of(blocks: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for number in range(blocks):
        digest.update(block(number))
    return digest.hexdigest()


@in_loop
async def test_two_hundred_megabytes_go_up() -> None:
    """Byte for byte, with their length, on a connection of their own."""
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            _, fields = await peer.head()
            assert dict(fields)["Content-Length"] == str(HUGE)
            seen.append(await swallow(peer, HUGE))
            await peer.send(whole(MADE))

        seen: list[str] = []
        stage.upstream.part = part
        client = await stage.client()
        await client.send(announced(HUGE))
        for number in range(HUGE // MIB):
            await client.send(block(number))
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, MADE)
        assert seen == [digest_of(HUGE // MIB)]


@in_loop
async def test_two_hundred_megabytes_come_down() -> None:
    """Byte for byte, with their length."""
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            await peer.request()
            await peer.send(whole(b"", "200 OK", "Content-Type: application/x-any", length=HUGE))
            for number in range(HUGE // MIB):
                await peer.send(block(number))

        stage.upstream.part = part
        client = await stage.client()
        await client.ask("GET", FILES + "/file-1/content")
        head = await client.head()
        assert (head.status, head.fields["content-length"], head.fields["content-type"]) == (200, str(HUGE), "application/x-any")
        digest, left = hashlib.md5(usedforsecurity=False), HUGE
        while left:
            piece = await client.reader.read(min(left, MIB))
            digest.update(piece)
            left -= len(piece)
        assert digest.hexdigest() == digest_of(HUGE // MIB)
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_an_upload_without_a_length_goes_up_in_chunks() -> None:
    """As it arrives: the first byte is there before the second has been sent."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", FILES, None, KIND, "Transfer-Encoding: chunked"))
        peer = await stage.upstream.accept()
        _, fields = await peer.head()
        assert dict(fields)["Transfer-Encoding"] == "chunked"
        pieces = peer.pieces()
        for byte in b"abc":
            await client.send(chunk(bytes([byte])))
            assert await anext(pieces) == bytes([byte])
        await client.send(chunk(block(1)) + b"0\r\n\r\n")
        assert b"".join([piece async for piece in pieces]) == block(1)
        await peer.send(whole(MADE))
        assert (await client.answer()).body == MADE


class Pusher:
    """A client that sends as fast as it may. Mutable: ``sent``, the bytes the kernel has taken."""

    def __init__(self, client: Client, limit: int) -> None:
        self.client = client
        self.limit = limit
        self.sent = 0

    async def run(self) -> None:
        self.client.writer.transport.set_write_buffer_limits(0)
        while self.sent < self.limit:
            await self.client.send(bytes(65536))
            self.sent += 65536

    async def rest(self) -> int:
        """Waits until nothing is taken any more: the bytes taken so far."""
        before = -1
        while before != self.sent:
            before = self.sent
            await asyncio.sleep(0.15)
        return self.sent + (65536 - self.client.writer.transport.get_write_buffer_size() if self.sent < self.limit else 0)


@in_loop
async def test_an_upstream_that_does_not_read_slows_the_client() -> None:
    """The relay holds less than a megabyte of an upload; when the upstream reads on, all of it arrives."""
    size = 40 * MIB
    async with web_stage(first_byte=20.0) as stage:
        client = await stage.client()
        head = announced(size)
        await client.send(head)
        peer = await stage.upstream.accept()
        peer.writer.transport.pause_reading()
        pusher = Pusher(client, size)
        pushing = asyncio.ensure_future(pusher.run())
        sent = await pusher.rest()
        assert sent < 20 * MIB
        sock = peer.writer.get_extra_info("socket")
        upward = kernel_bytes(stage.upstream.port, sock.getpeername()[1])
        downward = kernel_bytes(stage.port, client.socket.getsockname()[1])
        held = sent - upward - downward - len(peer.reader._buffer)
        assert held < MIB, held
        peer.writer.transport.resume_reading()
        await peer.head()
        await swallow(peer, size)
        await pushing
        await peer.send(whole(MADE))
        assert (await client.answer()).status == 200


@in_loop
async def test_a_client_that_does_not_read_slows_a_download() -> None:
    """The relay holds less than 320 KiB of it."""
    async with web_stage() as stage:
        client = await stage.client(receive_buffer=8192, limit=1024)
        await client.ask("GET", FILES + "/file-1/content")
        peer, _ = await stage.upstream.exchange()
        await peer.send(whole(b"", "200 OK", "Content-Type: application/x-any", length=HUGE))
        pusher = Pusher(Client(peer.reader, peer.writer), HUGE)
        pushing = asyncio.ensure_future(pusher.run())
        sent = await pusher.rest()
        sock = peer.writer.get_extra_info("socket")
        upward = kernel_bytes(stage.upstream.port, sock.getpeername()[1])
        downward = kernel_bytes(stage.port, client.socket.getsockname()[1])
        held = sent - upward - downward - len(client.reader._buffer)
        assert held < 320 * 1024, held
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


@pytest.mark.parametrize("fields", [("Content-Length: 0",), ()])
@in_loop
async def test_an_empty_upload_is_one(fields: tuple[str, ...]) -> None:
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(MADE))
        client = await stage.client()
        await client.send(request("POST", FILES, None, *fields))
        assert (await client.answer()).status == 200
        assert stage.upstream.asked[0].header("content-length") == "0"


EARLY = [("401 No", 503), ("413 Too Large", 413), ("400 Bad", 400), ("429 Slow", 503), ("500 No", 503), ("302 Found", 503)]


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "closes"])
@pytest.mark.parametrize(("status", "expected"), EARLY)
@in_loop
async def test_an_answer_to_a_part_of_an_upload_reaches_the_client(
    status: str, expected: int, stays: bool, expect_logs: Callable[[str], None]
) -> None:
    """While it still sends; the rest is swallowed, and its connection goes on. A second key is not tried with half a body."""
    if status.startswith("401"):
        expect_logs("rests for")
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(announced(6 * MIB) + bytes(MIB))
        peer = await stage.upstream.accept()
        await peer.head()
        await swallow(peer, MIB)
        await peer.send(whole(b'{"error": {"message": "no", "type": "x"}}', status, JSON_TYPE))
        if not stays:
            peer.close()
        for _ in range(5):
            await client.send(bytes(MIB))
        answer = await client.answer()
        assert answer.status == expected
        if status.startswith("429"):
            assert answer.error["type"] == "no_keys" and "retry-after" in answer.fields
        assert answer.fields["x-monorelay-attempts"] == "1"
        assert len(stage.upstream.peers) == 1
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_a_key_limited_before_the_upload_began_costs_nothing() -> None:
    """The 429 comes before a byte went up: the next key gets it all. After that it is cooling, and left alone."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(announced(10))
        peer = await stage.upstream.accept()
        _, fields = await peer.head()
        assert dict(fields)["authorization"].endswith("-a")
        await peer.send(whole(b"{}", "429 Slow"))
        (peer,) = [await stage.upstream.accept()]
        _, fields = await peer.head()
        assert dict(fields)["authorization"].endswith("-b")
        await client.send(b"0123456789")
        assert await peer.reader.readexactly(10) == b"0123456789"
        await peer.send(whole(MADE))
        answer = await client.answer()
        assert (answer.status, answer.fields["x-monorelay-trail"]) == (200, "acme/a 429, acme/b 200")


@in_loop
async def test_an_upload_that_the_upstream_answers_at_once_is_taken_to_its_end() -> None:
    """A 200 before the body was read does not break the upload off."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(announced(3 * MIB) + bytes(MIB))
        peer = await stage.upstream.accept()
        await peer.head()
        await peer.send(whole(b"", "200 OK", "Content-Type: text/plain", length=4) + b"ye")
        assert (await client.head()).status == 200
        assert await client.reader.readexactly(2) == b"ye"
        await client.send(bytes(2 * MIB))
        await swallow(peer, 3 * MIB)
        await peer.send(b"s!")
        assert await client.reader.readexactly(2) == b"s!"
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_an_upstream_that_dies_in_mid_upload_is_503() -> None:
    """The client that sends it all before it reads finds the answer."""
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            await peer.head()
            await swallow(peer, 100_000)
            peer.reset()

        stage.upstream.part = part
        client = await stage.client()
        await client.send(announced(5 * MIB))
        for _ in range(5):
            await client.send(bytes(MIB))
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_an_upstream_that_takes_nothing_is_503_in_time() -> None:
    """The limit counts from the last byte it took."""
    async with web_stage(first_byte=0.3) as stage:
        client = await stage.client()
        await client.send(announced(40 * MIB))
        peer = await stage.upstream.accept()
        peer.writer.transport.pause_reading()
        pushing = asyncio.ensure_future(Pusher(client, 40 * MIB).run())
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        assert "took nothing" in answer.error["message"]
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


@in_loop
async def test_an_upload_over_the_limit_is_broken_off() -> None:
    """413, and the upstream never sees its end."""
    routes = tuple(replace(one, max_body=100_000) for one in ROUTES)
    async with web_stage(routes=routes) as stage:
        client = await stage.client()
        await client.send(request("POST", FILES, None, "Transfer-Encoding: chunked") + chunk(bytes(60_000)))
        peer = await stage.upstream.accept()
        await peer.head()
        await client.send(chunk(bytes(60_000)) + b"0\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (413, "invalid_request_error")
        assert not (await peer.reader.read(-1)).endswith(b"0\r\n\r\n")
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


EXPECTS = "Expect: 100-continue"


@pytest.mark.parametrize("path", [FILES, CHAT, EDITS])
@in_loop
async def test_a_client_that_asks_first_is_told_to_go_on(path: str) -> None:
    """100 when the request would be taken; and only one."""
    kind = JSON_TYPE
    body = b'{"model": "m"}'
    if path == EDITS:
        body, kind = form(("model", b"m"))
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        client = await stage.client()
        await client.send(request("POST", path, None, kind, f"Content-Length: {len(body)}", EXPECTS))
        assert (await client.head()).status == 100
        await client.send(body)
        assert (await client.answer()).status == 200
        assert stage.upstream.asked[0].body == body
        assert stage.upstream.asked[0].header("expect") is None
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


async def keyless(stage: WebStage) -> None:
    """Makes every key cool."""
    stage.upstream.part = stage.upstream.answering(whole(b"{}", "429 Slow"))
    assert (await stage.once("POST", CHAT, ASKED)).status == 503


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (announced(1000, EXPECTS), 503),
        (announced(1000, EXPECTS).replace(b"Bearer sk-relay", b"Bearer wrong"), 401),
        (announced(3 << 30, EXPECTS), 413),
        (announced(1000, EXPECTS, path="/nowhere"), 404),
        (announced(65 * MIB, EXPECTS, path=CHAT), 413),
    ],
)
@in_loop
async def test_a_client_that_asks_first_is_refused_before_it_sends(raw: bytes, status: int) -> None:
    """No 100, and the connection closes: whether a body follows cannot be known."""
    async with web_stage() as stage:
        await keyless(stage)
        client = await stage.client()
        await client.send(raw)
        answer = await client.answer()
        assert (answer.status, answer.fields["connection"]) == (status, "close")
        assert await client.rest() == b""


@in_loop
async def test_without_a_usable_key_an_upload_is_refused_before_its_body() -> None:
    """no_keys is written at the head; what follows is swallowed."""
    async with web_stage() as stage:
        await keyless(stage)
        client = await stage.client()
        await client.send(announced(2 * MIB))
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (503, "no_keys")
        await client.send(bytes(2 * MIB))
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200
        assert len(stage.upstream.peers) == 2


@in_loop
async def test_an_upload_uses_a_fresh_connection() -> None:
    """A kept one may have died, and what was taken from the client cannot be sent again."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(MADE), close=False)
        client = await stage.client()
        for number in range(1, 4):
            await client.ask("POST", FILES, b"abc")
            assert (await client.answer()).status == 200
            assert len(stage.upstream.peers) == number
        assert KEY_MARK.decode() in (stage.upstream.asked[0].header("authorization") or "")
        await soon(lambda: not stage.front.in_flight())
