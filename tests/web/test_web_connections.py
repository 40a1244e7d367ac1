"""The life of one connection: kept, shared by requests in a row, closed when told to, given up when nobody says anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from web_specs import CHAT
from web_stage import (
    ASKED,
    DONE,
    GIVEN,
    Client,
    WebStage,
    chunk,
    chunked,
    chunked_head,
    event,
    in_loop,
    request,
    soon,
    web_stage,
    whole,
    within,
)

STREAMED = {**ASKED, "stream": True}


def server_sockets(stage: WebStage) -> list[socket.socket]:
    """The relay's ends of its clients' connections."""
    return [connection.stream.socket for connection in stage.front._server._connections]


async def closed(client: Client) -> None:
    assert await client.rest() == b""


@in_loop
async def test_a_connection_is_kept_for_any_number_of_requests() -> None:
    """Answers of the relay, of the upstream, refusals and streams in a row."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN), close=False)
        client = await stage.client()
        for _ in range(20):
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200
            await client.ask("POST", CHAT, ASKED)
            assert (await client.answer()).body == GIVEN
            await client.ask("POST", CHAT, b"{}")
            assert (await client.answer()).status == 400
            await client.ask("GET", "/nowhere", token=None)
            assert (await client.answer()).status == 401
        assert len(stage.upstream.peers) == 1, "the upstream's connection is kept, too"


@in_loop
async def test_small_writes_leave_at_once_on_every_request_of_a_connection() -> None:
    """TCP_NODELAY is on while anything is written; Tornado turns it off after each answer."""
    async with web_stage() as stage:
        client = await stage.client()
        for _ in range(3):
            await client.ask("POST", CHAT, STREAMED)
            peer = await stage.upstream.accept()
            await peer.request()
            await peer.send(chunked_head() + chunk(event("a")))
            assert (await client.head()).status == 200
            assert await client.piece() == event("a")
            (sock,) = server_sockets(stage)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            await peer.send(chunk(DONE) + b"0\r\n\r\n")
            assert [piece async for piece in client.pieces()] == [DONE]
            peer.close()
            await peer.gone()


@pytest.mark.parametrize("field", ["Connection: close", "connection: Close", "Connection: CLOSE"])
@in_loop
async def test_a_client_that_wants_its_connection_closed_gets_that(field: str) -> None:
    """It is told so, and the end comes right after the answer, of whatever kind."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(chunked(event("a"), DONE))
        for method, path, body in (("GET", "/health", None), ("POST", CHAT, STREAMED), ("POST", CHAT, b"{}"), ("GET", "/no", None)):
            client = await stage.client()
            await client.ask(method, path, body, field)
            answer = await client.answer()
            assert answer.fields["connection"] == "close"
            await closed(client)


@pytest.mark.parametrize("keeps", [False, True])
@in_loop
async def test_an_http_1_0_client_gets_what_it_can_read(keeps: bool) -> None:
    """Lengths, never chunks; where there is no length, the end of the connection is the end of the body."""
    async with web_stage() as stage:
        fields = ("Connection: Keep-Alive",) if keeps else ()
        client = await stage.client()
        for _ in range(3 if keeps else 1):
            await client.send(request("GET", "/health", None, *fields, version="1.0"))
            answer = await client.answer()
            assert (answer.status, answer.fields["connection"]) == (200, "keep-alive" if keeps else "close")
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        if not keeps:
            await closed(client)
            client = await stage.client()
        await client.send(request("POST", CHAT, ASKED, *fields, version="1.0"))
        answer = await client.answer()
        assert (answer.body, answer.fields["connection"]) == (GIVEN, "keep-alive" if keeps else "close")
        stage.upstream.part = stage.upstream.answering(chunked(event("a"), DONE))
        if not keeps:
            await closed(client)
            client = await stage.client()
        await client.send(request("POST", CHAT, STREAMED, *fields, version="1.0"))
        answer = await client.answer()
        assert (answer.body, answer.fields["connection"]) == (event("a") + DONE, "close")
        assert "transfer-encoding" not in answer.fields
        await closed(client)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://relay.example/health", 200),
        ("GET", "HTTP://relay.example:8787/health?x=y", 200),
        ("GET", "https://relay.example/v1/models", 200),
        ("GET", "http://relay.example", 404),
        ("GET", "/health?", 200),
        ("GET", "/health#part", 200),
        ("GET", "ftp://relay.example/health", 404),
        ("POST", f"http://relay.example{CHAT}?a=b", 200),
    ],
)
@in_loop
async def test_an_absolute_target_loses_its_origin(method: str, target: str, status: int) -> None:
    """As clients send it that think the relay is their proxy (RFC 9112 section 3.2.2); the query goes up."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        assert (await stage.once(method, target, ASKED if method == "POST" else None)).status == status
        if method == "POST":
            assert stage.upstream.asked[0].line == "POST /up/openai/chat?a=b HTTP/1.1"


@in_loop
async def test_requests_sent_ahead_are_answered_in_order() -> None:
    """Pipelined: relayed, refused and own answers, with and without bodies, in one packet."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN), close=False)
        client = await stage.client()
        batch = [
            (request("POST", CHAT, ASKED), 200),
            (request("GET", "/health"), 200),
            (request("POST", CHAT, b"[]"), 400),
            (request("POST", "/nowhere", b"x" * 1000), 404),
            (b"\r\n" + request("GET", "/v1/models", token="wrong"), 200),
            (request("POST", CHAT, ASKED, token="wrong"), 401),
            (request("POST", CHAT, None, "Transfer-Encoding: chunked") + chunk(b'{"model":"m"}') + b"0\r\n\r\n", 200),
            (request("GET", "/health", None, "Connection: close"), 200),
            (request("GET", "/never"), 0),
        ]
        await client.send(b"".join(raw for raw, _ in batch))
        assert [(await client.answer()).status for _ in batch[:-1]] == [status for _, status in batch[:-1]]
        await closed(client)


@in_loop
async def test_a_request_sent_ahead_waits_for_the_stream_before_it() -> None:
    """And is read when that has ended."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        await client.ask("GET", "/health")
        peer, _ = await stage.upstream.exchange()
        await peer.send(chunked_head() + chunk(event("a")))
        assert (await client.head()).status == 200
        assert await client.piece() == event("a")
        await asyncio.sleep(0.05)
        await peer.send(chunk(DONE) + b"0\r\n\r\n")
        assert [piece async for piece in client.pieces()] == [DONE]
        assert (await client.answer()).status == 200


@in_loop
async def test_a_request_may_come_byte_by_byte() -> None:
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        client = await stage.client()
        await client.trickle(request("POST", CHAT, ASKED), 1)
        assert (await client.answer()).body == GIVEN


@in_loop
async def test_lines_may_end_without_a_carriage_return() -> None:
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("GET", "/health").replace(b"\r\n", b"\n"))
        assert (await client.answer()).status == 200


@in_loop
async def test_silent_connections_are_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends nothing, one that stalls in its head, one that was kept after an answer; not one whose call is in flight."""
    monkeypatch.setattr("monorelay.web.switchboard.LOOK_EVERY", 0.05)
    monkeypatch.setattr("monorelay.web.switchboard.HEAD_WAIT", 1.5)  # a busy machine is silent, too
    async with web_stage() as stage:
        silent, stalled, kept, busy = [await stage.client() for _ in range(4)]
        await stalled.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: lo")
        await busy.ask("POST", CHAT, ASKED)
        peer, _ = await stage.upstream.exchange()
        for _ in range(7):
            await asyncio.sleep(0.25)
            await kept.ask("GET", "/health")
            assert (await kept.answer()).status == 200
        for client in (silent, stalled, kept):
            await closed(client)
        await peer.send(whole(GIVEN))
        assert (await busy.answer()).body == GIVEN
        await closed(busy)


@in_loop
async def test_a_reset_at_any_moment_leaves_nothing_behind() -> None:
    """In the head, between head and body, in the body, after it; two hundred times."""
    raw = request("POST", CHAT, ASKED)
    head = raw.index(b"\r\n\r\n") + 4
    async with web_stage() as stage:
        for number in range(200):
            client = await stage.client()
            await client.send(raw[: (0, 1, head - 3, head, head + 1, len(raw) - 1, len(raw))[number % 7]])
            if number % 3:
                await asyncio.sleep(0)
            client.reset()
        await stage.quiet()
        await soon(lambda: not server_sockets(stage))
        assert await stage.counted("monorelay_calls_in_flight") == 0


@in_loop
async def test_a_client_that_half_closes_has_left() -> None:
    """TCP cannot tell it from one that is gone, and a call for nobody costs money."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, ASKED)
        peer, _ = await stage.upstream.exchange()
        client.half_close()
        await within(1, peer.gone())
        await closed(client)
        await stage.recorded("chat", 499)


@in_loop
async def test_five_hundred_connections_at_once() -> None:
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN), close=False)
        clients = [await stage.client() for _ in range(500)]
        for client in clients:
            await client.ask("POST", CHAT, ASKED)
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert {answer.body for answer in answers} == {GIVEN}
        for client in clients:
            with contextlib.suppress(OSError):
                client.reset()
        await soon(lambda: not server_sockets(stage))
