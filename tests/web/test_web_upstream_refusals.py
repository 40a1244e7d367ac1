"""An upstream that says no: which of it is the client's own fault, which is a key's, and what is said to the client."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from raw_upstream import Peer
from web_specs import CHAT, KEY_MARK, MESSAGES
from web_stage import (
    ASKED,
    GIVEN,
    JSON_TYPE,
    Upstream,
    in_loop,
    web_stage,
    whole,
)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "300 Choices"])
@in_loop
async def test_a_redirect_is_never_followed(status: str) -> None:
    """The other host sees nothing: it would be sent our key."""
    async with Upstream() as other, web_stage() as stage:
        place = other.url(f"/steal?key={KEY_MARK.decode()}-a")
        stage.upstream.part = stage.upstream.answering(whole(b"{}", status, f"Location: {place}", JSON_TYPE))
        for path in (CHAT, MESSAGES):
            answer = await stage.once("POST", path, ASKED)
            assert (answer.status, answer.error["type"]) == (503, "upstream_error")
            assert answer.fields["x-monorelay-upstream-status"] == status[:3]
            assert "location" not in answer.fields and other.url() not in answer.error["message"]
        assert len(stage.upstream.asked) == 2 and not other.peers


@in_loop
async def test_429_on_every_key_is_no_keys() -> None:
    """Each key is tried once; the answer says when to come again; until then the upstream is left alone."""
    async with web_stage(keys=("a", "b", "c")) as stage:
        limits = iter(("50", "20", "40"))

        async def part(peer: Peer) -> None:
            stage.upstream.asked.append(await peer.request())
            await peer.send(whole(b'{"error":{"message":"slow down"}}', "429 Slow", JSON_TYPE, f"Retry-After: {next(limits)}"))
            peer.close()

        stage.upstream.part = part
        answer = await stage.once("POST", CHAT, ASKED)
        assert (answer.status, answer.error["type"]) == (503, "no_keys")
        assert 18 <= int(answer.fields["retry-after"]) <= 20
        assert answer.fields["x-monorelay-trail"] == "acme/a 429, acme/b 429, acme/c 429"
        used = [asked.header("authorization") for asked in stage.upstream.asked]
        assert used == [f"Bearer {KEY_MARK.decode()}-{label}" for label in "abc"]
        again = await stage.once("POST", MESSAGES, ASKED)
        assert (again.status, again.error["type"], again.fields["x-monorelay-attempts"]) == (503, "no_keys", "0")
        assert len(stage.upstream.asked) == 3


@pytest.mark.parametrize("status", ["401 No", "402 Pay", "403 No"])
@in_loop
async def test_keys_refused_one_by_one_rest(status: str, expect_logs: Callable[[str], None]) -> None:
    """Each is tried once and rests, loudly; the client learns that it is not its own credential that was refused."""
    expect_logs("key=a .*rests for")
    expect_logs("key=b .*rests for")
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(b'{"error":{"message":"bad key sk-upstream-key-a"}}', status))
        answer = await stage.once("POST", CHAT, ASKED)
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        assert answer.fields["x-monorelay-upstream-status"] == status[:3]
        assert len(stage.upstream.asked) == 2
        again = await stage.once("POST", CHAT, ASKED)
        assert (again.status, again.error["type"]) == (503, "no_keys")
        assert len(stage.upstream.asked) == 2


@in_loop
async def test_a_limited_key_costs_the_client_nothing_while_another_is_free() -> None:
    """It never sees the 429."""
    async with web_stage() as stage:

        async def part(peer: Peer) -> None:
            stage.upstream.asked.append(await peer.request())
            first = len(stage.upstream.asked) == 1
            await peer.send(whole(b"{}", "429 Slow") if first else whole(GIVEN))
            peer.close()

        stage.upstream.part = part
        answer = await stage.once("POST", CHAT, ASKED)
        assert (answer.status, answer.body) == (200, GIVEN)
        assert answer.fields["x-monorelay-trail"] == "acme/a 429, acme/b 200"


REFUSALS = {
    "its own words": (b'{"error": {"message": "no such tool", "type": "invalid_request_error", "x": 1.0}}', True),
    "a detail": (b'{"detail": "not like this"}', False),
    "a list": (b'[{"error": "not like this"}]', False),
    "HTML": (b"<h1>not like this</h1>", False),
    "text": (b"not like this", False),
    "nothing": (b"", False),
    "bytes": (bytes(range(256)), False),
    "deep": (b"[" * 100_000, False),
    "a lot": (b'{"error": "' + b"not like this " * 100_000 + b'"}', False),
}


@pytest.mark.parametrize("status", ["400 Bad", "404 Not Found", "409 Conflict", "413 Large", "422 Odd", "418 Teapot", "499 Gone"])
@in_loop
async def test_a_refusal_of_the_request_is_the_clients_own(status: str) -> None:
    """The upstream's status, its own words where they are an error object, else wrapped; never tried again."""
    async with web_stage() as stage:
        client = await stage.client()
        for number, (body, unchanged) in enumerate(REFUSALS.values(), 1):
            stage.upstream.part = stage.upstream.answering(whole(body, status))
            await client.ask("POST", CHAT, ASKED)
            answer = await client.answer()
            assert answer.status == int(status[:3])
            assert len(stage.upstream.asked) == number
            assert answer.fields["x-monorelay-upstream-status"] == status[:3]
            if unchanged:
                assert answer.body == body
            else:
                assert answer.error["message"].startswith("[acme] ")
                assert len(answer.error["message"]) < 700


@pytest.mark.parametrize("status", ["400 Bad", "404 No", "500 Oops", "502 Gateway"])
@in_loop
async def test_a_key_in_the_upstreams_words_is_taken_out(status: str) -> None:
    """As JSON and as HTML, whole and compressed; every answer of these tests is searched for it."""
    words = b"You sent sk-upstream-key-a and sk-upstream-key-b to us"
    async with web_stage() as stage:
        for body in (b'{"error": {"message": "%b", "type": "x"}}' % words, b"<p>%b</p>" % words):
            for pack, coding in ((bytes, "identity"), (gzip.compress, "gzip")):
                stage.upstream.part = stage.upstream.answering(whole(pack(body), status, JSON_TYPE, f"Content-Encoding: {coding}"))
                answer = await stage.once("POST", CHAT, ASKED)
                assert "[key a] and [key b]" in json.loads(answer.body)["error"]["message"]
