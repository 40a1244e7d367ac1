"""Kept connections: what an upstream says on one unasked is never the answer to the next request."""

from __future__ import annotations

import os
import resource
import socket

import pycurl
import pytest
from h2_upstream import CERTIFICATE, tls_context
from raw_upstream import Heard, Peer, RawUpstream, ask, curl_engine, in_loop

from monorelay.upstream.curl import CurlEngine
from monorelay.upstream.curl_idle import IdleSockets

BODY = b"the answer"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
TIRED = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# What libcurl reads together with a last chunk, or with a head that has no body, it throws away itself.
ANSWERS = {
    "in one piece": (HEAD + BODY + POISON,),
    "behind the head": (HEAD, BODY + POISON),
    "behind half a body": (HEAD, BODY[:3], BODY[3:] + POISON),
    "nothing but a byte": (HEAD, BODY + b"\n"),
}


async def told(engine: CurlEngine, upstream: RawUpstream, peer: Peer | None, *pieces: bytes, host: str = "127.0.0.1") -> Heard:
    """One exchange on the connection, or on a new one; each piece is read before the next is sent."""
    heard = Heard()
    engine.start(ask(upstream.url(host=host)), heard)
    peer = peer or await upstream.accept()
    await peer.request()
    for piece in pieces:
        await peer.send(piece)
        if piece is not pieces[-1]:
            before = len(heard.told)
            await heard.until(lambda before=before: len(heard.told) > before)
    await heard.over()
    return heard


@pytest.mark.parametrize("form", ANSWERS)
@in_loop
async def test_what_stands_behind_an_answer(form: str) -> None:
    """However it comes, the next request has a connection of its own, and the answer to itself."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        first = await told(engine, upstream, None, *ANSWERS[form])
        assert first.told[-1] == "end" and first.body == BODY
        assert (await told(engine, upstream, None, HEAD, BODY)).body == BODY
        assert len(upstream.peers) == 2


@pytest.mark.parametrize("said", [POISON, TIRED, b"\r\n"], ids=["an answer", "408", "a line"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@in_loop
async def test_what_is_said_while_nobody_asks(said: bytes, tls: bool) -> None:
    """A server that is tired of waiting says so, and closes: that is nobody's answer either."""
    upstream_of, engine_of = RawUpstream(tls_context() if tls else None), curl_engine(ca_file=CERTIFICATE)
    async with upstream_of as upstream, engine_of as engine:
        await told(engine, upstream, None, HEAD + BODY, host="localhost")
        await told(engine, upstream, upstream.peers[0], HEAD + BODY, host="localhost")
        assert len(upstream.peers) == 1  # it is kept as long as it is quiet
        await upstream.peers[0].send(said)
        second = await told(engine, upstream, None, HEAD + BODY, host="localhost")
        assert second.body == BODY and second.status == 200 and len(upstream.peers) == 2


@in_loop
async def test_fetch_has_its_own_answer() -> None:
    """The relay's own requests share the connections: what is left behind by or for one of them is nobody's answer."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        await told(engine, upstream, None, HEAD, BODY + POISON)
        fetched = engine.fetch(upstream.url())
        peer, _ = await upstream.exchange()
        await peer.send(HEAD + BODY)
        assert (await fetched).body == BODY
        await peer.send(POISON)
        assert (await told(engine, upstream, None, HEAD + BODY)).body == BODY and len(upstream.peers) == 3


@in_loop
async def test_a_reader_that_pauses_keeps_its_connection() -> None:
    """What waits on a connection in use is its own answer, whoever asks for something else meanwhile."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        await told(engine, upstream, None, HEAD + BODY)
        heard = Heard()
        heard.on["head"] = lambda: exchange.pause()
        exchange = engine.start(ask(upstream.url()), heard)
        (peer,) = upstream.peers
        await peer.request()
        await peer.send(HEAD)
        await heard.told_head()
        await peer.send(BODY)
        assert (await told(engine, upstream, None, HEAD + BODY)).body == BODY
        exchange.resume()
        await heard.over()
        assert heard.body == BODY and heard.told[-1] == "end"


@in_loop
async def test_numbers_of_sockets_that_come_back_are_no_trap() -> None:
    """A connection that was closed while it was kept is forgotten, though its number is another's now."""
    async with RawUpstream() as upstream, curl_engine() as engine:
        for _ in range(30):
            await told(engine, upstream, None, HEAD + BODY)
            upstream.peers[-1].close()
            await upstream.peers[-1].gone()
        assert len(engine._idle._resting) <= 2 and len(upstream.peers) == 30


class Ended:
    """Of a transfer that is over: which socket was its."""

    def __init__(self, fd: int) -> None:
        self.told = {pycurl.INFO_HTTP_VERSION: 2, pycurl.LASTSOCKET: fd}

    def getinfo(self, what: int) -> int:
        return self.told[what]


def test_a_process_without_a_descriptor_left() -> None:
    """A spoilt connection is shut down all the same, and stays libcurl's to close."""
    idle = IdleSockets()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        idle.rest(Ended(ours.fileno()))
        theirs.send(b"poison")
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError):
                os.dup(0)
            idle.weed(lambda port: False)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert theirs.recv(1) == b"" and ours.recv(6) == b"poison"
    idle.close()


def test_a_socket_that_cannot_be_looked_at_loses_no_answer() -> None:
    """The kernel may say no, when there are too many or when it is closed."""
    idle = IdleSockets()
    with socket.socket() as closed:
        fd = closed.fileno()
    idle.rest(Ended(fd))
    idle.weed(lambda port: False)
    idle.wake(fd)
    idle.close()
