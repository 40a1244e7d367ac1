"""What ScriptedEngine offers to tests beside the engine's contract."""

from __future__ import annotations

import asyncio

import pytest
from raw_upstream import Heard, ask, in_loop

from monorelay.upstream.scripted import Chunk, End, Failed, Head, ScriptedEngine, failing, reply
from monorelay.upstream.upload import Upload

URL = "http://192.0.2.1/v1/x"


@in_loop
async def test_scripts_are_used_up_in_order() -> None:
    """The first request gets the first script; one too many is the test's own error, at once."""
    engine = ScriptedEngine(reply(429), reply(200, b"ok"))
    heard = [Heard(), Heard()]
    for receiver in heard:
        engine.start(ask(URL, b"{}"), receiver)
        await receiver.over()
    assert [(receiver.status, receiver.body) for receiver in heard] == [(429, b""), (200, b"ok")]
    with pytest.raises(AssertionError, match="no script is left for request 3"):
        engine.start(ask(URL), Heard())


@in_loop
async def test_a_function_may_script() -> None:
    """One function answers every request by what it asks."""
    engine = ScriptedEngine(lambda request: reply(200, request.url.encode()))
    for path in ("/a", "/b"):
        heard = Heard()
        engine.start(ask(URL + path), heard)
        await heard.over()
        assert heard.body == (URL + path).encode()
    assert [request.url for request in engine.requests] == [URL + "/a", URL + "/b"]


@in_loop
async def test_a_dialogue() -> None:
    """The test waits for a request, and plays the answer step by step."""
    engine = ScriptedEngine(())
    heard = Heard()
    asyncio.get_running_loop().call_later(0.01, lambda: engine.start(ask(URL, b"question"), heard))
    exchange = await engine.exchange()
    assert exchange.request.method == "POST" and exchange.body == b"question" and exchange.sent
    exchange.push(Head(200, (("x-a", "1"),)), Chunk(b"1"))
    await heard.until(lambda: heard.body == b"1")
    exchange.pause()
    exchange.push(Chunk(b"2"), End())
    await asyncio.sleep(0.01)
    assert heard.body == b"1" and exchange.unplayed == 2 and "paused" in repr(exchange)
    exchange.resume()
    await heard.over()
    assert heard.body == b"12" and exchange.unplayed == 0 and "over" in repr(exchange)


@in_loop
async def test_an_answer_waits_for_the_upload_unless_it_is_pushed() -> None:
    """A script is played when the request is up whole; push is an upstream that answers in the middle."""
    engine = ScriptedEngine(reply(200, b"thanks"), ())
    upload, heard = Upload(None), Heard()
    engine.start(ask(URL, upload), heard)
    upload.write(b"part")
    await asyncio.sleep(0.01)
    assert heard.told == [] and engine.exchanges[0].body == b"part" and not engine.exchanges[0].sent
    upload.finish()
    await heard.over()
    assert heard.body == b"thanks"
    refused, heard = Upload(None), Heard()
    engine.start(ask(URL, refused), heard)
    engine.exchanges[1].push(*reply(413))
    await heard.over()
    assert heard.status == 413 and refused.on_bytes is None


@in_loop
async def test_failures_are_scripts_too() -> None:
    """Any phase can be played, before the head and in the body."""
    engine = ScriptedEngine(failing("connect", "Nobody there."), (Head(200), Chunk(b"x"), Failed("idle")))
    for phase, told in (("connect", ["failed"]), ("idle", ["head", "chunk", "failed"])):
        heard = Heard()
        engine.start(ask(URL), heard)
        await heard.over()
        assert heard.told == told and heard.failure is not None and heard.failure.phase == phase


@in_loop
async def test_nothing_secret_is_shown() -> None:
    """The repr of an exchange leaves headers, body and query out."""
    engine = ScriptedEngine(())
    engine.start(ask(URL + "?key=secret", b"secret", headers=("X: secret",)), Heard())
    assert "secret" not in repr(engine) and "/v1/x" in repr(engine)
    engine.shut()
    assert "aborted" in repr(engine)
