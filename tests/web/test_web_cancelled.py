"""A call that the relay itself gives up leaves nothing open upstream."""

from __future__ import annotations

from web_specs import CHAT, FILES
from web_stage import (
    ASKED,
    in_loop,
    request,
    web_stage,
)


@in_loop
async def test_a_call_cut_at_the_end_of_a_drain_is_closed_upstream(expect_logs) -> None:  # type: ignore[no-untyped-def]
    """Cancelling a task cancels the future it waits for, too: the exchange is aborted all the same, within a second."""
    expect_logs("is cut: the relay stops")
    async with web_stage() as stage:
        client = await stage.client()
        await client.ask("POST", CHAT, ASKED)
        peer, _ = await stage.upstream.exchange()
        assert await stage.front.drain(0.05) == 1
        await peer.gone()
        assert await client.rest() == b""


@in_loop
async def test_an_upload_that_stalls_is_closed_upstream() -> None:
    """The upstream must not wait for the rest, nor take a part for the whole."""
    async with web_stage(body_timeout=0.1) as stage:
        client = await stage.client()
        await client.send(request("POST", FILES, None, "Transfer-Encoding: chunked") + b"5\r\nbegun\r\n")
        peer = await stage.upstream.accept()
        await peer.head()
        assert (await client.answer()).status == 408
        assert await peer.reader.read(-1) == b"5\r\nbegun\r\n"
