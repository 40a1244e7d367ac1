"""A client that goes away, at whatever moment and however: its upstream connection closes within a second, the call is recorded."""

from __future__ import annotations

import asyncio

import pytest
from raw_upstream import Peer
from web_specs import CHAT, EDITS, FILES, MESSAGES
from web_stage import (
    ASKED,
    JSON_TYPE,
    MIB,
    Client,
    WebStage,
    chunk,
    chunked_head,
    event,
    form,
    in_loop,
    kernel_bytes,
    request,
    soon,
    web_stage,
    whole,
    within,
)

STREAMED = {**ASKED, "stream": True}
FORM, FORM_TYPE = form(("model", b"m"), ("image", b"x" * 100))
GOES = [Client.leave, Client.reset]


async def seen_upstream(stage: WebStage, peer: Peer, route: str) -> None:
    """The upstream notices, the call ends, and the log knows it as 499."""
    await within(1.2, peer.gone())
    await stage.quiet()
    await within(1, stage.recorded(route, 499))
    assert await stage.counted("monorelay_calls_in_flight") == 0


CALLS = [
    ("chat", request("POST", CHAT, ASKED)),
    ("chat", request("POST", CHAT, STREAMED)),
    ("messages", request("POST", MESSAGES, STREAMED)),
    ("edits", request("POST", EDITS, FORM, FORM_TYPE)),
    ("file_content", request("GET", FILES + "/f1/content")),
    ("file_upload", request("POST", FILES, b"all of it")),
]


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@pytest.mark.parametrize(("route", "raw"), CALLS)
@in_loop
async def test_before_the_upstreams_head(route: str, raw: bytes, go) -> None:  # type: ignore[no-untyped-def]
    """Nothing has come yet, nobody reads or writes."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(raw)
        peer, _ = await stage.upstream.exchange()
        go(client)
        await seen_upstream(stage, peer, route)


HELD = {
    "after the head of a stream": chunked_head(),
    "before the content": chunked_head() + chunk(b": wait\n\n"),
    "in the content": chunked_head() + chunk(event("x")),
    "within an event": chunked_head() + chunk(event("x") + b"data: {"),
    "after the head of JSON": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n",
    "in JSON": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "in large JSON": whole(b"[" + b"1," * MIB, length=4 * MIB),
    "in a refusal": whole(b'{"error"', "400 Bad", JSON_TYPE, length=100),
}


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@pytest.mark.parametrize("name", HELD)
@in_loop
async def test_in_the_answer(name: str, go) -> None:  # type: ignore[no-untyped-def]
    """Whether anything has reached the client or not."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        await peer.send(HELD[name])
        await asyncio.sleep(0.03)
        go(client)
        await seen_upstream(stage, peer, "chat")


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@pytest.mark.parametrize("kind", ["stream", "download"])
@in_loop
async def test_while_the_answer_is_held_back(kind: str, go) -> None:  # type: ignore[no-untyped-def]
    """It had not read for a while, and the upstream was paused."""
    async with web_stage() as stage:
        client = await stage.client(receive_buffer=8192, limit=1024)
        if kind == "stream":
            await client.ask("POST", CHAT, STREAMED)
            head = chunked_head()
        else:
            await client.ask("GET", FILES + "/f1/content")
            head = chunked_head("Content-Type: application/x-any")
        peer, _ = await stage.upstream.exchange()

        async def flood() -> None:
            await peer.send(head)
            while True:
                await peer.send(chunk(event("x" * 50_000)))

        flooding = asyncio.ensure_future(flood())
        transport = client.reader._transport
        await soon(lambda: transport._paused)  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        go(client)
        await seen_upstream(stage, peer, "chat" if kind == "stream" else "file_content")
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@in_loop
async def test_in_an_upload(framing: str, go) -> None:  # type: ignore[no-untyped-def]
    """The upstream must not take the part for the whole."""
    async with web_stage() as stage:
        client = await stage.client()
        part = b"0123456789" if framing.startswith("C") else chunk(b"0123456789")
        await client.send(request("POST", FILES, None, framing) + part)
        peer = await stage.upstream.accept()
        await peer.head()
        assert await peer.reader.readexactly(len(part)) == part
        go(client)
        assert await within(1, peer.reader.read(-1)) == b""
        await seen_upstream(stage, peer, "file_upload")


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@in_loop
async def test_while_its_upload_is_held_back(go) -> None:  # type: ignore[no-untyped-def]
    """Nobody reads its socket, so it is looked at, once a second; unread bytes do not hide that it has gone.

    Bytes that are still in the client's own kernel would: the end of a connection comes after them.
    """
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", FILES, None, f"Content-Length: {100 * MIB}"))
        peer = await stage.upstream.accept()
        peer.writer.transport.pause_reading()
        sent = 0
        while not kernel_bytes(stage.port, client.socket.getsockname()[1]):
            await client.send(bytes(32768))
            sent += 32768
            await asyncio.sleep(0.004)
            assert sent < 50 * MIB
        go(client)
        await stage.quiet()
        peer.writer.transport.resume_reading()
        await seen_upstream(stage, peer, "file_upload")


@pytest.mark.parametrize("go", GOES, ids=["closes", "resets"])
@pytest.mark.parametrize("after", [b"\r\n", request("GET", "/health"), b"x" * 50_000], ids=["a line end", "a request", "a lot"])
@in_loop
async def test_with_more_on_its_way(after: bytes, go, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Bytes that wait for their turn, read or not, do not hide that their sender has gone."""
    monkeypatch.setattr("monorelay.web.presence.EVERY", 0.2)
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", CHAT, ASKED) + after)
        peer, _ = await stage.upstream.exchange()
        await asyncio.sleep(0.05)
        go(client)
        await seen_upstream(stage, peer, "chat")


@in_loop
async def test_while_its_body_arrives() -> None:
    """Nothing was begun: nothing is recorded as a call, and nothing goes up."""
    async with web_stage() as stage:
        for raw in (request("POST", CHAT, ASKED)[:-5], request("POST", EDITS, FORM, FORM_TYPE)[:-5]):
            client = await stage.client()
            await client.send(raw)
            await asyncio.sleep(0.02)
            client.leave()
            await client.rest()
        await stage.quiet()
        assert not stage.upstream.peers


@in_loop
async def test_three_hundred_at_once() -> None:
    """All their upstream connections are closed."""
    async with web_stage() as stage:
        clients = [await stage.client() for _ in range(300)]
        for client in clients:
            await client.ask("POST", CHAT, STREAMED)
        peers = []
        for _ in clients:
            peer, _ = await stage.upstream.exchange()
            await peer.send(chunked_head() + chunk(event("x")))
            peers.append(peer)
        for client in clients:
            client.leave()
        await within(1.5, asyncio.gather(*(peer.gone() for peer in peers)))
        await stage.quiet()
        assert await stage.counted("monorelay_calls_total", route="chat", status="499") == 300
