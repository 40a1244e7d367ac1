"""The way back: the commit, streams, whole answers, silence, slow readers and cuts."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from relay_stage import JSON, SSE, Stage, chat, play, provider, route, until

from monorelay.relay import deliver
from monorelay.upstream.scripted import Chunk, End, Failed, Head, reply

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = ROLE + b": a comment\n\n" + WORD + LAST + DONE


def stream(*chunks: bytes, headers: tuple[tuple[str, str], ...] = (SSE,)) -> Any:
    return (Head(200, headers), *map(Chunk, chunks), End())


@pytest.mark.parametrize(
    "chunks",
    [
        [STREAM],
        [ROLE, WORD, LAST, DONE],
        [STREAM[:30], STREAM[30:90], STREAM[90:]],
        [bytes([byte]) for byte in STREAM],
        [STREAM.replace(b"\n", b"\r\n")],
        [STREAM + b": after\n\n"],
    ],
)
def test_a_stream_is_relayed_byte_for_byte_however_it_arrives(chunks: list[bytes]) -> None:
    """Comments, event boundaries and line ends survive; nothing is re-chunked after the commit."""

    async def scene() -> None:
        answer = await Stage(scripts=[stream(*chunks)]).carry(chat(stream=True))
        assert (answer.status, answer.body, answer.ended) == (200, b"".join(chunks), True)
        assert answer.length is None and answer.headers["content-type"] == "text/event-stream"

    play(scene)


def test_a_stream_is_committed_by_its_first_content() -> None:
    """What was held until then goes out first, in order; afterwards each chunk goes out as it came."""

    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(ROLE))
        await asyncio.sleep(0.01)
        assert not stage.reply.begun
        exchange.push(Chunk(WORD))
        await until(lambda: stage.reply.begun)
        assert stage.reply.chunks == [ROLE + WORD]
        exchange.push(Chunk(b"data: half"), Chunk(LAST), Chunk(DONE), End())
        await task
        assert stage.reply.chunks[1:] == [b"data: half", LAST, DONE]

    play(scene)


def test_a_stream_without_content_is_committed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """15 s after the upstream's head; before the head nothing is sent, however long that takes."""
    monkeypatch.setattr(deliver, "COMMIT_AFTER", 0.03)

    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        await asyncio.sleep(0.06)
        assert not stage.reply.begun
        exchange.push(Head(200, (SSE,)), Chunk(ROLE))
        await until(lambda: stage.reply.chunks)
        assert stage.reply.chunks == [ROLE]
        exchange.push(Chunk(LAST + DONE), End())
        await task
        assert stage.reply.body == ROLE + LAST + DONE

    play(scene)


def test_a_stream_that_holds_64_kib_is_committed() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(b": " + b"x" * 70_000))
        await until(lambda: stage.reply.begun)
        exchange.push(Chunk(b"\n\n" + STREAM), End())
        await task
        assert stage.reply.body.endswith(STREAM)

    play(scene)


def test_a_rate_limit_told_inside_a_stream_moves_on_to_the_next_key() -> None:
    """An error event before the commit fails the attempt, by the same table as a status."""

    async def scene() -> None:
        error = b'data: {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}\n\n'
        stage = Stage(scripts=[stream(ROLE, error), stream(STREAM)])
        answer = await stage.carry(chat(stream=True))
        assert (answer.status, answer.body) == (200, STREAM)
        assert answer.headers["x-monorelay-trail"] == "acme/a 200 then 429, acme/b 200"
        assert stage.resources.pool("acme").available(0.0) == 1

    play(scene)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"message": "boom", "type": "server_error"}, 503, "upstream_error"),
        ({"message": "bad field", "type": "invalid_request_error"}, 400, "invalid_request_error"),
    ],
)
def test_an_error_told_before_any_content_is_a_real_status(error: dict[str, str], status: int, kind: str) -> None:
    async def scene() -> None:
        script = stream(ROLE, b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        answer = await Stage(scripts=[script]).carry(chat(stream=True))
        assert (answer.status, answer.error["type"]) == (status, kind)
        assert error["message"] in answer.error["message"]

    play(scene)


def test_an_error_told_after_content_passes_as_it_is_and_nothing_is_added() -> None:
    async def scene() -> None:
        error = b'data: {"error": {"message": "late"}}\n\n'
        answer = await Stage(scripts=[stream(WORD, error)]).carry(chat(stream=True))
        assert (answer.status, answer.body, answer.ended) == (200, WORD + error, True)

    play(scene)


@pytest.mark.parametrize("ending", [End(), Failed("body", "connection reset")])
@pytest.mark.parametrize("cut_at", [1, 10, len(WORD) - 1, len(WORD)])
def test_a_cut_stream_is_never_a_clean_end(ending: Any, cut_at: int) -> None:
    """The error stands on a line of its own, after a blank line where an event was torn; no [DONE] follows."""

    async def scene() -> None:
        tail = WORD[:cut_at]
        script = (Head(200, (SSE,)), Chunk(WORD), Chunk(tail), ending)
        answer = await Stage(scripts=[script]).carry(chat(stream=True))
        rest = answer.body.removeprefix(WORD + tail)
        assert rest.startswith(b"data: " if cut_at == len(WORD) else b"\n\ndata: ")
        assert json.loads(rest.strip().removeprefix(b"data: "))["error"]["type"] == "upstream_error"
        assert answer.ended and b"[DONE]" not in answer.body

    play(scene)


def test_a_stream_that_ended_well_may_lose_its_connection() -> None:
    """The terminal marker was seen: what happens to the transport afterwards is of no interest."""

    async def scene() -> None:
        script = (Head(200, (SSE,)), Chunk(STREAM), Failed("body", "connection reset"))
        answer = await Stage(scripts=[script]).carry(chat(stream=True))
        assert (answer.body, answer.ended) == (STREAM, True)

    play(scene)


def test_a_silent_stream_is_kept_open_at_event_boundaries_only() -> None:
    """Comments for one family; never in the middle of an event; never before the commit."""

    async def scene() -> None:
        stage = Stage(routes=(route(keepalive=0.03),), scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(ROLE))
        await asyncio.sleep(0.07)
        assert not stage.reply.begun
        exchange.push(Chunk(WORD))
        await until(lambda: len(stage.reply.body) > len(ROLE + WORD))
        pings = stage.reply.body.removeprefix(ROLE + WORD)
        assert pings.startswith(b":") and pings.endswith(b"\n\n") and 1 <= pings.count(b":") <= 4
        exchange.push(Chunk(b"data: {"))
        await asyncio.sleep(0.08)
        assert stage.reply.body.endswith(b"data: {")
        exchange.push(Chunk(b"}\n\n" + LAST + DONE), End())
        await task
        assert stage.reply.body.endswith(b"data: {}\n\n" + LAST + DONE)

    play(scene)


def test_a_slow_reader_pauses_the_upstream_and_goes_on_when_it_reads() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(WORD))
        await asyncio.sleep(0.01)
        stage.reply.paused = True
        exchange.push(Chunk(WORD), Chunk(WORD), Chunk(LAST + DONE), End())
        await until(lambda: exchange.paused)
        await asyncio.sleep(0.02)
        assert (exchange.paused, stage.reply.body) == (True, WORD + WORD)
        stage.reply.paused = False
        assert stage.reply.on_resume is not None
        stage.reply.on_resume()
        await task
        assert stage.reply.body == WORD * 3 + LAST + DONE

    play(scene)


def test_a_json_answer_is_committed_whole_and_tells_its_length() -> None:
    async def scene() -> None:
        answer = await Stage(scripts=[reply(200, [b'{"a"', b": 1}\n"], [JSON])]).carry(chat())
        assert (answer.body, answer.length) == (b'{"a": 1}\n', 9)

    play(scene)


def test_a_json_answer_past_1_mib_flows_and_a_cut_of_it_is_a_cut() -> None:
    """Memory stays bounded; a client never takes half an answer for a whole one."""

    async def scene() -> None:
        big = b'{"a": "' + b"x" * 1_100_000
        for ending, whole in ((Chunk(b'"}'), True), (Failed("body", "reset"), False)):
            stage = Stage(scripts=[(Head(200, (JSON,)), Chunk(big), ending, End())])
            answer = await stage.carry(chat())
            assert answer.status == 200 and answer.body.startswith(big)
            assert (answer.ended, answer.was_cut) == (whole, not whole)

    play(scene)


@pytest.mark.parametrize("kind", ["audio/mpeg", "text/plain", "application/octet-stream"])
def test_other_content_flows_from_its_first_byte_with_the_promised_length(kind: str) -> None:
    async def scene() -> None:
        script = (Head(200, (("content-type", kind), ("content-length", "6"))), Chunk(b"\x00\x01"), Chunk(b"abcd"), End())
        answer = await Stage(scripts=[script]).carry(chat())
        assert (answer.chunks, answer.length, answer.headers["content-type"]) == ([b"\x00\x01", b"abcd"], 6, kind)

    play(scene)


def test_other_content_that_breaks_off_is_cut() -> None:
    async def scene() -> None:
        script = (Head(200, (("content-type", "audio/mpeg"),)), Chunk(b"\x00"), Failed("body", "reset"))
        answer = await Stage(scripts=[script]).carry(chat())
        assert answer.was_cut and not answer.ended

    play(scene)


@pytest.mark.parametrize("status", [204, 205])
def test_a_success_without_content_is_no_answer_to_a_chat(status: int) -> None:
    async def scene() -> None:
        answer = await Stage(scripts=[reply(status)]).carry(chat())
        assert (answer.status, answer.error["type"]) == (503, "upstream_error") and "is empty" in answer.error["message"]

    play(scene)


@pytest.mark.parametrize("kind", [JSON, SSE])
def test_what_came_compressed_is_relayed_unread(kind: tuple[str, str]) -> None:
    """With its content-encoding, although identity was asked for."""

    async def scene() -> None:
        body = gzip.compress(STREAM)
        answer = await Stage(scripts=[reply(200, body, [kind, ("content-encoding", "gzip")])]).carry(chat(stream=True))
        assert (answer.body, answer.headers["content-encoding"]) == (body, "gzip")

    play(scene)


def test_a_client_may_leave_while_the_upstream_is_paused() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(WORD))
        await asyncio.sleep(0.01)
        exchange.pause()
        stage.reply.leave()
        await task
        assert exchange.aborted

    play(scene)


def test_a_client_that_hangs_up_at_the_terminal_marker_was_answered() -> None:
    """Some do not wait for the end of the body; theirs is a whole answer, of one attempt."""

    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(STREAM))
        await until(lambda: stage.reply.body == STREAM)
        stage.reply.leave()
        await task
        assert exchange.aborted
        assert stage.resources.tally.calls == {("chat", 200): 1}
        assert stage.resources.tally.attempts == {("acme", "200"): 1}

    play(scene)


def test_the_other_familys_stream_ends_in_its_own_error_event() -> None:
    async def scene() -> None:
        messages = route("messages", "/v1/messages", needs="anthropic.messages", model="required")
        delta = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}\n\n'
        stage = Stage(
            provider("acme", "anthropic.messages"),
            routes=(messages,),
            scripts=[(Head(200, (SSE,)), Chunk(delta), Failed("idle", "x"))],
        )
        answer = await stage.carry(chat(stream=True))
        assert answer.body.startswith(delta + b"event: error\ndata: ")
        assert b"message_stop" not in answer.body

    play(scene)


@pytest.mark.parametrize(("size", "where"), [(10, "_end_whole"), (2 * deliver.ANSWER_HELD, "_end_flow")])
def test_a_fault_of_ours_at_the_end_leaves_nobody_waiting(
    size: int, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last thing an engine tells: it is logged, and the client has an error, or its answer is cut."""

    def stumble(*_: object) -> None:
        raise ValueError("stumbled")

    async def scene() -> None:
        monkeypatch.setattr(deliver.Delivery, where, stumble)
        script = reply(200, b'{"choices": [], "odd": "%b"}' % (b"x" * size), [JSON])
        answer = await Stage(scripts=[script]).carry(chat())
        assert answer.was_cut if size > 10 else answer.status == 503

    play(scene)
    assert [record.exc_info is not None for record in caplog.records if "A receiver raised" in record.getMessage()] == [True]


@pytest.mark.parametrize("upstream", ["openai.chat", "anthropic.messages"])
@pytest.mark.parametrize("last", [b"data: [DONE]", b"data: [DONE]\n", b'data: {"error":{"message":"slow","code":503}}\n'])
def test_an_error_that_lacks_its_blank_line_is_one(last: bytes, upstream: str) -> None:
    """Servers forget it. Nothing was sent yet, so it is no success; native and translated."""

    async def scene() -> None:
        stage = Stage(provider("acme", upstream), scripts=[stream(last)] * 2)
        answer = await stage.carry(chat(stream=True, messages=[{"role": "user", "content": "Hi"}]))
        assert (answer.status, answer.headers["content-type"]) == (503, "application/json")

    play(scene)
