"""CurlEngine over TLS: certificates are checked, HTTP/2 is taken where it is offered, and one connection serves many exchanges."""

from __future__ import annotations

import asyncio

import pytest
from h2_upstream import CERTIFICATE, H2Upstream, tls_context
from raw_upstream import Heard, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.upload import Upload


@in_loop
async def test_https_with_a_trusted_certificate() -> None:
    """An upstream without HTTP/2 is spoken to in HTTP/1.1, and its connection is kept."""
    async with RawUpstream(tls_context()) as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        peer = None
        for _ in range(2):
            heard = Heard()
            versions: list[str] = []
            heard.on["end"] = lambda: versions.append(heard.exchange.timings().http_version)  # type: ignore[union-attr]  # noqa: B023
            heard.exchange = engine.start(ask(upstream.url(host="localhost"), b"{}"), heard)
            peer = peer or await upstream.accept()
            request = await peer.request()
            assert request.line == "POST / HTTP/1.1" and request.body == b"{}"
            await peer.answer(b"safe")
            await heard.over()
            assert heard.body == b"safe" and versions == ["1.1"]
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("options", [{}, {"ca_file": "/nowhere/certificates.pem"}])
@in_loop
async def test_a_certificate_that_nobody_vouches_for(options: dict[str, str]) -> None:
    """An untrusted certificate fails in phase tls, before a byte of the request is sent."""
    async with RawUpstream(tls_context()) as upstream, curl_engine(**options) as engine:
        heard = Heard()
        engine.start(ask(upstream.url("/?secret"), b"{}"), heard)
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == "tls" and "secret" not in heard.failure.reason
        assert heard.told == ["failed"]


@in_loop
async def test_a_certificate_for_another_name() -> None:
    """A trusted certificate of another host fails in phase tls."""
    async with RawUpstream(tls_context()) as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        heard = Heard()
        engine.start(ask(upstream.url(host="127.0.0.2").replace("127.0.0.2", "ip6-localhost.localhost")), heard)
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == "tls", heard.failure


@in_loop
async def test_an_answer_over_http2() -> None:
    """HTTP/2 is negotiated, and looks to the receiver like any other answer: 1xx heads and trailers are not told."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        heard = Heard()
        versions: list[str] = []
        heard.on["end"] = lambda: versions.append(heard.exchange.timings().http_version)  # type: ignore[union-attr]
        heard.exchange = engine.start(ask(upstream.url("/v1/x"), b"question"), heard)
        stream = await upstream.stream()
        await stream.whole.wait()
        assert stream.body == b"question"
        stream.head(103, ("link", "</a>"))
        stream.head(429, ("retry-after", "7"), ("x-same", "1"), ("x-same", "2"))
        await heard.told_head()
        assert heard.status == 429
        assert heard.headers == [("retry-after", "7"), ("x-same", "1"), ("x-same", "2")]
        stream.data(b"slow ")
        stream.data(b"down")
        stream.fields(("x-trailer", "1"), end=True)
        await heard.over()
        assert heard.body == b"slow down" and heard.told[-1] == "end" and versions == ["2"]


@in_loop
async def test_many_exchanges_share_one_http2_connection() -> None:
    """Once an upstream was seen to speak HTTP/2, simultaneous requests share its connection, also when it has to be made anew."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        first = Heard()
        engine.start(ask(upstream.url()), first)
        (await upstream.stream()).head(200, end=True)
        await first.over()
        for connections in (1, 2):
            heard = [Heard() for _ in range(40)]
            for receiver in heard:
                engine.start(ask(upstream.url()), receiver)
            streams = [await upstream.stream() for _ in heard]
            assert len(upstream.connections) == connections
            for stream in streams:
                stream.head(200)
                stream.data(b"%d" % stream.number, end=True)
            for receiver in heard:
                await receiver.over()
            assert len({receiver.body for receiver in heard}) == 40
            upstream.connections[-1].close()
            await asyncio.sleep(0.05)


@in_loop
async def test_nobody_waits_for_an_upstream_that_may_not_speak_http2() -> None:
    """Before anything is known of a host, simultaneous requests do not wait for the first one's connection."""
    async with RawUpstream(tls_context("http/1.1")) as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        for _ in range(2):
            heard = [Heard() for _ in range(5)]
            exchanges = [engine.start(ask(upstream.url(), b"{}"), receiver) for receiver in heard]
            served = [await upstream.exchange() for _ in heard]
            for exchange in exchanges:
                exchange.abort()
            assert len({id(peer) for peer, _ in served}) == 5


@pytest.mark.parametrize("moment", ["before the head", "in the body", "paused", "uploading"])
@in_loop
async def test_an_abort_ends_one_stream_only(moment: str) -> None:
    """The upstream sees the stream reset; its neighbour and the next request go on over the same connection."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        first = Heard()
        engine.start(ask(upstream.url()), first)
        (await upstream.stream()).head(200, end=True)
        await first.over()
        beside, heard = Heard(), Heard()
        engine.start(ask(upstream.url()), beside)
        neighbour = await upstream.stream()
        neighbour.head(200)
        upload = Upload(None) if moment == "uploading" else None
        exchange = engine.start(ask(upstream.url(), upload), heard)
        stream = await upstream.stream()
        if moment in ("in the body", "paused"):
            stream.head(200)
            stream.data(b"begin")
            await heard.until(lambda: heard.body == b"begin")
        if moment == "paused":
            exchange.pause()
            stream.data(b"more" * 1000)
            await asyncio.sleep(0.05)
        exchange.abort()
        if moment == "uploading":
            await asyncio.sleep(0.05)  # an upload has a connection of its own, which is closed
        else:
            await asyncio.wait_for(stream.reset.wait(), 1.0)
            assert len(upstream.connections) == 1
        neighbour.data(b"unharmed", end=True)
        await beside.over()
        assert beside.body == b"unharmed" and beside.told[-1] == "end"
        after = Heard()
        engine.start(ask(upstream.url()), after)
        stream = await upstream.stream()
        assert stream.connection is neighbour.connection
        stream.head(204, end=True)
        await after.over()
        assert after.status == 204


@pytest.mark.parametrize("moment", ["before the head", "in the body", "paused", "idle"])
@in_loop
async def test_an_abort_is_seen_on_a_connection_without_neighbours(moment: str) -> None:
    """The upstream sees the stream reset, or its connection closed, within a second; a limit of ours that passes is the same."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        for _ in range(2):
            heard = Heard()
            exchange = engine.start(ask(upstream.url(), idle=0.1 if moment == "idle" else None), heard)
            stream = await upstream.stream()
            if moment != "before the head":
                stream.head(200)
                stream.data(b"begin")
                await heard.until(lambda: heard.body == b"begin")  # noqa: B023
            if moment == "paused":
                exchange.pause()
                stream.data(b"more" * 1000)
                await asyncio.sleep(0.05)
            if moment == "idle":
                await heard.over()
                assert heard.failure is not None and heard.failure.phase == "idle"
            else:
                exchange.abort()
            seen = {asyncio.ensure_future(stream.reset.wait()), asyncio.ensure_future(stream.connection.gone.wait())}
            done, waiting = await asyncio.wait(seen, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            assert done
            for task in waiting:
                task.cancel()


@in_loop
async def test_an_upstream_that_says_go_away() -> None:
    """After GOAWAY what is under way ends well, and the next request takes a new connection."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        heard, after = Heard(), Heard()
        engine.start(ask(upstream.url()), heard)
        stream = await upstream.stream()
        stream.head(200)
        stream.connection.go_away()
        await heard.told_head()
        engine.start(ask(upstream.url()), after)
        new = await upstream.stream()
        assert new.connection is not stream.connection
        stream.data(b"last words", end=True)
        await heard.over()
        assert heard.body == b"last words" and heard.told[-1] == "end"
        new.head(204, end=True)
        await after.over()
        assert after.status == 204


@in_loop
async def test_a_paused_stream_does_not_stop_its_neighbour() -> None:
    """Back-pressure is per stream: what one receiver holds back does not delay another on the same connection."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        slow, quick = Heard(), Heard()
        exchange = engine.start(ask(upstream.url()), slow)
        slow_stream = await upstream.stream()
        slow_stream.head(200)
        await slow.told_head()
        exchange.pause()
        for number in range(30):
            slow_stream.data(bytes([number]) * 1000)
        engine.start(ask(upstream.url()), quick)
        quick_stream = await upstream.stream()
        assert quick_stream.connection is slow_stream.connection
        quick_stream.head(200)
        quick_stream.data(b"quick", end=True)
        await quick.over()
        assert quick.body == b"quick" and slow.body == b""
        slow_stream.data(b"last", end=True)
        await asyncio.sleep(0.05)
        assert slow.told == ["head"]
        exchange.resume()
        await slow.over()
        assert slow.body == b"".join(bytes([number]) * 1000 for number in range(30)) + b"last"


@pytest.mark.parametrize(("told_before", "phase"), [(False, "first_byte"), (True, "body")])
@in_loop
async def test_a_stream_that_the_upstream_breaks_off(told_before: bool, phase: str) -> None:
    """A reset stream is a failure of its exchange, before the head or in the body."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        heard = Heard()
        engine.start(ask(upstream.url("/?secret"), b"{}"), heard)
        stream = await upstream.stream()
        await stream.whole.wait()
        if told_before:
            stream.head(200)
            stream.data(b"begin")
            await heard.until(lambda: heard.body == b"begin")
        stream.break_off(2)
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == phase and "secret" not in heard.failure.reason


@pytest.mark.parametrize("length", [10, None])
@in_loop
async def test_an_upload_over_http2(length: int | None) -> None:
    """A streamed upload needs no chunked coding there, and waits for its client as anywhere."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        heard = Heard()
        upload = Upload(length)
        engine.start(ask(upstream.url(), upload), heard)
        stream = await upstream.stream()
        for piece in (b"hello", b"world"):
            upload.write(piece)
            await asyncio.sleep(0.02)
            assert stream.body.endswith(piece) and not (length is None and stream.whole.is_set())
        upload.finish()
        await stream.whole.wait()
        assert stream.body == b"helloworld"
        stream.head(200)
        stream.data(b"got it", end=True)
        await heard.over()
        assert heard.body == b"got it"


@in_loop
async def test_a_large_answer_over_http2_with_pauses() -> None:
    """Bytes that libcurl has to keep while the receiver pauses arrive once, in order, and whole."""
    async with H2Upstream() as upstream, curl_engine(ca_file=CERTIFICATE) as engine:
        loop = asyncio.get_running_loop()
        heard = Heard()

        def be_slow() -> None:
            exchange.pause()
            loop.call_later(0.001, exchange.resume)

        exchange = engine.start(ask(upstream.url()), heard)
        stream = await upstream.stream()
        stream.head(200)
        heard.on["chunk"] = be_slow
        pieces = [bytes([number % 251]) * 8000 for number in range(150)]
        for piece in pieces:
            stream.data(piece)
        stream.data(b"", end=True)
        await heard.over()
        assert heard.body == b"".join(pieces) and heard.told[-1] == "end"
