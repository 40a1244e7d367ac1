"""How CurlEngine moves much: back-pressure both ways, aborts that are seen, many exchanges at once, nothing leaked."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import time
from collections.abc import Iterator

import pytest
from raw_upstream import Heard, Peer, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.curl import KEPT_HANDLES, CurlEngine, CurlExchange
from monorelay.upstream.upload import HIGH_WATER, Upload

MEGABYTE = 1024 * 1024
ON_THE_WAY = 16 * MEGABYTE  # more than all socket buffers of a loopback connection and libcurl's own


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Both ends of every connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Flood:
    """An upstream that sends as fast as it can. Mutable: ``sent``."""

    def __init__(self, peer: Peer, size: int) -> None:
        self.sent = 0
        peer.writer.transport.set_write_buffer_limits(0)
        self.task = asyncio.ensure_future(self._send(peer, size))

    async def _send(self, peer: Peer, size: int) -> None:
        piece = bytes(256 * 1024)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while self.sent < size:
            part = piece[: size - self.sent]
            await peer.send(part)
            self.sent += len(part)


class Counting(Heard):
    """Counts the bytes instead of keeping them."""

    got = 0

    def chunk(self, data: bytes) -> None:
        self.got += len(data)
        self._tell("chunk")


@in_loop
async def test_a_pause_stops_the_upstream() -> None:
    """While the receiver has paused, the upstream can send no more than what the socket buffers hold."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Counting()
        exchange = engine.start(ask(upstream.url()), heard)
        heard.on["head"] = exchange.pause
        peer, _ = await upstream.exchange()
        flood = Flood(peer, 100 * MEGABYTE)
        await heard.told_head()
        await asyncio.sleep(0.3)
        stuck_at = flood.sent
        assert stuck_at < ON_THE_WAY and heard.got == 0
        await asyncio.sleep(0.1)
        assert flood.sent == stuck_at
        exchange.resume()
        await heard.over()
        assert heard.got == 100 * MEGABYTE


@in_loop
async def test_200_megabytes_down_in_constant_memory() -> None:
    """A slow client: whatever the size of the answer, only a bounded part of it is ever on the way."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        loop = asyncio.get_running_loop()
        heard = Counting()
        most = 0

        def be_slow() -> None:
            nonlocal most
            most = max(most, flood.sent - heard.got)
            if heard.told.count("chunk") % 64 == 0:
                exchange.pause()
                loop.call_soon(exchange.resume)

        exchange = engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        flood = Flood(peer, 200 * MEGABYTE)
        heard.on["chunk"] = be_slow
        await heard.over()
        assert heard.got == 200 * MEGABYTE and heard.told[-1] == "end"
        assert most < ON_THE_WAY


@pytest.mark.parametrize("length", [200 * MEGABYTE, None])
@in_loop
async def test_200_megabytes_up_in_constant_memory(length: int | None) -> None:
    """A streamed upload: the client is held back whenever the upstream is slower; with and without an announced length."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        upload = Upload(length)
        room = asyncio.Event()
        upload.on_room = room.set
        heard = Heard()
        engine.start(ask(upstream.url(), upload), heard)

        async def client() -> None:
            piece = bytes(64 * 1024)
            for _ in range(200 * 16):
                while upload.full:
                    room.clear()
                    await room.wait()
                upload.write(piece)
                assert upload.held <= HIGH_WATER + len(piece)
            upload.finish()

        uploading = asyncio.ensure_future(client())
        peer = await upstream.accept()
        _, headers = await peer.head()
        names = {name.lower(): value for name, value in headers}
        got = 0
        if length is None:
            assert names["transfer-encoding"] == "chunked"
            async for piece in peer.pieces():
                got += len(piece)
        else:
            assert names["content-length"] == str(length) and "transfer-encoding" not in names
            while got < length:
                got += len(await peer.reader.read(MEGABYTE))
        await peer.answer(b"thanks")
        await heard.over()
        await uploading
        assert got == 200 * MEGABYTE and heard.body == b"thanks" and upload.taken == got


@in_loop
async def test_an_upstream_that_does_not_read_holds_the_client_back() -> None:
    """A stuck upstream is given what the socket buffers hold, and fails in phase send; waiting for the client is not its fault."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        upload = Upload(64 * MEGABYTE)
        heard = Heard()
        engine.start(ask(upstream.url(), upload, first_byte=0.3), heard)
        await asyncio.sleep(0.6)  # the client thinks
        assert heard.told == []
        while not heard.is_over:
            while not upload.full:
                upload.write(bytes(64 * 1024))
            await asyncio.sleep(0.01)
        assert heard.failure is not None and heard.failure.phase == "send"
        assert upload.taken < ON_THE_WAY


@in_loop
async def test_an_answer_that_comes_before_the_upload_is_whole() -> None:
    """An upstream may refuse an upload in the middle: its answer is told at once."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        upload = Upload(1000)
        upload.write(b"begin")
        heard = Heard()
        engine.start(ask(upstream.url(), upload), heard)
        peer = await upstream.accept()
        await peer.head()
        await peer.reader.readexactly(5)
        await peer.answer(b"too large", "413 Payload Too Large")
        await heard.over()
        assert heard.status == 413 and heard.body == b"too large" and heard.told[-1] == "end"
        assert upload.on_bytes is None
        await peer.gone()


@in_loop
async def test_pausing_the_answer_does_not_stop_the_upload() -> None:
    """The two directions of one exchange pause and go on independently."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        upload = Upload(None)
        upload.write(b"one")
        heard = Heard()
        exchange = engine.start(ask(upstream.url(), upload), heard)
        peer = await upstream.accept()
        await peer.head()
        up = peer.pieces()
        assert await anext(up) == b"one"
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await heard.until(lambda: heard.body == b"a")
        exchange.pause()
        await peer.send(b"1\r\nb\r\n")
        await asyncio.sleep(0.05)
        upload.write(b"two")
        assert await anext(up) == b"two"
        assert heard.body == b"a"
        exchange.resume()
        await heard.until(lambda: heard.body == b"ab")
        upload.write(b"three")
        assert await anext(up) == b"three"
        upload.finish()
        assert [piece async for piece in up] == []
        await peer.send(b"0\r\n\r\n")
        await heard.over()
        assert heard.told[-1] == "end"


@in_loop
async def test_a_streamed_upload_gets_a_fresh_connection() -> None:
    """What was taken from an upload cannot be sent again, so it never goes out on a kept connection; others do, after it."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        for number, body in enumerate([b"plain", Upload(2), b"plain", Upload(2), None]):
            if isinstance(body, Upload):
                body.write(b"up")
                body.finish()
            heard = Heard()
            engine.start(ask(upstream.url(), body), heard)
            before = len(upstream.peers)
            await asyncio.sleep(0.05)
            peer = upstream.peers[-1] if len(upstream.peers) > before else None
            assert (peer is not None) == (number == 0 or isinstance(body, Upload))
            serving = [asyncio.ensure_future(serve_once(each)) for each in upstream.peers]
            await heard.over()
            for task in serving:
                task.cancel()
            assert heard.told[-1] == "end"


async def serve_once(peer: Peer) -> None:
    await peer.request()
    await peer.answer(b"ok")


@pytest.mark.parametrize("moment", ["uploading", "waiting", "streaming", "paused"])
@in_loop
async def test_the_upstream_sees_an_abort_at_once(moment: str) -> None:
    """Whatever the exchange is doing, abort closes its connection well within a second."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        body = Upload(None) if moment == "uploading" else b"{}"
        exchange = engine.start(ask(upstream.url(), body), heard)
        peer = await upstream.accept()
        await peer.head()
        if moment in ("streaming", "paused"):
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\nbegin")
            await heard.until(lambda: heard.body == b"begin")
        if moment == "paused":
            exchange.pause()
            await peer.send(b"more" * 1000)
            await asyncio.sleep(0.05)
        began = time.monotonic()
        exchange.abort()
        await peer.gone()
        assert time.monotonic() - began < 1.0


@in_loop
async def test_an_abort_while_connecting() -> None:
    """A connection that is not there yet is given up; the handle carries the next request."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        async with RawUpstream() as upstream, curl_engine() as engine:
            heard = Heard()
            stuck = [engine.start(ask(f"http://127.0.0.1:{full.getsockname()[1]}/"), heard) for _ in range(5)]
            await asyncio.sleep(0.05)
            for exchange in stuck:
                exchange.abort()
            fine = Heard()
            engine.start(ask(upstream.url()), fine)
            peer, _ = await upstream.exchange()
            await peer.answer(b"ok")
            await fine.over()
            assert fine.body == b"ok" and heard.told == []


@pytest.mark.usefixtures("many_descriptors")
@in_loop
async def test_a_thousand_exchanges_at_once() -> None:
    """All are under way together: nothing waits for another to end. Afterwards no more handles are kept than planned."""
    count = 1000
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = [Heard() for _ in range(count)]
        for number, receiver in enumerate(heard):
            engine.start(ask(upstream.url(f"/{number}"), b"{}"), receiver)
        served = [await upstream.exchange() for _ in range(count)]
        for peer, request in served:
            await peer.answer(request.line.split(" ")[1].encode())
        for number, receiver in enumerate(heard):
            await receiver.over()
            assert receiver.body == b"/%d" % number
        assert repr(engine) == f"<CurlEngine 0 exchanges, {KEPT_HANDLES} idle handles>"
        assert len(engine._handles) == KEPT_HANDLES


@in_loop
async def test_nothing_leaks() -> None:
    """Answers, failures and aborts at every step leave no descriptor, no handle and no exchange behind."""
    before = len(os.listdir("/proc/self/fd"))
    async with RawUpstream() as upstream, curl_engine() as engine:
        for round_ in range(60):
            heard = Heard()
            upload = Upload(None) if round_ % 4 == 3 else None
            if upload is not None:
                upload.write(b"part")
            exchange = engine.start(ask(upstream.url(), upload), heard)
            if round_ % 5 == 0:
                exchange.abort()
                continue
            while not upstream._fresh.empty():
                upstream._fresh.get_nowait()
            await asyncio.sleep(0.002)
            for peer in upstream.peers[-3:]:
                peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            await asyncio.sleep(0.002)
            exchange.abort()
        await asyncio.sleep(0.02)
        assert repr(engine) == "<CurlEngine 0 exchanges, 1 idle handles>" or len(engine._pool) == len(engine._handles)
        assert not engine._live and not engine._later and engine._attached == 0
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the loop's own


class Restless(Heard):
    """Pauses, resumes, aborts and starts at random, inside its methods and outside."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        super().__init__()
        self.crowd = crowd
        self.aborted = False
        self.size = crowd.chance.choice([0, 1, 1000, 100_000])
        self.exchange: CurlExchange | None = crowd.engine.start(ask(crowd.upstream.url(f"/{self.size}"), b"{}"), self)

    def _tell(self, what: str) -> None:
        assert not self.aborted
        super()._tell(what)
        self.fidget()
        if self.is_over:
            self.crowd.left()

    def fidget(self) -> None:
        chance, loop, exchange = self.crowd.chance, self.crowd.loop, self.exchange
        assert exchange is not None
        match chance.randrange(12):
            case 0:
                exchange.pause()
                loop.call_soon(exchange.resume)
            case 1:
                exchange.pause()
                exchange.resume()
            case 2:
                exchange.pause()
                loop.call_later(chance.random() / 100, exchange.resume)
            case 3 if chance.random() < 0.2 and not self.is_over:
                self.aborted = True
                exchange.abort()
                self.crowd.left()
            case 4:
                self.crowd.join()
            case 5:
                self.crowd.poke()


class Crowd:
    """Mutable: ``started`` and ``under_way``, as receivers come and go."""

    def __init__(self, engine: CurlEngine, upstream: RawUpstream, size: int) -> None:
        self.engine, self.upstream, self.size = engine, upstream, size
        self.chance = random.Random(7)
        self.loop = asyncio.get_running_loop()
        self.receivers: list[Restless] = []
        self.under_way = 0
        self.quiet = asyncio.Event()

    def join(self) -> None:
        if len(self.receivers) < self.size:
            self.under_way += 1
            self.receivers.append(Restless(self, len(self.receivers)))

    def poke(self) -> None:
        """Somebody else is resumed from inside this receiver's method."""
        other = self.chance.choice(self.receivers)
        assert other.exchange is not None
        other.exchange.resume()

    def left(self) -> None:
        self.under_way -= 1
        while self.under_way < 20 and len(self.receivers) < self.size:
            self.join()
        if self.under_way == 0:
            self.quiet.set()


async def serve(upstream: RawUpstream) -> None:
    async def one(peer: Peer) -> None:
        try:
            while True:
                request = await peer.request()
                size = int(request.line.split(" ")[1][1:])
                await peer.answer(bytes(range(250)) * (size // 250) + bytes(size % 250))
        except (ConnectionError, asyncio.IncompleteReadError):
            peer.close()

    tasks = []
    while True:
        tasks.append(asyncio.ensure_future(one(await upstream.accept())))


@in_loop
async def test_a_restless_crowd() -> None:
    """Hundreds of receivers that do everything everywhere: each hears its own whole answer, or nothing after its abort."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        serving = asyncio.ensure_future(serve(upstream))
        crowd = Crowd(engine, upstream, 600)
        for _ in range(20):
            crowd.join()
        await crowd.quiet.wait()
        assert len(crowd.receivers) == 600
        for receiver in crowd.receivers:
            if not receiver.aborted:
                assert receiver.told[0] == "head" and receiver.told[-1] == "end", (receiver.told, receiver.failure)
                assert receiver.body == bytes(range(250)) * (receiver.size // 250) + bytes(receiver.size % 250)
        assert any(receiver.aborted for receiver in crowd.receivers)
        await asyncio.sleep(0.02)
        assert not engine._live and not engine._later and engine._attached == 0
        serving.cancel()
