"""A reload in the middle of calls, and a stop: what is in flight ends as it began, and nobody new comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plan_specs import config, provider
from raw_upstream import Peer
from web_specs import CHAT, FILES, ROUTES, TOKEN, relay_config
from web_stage import (
    ASKED,
    DONE,
    GIVEN,
    Upstream,
    chunk,
    chunked_head,
    event,
    in_loop,
    request,
    web_stage,
    whole,
    within,
)

from monorelay.config.fields import HeaderPair, HeaderRules, Secret

STREAMED = {**ASKED, "stream": True}


@in_loop
async def test_a_call_in_flight_keeps_its_generation(call_lines: list[str]) -> None:
    """Its upstream, its keys and its number; the next request on the same connection has the new ones."""
    async with Upstream() as other, web_stage() as stage:
        other.part = other.answering(whole(GIVEN))
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        await peer.send(chunked_head() + chunk(event("old")))
        assert (await client.head()).status == 200
        assert stage.front.adopt(relay_config(other, ("c",)), 2) == ()
        assert b'"generation": 2' in (await stage.once("GET", "/health")).body
        assert (await stage.once("POST", CHAT, ASKED)).body == GIVEN
        await peer.send(chunk(DONE) + b"0\r\n\r\n")
        assert [piece async for piece in client.pieces()] == [event("old"), DONE]
        await client.ask("POST", CHAT, ASKED)
        assert (await client.answer()).body == GIVEN
        assert [line.split()[1] for line in call_lines] == ["generation=2", "generation=1", "generation=2"]
        assert len(other.asked) == 2


@in_loop
async def test_a_provider_may_go_while_it_answers() -> None:
    """Its calls settle their keys all the same: one that is limited goes on with the next key of its own generation."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, ASKED)
        peer, _ = await stage.upstream.exchange()
        new = config(provider("other", base_url="http://127.0.0.1:1"), routes=ROUTES, access_key=TOKEN)
        assert stage.front.adopt(new, 2) == ()
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        await peer.send(whole(b"{}", "429 Slow", "Connection: close"))
        answer = await client.answer()
        assert (answer.status, answer.fields["x-monorelay-trail"]) == (200, "acme/a 429, acme/b 200")


@in_loop
async def test_a_call_uses_the_keys_of_its_own_generation() -> None:
    """All keys are replaced between its head and its body: it goes on with the old ones, also with the next after a 429."""
    async with web_stage() as stage:
        client = await stage.client()
        raw = request("POST", CHAT, ASKED)
        await client.send(raw[:-5])
        await asyncio.sleep(0.02)
        assert stage.front.adopt(relay_config(stage.upstream, ("c", "d")), 2) == ()
        await client.send(raw[-5:])
        peer, asked = await stage.upstream.exchange()
        assert asked.header("authorization") == "Bearer sk-upstream-key-a"
        await peer.send(whole(b"{}", "429 Slow", "Connection: close"))
        peer, asked = await stage.upstream.exchange()
        assert asked.header("authorization") == "Bearer sk-upstream-key-b"
        await peer.send(whole(b"{}", "429 Slow", "Connection: close"))
        assert (await client.answer()).error["type"] == "no_keys"
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        assert (await stage.once("POST", CHAT, ASKED)).status == 200
        assert stage.upstream.asked[0].header("authorization") == "Bearer sk-upstream-key-c"


@in_loop
async def test_a_cooling_key_stays_cool_over_a_reload() -> None:
    """The same key, by what it is and not by its name."""
    async with web_stage(keys=("a",)) as stage:
        stage.upstream.part = stage.upstream.answering(whole(b"{}", "429 Slow"))
        assert (await stage.once("POST", CHAT, ASKED)).status == 503
        assert stage.front.adopt(relay_config(stage.upstream, ("a",)), 2) == ()
        assert (await stage.once("POST", CHAT, ASKED)).error["type"] == "no_keys"
        assert len(stage.upstream.asked) == 1


@in_loop
async def test_a_changed_access_key_counts_from_the_next_request() -> None:
    """On a connection that is kept, too."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("GET", "/metrics")
        assert (await client.answer()).status == 200
        new = relay_config(stage.upstream)
        assert stage.front.adopt(replace(new, server=replace(new.server, access_key=Secret("sk-other"))), 2) == ()
        await client.ask("GET", "/metrics")
        assert (await client.answer()).status == 401
        await client.ask("GET", "/metrics", token="sk-other")
        assert (await client.answer()).status == 200


@in_loop
async def test_a_configuration_with_problems_changes_nothing() -> None:
    async with web_stage() as stage:
        headers = HeaderPair(request=HeaderRules(set=(("x-who", "{{ nobody }}"),)))
        (problem,) = stage.front.adopt(relay_config(stage.upstream, routes=(replace(ROUTES[0], headers=headers),)), 2)
        assert "nobody" in problem.message
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        assert (await stage.once("POST", CHAT, ASKED)).status == 200
        assert b'"generation": 1' in (await stage.once("GET", "/health")).body


@in_loop
async def test_a_hundred_reloads_under_load_lose_nothing() -> None:
    """Streams, answers and uploads, on kept connections."""
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            while True:
                asked = await peer.request()
                if b"stream" in asked.body:
                    await peer.send(chunked_head())
                    for number in range(5):
                        await peer.send(chunk(event(str(number))))
                        await asyncio.sleep(0.003)
                    await peer.send(chunk(DONE) + b"0\r\n\r\n")
                else:
                    await peer.send(whole(GIVEN))

        stage.upstream.part = part
        done: list[int] = []
        stopped = False

        async def call(body: Any, path: str) -> None:
            client = await stage.client()
            while not stopped:
                await client.ask("POST", path, body)
                answer = await client.answer()
                assert answer.status == 200 and (answer.body == GIVEN or answer.body.endswith(DONE))
                done.append(1)

        calls = [
            asyncio.ensure_future(call(*kind)) for kind in ((ASKED, CHAT), (STREAMED, CHAT), (b"file", FILES)) for _ in range(5)
        ]
        for generation in range(2, 102):
            assert stage.front.adopt(relay_config(stage.upstream, ("a", "b") if generation % 2 else ("b", "c")), generation) == ()
            await asyncio.sleep(0.005)
        stopped = True
        await asyncio.gather(*calls)
        assert len(done) > 100


@in_loop
async def test_a_drain_lets_calls_finish_and_nobody_in() -> None:
    """Streams go on, also those that have not begun to answer; new connections are refused; answers say that this was the last."""
    async with web_stage() as stage:
        streaming, waiting, idle, busy = [await stage.client() for _ in range(4)]
        await streaming.ask("POST", CHAT, STREAMED)
        stream, _ = await stage.upstream.exchange()
        await stream.send(chunked_head() + chunk(event("x")))
        assert (await streaming.head()).status == 200
        await waiting.ask("POST", CHAT, ASKED)
        late, _ = await stage.upstream.exchange()
        await busy.send(request("POST", FILES, None, "Content-Length: 10") + b"01234")
        upload = await stage.upstream.accept()
        await upload.head()
        draining = asyncio.ensure_future(stage.front.drain(10))
        await asyncio.sleep(0.1)
        with pytest.raises(OSError):
            await stage.client()
        await stream.send(chunk(DONE) + b"0\r\n\r\n")
        assert [piece async for piece in streaming.pieces()] == [event("x"), DONE]
        await late.send(whole(GIVEN))
        answer = await waiting.answer()
        assert (answer.body, answer.fields["connection"]) == (GIVEN, "close")
        await idle.ask("GET", "/health")
        answer = await idle.answer()
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert not draining.done()
        await busy.send(b"56789")
        assert await upload.reader.readexactly(10) == b"0123456789"
        await upload.send(whole(GIVEN))
        assert (await busy.answer()).status == 200
        assert await draining == 0
        for client in (streaming, waiting, idle, busy):
            assert await client.rest() == b""


@in_loop
async def test_a_drain_cuts_what_is_left_at_its_limit(expect_logs: Callable[[str], None]) -> None:
    """Each with a line in the log; upstream connections are closed, and clients see an end that is none."""
    expect_logs("call=one is cut: the relay stops")
    expect_logs("call=two is cut: the relay stops")
    expect_logs("call=three is cut: the relay stops")
    async with web_stage() as stage:
        clients = [await stage.client() for _ in range(3)]
        await clients[0].ask("POST", CHAT, STREAMED, "X-Request-Id: one")
        stream, _ = await stage.upstream.exchange()
        await stream.send(chunked_head() + chunk(event("x")))
        await clients[1].ask("POST", CHAT, ASKED, "X-Request-Id: two")
        silent, _ = await stage.upstream.exchange()
        await clients[2].send(request("POST", FILES, None, "Content-Length: 10", "X-Request-Id: three") + b"01234")
        upload = await stage.upstream.accept()
        assert await within(1, stage.front.drain(0.2)) == 3
        for peer in (stream, silent, upload):
            await within(1, peer.gone())
        assert (await clients[0].head()).status == 200
        assert await clients[0].rest() == chunk(event("x"))
        assert await clients[1].rest() == b""
        assert await clients[2].rest() == b""


@in_loop
async def test_an_idle_front_drains_at_once() -> None:
    """Connections that are only kept hold nobody up."""
    async with web_stage() as stage:
        clients = [await stage.client() for _ in range(20)]
        for client in clients:
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200
        await clients[0].send(b"GET /half")
        assert await within(1, stage.front.drain(10)) == 0
        for client in clients:
            assert await client.rest() == b""
