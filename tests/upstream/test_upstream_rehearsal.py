"""What each fault does to an exchange; that all of it follows the rules of interface.py is in test_upstream_contract.py."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from raw_upstream import Heard, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.interface import Engine
from monorelay.upstream.rehearsal import BROKEN_EVENT, BROKEN_JSON, Fault, RehearsingEngine, choose_fault
from monorelay.upstream.scripted import Chunk, End, Failed, Head, ScriptedEngine, reply
from monorelay.upstream.upload import Upload

URL = "http://192.0.2.1/v1/x?q=1"
SSE = Head(200, (("content-type", "text/event-stream; charset=utf-8"),))
JSON = Head(200, (("content-type", "application/json"), ("content-length", "13"), ("content-encoding", "gzip")))


def rehearsing(engine: Engine) -> RehearsingEngine:
    return RehearsingEngine(engine, asyncio.get_running_loop())


async def hear(fault: Fault, *script: Any, **limits: float | None) -> tuple[Heard, ScriptedEngine]:
    """One request through this fault, to its end."""
    engine = ScriptedEngine(script)
    heard = Heard()
    heard.exchange = rehearsing(engine).start_with(ask(URL, b"{}", **limits), heard, fault)
    assert heard.told == []
    await heard.over()
    await asyncio.sleep(0.01)
    return heard, engine


CHOICES = [
    ((), 0.0, None),
    ((Fault("cut"),), 0.999, "cut"),
    ((Fault("cut", share=0.0),), 0.0, None),
    ((Fault("cut", share=0.3),), 0.29, "cut"),
    ((Fault("cut", share=0.3),), 0.3, None),
    ((Fault("cut", share=0.3), Fault("stall", share=0.2)), 0.29, "cut"),
    ((Fault("cut", share=0.3), Fault("stall", share=0.2)), 0.3, "stall"),
    ((Fault("cut", share=0.3), Fault("stall", share=0.2)), 0.51, None),
    ((Fault("cut"), Fault("stall")), 0.9, "cut"),
    ((Fault("cut", keys=("spare",)), Fault("stall")), 0.0, "stall"),
    ((Fault("cut", keys=("spare", "main")),), 0.0, "cut"),
    ((Fault("cut", share=0.9, keys=("spare",)), Fault("stall", share=0.2)), 0.1, "stall"),
]


@pytest.mark.parametrize(("faults", "draw", "kind"), CHOICES)
def test_shares_add_up_among_the_faults_of_a_key(faults: tuple[Fault, ...], draw: float, kind: str | None) -> None:
    """The first fault takes its share, the next one its own after that; those of other keys take none."""
    chosen = choose_fault(faults, "main", draw)
    assert (chosen.kind if chosen else None) == kind


REFUSALS = [
    (Fault("rate_limit"), 429, {}),
    (Fault("rate_limit", retry_after=7), 429, {"retry-after": "7", "retry-after-ms": "7000"}),
    (Fault("rate_limit", retry_after=0.25, status=500), 429, {"retry-after": "1", "retry-after-ms": "250"}),
    (Fault("status"), 503, {}),
    (Fault("status", status=402), 402, {}),
    (Fault("status", status=529, retry_after=3), 529, {"retry-after": "3", "retry-after-ms": "3000"}),
]


@pytest.mark.parametrize(("fault", "status", "waits"), REFUSALS)
@in_loop
async def test_a_staged_refusal_never_reaches_the_upstream(fault: Fault, status: int, waits: dict[str, str]) -> None:
    """It has a status, a JSON body that says it is staged, and says how long to wait only where the fault does."""
    heard, engine = await hear(fault)
    fields = dict(heard.headers)
    assert (heard.told, heard.status, engine.requests) == (["head", "chunk", "end"], status, [])
    assert {name: value for name, value in fields.items() if name.startswith("retry")} == waits
    assert fields["content-length"] == str(len(heard.body)) and fields["content-type"] == "application/json"
    assert json.loads(heard.body)["error"]["message"].startswith("rehearsal: ")


@in_loop
async def test_an_upload_that_meets_a_staged_refusal_is_whole_for_the_next_attempt() -> None:
    """Nothing of it was taken."""
    upload, heard = Upload(4), Heard()
    upload.write(b"four")
    rehearsing(ScriptedEngine()).start_with(ask(URL, upload), heard, Fault("rate_limit"))
    await heard.over()
    assert upload.taken == 0 and upload.on_bytes is None


@in_loop
async def test_latency_comes_before_the_upstream_is_asked() -> None:
    """The wait is taken off the limits of the first byte and of the whole, and the answer then comes as it is."""
    engine, heard = ScriptedEngine(reply(200, b"late")), Heard()
    rehearsing(engine).start_with(ask(URL, total=9.0, first_byte=5.0), heard, Fault("latency", seconds=1))
    await asyncio.sleep(0.02)
    assert engine.requests == []
    await heard.over()
    limits = engine.requests[0].timeouts
    assert heard.body == b"late"
    assert (limits.connect, limits.idle) == (10.0, 10.0)
    assert limits.first_byte == pytest.approx(4.0) and limits.total == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("limits", "phase"), [({"first_byte": 0.02}, "first_byte"), ({"total": 0.02, "first_byte": 0.03}, "total")]
)
@in_loop
async def test_a_limit_passes_during_latency(limits: dict[str, float], phase: str) -> None:
    """As with an upstream that is that slow; it is not asked any more."""
    heard, engine = await hear(Fault("latency", seconds=30), **limits)
    assert heard.told == ["failed"] and engine.requests == [] and heard.failure is not None
    assert heard.failure.phase == phase
    assert heard.failure.reason == "rehearsal: no answer within 0.02 s, for the upstream is 30 s late"


@in_loop
async def test_what_is_asked_during_latency_holds_after_it() -> None:
    """A pause is handed on; an abort ends the wait in silence, and the upstream is never asked."""
    engine, paused, gone = ScriptedEngine(lambda request: reply(200, b"x")), Heard(), Heard()
    stage = rehearsing(engine)
    fault = Fault("latency", seconds=0.02)
    exchange = stage.start_with(ask(URL), paused, fault)
    exchange.pause()
    left = stage.start_with(ask(URL), gone, fault)
    with pytest.raises(RuntimeError):
        left.timings()
    left.abort()
    left.abort()
    await asyncio.sleep(0.05)
    assert paused.told == ["head"] and len(engine.requests) == 1 and gone.told == []
    exchange.resume()
    await paused.over()
    assert paused.body == b"x"


STREAM = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
CUTS = [(0, b""), (1, b"data: 1\n\n"), (2, b"data: 1\n\ndata: 2\n\n"), (3, STREAM)]


@pytest.mark.parametrize("pieces", [1, 7, len(STREAM)])
@pytest.mark.parametrize(("after", "body"), CUTS)
@in_loop
async def test_a_stream_is_cut_after_so_many_events(pieces: int, after: int, body: bytes) -> None:
    """However it is chunked, exactly those events are told, then failed('body'); the upstream is left."""
    size = -(-len(STREAM) // pieces)
    chunks = [Chunk(STREAM[at : at + size]) for at in range(0, len(STREAM), size)]
    heard, engine = await hear(Fault("cut", after_events=after), SSE, *chunks, End())
    assert heard.body == body and b"" not in heard.chunks and heard.told[-1] == "failed"
    assert heard.failure is not None and heard.failure.phase == "body"
    assert heard.failure.reason == f"rehearsal: the answer was cut after {after} event{'' if after == 1 else 's'}"
    assert engine.exchanges[0].aborted and heard.told.count("failed") == 1


@pytest.mark.parametrize("head", [JSON, Head(200), Head(200, (*SSE.headers, ("content-encoding", "gzip")))])
@in_loop
async def test_what_is_no_readable_stream_is_cut_after_chunks(head: Head) -> None:
    """Blank lines mean nothing there."""
    heard, _ = await hear(Fault("cut", after_events=2), head, Chunk(b"a\n\n"), Chunk(b"b\n\n\n\n"), Chunk(b"c"), End())
    assert heard.body == b"a\n\nb\n\n\n\n" and heard.headers == list(head.headers)
    assert heard.failure is not None and heard.failure.reason == "rehearsal: the answer was cut after 2 chunks"


@pytest.mark.parametrize("kind", ["cut", "stall", "bad_json"])
@in_loop
async def test_a_refusal_and_a_failure_pass_a_fault_of_answers(kind: Any) -> None:
    """What is really wrong with the upstream is not hidden; neither is an answer that ends before its fault."""
    refused, _ = await hear(Fault(kind), *reply(401, b"no", JSON.headers))
    assert (refused.status, refused.body, refused.told[-1]) == (401, b"no", "end")
    failed, _ = await hear(Fault(kind), Failed("connect", "Nobody there."))
    assert failed.failure is not None and failed.failure.reason == "Nobody there."
    short, _ = await hear(Fault(kind, after_events=9), SSE, Chunk(STREAM), End())
    assert (short.body, short.told[-1]) == (STREAM, "end")


@pytest.mark.parametrize(("after", "told"), [(0, ["head", "failed"]), (1, ["head", "chunk", "failed"])])
@in_loop
async def test_a_stall_lasts_until_the_idle_limit(after: int, told: list[str]) -> None:
    """The receiver hears nothing more of an upstream that was left; then the idle limit passes, with readable timings."""
    engine, heard = ScriptedEngine((SSE, Chunk(STREAM), End())), Heard()
    heard.on["failed"] = lambda: heard.exchange.timings()  # type: ignore[union-attr]
    heard.exchange = rehearsing(engine).start_with(ask(URL, idle=1), heard, Fault("stall", after_events=after))
    await heard.until(lambda: heard.told == told[:-1])
    await asyncio.sleep(0.02)
    assert engine.exchanges[0].aborted and not heard.is_over
    assert heard.exchange.timings().first_byte > 0
    await heard.over()
    assert heard.told == told and heard.failure is not None and heard.failure.phase == "idle"
    assert heard.failure.reason.startswith("rehearsal: the upstream fell silent for 1 s after ")
    with pytest.raises(RuntimeError):
        heard.exchange.timings()


@in_loop
async def test_a_pause_of_the_receivers_own_is_no_stall() -> None:
    """The idle limit runs from the end of the pause; the total one runs on."""
    engine = ScriptedEngine(lambda request: (SSE, Chunk(STREAM)))
    stage, fault, idle, total = rehearsing(engine), Fault("stall", after_events=1), Heard(), Heard()
    for heard, limits in ((idle, {"idle": 0.03}), (total, {"idle": 0.03, "total": 0.1})):
        heard.exchange = stage.start_with(ask(URL, **limits), heard, fault)
        heard.on["chunk"] = heard.exchange.pause
    await total.over()
    assert total.failure is not None and total.failure.phase == "total" and total.failure.reason.startswith("rehearsal: ")
    assert not idle.is_over and idle.exchange is not None
    idle.exchange.resume()
    idle.exchange.resume()
    assert not idle.is_over
    await idle.over()
    assert idle.failure is not None and idle.failure.phase == "idle"


@pytest.mark.parametrize("limits", [{"idle": None}, {"idle": 0.02, "total": 0.02}])
@in_loop
async def test_a_stalled_exchange_can_be_aborted(limits: dict[str, float | None]) -> None:
    """Then nothing is heard of it, with limits or without."""
    engine, heard = ScriptedEngine((SSE, Chunk(STREAM))), Heard()
    exchange = rehearsing(engine).start_with(ask(URL, **limits), heard, Fault("stall", after_events=1))
    await heard.until(lambda: "chunk" in heard.told)
    exchange.abort()
    exchange.pause()
    exchange.resume()
    with pytest.raises(RuntimeError):
        exchange.timings()
    await asyncio.sleep(0.05)
    assert heard.told == ["head", "chunk"]


@in_loop
async def test_a_stream_is_made_unreadable_and_cut() -> None:
    """The broken event comes in one chunk with the last good one: a receiver that pauses there has missed nothing."""
    heard, engine = await hear(Fault("bad_json", after_events=1), SSE, Chunk(STREAM[:5]), Chunk(STREAM[5:]), End())
    assert heard.chunks == [b"data:", b" 1\n\n" + BROKEN_EVENT] and engine.exchanges[0].aborted
    assert heard.failure is not None
    assert heard.failure.reason == "rehearsal: the answer was made unreadable and cut after 1 event"
    at_once, _ = await hear(Fault("bad_json"), SSE, Chunk(STREAM), End())
    assert at_once.chunks == [BROKEN_EVENT] and at_once.told[-1] == "failed"


@in_loop
async def test_a_whole_answer_is_made_unreadable() -> None:
    """A 200 of broken JSON that the transport calls complete; no header promises another length or encoding."""
    heard, engine = await hear(Fault("bad_json"), JSON, Chunk(b'{"a":'), Chunk(b'"bcdef"}'), End())
    assert (heard.told, heard.body) == (["head", "chunk", "end"], BROKEN_JSON) and engine.exchanges[0].aborted
    assert heard.headers == [("content-type", "application/json")]
    with pytest.raises(ValueError):
        json.loads(heard.body)


@pytest.mark.parametrize("kind", ["cut", "stall", "bad_json"])
@in_loop
async def test_a_fault_does_not_strike_where_its_receiver_has_left(kind: Any) -> None:
    """An abort inside the last chunk before it is final."""
    engine, heard = ScriptedEngine((SSE, Chunk(STREAM), End())), Heard()
    heard.exchange = rehearsing(engine).start_with(ask(URL, idle=0.01), heard, Fault(kind, after_events=1))
    heard.on["chunk"] = heard.exchange.abort
    await heard.until(lambda: "chunk" in heard.told)
    await asyncio.sleep(0.03)
    assert heard.told == ["head", "chunk"]


@in_loop
async def test_a_receiver_that_raises_at_a_staged_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It was the last word all the same, and the upstream is left."""

    def stumble() -> None:
        raise ValueError("stumbled")

    engine, heard = ScriptedEngine((SSE, Chunk(STREAM))), Heard(failed=stumble)
    rehearsing(engine).start_with(ask(URL), heard, Fault("cut", after_events=1))
    with caplog.at_level(logging.WARNING):
        await heard.over()
        await asyncio.sleep(0.01)
    assert heard.told == ["head", "chunk", "failed"] and engine.exchanges[0].aborted
    assert len(caplog.records) == 1 and caplog.records[0].exc_info and "q=1" not in caplog.records[0].getMessage()


@in_loop
async def test_shut_ends_what_is_staged_too() -> None:
    """Refusals on their way, waits and stalls end in silence; nothing can be staged afterwards."""
    engine = ScriptedEngine(lambda request: (SSE, Chunk(STREAM)))
    stage, stalled, late, refused = rehearsing(engine), Heard(), Heard(), Heard()
    stage.start_with(ask(URL, idle=0.02), stalled, Fault("stall"))
    await stalled.told_head()
    stage.start_with(ask(URL), late, Fault("latency", seconds=0.02))
    stage.start_with(ask(URL), refused, Fault("status"))
    stage.shut()
    await asyncio.sleep(0.05)
    assert (stalled.told, late.told, refused.told) == (["head"], [], []) and engine.is_shut
    with pytest.raises(RuntimeError):
        stage.start_with(ask(URL), Heard(), Fault("status"))


@pytest.mark.parametrize(
    ("fault", "phase", "told"),
    [
        (Fault("cut", after_events=0), "body", b""),
        (Fault("cut", after_events=2), "body", b"data: 1\n\ndata: 2\n\n"),
        (Fault("stall", after_events=0), "idle", b""),
        (Fault("stall", after_events=1), "idle", b"data: 1\n\n"),
        (Fault("bad_json", after_events=1), "body", b"data: 1\n\n" + BROKEN_EVENT),
    ],
)
@in_loop
async def test_a_real_upstream_is_left_in_mid_stream(fault: Fault, phase: str, told: bytes) -> None:
    """On a socket: it sees its connection close when the fault strikes, not when the receiver hears of it."""
    async with RawUpstream() as upstream, curl_engine() as curl:
        heard = Heard()
        rehearsing(curl).start_with(ask(upstream.url(), b"{}", idle=0.2), heard, fault)
        peer, _ = await upstream.exchange()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + STREAM)
        await peer.gone()
        assert heard.is_over == (phase == "body")
        await heard.over()
        assert heard.body == told and heard.failure is not None and heard.failure.phase == phase
