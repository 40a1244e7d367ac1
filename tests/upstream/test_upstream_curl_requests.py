"""What CurlEngine puts on the wire: exactly the request, whatever the handle did before."""

from __future__ import annotations

import itertools

import pytest
from raw_upstream import Heard, RawUpstream, ask, curl_engine, in_loop

KEY = "Bearer sk-secret-of-the-provider"

# (method, body) → what else than Host and the request's own headers is sent
SHAPES: list[tuple[str, bytes | None, dict[str, str]]] = [
    ("GET", None, {}),
    ("HEAD", None, {}),
    ("POST", b'{"a":1}', {"content-length": "7"}),
    ("POST", b"", {"content-length": "0"}),
    ("POST", None, {"content-length": "0"}),
    ("PUT", b"put", {"content-length": "3"}),
    ("PUT", None, {"content-length": "0"}),
    ("PATCH", b"p" * 100_000, {"content-length": "100000"}),
    ("DELETE", None, {}),
    ("DELETE", b"why", {"content-length": "3"}),
    ("GET", b"query", {"content-length": "5"}),
    ("OPTIONS", None, {}),
]


@in_loop
async def test_every_shape_of_request_after_every_other_on_one_handle() -> None:
    """Method, headers and body are right after any other request on the same pooled handle, and nothing is added."""
    headers = ("Authorization: " + KEY, "X-Two: a, b")
    async with RawUpstream() as upstream, curl_engine() as engine:
        peer = None
        for method, body, expected in itertools.chain.from_iterable(itertools.permutations(SHAPES, 2)):
            heard = Heard()
            engine.start(ask(upstream.url("/v1/x?a=b"), body, method, headers), heard)
            peer = peer or await upstream.accept()
            request = await peer.request()
            assert request.line == f"{method} /v1/x?a=b HTTP/1.1"
            assert {name.lower(): value for name, value in request.headers} == {
                "host": f"127.0.0.1:{upstream.port}",
                "authorization": KEY,
                "x-two": "a, b",
                **expected,
            }
            assert request.body == (body or b"")
            if method == "HEAD":
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            else:
                await peer.answer(b"fine!")
            await heard.over()
            assert heard.told[-1] == "end" and heard.body == (b"" if method == "HEAD" else b"fine!")
        assert len(upstream.peers) == 1
        assert repr(engine) == "<CurlEngine 0 exchanges, 1 idle handles>"


@pytest.mark.parametrize(
    "target",
    ["/a/../b/./c//d", "/v1/models/a%2Fb?x=%7e&y=+", "/x?q={1}[2]", "/v1/müller", "/a|b", "/%C3?q=日本%c3"],
)
@in_loop
async def test_the_path_goes_out_as_it_is(target: str) -> None:
    """No clean-up of dots, slashes or escapes (but libcurl 8 writes a path's %2f as %2F); letters outside ASCII are escaped."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        engine.start(ask(upstream.url(target)), Heard())
        _, request = await upstream.exchange()
        assert request.line.split(" ")[1] == target.replace("ü", "%C3%BC").replace("日本", "%E6%97%A5%E6%9C%AC")


@in_loop
async def test_header_lines_go_out_as_they_are() -> None:
    """Repeated, empty and Latin-1 values survive; the lines that libcurl likes to add can be sent by the request itself."""
    headers = (
        "Accept: text/event-stream",
        "User-Agent: tool/1",
        "Content-Type: a/b",
        "X-Empty:",
        "X-Same: 1",
        "X-Same: 2",
        "X-High: \xe9",
    )
    async with RawUpstream() as upstream, curl_engine() as engine:
        engine.start(ask(upstream.url(), b"{}", headers=headers), Heard())
        _, request = await upstream.exchange()
        sent = [f"{name}: {value}".rstrip(" ") for name, value in request.headers]
        assert sent[1:-1] == list(headers) and sent[-1] == "Content-Length: 2"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:9/", ("X-A: one\r\nX-Evil: two",)),
        ("http://127.0.0.1:9/", ("X-A: one\ntwo",)),
        ("http://127.0.0.1:9/", ("X-A: zero\0",)),
        ("http://127.0.0.1:9/", ("X-A: \u2013 sk-secret",)),
        ("http://127.0.0.1:9/a b?sk-secret", ()),
        ("http://127.0.0.1:9/a\r\nX-Evil: 1", ()),
        ("ftp://127.0.0.1:9/?sk-secret", ()),
        ("file:///etc/passwd", ()),
        ("/nowhere?sk-secret", ()),
    ],
)
@in_loop
async def test_a_request_that_cannot_be_sent_fails(url: str, headers: tuple[str, ...]) -> None:
    """Line breaks, letters that headers cannot carry and odd URLs fail the exchange, before a byte goes out and without quoting."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(url, headers=headers), heard)
        assert heard.told == []
        await heard.over()
        assert heard.failure is not None and heard.failure.phase == "send"
        assert "secret" not in heard.failure.reason and "evil" not in heard.failure.reason.lower()
        fine = Heard()  # the handle is as good as before
        engine.start(ask(upstream.url("/fine"), headers=("X-B: 2",)), fine)
        peer, request = await upstream.exchange()
        assert request.line == "GET /fine HTTP/1.1" and request.header("x-a") is None and request.header("x-b") == "2"
        await peer.answer(b"ok")
        await fine.over()
        assert fine.body == b"ok"


@in_loop
async def test_a_request_shows_no_secret() -> None:
    """Neither the exchange nor the engine shows a header, a body or a query in its repr."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        exchange = engine.start(ask(upstream.url("/p?key=secret"), b"secret", headers=("X: secret",)), Heard())
        assert "secret" not in repr(exchange) + repr(engine) + repr(exchange.handle)
        assert "/p" in repr(exchange)
        exchange.abort()
        assert repr(exchange) == "<CurlExchange over>"


@in_loop
async def test_a_body_of_64_megabytes() -> None:
    """A large body in memory goes up whole, and is not kept alive by the pooled handle."""
    body = bytes(64 * 1024 * 1024)
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url(), body, idle=None, first_byte=5.0), heard)
        peer = await upstream.accept()
        _, headers = await peer.head()
        left = len(body)
        while left:
            left -= len(await peer.reader.read(1 << 20))
        await peer.answer(b"thanks")
        await heard.over()
        assert heard.body == b"thanks"


@in_loop
async def test_proxies_of_the_environment_are_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """http_proxy does not catch a local model server."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, request = await upstream.exchange()
        await peer.answer(b"direct")
        await heard.over()
        assert heard.body == b"direct"


@in_loop
async def test_a_proxy_of_the_environment_is_used_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """http_proxy carries requests to hosts that are not local."""
    async with RawUpstream() as proxy, curl_engine() as engine:
        monkeypatch.setenv("http_proxy", proxy.url())
        heard = Heard()
        engine.start(ask("http://upstream.example/v1/x"), heard)
        peer, request = await proxy.exchange()
        assert request.line == "GET http://upstream.example/v1/x HTTP/1.1" and request.header("host") == "upstream.example"
        await peer.answer(b"by proxy")
        await heard.over()
        assert heard.body == b"by proxy"
