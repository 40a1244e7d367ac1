"""The rules of interface.py, on every engine: the real one, the real one where there is no epoll, the scripted one, and both behind
the engine that rehearses faults, with a fault that waits for more events than ever come, or waits no time at all.

A test plays the upstream in the words of the scripted engine; for the real one they are put into bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from raw_upstream import Heard, Peer, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.curl_sockets import LoopSockets
from monorelay.upstream.interface import Engine, Exchange, Receiver, UpstreamRequest
from monorelay.upstream.rehearsal import Fault, RehearsingEngine
from monorelay.upstream.scripted import Chunk, End, Failed, Head, ScriptedEngine, ScriptedExchange, Step
from monorelay.upstream.upload import Upload

WHOLE = (Head(200, (("x-one", "1"),)), Chunk(b"ab"), Chunk(b"cd"), End())


class Act:
    """One exchange, and the upstream's part in it."""

    def __init__(self, exchange: Exchange, upstream: Peer | ScriptedExchange) -> None:
        self.exchange = exchange
        self.upstream = upstream

    async def play(self, *steps: Step) -> None:
        if isinstance(self.upstream, ScriptedExchange):
            self.upstream.push(*steps)
        else:
            for step in steps:
                await self._write(self.upstream, step)

    async def _write(self, peer: Peer, step: Step) -> None:
        match step:
            case Head(status, headers):
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
                await peer.send(f"HTTP/1.1 {status} So\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode())
            case Chunk(data):
                await peer.send(b"%x\r\n%s\r\n" % (len(data), data))
            case End():
                await peer.send(b"0\r\n\r\n")
            case Failed():
                peer.reset()

    async def abandoned(self) -> None:
        """Waits until the upstream sees that it was left."""
        if isinstance(self.upstream, ScriptedExchange):
            assert self.upstream.aborted
        else:
            await self.upstream.gone()


class Stage:
    def __init__(self, engine: Engine, upstream: RawUpstream | None) -> None:
        self.engine = engine
        self.upstream = upstream

    @property
    def url(self) -> str:
        return self.upstream.url("/v1/x?q=1") if self.upstream else "http://192.0.2.1/v1/x?q=1"

    def start(self, receiver: Receiver, body: bytes | Upload | None = b"{}") -> Exchange:
        return self.engine.start(ask(self.url, body), receiver)

    async def open(self, receiver: Heard) -> Act:
        """Starts an exchange; when this returns, its upstream has the whole request."""
        receiver.exchange = self.start(receiver)
        return await self.joined(receiver.exchange)

    def scripted(self) -> ScriptedExchange | None:
        """The last exchange of a scripted upstream."""
        engine = self.engine.behind if isinstance(self.engine, Rehearsing) else self.engine
        return engine.exchanges[-1] if isinstance(engine, ScriptedEngine) else None

    async def joined(self, exchange: Exchange) -> Act:
        scripted = self.scripted()
        if scripted is not None:
            return Act(exchange, scripted)
        assert self.upstream is not None
        peer, _ = await self.upstream.exchange()
        return Act(exchange, peer)


class Rehearsing:
    """An engine that stages a fault in every exchange, none of which shows."""

    def __init__(self, behind: Engine, kind: Any) -> None:
        self.behind = behind
        self.rehearsing = RehearsingEngine(behind, asyncio.get_running_loop())
        self.fault = Fault(kind, after_events=10**6)

    def start(self, request: UpstreamRequest, receiver: Receiver) -> Exchange:
        return self.rehearsing.start_with(request, receiver, self.fault)

    def shut(self) -> None:
        self.rehearsing.shut()


@asynccontextmanager
async def curl_stage(kind: str = "", **options: Any) -> AsyncIterator[Stage]:
    async with RawUpstream() as upstream, curl_engine(**options) as engine:
        yield Stage(Rehearsing(engine, kind) if kind else engine, upstream)


@asynccontextmanager
async def scripted_stage(kind: str = "") -> AsyncIterator[Stage]:
    scripted = ScriptedEngine(lambda request: ())
    engine = Rehearsing(scripted, kind) if kind else scripted
    yield Stage(engine, None)
    engine.shut()


MakeStage = Callable[[], AbstractAsyncContextManager[Stage]]


STAGES: dict[str, MakeStage] = {
    "curl": curl_stage,
    "curl without epoll": lambda: curl_stage(sockets=LoopSockets),
    "scripted": scripted_stage,
    "curl, rehearsing": lambda: curl_stage("cut"),
    "scripted, rehearsing": lambda: scripted_stage("stall"),
    "curl, late": lambda: curl_stage("latency"),
}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> MakeStage:
    return STAGES[request.param]


async def quiet() -> None:
    """Long enough for whatever is on its way on loopback to arrive."""
    await asyncio.sleep(0.05)


@in_loop
async def test_an_answer_is_told_in_order(stage: MakeStage) -> None:
    """head, then the chunks, then end: once each, and nothing after."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        await act.play(*WHOLE)
        await heard.over()
        await quiet()
        assert heard.told[0] == "head" and heard.told[-1] == "end"
        assert heard.told.count("head") == heard.told.count("end") == 1
        assert heard.status == 200 and ("x-one", "1") in heard.headers
        assert heard.body == b"abcd" and b"" not in heard.chunks


@in_loop
async def test_a_failure_is_told_once_and_last(stage: MakeStage) -> None:
    """An answer that breaks ends with failed('body'), and end is not told."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        await act.play(Head(200), Chunk(b"ab"))
        await heard.until(lambda: heard.body == b"ab")
        await act.play(Failed("body"))
        await heard.over()
        await quiet()
        assert heard.told == ["head", "chunk", "failed"]
        assert heard.failure is not None and heard.failure.phase == "body"


@in_loop
async def test_the_head_is_told_before_any_byte_of_the_body_comes(stage: MakeStage) -> None:
    """head is called when the head is there, not with the first chunk."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        await act.play(Head(429))
        await heard.told_head()
        assert heard.told == ["head"] and heard.status == 429


@in_loop
async def test_nothing_is_told_from_inside_start(stage: MakeStage) -> None:
    """start returns before the receiver hears of its exchange, even where the connection is there already."""
    async with stage() as on:
        returned: list[bool] = []

        def has_returned() -> None:
            assert returned

        for _ in range(3):
            heard = Heard(head=has_returned, chunk=has_returned, end=has_returned, failed=has_returned)
            exchange = on.start(heard)
            returned.append(True)
            if on.upstream is None or not on.upstream.peers:
                act = await on.joined(exchange)
            elif isinstance(act.upstream, Peer):
                await act.upstream.request()
            act = Act(exchange, act.upstream)
            await act.play(*WHOLE)
            await heard.over()
            returned.clear()


@in_loop
async def test_a_pause_holds_chunks_back(stage: MakeStage) -> None:
    """After pause no chunk comes; after resume all come, each once, then the end."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        await act.play(Head(200), Chunk(b"1"))
        await heard.until(lambda: heard.body == b"1")
        act.exchange.pause()
        act.exchange.pause()
        await act.play(Chunk(b"2"), Chunk(b"3"), End())
        await quiet()
        assert heard.told == ["head", "chunk"]
        act.exchange.resume()
        act.exchange.resume()
        await heard.over()
        assert heard.body == b"123" and heard.told[-1] == "end"


@pytest.mark.parametrize("where", ["head", "chunk"])
@in_loop
async def test_a_pause_inside_a_method_takes_effect_before_the_next_chunk(stage: MakeStage, where: str) -> None:
    """A receiver that pauses in head gets no chunk; one that pauses in a chunk gets no other."""
    async with stage() as on:
        heard = Heard()
        heard.on[where] = lambda: heard.exchange.pause()  # type: ignore[union-attr]
        act = await on.open(heard)
        await act.play(Head(200), Chunk(b"1" * 20000), Chunk(b"2" * 20000), End())
        await heard.told_head()
        await quiet()
        assert heard.told == (["head"] if where == "head" else ["head", "chunk"])
        while not heard.is_over:
            act.exchange.resume()
            await asyncio.sleep(0.001)
        assert heard.body == b"1" * 20000 + b"2" * 20000 and heard.told[-1] == "end"


@pytest.mark.parametrize("where", ["head", "chunk"])
@in_loop
async def test_resume_inside_a_method_is_legal(stage: MakeStage, where: str) -> None:
    """pause and resume in one breath, inside a method, lose nothing and repeat nothing."""
    async with stage() as on:
        heard = Heard()

        def breathe() -> None:
            assert heard.exchange is not None
            heard.exchange.pause()
            heard.exchange.resume()

        heard.on[where] = breathe
        act = await on.open(heard)
        await act.play(Head(200), *(Chunk(bytes([number]) * 5000) for number in range(30)), End())
        await heard.over()
        assert heard.body == b"".join(bytes([number]) * 5000 for number in range(30))
        assert heard.told[-1] == "end"


@in_loop
async def test_another_exchange_may_be_resumed_inside_a_method(stage: MakeStage) -> None:
    """One exchange's chunk lets another one go on."""
    async with stage() as on:
        slow, quick = Heard(), Heard()
        slow_act = await on.open(slow)
        slow_act.exchange.pause()
        await slow_act.play(Head(200), Chunk(b"slow"), End())
        await slow.told_head()
        await quiet()
        quick.on["chunk"] = slow_act.exchange.resume
        quick_act = await on.open(quick)
        await quick_act.play(Head(200), Chunk(b"quick"), End())
        await slow.over()
        assert slow.body == b"slow"


@pytest.mark.parametrize("where", ["", "head", "chunk"])
@in_loop
async def test_after_abort_nothing_is_heard(stage: MakeStage, where: str) -> None:
    """abort, outside or inside a method, is final: the receiver hears nothing more and the upstream is left."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        if where:
            heard.on[where] = act.exchange.abort
        await act.play(Head(200), Chunk(b"1"))
        await heard.until(lambda: (where or "chunk") in heard.told)
        if not where:
            act.exchange.abort()
        told = list(heard.told)
        await act.abandoned()
        act.exchange.abort()
        act.exchange.pause()
        act.exchange.resume()
        await quiet()
        assert heard.told == told and not heard.is_over


@in_loop
async def test_abort_before_anything_happened(stage: MakeStage) -> None:
    """An exchange may be aborted in the line after start."""
    async with stage() as on:
        heard = Heard()
        on.start(heard).abort()
        await quiet()
        assert heard.told == []


@in_loop
async def test_abort_of_a_paused_exchange(stage: MakeStage) -> None:
    """An exchange that is paused, with bytes held back, can be aborted."""
    async with stage() as on:
        heard = Heard()
        act = await on.open(heard)
        act.exchange.pause()
        await act.play(Head(200), Chunk(b"1" * 1000))
        await heard.told_head()
        await quiet()
        act.exchange.abort()
        await act.abandoned()
        await quiet()
        assert heard.told == ["head"]


@pytest.mark.parametrize("last", [End(), Failed("body")])
@in_loop
async def test_calls_on_an_exchange_that_is_over_are_harmless(stage: MakeStage, last: Step) -> None:
    """pause, resume and abort inside the last method and after it do nothing; timings are gone after it."""
    async with stage() as on:
        heard = Heard()

        def fumble() -> None:
            assert heard.exchange is not None
            assert heard.exchange.timings().total > 0
            heard.exchange.pause()
            heard.exchange.resume()

        heard.on.update(end=fumble, failed=fumble)
        act = await on.open(heard)
        await act.play(Head(200), Chunk(b"x"))
        await heard.until(lambda: heard.body == b"x")
        await act.play(last)
        await heard.over()
        fine = Heard()
        again = await on.open(fine) if on.upstream is None or isinstance(last, Failed) else None
        for call in (act.exchange.pause, act.exchange.resume, act.exchange.abort, act.exchange.abort):
            call()
        with pytest.raises(RuntimeError):
            act.exchange.timings()
        if again is not None:  # the handle of the first exchange may carry the second one by now
            await again.play(*WHOLE)
            await fine.over()
            assert fine.body == b"abcd"
        assert heard.told.count("end") + heard.told.count("failed") == 1


@pytest.mark.parametrize("where", ["head", "chunk", "end", "failed"])
@in_loop
async def test_start_inside_a_method(stage: MakeStage, where: str) -> None:
    """A receiver may start the next exchange from any of its methods."""
    async with stage() as on:
        first, second = Heard(), Heard()
        started: list[Exchange] = []

        def go_on() -> None:
            if not started:
                started.append(on.start(second))
                assert second.told == []

        first.on[where] = go_on
        act = await on.open(first)
        await act.play(Head(200), Chunk(b"1"))
        await first.until(lambda: first.body == b"1")
        if where in ("end", "failed"):
            await act.play(End() if where == "end" else Failed("body"))
            await first.over()
        if where == "end" and isinstance(act.upstream, Peer):
            await act.upstream.request()  # the connection is used again
            next_act = Act(started[0], act.upstream)
        else:
            next_act = await on.joined(started[0])
        await next_act.play(*WHOLE)
        await second.over()
        assert second.body == b"abcd" and second.told[-1] == "end"


@pytest.mark.parametrize("where", ["head", "chunk", "end", "failed"])
@in_loop
async def test_abort_of_another_exchange_inside_a_method(stage: MakeStage, where: str) -> None:
    """A receiver may abort its neighbour's exchange, and its own, from any of its methods."""
    async with stage() as on:
        first, neighbour = Heard(), Heard()
        beside = await on.open(neighbour)
        await beside.play(Head(200), Chunk(b"n"))
        await neighbour.until(lambda: neighbour.body == b"n")

        def leave() -> None:
            assert first.exchange is not None
            beside.exchange.abort()
            first.exchange.abort()

        first.on[where] = leave
        act = await on.open(first)
        await act.play(Head(200), Chunk(b"1"))
        await first.told_head()
        if where in ("end", "failed"):
            await first.until(lambda: first.body == b"1")
            await act.play(End() if where == "end" else Failed("body"))
        await first.until(lambda: where in first.told)
        await beside.abandoned()
        await quiet()
        assert first.told[-1] == where
        assert neighbour.told == ["head", "chunk"]


@pytest.mark.parametrize("where", ["head", "chunk"])
@in_loop
async def test_a_receiver_that_raises_is_told_that_it_failed(
    stage: MakeStage, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in head or chunk is logged once; the exchange is given up and failed('body') comes."""
    async with stage() as on:
        heard = Heard()

        def stumble() -> None:
            raise ValueError("stumbled")

        heard.on[where] = stumble
        act = await on.open(heard)
        with caplog.at_level(logging.WARNING):
            await act.play(Head(200), Chunk(b"1"), Chunk(b"2"))
            await heard.over()
            await quiet()
        assert heard.told == (["head", "failed"] if where == "head" else ["head", "chunk", "failed"])
        assert heard.failure is not None and heard.failure.phase == "body"
        assert len(caplog.records) == 1 and caplog.records[0].exc_info
        assert "q=1" not in caplog.records[0].getMessage()


@pytest.mark.parametrize("last", [End(), Failed("body")])
@in_loop
async def test_a_receiver_that_raises_at_the_end_is_logged(stage: MakeStage, last: Step, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in end or failed is logged, and was the last word all the same."""
    async with stage() as on:

        def stumble() -> None:
            raise ValueError("stumbled")

        heard = Heard(end=stumble, failed=stumble)
        act = await on.open(heard)
        with caplog.at_level(logging.WARNING):
            await act.play(Head(200), Chunk(b"1"))
            await heard.until(lambda: heard.body == b"1")
            await act.play(last)
            await heard.over()
            await quiet()
        assert heard.told.count("end") + heard.told.count("failed") == 1
        assert len(caplog.records) == 1 and caplog.records[0].exc_info


@in_loop
async def test_an_upload_goes_up_whole(stage: MakeStage) -> None:
    """What is written while the exchange runs arrives, in order, and the answer comes after it."""
    async with stage() as on:
        upload = Upload(length=6)
        heard = Heard()
        exchange = on.start(heard, upload)
        upload.write(b"ab")
        await quiet()
        upload.write(b"cd")
        upload.write(b"ef")
        upload.finish()
        if on.upstream is None:
            await quiet()
            scripted = on.scripted()
            assert scripted is not None and scripted.sent and scripted.body == b"abcdef"
            act = Act(exchange, scripted)
        else:
            assert on.upstream is not None
            peer, request = await on.upstream.exchange()
            assert request.body == b"abcdef" and request.header("content-length") == "6"
            act = Act(exchange, peer)
        await act.play(*WHOLE)
        await heard.over()
        assert heard.body == b"abcd" and upload.taken == 6 and upload.on_bytes is None


@pytest.mark.parametrize("early", [True, False])
@in_loop
async def test_an_upload_that_breaks_fails_the_exchange(stage: MakeStage, early: bool) -> None:
    """A client that leaves in mid-upload: the request is broken off, never sent as if it were whole."""
    async with stage() as on:
        upload = Upload(length=100)
        upload.write(b"x" * 10)
        if early:
            upload.fail()
        heard = Heard()
        on.start(heard, upload)
        if not early:
            await quiet()
            upload.fail()
        await heard.over()
        await quiet()
        assert heard.told == ["failed"]
        assert heard.failure is not None and heard.failure.phase == "send"
        assert upload.on_bytes is None


@in_loop
async def test_abort_lets_go_of_the_upload(stage: MakeStage) -> None:
    """After abort the upload's writer calls nobody."""
    async with stage() as on:
        upload = Upload(length=None)
        upload.write(b"x")
        exchange = on.start(Heard(), upload)
        await quiet()
        exchange.abort()
        await quiet()
        assert upload.on_bytes is None
        upload.write(b"y")
        upload.fail()
        await quiet()


@pytest.mark.parametrize("where", ["", "head", "chunk", "end"])
@in_loop
async def test_shut_aborts_everything(stage: MakeStage, where: str) -> None:
    """shut, from anywhere, ends every exchange in silence; a start after it raises."""
    async with stage() as on:
        heard, neighbour = Heard(), Heard()
        beside = await on.open(neighbour)
        act = await on.open(heard)
        if where:
            heard.on[where] = on.engine.shut
        await act.play(*WHOLE)
        await heard.until(lambda: (where or "end") in heard.told)
        if not where:
            on.engine.shut()
        told = list(heard.told)
        await beside.abandoned()
        await quiet()
        assert heard.told == told and neighbour.told == []
        on.engine.shut()
        with pytest.raises(RuntimeError):
            on.start(Heard())
