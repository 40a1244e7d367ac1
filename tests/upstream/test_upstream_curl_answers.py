"""What CurlEngine makes of answers: heads and bodies as they came, however they were cut."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Callable

import pytest
from raw_upstream import Heard, Peer, RawUpstream, ask, curl_engine, in_loop
from tornado.httpclient import HTTPResponse

from monorelay.upstream.curl import CurlEngine
from monorelay.upstream.curl_sockets import READ
from monorelay.upstream.interface import Timings

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, EARLY + PLAIN, CHUNKED.replace(b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n")])
@pytest.mark.parametrize("size", [1, 7, 100_000])
@in_loop
async def test_answers_in_any_pieces(answer: bytes, size: int) -> None:
    """Whole, in sevens and byte by byte: one head, the body, the end. 1xx heads and trailers are not told."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        for start in range(0, len(answer), size):
            await peer.send(answer[start : start + size])
            await asyncio.sleep(0)
        await heard.over()
        assert heard.told[0] == "head" and heard.told.count("head") == 1 and heard.told[-1] == "end"
        assert heard.status == 200 and heard.body == b"body"
        assert {name for name, _ in heard.headers} < {"content-type", "content-length", "transfer-encoding"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"X-A: 1\r\n", [("x-a", "1")]),
        (b"X-A:1\r\nx-a:  2 \t\r\n", [("x-a", "1"), ("x-a", "2")]),
        (b"X-Empty:\r\nX-B: b\r\n", [("x-empty", ""), ("x-b", "b")]),
        (b"X-Fold: one\r\n  two\r\n\tthree\r\nX-B: b\r\n", [("x-fold", "one two three"), ("x-b", "b")]),
        (b"no colon at all\r\nX-B: b\r\n", [("x-b", "b")]),
        (b": no name\r\nX-B: b\r\n", [("x-b", "b")]),
        (b"X-High: \xe9\xff\xa0\r\n", [("x-high", "\xe9\xff\xa0")]),
        (b"X-Lf: bare\nX-B: b\r\n", [("x-lf", "bare"), ("x-b", "b")]),
        (b"X-Colons: a:b:c\r\n", [("x-colons", "a:b:c")]),
        (b"X-Long: " + b"y" * 60_000 + b"\r\n", [("x-long", "y" * 60_000)]),
        (
            b"".join(b"Set-Cookie: %d=1\r\n" % number for number in range(50)),
            [("set-cookie", f"{number}=1") for number in range(50)],
        ),
    ],
)
@in_loop
async def test_odd_header_lines(lines: bytes, expected: list[tuple[str, str]]) -> None:
    """Folded, empty, repeated, nameless and long lines are taken as far as they make sense, in order."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 0\r\n\r\n")
        await heard.over()
        if heard.failure is not None:  # newer versions of libcurl refuse some of these
            assert heard.told == ["failed"] and heard.failure.phase == "first_byte"
        else:
            assert heard.headers == [*expected, ("content-length", "0")]


@pytest.mark.parametrize(
    ("status", "reason"), [(200, "OK"), (201, ""), (299, "What"), (404, "Not Found"), (429, "Slow down"), (503, "x y z"), (599, "")]
)
@in_loop
async def test_any_final_status_is_an_answer(status: int, reason: str) -> None:
    """The engine judges no status: all are told with head, chunks and end."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        await peer.answer(b"said", f"{status} {reason}".strip())
        await heard.over()
        assert (heard.status, heard.body, heard.told[-1]) == (status, b"said", "end")


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", "200 OK\r\nContent-Length: 500"),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked"),
        ("GET", "204 No Content"),
        ("GET", "304 Not Modified\r\nContent-Length: 500"),
        ("POST", "200 OK\r\nContent-Length: 0"),
        ("DELETE", "204 No Content"),
    ],
)
@in_loop
async def test_answers_without_a_body_end_at_once(method: str, head: str) -> None:
    """HEAD, 204 and 304 end with their head, whatever length it names, and their connection is used again."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        peer: Peer | None = None
        for _ in range(2):
            heard = Heard()
            engine.start(ask(upstream.url(), method=method), heard)
            peer = peer or await upstream.accept()
            await peer.request()
            await peer.send(f"HTTP/1.1 {head}\r\n\r\n".encode())
            await heard.over()
            assert heard.told == ["head", "end"]
        assert len(upstream.peers) == 1


@in_loop
async def test_a_body_may_end_with_the_connection() -> None:
    """Without a length and without chunks, an orderly close is the end."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nuntil")
        await heard.until(lambda: heard.body == b"until")
        peer.close()
        await heard.over()
        assert heard.told[-1] == "end"


@in_loop
async def test_compressed_bodies_are_left_alone() -> None:
    """Content-Encoding is the receiver's business: the bytes pass as they came."""
    packed = zlib.compress(b"text" * 100)
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url(), headers=("Accept-Encoding: gzip, deflate",)), heard)
        peer, request = await upstream.exchange()
        assert request.header("accept-encoding") == "gzip, deflate"
        await peer.answer(packed, "200 OK", "Content-Encoding: deflate")
        await heard.over()
        assert heard.body == packed and ("content-encoding", "deflate") in heard.headers


@in_loop
async def test_redirects_are_answers() -> None:
    """A redirect is told like any other answer, and not followed."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        await peer.answer(b"", "307 Temporary Redirect", f"Location: {upstream.url('/elsewhere')}")
        await heard.over()
        await asyncio.sleep(0.05)
        assert heard.status == 307 and heard.told == ["head", "end"] and len(upstream.peers) == 1


@in_loop
async def test_cookies_are_not_remembered() -> None:
    """A cookie that an upstream sets is not sent with the next request."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        peer: Peer | None = None
        for _ in range(2):
            heard = Heard()
            engine.start(ask(upstream.url()), heard)
            peer = peer or await upstream.accept()
            request = await peer.request()
            assert request.header("cookie") is None
            await peer.answer(b"x", "200 OK", "Set-Cookie: a=1; Path=/")
            await heard.over()


@in_loop
async def test_timings_are_libcurls_own() -> None:
    """At the end all phases are known; inside head, the two that our own clock knows."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        known: dict[str, Timings] = {}
        heard = Heard()
        for _ in range(2):
            heard = Heard()
            heard.on["head"] = lambda: known.update(head=heard.exchange.timings())  # type: ignore[union-attr]  # noqa: B023
            heard.on["end"] = lambda: known.update(end=heard.exchange.timings())  # type: ignore[union-attr]  # noqa: B023
            heard.exchange = engine.start(ask(upstream.url()), heard)
            peer = upstream.peers[0] if upstream.peers else await upstream.accept()
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            await heard.told_head()
            between = heard.exchange.timings()
            await peer.send(b"ok")
            await heard.over()
            assert known["head"].first_byte > 0 and known["head"].total >= known["head"].first_byte
            assert between.connect >= 0 and between.http_version == "1.1"
            end = known["end"]
            assert 0 < end.sent <= end.total and 0 < end.first_byte <= end.total
            assert (end.tls, end.remote_ip, end.http_version) == (0.0, "127.0.0.1", "1.1")
        assert known["end"].reused


@pytest.mark.parametrize("ending", ["", "abort in head", "pause in head", "raise in head"])
@pytest.mark.parametrize("body", [b"", b"body", b"b" * 50_000])
@in_loop
async def test_an_answer_that_is_there_before_start_returns(
    body: bytes, ending: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even when libcurl has read the answer inside start, nothing is told before it has returned, and nothing is lost."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        first = Heard()
        engine.start(ask(upstream.url()), first)
        peer, _ = await upstream.exchange()
        await peer.answer()
        await first.over()
        heard = Heard()
        monkeypatch.setattr(engine, "_socket_action", answering_inside(engine, peer, body))
        heard.exchange = exchange = engine.start(ask(upstream.url()), heard)
        monkeypatch.undo()
        assert heard.told == []

        def stumble() -> None:
            raise ValueError("stumbled")

        if ending:
            heard.on["head"] = {"abort in head": exchange.abort, "pause in head": exchange.pause, "raise in head": stumble}[ending]
        await heard.told_head()
        await asyncio.sleep(0.05)
        if ending == "abort in head":
            assert heard.told == ["head"]
        elif ending == "raise in head":
            assert heard.told == ["head", "failed"] and len(caplog.records) == 1
        else:
            exchange.resume()
            await heard.over()
            assert heard.told[0] == "head" and heard.told[-1] == "end" and heard.body == body


def answering_inside(engine: CurlEngine, peer: Peer, body: bytes) -> Callable[[int, int], tuple[int, int]]:
    """libcurl's socket_action, which does inside start what the loop would do after it."""
    act = engine._socket_action

    def until_answered(socket: int, what: int) -> tuple[int, int]:
        result: tuple[int, int] = act(socket, what)
        descriptor = peer.writer.get_extra_info("socket").fileno()
        os.write(descriptor, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        for fd, _ in engine._sockets._set.poll(1):  # type: ignore[attr-defined]
            result = act(fd, READ)
        return result

    return until_answered


@in_loop
async def test_fetch_is_still_there() -> None:
    """Tornado's own fetch works beside exchanges, also when it is called from inside a receiver."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        fetched: list[asyncio.Future[HTTPResponse]] = []
        heard = Heard(chunk=lambda: fetched.append(engine.fetch(upstream.url("/fetched"))))
        engine.start(ask(upstream.url("/pushed")), heard)
        peer, _ = await upstream.exchange()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        fetching, request = await upstream.exchange()
        assert request.line == "GET /fetched HTTP/1.1"
        await fetching.answer(b"whole")
        assert (await fetched[0]).body == b"whole"
        await peer.send(b"0\r\n\r\n")
        await heard.over()
        assert heard.body == b"ab"


@in_loop
async def test_fetch_uses_the_connections_of_exchanges() -> None:
    """There is one pool of connections for both."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        heard = Heard()
        engine.start(ask(upstream.url()), heard)
        peer, _ = await upstream.exchange()
        await peer.answer(b"pushed")
        await heard.over()
        fetched = engine.fetch(upstream.url("/fetched"))
        await peer.request()
        await peer.answer(b"whole")
        assert (await fetched).body == b"whole" and len(upstream.peers) == 1
