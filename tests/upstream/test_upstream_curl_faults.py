"""Upstreams that misbehave at each step: CurlEngine tells how far the exchange had come, without secrets, and never hangs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pycurl
import pytest
from raw_upstream import Heard, Peer, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.interface import Phase
from monorelay.upstream.upload import Upload

MEGABYTE = 1024 * 1024
SECRET = ("Authorization: Bearer sk-secret", "X-Header: secret")


async def fail(url: str, body: bytes | None = None, **limits: float | None) -> Heard:
    async with curl_engine() as engine:
        heard = Heard()
        engine.start(ask(url, body, headers=SECRET, **limits), heard)
        assert heard.told == []
        await heard.over()
        assert heard.failure is not None, heard.told
        assert "secret" not in heard.failure.reason and heard.failure.reason.endswith(".")
        assert len(heard.failure.reason) < 300
        return heard


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "phase"),
    [
        ("http://127.0.0.1:{closed}/?secret", "connect"),
        ("https://127.0.0.1:{closed}/?secret", "connect"),
        ("http://[::1]:{closed}/?secret", "connect"),
        ("http://no-such-host.invalid/?secret", "connect"),
        ("http://127.0.0.1:99999/?secret", "connect"),
        ("http://:80/?secret", "connect"),
    ],
)
@in_loop
async def test_upstreams_that_cannot_be_reached(url: str, phase: Phase) -> None:
    """Nobody listens, nobody knows the name, nonsense in the URL: phase connect."""
    heard = await fail(url.format(closed=closed_port()))
    assert heard.failure is not None and heard.failure.phase == phase and heard.told == ["failed"]


async def nothing(peer: Peer) -> None:
    peer.close()


async def reset_at_once(peer: Peer) -> None:
    peer.reset()


async def reset_after_the_request(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def close_after_the_request(peer: Peer) -> None:
    await peer.request()
    peer.close()


async def reset_in_the_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await asyncio.sleep(0.02)
    peer.reset()


def saying(data: bytes, then: Callable[[Peer], None] | None = Peer.close) -> Callable[[Peer], Awaitable[None]]:
    async def say(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await asyncio.sleep(0.02)
        if then is not None:
            then(peer)

    return say


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("behaviour", "phases", "told"),
    [
        (nothing, {"first_byte", "send"}, []),
        (reset_at_once, {"first_byte", "send"}, []),
        (reset_after_the_request, {"first_byte", "send"}, []),
        (close_after_the_request, {"first_byte"}, []),
        (reset_in_the_head, {"first_byte"}, []),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n"), {"first_byte"}, []),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n", Peer.reset), {"first_byte"}, []),
        (saying(b"hello there\r\n\r\n"), {"first_byte"}, []),
        (saying(b"<html>nine</html>"), {"first_byte"}, []),
        (saying(b"HTTP/1.1 abc OK\r\n\r\n"), {"first_byte"}, []),
        (saying(b"HTTP/7.3 200 OK\r\n\r\n"), {"first_byte"}, []),
        (saying(b"\x15\x03\x01\x00\x02\x02\x16"), {"first_byte"}, []),
        (saying(HEAD + b"X-Big: " + b"b" * 1_000_000 + b"\r\n\r\n"), {"first_byte"}, []),
        (saying(HEAD + b"X-Many: 123456789\r\n" * 50_000 + b"\r\n"), {"first_byte"}, []),
        (saying(HEAD + b"Content-Length: 10\r\n\r\n12345"), {"body"}, ["head", "chunk"]),
        (saying(HEAD + b"Content-Length: 10\r\n\r\n12345", Peer.reset), {"body"}, ["head", "chunk"]),
        (saying(HEAD + b"Content-Length: 10\r\n\r\n"), {"body"}, ["head"]),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"), {"body"}, ["head", "chunk"]),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n67"), {"body"}, ["head", "chunk", "chunk"]),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n"), {"body"}, ["head", "chunk"]),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345678\r\n"), {"body"}, ["head", "chunk"]),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), {"body"}, ["head"]),
        (saying(HEAD + b"\r\nuntil the", Peer.reset), {"body"}, ["head", "chunk"]),
    ],
)
@in_loop
async def test_answers_that_break(behaviour: Callable[[Peer], Awaitable[None]], phases: set[Phase], told: list[str]) -> None:
    """Before the head it is first_byte (or send), after it body; what came before is told, then failed, and end never."""
    async with RawUpstream() as upstream:
        playing = asyncio.ensure_future(play_all(upstream, behaviour))
        heard = await fail(upstream.url("/v1/x?secret"), b'{"secret":1}')
        assert heard.failure is not None and heard.failure.phase in phases, heard.failure
        assert [what for what in heard.told[:-1] if what != "chunk"] == [what for what in told if what != "chunk"]
        if "chunk" in told:
            assert heard.body.startswith((b"12345", b"until the"))
        playing.cancel()


async def play_all(upstream: RawUpstream, behaviour: Callable[[Peer], Awaitable[None]]) -> None:
    """libcurl may try again on a new connection."""
    while True:
        try:
            await behaviour(await upstream.accept())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass


@in_loop
async def test_a_longer_body_than_announced_is_cut() -> None:
    """What follows the announced length is not part of the answer, and its connection is not used again."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        for _ in range(2):
            heard = Heard()
            engine.start(ask(upstream.url()), heard)
            peer, _ = await upstream.exchange()
            await peer.send(HEAD + b"Content-Length: 4\r\n\r\nbodySURPLUS")
            await heard.over()
            assert heard.told[-1] == "end" and heard.body == b"body"


@in_loop
async def test_silence_before_the_answer() -> None:
    """first_byte passes while the upstream thinks: failed, and the upstream is left."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url(), b"{}", first_byte=0.2, idle=0.05), heard)
        peer, _ = await upstream.exchange()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await heard.over()
        assert heard.failure is not None and (heard.failure.phase, heard.failure.reason) == (
            "first_byte",
            "No answer within 0.2 s.",
        )
        await peer.gone()


@in_loop
async def test_silence_in_the_answer() -> None:
    """idle passes after the head, after a chunk, and in mid-head."""
    for said in (HEAD + b"\r\n", HEAD + b"\r\nchunk", HEAD + b"X-Half: "):
        async with RawUpstream() as upstream, curl_engine() as engine:
            heard = Heard()
            engine.start(ask(upstream.url(), idle=0.2), heard)
            peer, _ = await upstream.exchange()
            await peer.send(said)
            await heard.over()
            assert heard.failure is not None and heard.failure.phase == "idle" and "0.2 s" in heard.failure.reason
            await peer.gone()


@in_loop
async def test_slow_but_steady_answers_are_not_idle() -> None:
    """idle is the time between two reads, however long the whole takes; first_byte has no say once the answer has begun."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url(), first_byte=0.8, idle=0.8), heard)
        peer, _ = await upstream.exchange()
        for piece in (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n", b"X-B: 2\r\n", b"\r\n", b"1", b"2", b"3", b"4", b"5", b"6"):
            await peer.send(piece)
            await asyncio.sleep(0.1)
        peer.close()
        await heard.over()
        assert heard.told[-1] == "end" and heard.body == b"123456"


@in_loop
async def test_total_covers_everything() -> None:
    """total passes although the upstream talks, and although the receiver has paused."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        talking, paused = Heard(), Heard()
        engine.start(ask(upstream.url(), total=0.3), talking)
        peer, _ = await upstream.exchange()
        engine.start(ask(upstream.url(), total=0.3), paused).pause()
        other, _ = await upstream.exchange()
        await other.send(HEAD + b"\r\nheld back")
        await peer.send(HEAD + b"\r\n")
        while not talking.is_over:
            await peer.send(b"x")
            await asyncio.sleep(0.02)
        await paused.over()
        for heard in (talking, paused):
            assert heard.failure is not None and heard.failure.phase == "total" and "0.3 s" in heard.failure.reason
        assert paused.body == b""


@in_loop
async def test_the_receivers_own_pause_is_not_idle() -> None:
    """While the receiver has paused the upstream is not to blame; after resume the limit starts anew."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        exchange = engine.start(ask(upstream.url(), idle=0.2), heard)
        peer, _ = await upstream.exchange()
        await peer.send(HEAD + b"\r\n1")
        await heard.until(lambda: heard.body == b"1")
        exchange.pause()
        await peer.send(b"2")
        await asyncio.sleep(0.5)
        assert heard.told == ["head", "chunk"]
        exchange.resume()
        await heard.until(lambda: heard.body == b"12")
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == "idle"


@in_loop
async def test_an_upstream_that_takes_no_more_of_the_body() -> None:
    """A large body that gets stuck on its way up fails in phase send."""
    async with RawUpstream() as upstream:
        heard = await fail(upstream.url(), bytes(32 * MEGABYTE), first_byte=0.4)
        assert heard.failure is not None and heard.failure.phase == "send" and "0.4 s" in heard.failure.reason


@in_loop
async def test_a_large_body_that_moves_is_not_late() -> None:
    """first_byte runs from the moment the whole request is up, however long that takes."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        body = bytes(24 * MEGABYTE)
        heard = Heard()
        engine.start(ask(upstream.url(), body, first_byte=1.0), heard)
        peer = await upstream.accept()
        await peer.head()
        left = len(body)
        while left:
            left -= len(await peer.reader.read(MEGABYTE))
            if left > 14 * MEGABYTE:  # the rest is in socket buffers, and out of libcurl's hands, at some point
                await asyncio.sleep(0.04)
        await peer.answer(b"got it")
        await heard.over()
        assert heard.body == b"got it"


@in_loop
async def test_a_connection_that_is_never_answered() -> None:
    """connect passes while the TCP connection is not accepted, and while TLS does not begin."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        heard = await fail(f"http://127.0.0.1:{port}/", connect=0.3)
        for filler in fillers:
            filler.close()
    assert heard.failure is not None and (heard.failure.phase, heard.failure.reason) == ("connect", "No connection within 0.3 s.")
    async with RawUpstream() as silent:
        heard = await fail(silent.url().replace("http:", "https:"), connect=0.3)
    assert heard.failure is not None and heard.failure.phase == "tls" and "0.3 s" in heard.failure.reason


@in_loop
async def test_no_limits_at_all() -> None:
    """None means no limit, for all four."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url(), connect=None, first_byte=None, idle=None, total=None), heard)
        peer, _ = await upstream.exchange()
        await asyncio.sleep(0.1)
        await peer.answer(b"late")
        await heard.over()
        assert heard.body == b"late"


@in_loop
async def test_a_plain_upstream_asked_for_tls() -> None:
    """HTTPS to a port that speaks plain HTTP fails in phase tls."""
    async with RawUpstream() as upstream:
        playing = asyncio.ensure_future(play_all(upstream, lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
        heard = await fail(upstream.url().replace("http:", "https:") + "?secret")
        assert heard.failure is not None and heard.failure.phase == "tls"
        playing.cancel()


@in_loop
async def test_a_kept_connection_that_the_upstream_closed() -> None:
    """An idle connection that was closed meanwhile is replaced without a word."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        for break_off in (Peer.close, Peer.reset, Peer.close):
            heard = Heard()
            engine.start(ask(upstream.url(), b"{}"), heard)
            peer, request = await upstream.exchange()
            assert request.body == b"{}"
            await peer.answer(b"ok")
            await heard.over()
            assert heard.told[-1] == "end"
            break_off(peer)
            await asyncio.sleep(0.02)


@in_loop
async def test_a_kept_connection_that_dies_under_the_request() -> None:
    """A request whose reused connection closes before a byte of answer is repeated once by libcurl, on a new one."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        first = Heard()
        engine.start(ask(upstream.url(), b"1"), first)
        peer, _ = await upstream.exchange()
        await peer.answer(b"ok")
        await first.over()
        second = Heard()
        engine.start(ask(upstream.url(), b"2"), second)
        assert (await peer.request()).body == b"2"
        peer.close()
        again, request = await upstream.exchange()
        assert request.body == b"2"
        again.close()
        await second.over()
        assert second.failure is not None and second.failure.phase == "first_byte"
        assert len(upstream.peers) == 2


@pytest.mark.skipif(not hasattr(pycurl, "PREREQFUNCTION"), reason="this PycURL cannot count what libcurl sends")
@in_loop
async def test_many_kept_connections_that_die_under_the_request() -> None:
    """However many there are, the upstream sees the request twice at most."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        kept = []
        for number in range(6):
            heard = Heard()
            engine.start(ask(upstream.url(), b"%d" % number), heard)
            kept.append((await upstream.exchange(), heard))
        for (peer, _), heard in kept:
            await peer.answer(b"ok")
            await heard.over()
        seen = []

        async def close_when_asked(peer: Peer) -> None:
            seen.append((await peer.request()).body)
            peer.close()

        watching = [asyncio.ensure_future(close_when_asked(peer)) for (peer, _), _ in kept]
        last = Heard()
        engine.start(ask(upstream.url(), b"last"), last)
        await last.over()
        for watch in watching:
            watch.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        assert last.failure is not None and last.failure.phase == "first_byte"
        assert seen == [b"last", b"last"]


@pytest.mark.parametrize("length", [8, None])
@in_loop
async def test_an_upload_that_ends_early_is_never_taken_for_whole(length: int | None) -> None:
    """Fewer bytes than announced: failed('send'), and the upstream sees a broken request."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        upload = Upload(length)
        heard = Heard()
        engine.start(ask(upstream.url(), upload), heard)
        peer = await upstream.accept()
        await peer.head()
        upload.write(b"four")
        await peer.reader.readuntil(b"four")
        if length is None:
            upload.fail()
        else:
            upload.finish()
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == "send"
        assert b"0\r\n\r\n" not in await peer.reader.read()


@in_loop
async def test_an_upstream_that_only_ever_promises_an_answer_is_overdue() -> None:
    """Informational heads without end are no first byte of the answer."""

    async def promise(peer: Peer) -> None:
        await peer.request()
        while True:
            await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await asyncio.sleep(0.05)

    async with RawUpstream() as upstream:
        playing = asyncio.ensure_future(play_all(upstream, promise))
        heard = await fail(upstream.url(), first_byte=0.5, idle=0.5)
        playing.cancel()
    assert heard.failure is not None and heard.failure.phase == "first_byte"
