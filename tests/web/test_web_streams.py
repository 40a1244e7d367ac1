"""Streams at the sockets: byte-identical, at once, kept alive, broken off honestly, and never faster than their reader."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass

import pytest
from raw_upstream import Peer
from web_specs import CHAT, KEY_MARK, MESSAGES
from web_stage import (
    ASKED,
    DONE,
    JSON_TYPE,
    MIB,
    SSE_TYPE,
    Client,
    WebStage,
    chunk,
    chunked,
    chunked_head,
    event,
    in_loop,
    kernel_bytes,
    soon,
    web_stage,
    whole,
)

STREAMED = {**ASKED, "stream": True}


def said(name: str, **data: object) -> bytes:
    """One event of the messages dialect."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


BEGUN = said("message_start", message={"id": "msg_1", "usage": {"input_tokens": 1, "output_tokens": 1}}) + said(
    "content_block_start", index=0, content_block={"type": "text", "text": ""}
)
WORD = said("content_block_delta", index=0, delta={"type": "text_delta", "text": "word"})
STOPPED = said("content_block_stop", index=0) + said("message_delta", delta={"stop_reason": "end_turn"}) + said("message_stop")

ODD = (
    b": a comment first\n\n"
    b"retry: 100\n"
    b'data: {"choices":[{"delta":{"content":"\xc3\xa4\xf0\x9f\x98\x80"}}] , "n": 1.00,"unknown":[]}\n\n'
    b"event: named\nid: 7\ndata:{}\n\n"
    b"data: two\ndata: lines\n\n"
    b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n\n\n'
    b"data: [DONE]\n\n"
)
BODIES = {
    "line feeds": ODD,
    "CRLF": ODD.replace(b"\n", b"\r\n"),
    "carriage returns": ODD.replace(b"\n", b"\r"),
    "no blank line at the end": ODD[:-1],
    "a line of 1 MB": event("x" * MIB) + DONE,
    "a line of 1 MB before the content": b": " + b"x" * MIB + b"\n\n" + event("x") + DONE,
    "an event of many lines": b"data: {\n" * 1 + b"data:\n" * 50_000 + b"data: }\n\n" + event("x") + DONE,
    "bytes that are no text": b"data: \xff\xfe\n\n" + event("x") + b"data: \x80\n\n" + DONE,
    "no words at all": b'data: {"choices": []}\n\n' + DONE,
}


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9], ids=["bytewise", "sevens", "thousands", "whole"])
@pytest.mark.parametrize("name", BODIES)
@in_loop
async def test_a_stream_arrives_byte_for_byte(name: str, size: int) -> None:
    """However it is cut, inside a character, a line end or a field, and whatever its lines end with."""
    body = BODIES[name]
    if len(body) > 10_000 and size < 1000:
        size = 9_999
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(chunked(*pieces))
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, body)
        assert answer.fields["content-type"] == "text/event-stream"
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("framing", ["Connection: close", "Content-Length: 10000"])
@in_loop
async def test_a_stream_needs_no_chunks(framing: str) -> None:
    """It may end with the upstream's connection, or have a length; the client gets chunks, and their end."""
    body = (event("x") * 1000)[: 10_000 - len(DONE) - 2]
    body = body[: body.rindex(b"\n\n") + 2]
    body += b"\n" * (10_000 - len(body) - len(DONE)) + DONE
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(f"HTTP/1.1 200 OK\r\n{SSE_TYPE}\r\n{framing}\r\n\r\n".encode() + body)
        answer = await stage.once("POST", CHAT, STREAMED)
        assert (answer.body, answer.fields.get("transfer-encoding")) == (body, "chunked")


@in_loop
async def test_each_event_is_delivered_before_the_next_one_is_sent() -> None:
    """No waiting, no putting together: the upstream sends an event only when the last one has arrived."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        await peer.send(chunked_head())
        for number in range(100):
            await peer.send(chunk(event(str(number))))
            if not number:
                assert (await client.head()).status == 200
            assert await client.piece() == event(str(number))
        await peer.send(chunk(DONE) + b"0\r\n\r\n")
        assert [piece async for piece in client.pieces()] == [DONE]


BREAKS = ["closes", "resets", "stalls", "ends without its marker", "sends no chunk"]


async def break_off(peer: Peer, how: str) -> None:
    if how == "closes":
        peer.close()
    elif how == "resets":
        await asyncio.sleep(0.02)
        peer.reset()
    elif how == "ends without its marker":
        await peer.send(b"0\r\n\r\n")
    elif how == "sends no chunk":
        await peer.send(b"what?\r\n")


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("within", [False, True], ids=["between events", "within one"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@in_loop
async def test_a_stream_that_breaks_off_ends_with_an_error_event(path: str, within: bool, how: str) -> None:
    """In the client's dialect, on a line of its own, with no made-up finish; the call is recorded, the connection goes on."""
    begun = (event("x") if path == CHAT else BEGUN + WORD) + (b'data: {"cho' if within else b"")
    async with web_stage(idle=0.15) as stage:

        async def part(peer: Peer) -> None:
            await peer.request()
            await peer.send(chunked_head() + chunk(begun))
            await break_off(peer, how)
            await peer.gone()

        stage.upstream.part = part
        client = await stage.client()
        await client.ask("POST", path, STREAMED)
        answer = await client.answer()
        assert answer.status == 200
        assert answer.body.startswith(begun)
        last = answer.body[len(begun) :]
        assert last.startswith(b"\n\n") is within
        assert last.endswith(b"\n\n")
        assert b"[DONE]" not in last and b"message_stop" not in last
        lines = last.strip().split(b"\n")
        assert lines[0] == b"event: error" or path == CHAT
        error = json.loads(lines[-1].removeprefix(b"data: "))["error"]
        assert error["type"] == "upstream_error" and error["message"].startswith("[acme] ")
        assert await stage.counted("monorelay_calls_total", route=path.split("/")[2], status="200") == 1
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("how", [how for how in BREAKS if how != "ends without its marker"])
@in_loop
async def test_a_stream_that_breaks_off_before_its_content_is_a_status(how: str) -> None:
    """503, and nothing of what was held is sent."""
    async with web_stage(idle=0.15) as stage:

        async def part(peer: Peer) -> None:
            await peer.request()
            await peer.send(chunked_head() + chunk(BEGUN))
            await break_off(peer, how)
            await peer.gone()

        stage.upstream.part = part
        answer = await stage.once("POST", MESSAGES, STREAMED)
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")


ERRORS = [
    (b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n', 503, "no_keys", 2),
    (b'data: {"error": {"message": "bad", "type": "invalid_request_error"}}\n\n', 400, "invalid_request_error", 1),
    (b'event: error\ndata: {"error": {"message": "sk-upstream-key-a", "code": 500}}\n\n', 503, "upstream_error", 1),
    (b'data: {"error": "boom"}\n\n', 503, "upstream_error", 1),
    (b": hello\n\n" + DONE, 503, "upstream_error", 1),  # the end of no answer
]


@pytest.mark.parametrize(("body", "status", "kind", "attempts"), ERRORS)
@in_loop
async def test_an_error_event_before_the_content_is_a_status(body: bytes, status: int, kind: str, attempts: int) -> None:
    """As if the upstream had said so in its head: a limit cools the key, the next one is tried."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(chunked(b": hello\n\n", body))
        answer = await stage.once("POST", CHAT, STREAMED)
        assert (answer.status, answer.error["type"]) == (status, kind)
        assert len(stage.upstream.asked) == attempts


@pytest.mark.parametrize(("path", "sign"), [(CHAT, b":"), (MESSAGES, b"event: ping\n")])
@in_loop
async def test_a_silent_stream_is_kept_alive(path: str, sign: bytes) -> None:
    """With comments, or pings; only between events; and without them it is what the upstream sent."""
    first, rest = (event("x"), event("y") + DONE) if path == CHAT else (BEGUN + WORD, WORD + STOPPED)
    async with web_stage(keepalive=0.05) as stage:
        client = await stage.client()
        await client.ask("POST", path, STREAMED)
        peer, _ = await stage.upstream.exchange()
        await peer.send(chunked_head() + chunk(first))
        assert (await client.head()).status == 200
        assert await client.piece() == first
        signs = [await client.piece(), await client.piece()]
        assert all(one.startswith(sign) and one.endswith(b"\n\n") for one in signs), signs
        await peer.send(chunk(rest[:9]))  # within an event there is silence
        await asyncio.sleep(0.2)
        await peer.send(chunk(rest[9:]) + b"0\r\n\r\n")
        came = [piece async for piece in client.pieces()]
        at = came.index(rest[:9])
        assert all(one.startswith(sign) for one in came[:at]) and came[at:] == [rest[:9], rest[9:]]


@in_loop
async def test_a_silent_beginning_is_committed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the upstream's head the client gets one, too, and signs of life; not before the upstream's."""
    monkeypatch.setattr("monorelay.relay.deliver.COMMIT_AFTER", 0.1)
    async with web_stage(keepalive=0.05) as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.2)
        await peer.send(chunked_head())
        assert (await client.head()).status == 200
        assert (await client.piece()).startswith(b":")
        await peer.send(chunk(event("x") + DONE) + b"0\r\n\r\n")
        assert b"".join([piece async for piece in client.pieces()]).endswith(event("x") + DONE)


@in_loop
async def test_what_is_held_before_the_content_is_bounded() -> None:
    """At 64 KiB it goes out, in order, byte for byte."""
    comments = b": " + b"x" * 998 + b"\n\n"
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        await peer.send(chunked_head())
        for _ in range(70):
            await peer.send(chunk(comments))
        assert (await client.head()).status == 200
        peer.close()
        came = b"".join([piece async for piece in client.pieces()])
        assert came.startswith(comments * 70) and b"upstream_error" in came


@dataclass(slots=True)
class Flood:
    """An upstream that sends as fast as it may. Mutable: ``sent``, the bytes the kernel has taken."""

    peer: Peer
    piece: bytes
    sent: int = 0

    async def run(self) -> None:
        self.peer.writer.transport.set_write_buffer_limits(0)
        while True:
            self.peer.writer.write(self.piece)
            await self.peer.writer.drain()
            self.sent += len(self.piece)


async def held_by_relay(stage: WebStage, flood: Flood, client: Client, head: int, read: int) -> int:
    """Bytes that are neither with the upstream, nor with the client, nor in a kernel: once nothing moves any more."""
    before = -1
    while before != flood.sent:
        before = flood.sent
        await asyncio.sleep(0.15)
    sock = flood.peer.writer.get_extra_info("socket")
    upward = kernel_bytes(sock.getsockname()[1], sock.getpeername()[1])
    downward = kernel_bytes(stage.port, client.socket.getsockname()[1])
    unsent = flood.peer.writer.transport.get_write_buffer_size()
    return head + flood.sent + len(flood.piece) - unsent - upward - downward - read


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@in_loop
async def test_a_slow_reader_slows_the_upstream(path: str) -> None:
    """The relay holds at most 256 KiB of a stream, and libcurl 64 KiB more; what is read later is every byte, in order."""
    word = event("x" * 5000) if path == CHAT else WORD * 40
    async with web_stage() as stage:
        client = await stage.client(receive_buffer=8192, limit=1024)
        await client.ask("POST", path, STREAMED)
        peer, _ = await stage.upstream.exchange()
        first = b"" if path == CHAT else BEGUN
        opening = chunked_head() + (chunk(first) if first else b"")
        await peer.send(opening)
        flood = Flood(peer, chunk(word))
        flooding = asyncio.ensure_future(flood.run())
        await soon(lambda: client.reader._transport._paused)  # type: ignore[union-attr]
        held = await held_by_relay(stage, flood, client, len(opening), len(client.reader._buffer))
        assert -2048 < held < (256 + 64) * 1024, held
        flooding.cancel()
        peer.writer.transport.set_write_buffer_limits()
        await asyncio.gather(flooding, return_exceptions=True)
        end = DONE if path == CHAT else STOPPED
        peer.writer.write(chunk(end) + b"0\r\n\r\n")
        answer = await client.answer()
        assert answer.body.startswith(first) and answer.body.endswith(end)
        middle = answer.body[len(first) : -len(end)]
        assert middle == word * (len(middle) // len(word))


@in_loop
async def test_a_paused_stream_is_not_idle() -> None:
    """While the client does not read, the upstream's silence is not the upstream's fault."""
    async with web_stage(idle=0.2) as stage:
        client = await stage.client(receive_buffer=8192, limit=1024)
        await client.ask("POST", CHAT, STREAMED)
        peer, _ = await stage.upstream.exchange()
        body = event("x" * 1000) * 4000
        sending = asyncio.ensure_future(peer.send(chunked(body, DONE)))
        await asyncio.sleep(0.7)
        answer = await client.answer()
        assert answer.body == body + DONE
        await sending


@in_loop
async def test_three_hundred_streams_at_once_do_not_mix() -> None:
    """Each gets its own events, all of them, whoever is slow."""
    chance = random.Random(7)
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            asked = json.loads((await peer.request()).body)
            await peer.send(chunked_head())
            for number in range(20):
                await peer.send(chunk(event(f"{asked['user']}-{number}")))
                await asyncio.sleep(chance.random() / 100)
            await peer.send(chunk(DONE) + b"0\r\n\r\n")
            peer.close()

        stage.upstream.part = part

        async def read(name: str) -> bool:
            client = await stage.client()
            await client.ask("POST", CHAT, {**STREAMED, "user": name})
            answer = await client.answer()
            return answer.body == b"".join(event(f"{name}-{number}") for number in range(20)) + DONE

        assert all(await asyncio.gather(*(read(f"user{number}") for number in range(300))))


@in_loop
async def test_a_compressed_stream_is_relayed_unread() -> None:
    """With its encoding; when it breaks off it is cut, for nothing can be written into it."""
    packed = bytes(range(256)) * 40
    head = chunked_head(SSE_TYPE + "\r\nContent-Encoding: br")
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(head + chunk(packed) + b"0\r\n\r\n")
        answer = await stage.once("POST", CHAT, STREAMED)
        assert (answer.body, answer.fields["content-encoding"]) == (packed, "br")
        stage.upstream.part = stage.upstream.answering(head + chunk(packed))
        client = await stage.client()
        await client.ask("POST", CHAT, STREAMED)
        assert (await client.head()).status == 200
        assert await client.rest() == chunk(packed)


@in_loop
async def test_a_json_answer_to_a_stream_is_told_as_a_stream() -> None:
    """Upstreams that cannot stream answer whole, whatever was asked; what is no answer at all is their error."""
    said = b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(said))
        answer = await stage.once("POST", CHAT, STREAMED)
        assert answer.fields["content-type"] == "text/event-stream" and answer.body.endswith(b"data: [DONE]\n\n")
        chunks = [json.loads(line[6:])["choices"][0] for line in answer.body.splitlines() if line.startswith(b"data: {")]
        assert [(chunk["delta"].get("content"), chunk["finish_reason"]) for chunk in chunks] == [("Hi", None), (None, "stop")]
        assert KEY_MARK not in answer.body
        stage.upstream.part = stage.upstream.answering(whole(b'{"a": 1}'))
        answer = await stage.once("POST", CHAT, STREAMED)
        assert answer.status == 503 and b"a stream was asked for" in answer.body


@in_loop
async def test_a_large_json_answer_that_breaks_off_is_cut() -> None:
    """Past 1 MiB it was committed: the client must not take what it has for whole."""
    body = b'{"a": "' + b"x" * 2_000_000
    async with web_stage() as stage:
        for raw in (chunked(body, kind=JSON_TYPE, end=False), whole(body, length=len(body) + 2)):
            stage.upstream.part = stage.upstream.answering(raw)
            client = await stage.client()
            await client.ask("POST", CHAT, ASKED)
            head = await client.head()
            assert head.status == 200
            came = await client.rest()
            assert not came.endswith(b"0\r\n\r\n")
            assert "content-length" not in head.fields or len(came) < int(head.fields["content-length"])
