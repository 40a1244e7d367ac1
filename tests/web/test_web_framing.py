"""What a head says and where a body ends: taken strictly, whatever a client makes of it, and on every Tornado."""

from __future__ import annotations

import json
import re

import pytest
from web_specs import CHAT, FILES
from web_stage import (
    ASKED,
    GIVEN,
    MIB,
    chunk,
    in_loop,
    request,
    web_stage,
    whole,
)

from monorelay.web import chunks


@in_loop
async def test_a_field_repeated_a_hundred_thousand_times_costs_nobody_anything() -> None:
    """Joining repeated fields takes quadratic time: it ends at the limit, or the loop would stand still for seconds."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("GET", "/health", None, "\r\n".join("a:" for _ in range(200_000)))
        assert (await client.answer()).status == 431


INVALID = "invalid_request_error"

FRAMINGS = {
    "no number": ("Content-Length: ten", b"{}"),
    "negative": ("Content-Length: -2", b"{}"),
    "signed": ("Content-Length: +2", b"{}"),
    "underscored": ("Content-Length: 1_0", b'{"a": 123}'),
    "hexadecimal": ("Content-Length: 0x2", b"{}"),
    "unequal twice": ("Content-Length: 2\r\nContent-Length: 3", b"{}"),
    "unequal in a list": ("Content-Length: 2, 3", b"{}"),
    "huge": ("Content-Length: 99999999999999999999999999", b"{}"),
    "with chunks": ("Content-Length: 2\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
    "chunks with a length": ("Transfer-Encoding: chunked\r\nContent-Length: 2", b"2\r\n{}\r\n0\r\n\r\n"),
    "gzip": ("Transfer-Encoding: gzip", b"{}"),
    "gzip, chunked": ("Transfer-Encoding: gzip, chunked", b"2\r\n{}\r\n0\r\n\r\n"),
    "identity": ("Transfer-Encoding: identity", b"{}"),
    "chunked twice": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
    "chunked with a tail": ("Transfer-Encoding: chunked;x=y", b"2\r\n{}\r\n0\r\n\r\n"),
    "xchunked": ("Transfer-Encoding: xchunked", b"2\r\n{}\r\n0\r\n\r\n"),
    "nothing": ("Content-Length:", b"{}"),
}


@pytest.mark.parametrize("name", FRAMINGS)
@in_loop
async def test_where_a_body_ends_is_never_guessed(name: str) -> None:
    """One 400 in the envelope and the connection closes: what follows is never taken for another request."""
    fields, body = FRAMINGS[name]
    smuggled = request("GET", "/v1/models")
    async with web_stage() as stage:
        for method, path in (("POST", CHAT), ("POST", FILES), ("GET", "/health"), ("POST", "/nowhere")):
            client = await stage.client()
            await client.send(request(method, path, None, *fields.split("\r\n")) + body + smuggled)
            answer = await client.answer()
            assert (answer.status, answer.error["type"]) == (400, INVALID)
            assert answer.fields["connection"] == "close"
            assert await client.rest() == b""
        assert not stage.upstream.peers


@pytest.mark.parametrize("strict", [True, False], ids=["tornado", "ours"])
@in_loop
async def test_chunks_are_put_together(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their sizes, in whatever case, and however they arrive."""
    monkeypatch.setattr(chunks, "TORNADO_IS_STRICT", chunks.TORNADO_IS_STRICT and strict)
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN), close=False)
        body = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"long " * 40_000 + b'"}]}'
        raw = request("POST", CHAT, None, "Transfer-Encoding: Chunked")
        sizes = (1, 10, 171, 4096, 70_000)
        client = await stage.client()
        for size in sizes:
            pieces = [body[at : at + size] for at in range(0, len(body), size)] if size > 100 else [body[:size], body[size:]]
            framed = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"000\r\n\r\n"
            await client.send(raw + framed)
            assert (await client.answer()).body == GIVEN
            assert stage.upstream.asked[-1].body == body
        await client.trickle(raw + chunk(b'{"model": ') + chunk(b'"m"}') + b"0\r\n\r\n", 1)
        assert (await client.answer()).status == 200
        assert stage.upstream.asked[-1].body == b'{"model": "m"}'


@in_loop
async def test_two_equal_lengths_are_one() -> None:
    """As proxies send them."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        body = b'{"model": "m"}'
        raw = request("POST", CHAT, None, f"Content-Length: {len(body)}", f"Content-Length: {len(body)}") + body
        client = await stage.client()
        await client.send(raw)
        assert (await client.answer()).body == GIVEN
        assert stage.upstream.asked[0].body == body


CHUNKS = {
    "no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "prefixed": b"0x2\r\n{}\r\n0\r\n\r\n",
    "underscored": b"0_2\r\n{}\r\n0\r\n\r\n",
    "no end of line": b"2\r\n{}XX0\r\n\r\n",
    "too short": b"1\r\n{}\r\n0\r\n\r\n",
    "empty": b"\r\n{}\r\n0\r\n\r\n",
    "endless": b"2" * 1000,
    "a trailer": b"2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n",
}


@pytest.mark.parametrize("strict", [True, False], ids=["tornado", "ours"])
@pytest.mark.parametrize("path", [CHAT, FILES])
@pytest.mark.parametrize("name", CHUNKS)
@in_loop
async def test_broken_chunks_end_the_connection(name: str, path: str, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a 400 or without a word; what was begun upstream with it is broken off, never finished. Old Tornado or new."""
    monkeypatch.setattr(chunks, "TORNADO_IS_STRICT", chunks.TORNADO_IS_STRICT and strict)
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", path, None, "Transfer-Encoding: chunked") + CHUNKS[name])
        said = await client.rest()
        assert said == b"" or said.startswith(b"HTTP/1.1 400 "), said
        await stage.quiet()
        for peer in stage.upstream.peers:
            assert not (await peer.reader.read(-1)).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nName with blanks: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
        b"\x00" * 2000 + b"\r\n\r\n",
        b"x" * (2 * MIB),
    ],
    ids=lambda garbage: repr(garbage[:20]),
)
@in_loop
async def test_what_is_no_http_ends_the_connection(garbage: bytes) -> None:
    """With a 400, 401, 431 or without a word, and nobody else notices."""
    async with web_stage() as stage:
        client = await stage.client()
        try:
            await client.send(garbage)
        except ConnectionError:
            pass
        client.half_close()
        said = await client.rest()
        assert said == b"" or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 431 ")), said
        assert (await stage.once("GET", "/health")).status == 200


@pytest.mark.parametrize("name", ["m\r\nX-Evil: 1", "m\x00\x7f", "m\u00e4\U0001f600", " ", "m" * 512, '"; drop'])
@in_loop
async def test_a_models_name_ends_no_line(name: str) -> None:
    """It goes up in the body as it is, and comes back in a field, escaped and not too long for anybody."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        answer = await stage.once("POST", CHAT, {**ASKED, "model": name})
        assert answer.status == 200 and "x-evil" not in answer.fields
        told = answer.fields["x-monorelay-model"]
        assert told.isascii() and len(told) < 2000
        assert json.loads(stage.upstream.asked[0].body)["model"] == name


@pytest.mark.parametrize("said", ["a b", "a<b>", "\xe4", "x" * 200, "", "a\tb", ";"])
@in_loop
async def test_a_request_id_that_is_not_sane_is_not_taken_over(said: str) -> None:
    """One of our own takes its place; a sane one comes back."""
    async with web_stage() as stage:
        answer = await stage.once("GET", "/health", None, f"X-Request-Id: {said}")
        assert re.fullmatch(r"[0-9a-f]{20}", answer.fields["x-monorelay-request-id"])
        assert answer.fields["x-request-id"] == answer.fields["x-monorelay-request-id"]
        answer = await stage.once("GET", "/health", None, "X-Request-Id: Sane-1.2:3")
        assert answer.fields["x-monorelay-request-id"] == "Sane-1.2:3"


@pytest.mark.parametrize("value", [b"a\rX-Evil: 1", b"a\x00b", b"\x01", b"a\x7f", b"\xff\xfe"])
@in_loop
async def test_a_field_of_the_client_ends_no_line_upstream(value: bytes) -> None:
    """Control characters are refused by some versions of Tornado; else they go up as blanks."""
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        client = await stage.client()
        await client.send(request("GET", FILES + "/f/content").replace(b"Host:", b"Range: " + value + b"\r\nHost:"))
        said = await client.reader.readuntil(b"\r\n\r\n")
        if said.startswith(b"HTTP/1.1 400 "):
            assert not stage.upstream.peers
        else:
            (asked,) = stage.upstream.asked
            assert asked.header("x-evil") is None
            assert (asked.header("range") or "").encode("latin-1") == re.sub(rb"[\0-\x1f\x7f]", b" ", value).strip()
