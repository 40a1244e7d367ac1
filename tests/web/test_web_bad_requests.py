"""What bad requests get: an answer in the envelope, at once, and nothing goes up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from web_specs import CHAT, EDITS, FILES, MESSAGES, ROUTES, TOKEN
from web_stage import (
    ASKED,
    GIVEN,
    MIB,
    Answer,
    chunk,
    form,
    in_loop,
    request,
    web_stage,
    whole,
)

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
