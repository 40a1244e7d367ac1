"""collect: a whole answer, or the reason why there is none."""

from __future__ import annotations

import asyncio

import pytest
from raw_upstream import RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.collect import CollectFailed, Whole, collect
from monorelay.upstream.scripted import Chunk, Head, ScriptedEngine, failing, reply

REQUEST = ask("http://192.0.2.1/v1/models?key=secret")


@in_loop
async def test_a_whole_answer() -> None:
    """Status, headers in order, and the chunks joined; whatever the status."""
    engine = ScriptedEngine(reply(404, [b"no", b"thing"], [("x-a", "1"), ("x-a", "2")]))
    assert await collect(engine, REQUEST, 7) == Whole(404, (("x-a", "1"), ("x-a", "2")), b"nothing")


@in_loop
async def test_a_failure_is_raised() -> None:
    """CollectFailed carries the engine's own failure."""
    with pytest.raises(CollectFailed, match="tls: Who are you") as caught:
        await collect(ScriptedEngine(failing("tls", "Who are you.")), REQUEST, 100)
    assert caught.value.failure.phase == "tls"


@in_loop
async def test_a_body_beyond_the_limit_is_given_up() -> None:
    """One byte too much: the exchange is aborted, and CollectFailed says how much was allowed."""
    engine = ScriptedEngine((Head(200), Chunk(b"12345"), Chunk(b"6")))
    with pytest.raises(CollectFailed, match="larger than 5 bytes"):
        await collect(engine, REQUEST, 5)
    assert engine.exchanges[0].aborted


@in_loop
async def test_cancelling_aborts_the_exchange() -> None:
    """Whoever stops waiting leaves no exchange behind."""
    engine = ScriptedEngine(())
    waiting = asyncio.ensure_future(collect(engine, REQUEST, 100))
    exchange = await engine.exchange(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert exchange.aborted


@in_loop
async def test_over_a_real_socket() -> None:
    """The same on CurlEngine, where the answer comes in pieces."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        waiting = asyncio.ensure_future(collect(engine, ask(upstream.url()), 1000))
        peer, _ = await upstream.exchange()
        await peer.answer(b"x" * 1000, "200 OK", "X-A: 1")
        whole = await waiting
        assert whole == Whole(200, (("content-length", "1000"), ("x-a", "1")), b"x" * 1000)
        waiting = asyncio.ensure_future(collect(engine, ask(upstream.url()), 999))
        await peer.request()
        await peer.answer(b"x" * 1000)
        with pytest.raises(CollectFailed):
            await waiting
