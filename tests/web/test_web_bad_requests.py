"""What bad requests get: an answer in the envelope, at once, and nothing goes up."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import pytest
from web_stage import (
    ASKED,
    CHAT,
    EDITS,
    FILES,
    GIVEN,
    MESSAGES,
    MIB,
    ROUTES,
    TOKEN,
    Answer,
    chunk,
    form,
    in_loop,
    request,
    web_stage,
    whole,
)

from monorelay.web import chunks

INVALID = "invalid_request_error"

BODIES = {
    "nothing": (b"", "empty"),
    "no JSON": (b"hello", "not JSON"),
    "cut JSON": (b'{"model": "m", "messages": [', "not JSON"),
    "two values": (b'{"model": "m"} {"model": "n"}', "not JSON"),
    "an array": (b'[{"model": "m"}]', "JSON object"),
    "a string": (b'"model"', "JSON object"),
    "a number": (b"42", "JSON object"),
    "null": (b"null", "JSON object"),
    "NaN": (b'{"model": "m", "temperature": NaN}', "not JSON"),
    "no UTF-8": (b'{"model": "m\xff"}', "not UTF-8"),
    "UTF-16": ('{"model": "m"}'.encode("utf-16"), "not UTF-8"),
    "no model": (b'{"messages": []}', "no 'model'"),
    "model null": (b'{"model": null}', "model"),
    "model a number": (b'{"model": 4}', "'model' must be"),
    "model a list": (b'{"model": ["m"]}', "'model' must be"),
    "model empty": (b'{"model": ""}', "'model' must be"),
    "deep arrays": (b'{"model": "m", "messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    "deep objects": (b'{"model": "m", "a": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_000 + b"}", "nested too deeply"),
    "deep and open": (b"[" * 1_000_000, "nested too deeply"),
    "digits": (b'{"model": "m", "n": ' + b"9" * 100_000 + b"}", "too many digits"),
    "binary": (bytes(range(256)) * 100, "not UTF-8"),
}


@pytest.mark.parametrize("name", BODIES)
@in_loop
async def test_a_body_that_does_not_fit_is_400(name: str) -> None:
    """The sentence says what is wrong; the connection goes on; the upstream hears nothing. Both families parse it."""
    body, says = BODIES[name]
    async with web_stage() as stage:
        client = await stage.client()
        for path in (CHAT, MESSAGES):
            await client.ask("POST", path, body)
            answer = await client.answer()
            assert (answer.status, answer.error["type"]) == (400, INVALID)
            assert says in answer.error["message"]
            assert (b'"type":"error"' in answer.body.replace(b" ", b"")) is (path == MESSAGES)
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200
        assert not stage.upstream.peers


FORM, FORM_TYPE = form(("model", b"m"), ("image", b"\x89PNG" * 100))
FORMS = {
    "cut in the first part": (FORM[:20], FORM_TYPE),
    "cut in a part's head": (FORM[: FORM.index(b'name="image"')], FORM_TYPE),
    "cut in a part's body": (FORM[:-40], FORM_TYPE),
    "cut before its end": (FORM[:-6], FORM_TYPE),
    "no boundary": (FORM, "Content-Type: multipart/form-data"),
    "another boundary": (FORM, "Content-Type: multipart/form-data; boundary=other"),
    "JSON": (b'{"model": "m"}', "Content-Type: application/json"),
    "no type": (FORM, "X-Nothing: 1"),
    "empty": (b"", FORM_TYPE),
}


@pytest.mark.parametrize("name", FORMS)
@in_loop
async def test_a_form_that_is_cut_or_none_is_400(name: str) -> None:
    """Whatever is missing of it: the upstream hears nothing."""
    body, kind = FORMS[name]
    async with web_stage() as stage:
        answer = await stage.once("POST", EDITS, body, kind)
        assert (answer.status, answer.error["type"]) == (400, INVALID)
        assert "multipart" in answer.error["message"]
        assert not stage.upstream.peers


@in_loop
async def test_a_body_over_the_limit_is_413_by_its_length_alone() -> None:
    """65 MiB announced: the answer comes before the body, which is swallowed up to 8 MiB; then the connection closes."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", CHAT, b"", f"Content-Length: {65 * MIB}").replace(b"Content-Length: 0\r\n", b""))
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (413, INVALID)
        sent = 0
        with pytest.raises(ConnectionError):
            while True:
                await client.send(bytes(MIB))
                sent += 1
                assert sent < 40
        assert sent >= 8


@in_loop
async def test_a_chunked_body_over_the_limit_is_413_when_it_passes_it() -> None:
    """65 MiB without a length: the answer comes when the 64 MiB are full, and the client can read it although it goes on."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", CHAT, None, "Transfer-Encoding: chunked"))
        for _ in range(65):
            await client.send(chunk(bytes(MIB)))
        await client.send(b"0\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (413, INVALID)
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_a_small_body_over_a_small_limit_keeps_the_connection() -> None:
    """What is swallowed within bounds costs nobody a connection: with a length, chunked, and for both families."""
    routes = tuple(replace(one, max_body=100) for one in ROUTES)
    async with web_stage(routes=routes) as stage:
        client = await stage.client()
        for path in (CHAT, MESSAGES, EDITS, FILES):
            await client.ask("POST", path, bytes(101))
            assert (await client.answer()).status == 413
            await client.send(request("POST", path, None, "Transfer-Encoding: chunked") + chunk(bytes(200)) + b"0\r\n\r\n")
            assert (await client.answer()).status == 413
        assert (await stage.once("GET", "/health")).status == 200


HEADS = {
    "one long field": "X-Long: " + "x" * 100_000,
    "many fields": "\r\n".join(f"X-{number}: {'y' * 40}" for number in range(2_000)),
    "one name a thousand times": "\r\n".join("X-Same: " + "z" * 92 for _ in range(1_000)),
}


@pytest.mark.parametrize("name", HEADS)
@in_loop
async def test_a_head_of_100_kilobytes_is_431(name: str) -> None:
    """In the envelope, whoever asks and for whatever, and the connection goes on."""
    async with web_stage() as stage:
        client = await stage.client()
        for method, path, token in (
            ("POST", CHAT, TOKEN),
            ("POST", MESSAGES, None),
            ("GET", "/health", None),
            ("GET", "/no", TOKEN),
        ):
            await client.ask(method, path, b"{}", HEADS[name], token=token)
            answer = await client.answer()
            assert (answer.status, answer.error["type"]) == (431, INVALID)
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200


@in_loop
async def test_a_head_of_60_kilobytes_is_read() -> None:
    async with web_stage() as stage:
        assert (await stage.once("GET", "/health", None, "X-Long: " + "x" * 60_000)).status == 200


@in_loop
async def test_a_field_repeated_a_hundred_thousand_times_costs_nobody_anything() -> None:
    """Joining repeated fields takes quadratic time: it ends at the limit, or the loop would stand still for seconds."""
    async with web_stage() as stage:
        client = await stage.client()
        started = asyncio.get_running_loop().time()
        await client.ask("GET", "/health", None, "\r\n".join("a:" for _ in range(200_000)))
        assert (await client.answer()).status == 431
        assert asyncio.get_running_loop().time() - started < 3.0


STALLS = {
    "a length, nothing": (request("POST", CHAT, b"", "X-A: b").replace(b"Content-Length: 0", b"Content-Length: 10"), b""),
    "a length, a part": (request("POST", CHAT, b"").replace(b"Content-Length: 0", b"Content-Length: 100"), b'{"model"'),
    "a form": (request("POST", EDITS, b"", FORM_TYPE).replace(b"Content-Length: 0", b"Content-Length: 1000"), FORM[:50]),
    "chunked, nothing": (request("POST", CHAT, None, "Transfer-Encoding: chunked"), b""),
    "chunked, in a size": (request("POST", CHAT, None, "Transfer-Encoding: chunked"), b"2\r\n{}\r\n5"),
    "chunked, in a chunk": (request("POST", MESSAGES, None, "Transfer-Encoding: chunked"), b"9\r\n{"),
    "chunked, before the end": (request("POST", CHAT, None, "Transfer-Encoding: chunked"), b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize("name", STALLS)
@in_loop
async def test_a_client_that_stalls_in_its_body_gets_408(name: str) -> None:
    """In the envelope, and the connection closes: the rest may come at any time, or never."""
    head, part = STALLS[name]
    async with web_stage(body_timeout=0.15) as stage:
        client = await stage.client()
        await client.send(head + part)
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (408, INVALID)
        assert "0.15 s" in answer.error["message"]
        assert answer.fields["connection"] == "close"
        assert await client.rest() == b""
        assert not stage.upstream.peers


@in_loop
async def test_a_slow_body_is_no_stall() -> None:
    """The timer counts silence: a body that takes longer than the limit, in small pieces, is taken."""
    async with web_stage(body_timeout=0.3) as stage:
        stage.upstream.part = stage.upstream.answering(whole(GIVEN))
        client = await stage.client()
        await client.trickle(request("POST", CHAT, ASKED), 12, 0.05)
        assert (await client.answer()).status == 200


@in_loop
async def test_a_client_that_stalls_in_an_upload_gets_408() -> None:
    """What went up already is broken off: the upstream must not take a part for the whole."""
    async with web_stage(body_timeout=0.15) as stage:
        client = await stage.client()
        await client.send(request("POST", FILES, b"").replace(b"Content-Length: 0", b"Content-Length: 1000") + b"begun")
        peer = await stage.upstream.accept()
        await peer.head()
        assert await peer.reader.readexactly(5) == b"begun"
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (408, INVALID)
        assert await peer.reader.read() == b""
        assert await client.rest() == b""


METHODS = [
    ("GET", CHAT, 405, "POST"),
    ("PUT", CHAT, 405, "POST"),
    ("post", CHAT, 405, "POST"),
    ("Post", CHAT, 405, "POST"),
    ("OPTIONS", CHAT, 405, "POST"),
    ("TRACE", CHAT, 405, "POST"),
    ("CONNECT", CHAT, 405, "POST"),
    ("M-SEARCH", CHAT, 405, "POST"),
    ("DELETE", "/health", 405, "GET, HEAD"),
    ("TRACE", "/v1/files/x", 405, "GET, DELETE"),
    ("GET", "/nowhere", 404, None),
    ("GET", "*", 404, None),
    ("OPTIONS", "*", 404, None),
    ("CONNECT", "example.com:443", 404, None),
    ("GET", "/v1/chat/../chat/completions", 404, None),
    ("GET", "//health", 404, None),
    ("GET", "/%00", 404, None),
    ("GET", "/\xe4\xff", 404, None),
    ("GET", "/" + "x" * 30_000, 404, None),
    ("GET", "http://[::1", 404, None),
]


@pytest.mark.parametrize(("method", "path", "status", "allow"), METHODS)
@in_loop
async def test_unknown_methods_and_paths_are_405_and_404(method: str, path: str, status: int, allow: str | None) -> None:
    """Methods are case-sensitive; ``Allow`` tells those that would be served; HEAD only where the relay itself answers."""
    async with web_stage() as stage:
        answer = await stage.once(method, path)
        assert (answer.status, answer.fields.get("allow")) == (status, allow)
        assert answer.error["type"] == ("not_found_error" if status == 404 else INVALID)
        assert (await stage.once(method, path, token=None)).status == 401
        assert not stage.upstream.peers


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models?limit=3"])
@in_loop
async def test_head_is_the_head_of_get(path: str) -> None:
    """The same fields and no body, on a connection that goes on."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("GET", path)
        got = await client.answer()
        await client.ask("HEAD", path)
        head = await client.answer(bodiless=True)
        assert (head.status, head.fields["content-type"]) == (200, got.fields["content-type"])
        assert head.fields["content-length"].isdigit()
        await client.ask("HEAD", CHAT)
        assert (await client.answer(bodiless=True)).status == 405
        await client.ask("GET", path)
        assert (await client.answer()).status == 200


@in_loop
async def test_a_websocket_attempt_ends_at_once() -> None:
    """426 to GET /v1/responses, without a credential, on a connection that goes on."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("GET", "/v1/responses", None, "Connection: Upgrade", "Upgrade: websocket", token=None)
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (426, INVALID)
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


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


@in_loop
async def test_a_refusal_at_the_head_does_not_wait_for_the_body() -> None:
    """401, 404, 405 and 413 are written when the head is there; the body that follows is swallowed, the connection goes on."""
    cases = [
        (request("POST", CHAT, bytes(3000), token="wrong"), 401),
        (request("POST", CHAT, bytes(3000), token=None), 401),
        (request("POST", "/nowhere", bytes(3000)), 404),
        (request("PUT", CHAT, bytes(3000)), 405),
    ]
    async with web_stage() as stage:
        client = await stage.client()
        for raw, status in cases:
            head, _, body = raw.partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            answer: Answer = await client.answer()
            assert answer.status == status
            assert "www-authenticate" not in answer.fields
            await client.trickle(body, 1500, 0.005)
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200
        assert not stage.upstream.peers
        assert await stage.counted("monorelay_refusals_total", status="401") == 2


@in_loop
async def test_seven_megabytes_of_a_refused_body_are_swallowed() -> None:
    """The client that sends it all before it reads finds the answer, and its connection alive."""
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, bytes(7 * MIB), token="wrong")
        assert (await client.answer()).status == 401
        await client.ask("GET", "/health")
        assert (await client.answer()).status == 200


@in_loop
async def test_a_refused_client_that_never_sends_its_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the swallowing time the connection closes."""
    monkeypatch.setattr("monorelay.web.reply.SWALLOW_SECONDS", 0.1)
    async with web_stage() as stage:
        client = await stage.client()
        await client.send(request("POST", CHAT, b"", token="wrong").replace(b"Content-Length: 0", b"Content-Length: 10"))
        assert (await client.answer()).status == 401
        assert await client.rest() == b""


@in_loop
async def test_no_refusal_names_the_token() -> None:
    """Neither a right one nor a wrong one comes back."""
    async with web_stage() as stage:
        for token in ("sk-wrong-token", TOKEN + "x"):
            answer = await stage.once("GET", f"/{token}", token=token)
            assert answer.status == 401
            assert token.encode() not in answer.body


@pytest.mark.parametrize("name", ["m\r\nX-Evil: 1", "m\x00\x7f", "m\u00e4\U0001f600", " ", "m" * 100_000, '"; drop'])
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
