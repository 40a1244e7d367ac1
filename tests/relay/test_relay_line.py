"""The straight line: dialogues between one call and a scripted upstream."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from plan_specs import keys
from relay_stage import JSON, SSE, Stage, chat, play, provider, route

from monorelay.config.limits import LimitsSpec
from monorelay.relay import call as call_room
from monorelay.upstream.scripted import Chunk, End, Failed, Head, reply

OK = reply(200, b'{"id": "chatcmpl-1"}', [JSON])
RATE_LIMITED = reply(429, b'{"error": {"message": "slow down"}}', [JSON, ("retry-after", "7")])


def key_of(request: Any) -> str:
    return next(line.rpartition(" ")[2] for line in request.headers if line.startswith("authorization"))


def test_a_call_goes_up_and_its_answer_comes_back() -> None:
    """The request body and the answer are the same bytes on both sides; the answer tells who gave it."""

    async def scene() -> None:
        body = b'{ "messages":[], "n":1.0,"model" :"m", "unknown":{"a":1e400} }'
        answer_body = b'{"id":"x","unknown": [1.50, "\\u00e9"]}'
        stage = Stage(scripts=[reply(200, answer_body, [JSON, ("x-request-id", "up-1"), ("set-cookie", "a=1")])])
        answer = await stage.carry(body, content_type="application/json; charset=utf-8")
        sent = stage.engine.requests[0]
        assert (sent.method, sent.url, sent.body) == ("POST", "https://acme.example/v1/openai/chat", body)
        assert "content-type: application/json; charset=utf-8" in sent.headers
        assert (answer.status, answer.body) == (200, answer_body)
        assert answer.headers == {
            "content-type": "application/json",
            "x-request-id": "up-1",
            "x-monorelay-request-id": "call-1",
            "x-monorelay-provider": "acme",
            "x-monorelay-model": "m",
            "x-monorelay-attempts": "1",
            "x-monorelay-upstream-status": "200",
        }

    play(scene)


def test_the_body_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys are tried."""
    parsed = []
    real = call_room.parse
    monkeypatch.setattr(call_room, "parse", lambda raw: parsed.append(raw) or real(raw))

    async def scene() -> None:
        stage = Stage(scripts=[RATE_LIMITED, OK])
        answer = await stage.carry(chat())
        assert (answer.status, len(stage.engine.requests), len(parsed)) == (200, 2, 1)

    play(scene)


def test_nothing_is_retried_after_the_commit() -> None:
    """A stream that breaks after its first content ends in an error event, and no second request is made."""

    async def scene() -> None:
        stage = Stage(
            scripts=[(Head(200, (SSE,)), Chunk(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'), Failed("idle", "Silent."))]
        )
        answer = await stage.carry(chat(stream=True))
        assert answer.status == 200 and answer.ended and len(stage.engine.requests) == 1
        events = answer.body.split(b"\n\n")
        assert events[0] == b'data: {"choices":[{"delta":{"content":"hi"}}]}'
        assert json.loads(events[1].removeprefix(b"data: "))["error"]["type"] == "upstream_error"
        assert b"[DONE]" not in answer.body

    play(scene)


@pytest.mark.parametrize("stage_of_answer", ["before the head", "held", "streaming"])
def test_an_abandoned_exchange_is_always_closed(stage_of_answer: str) -> None:
    """A client that leaves closes the upstream's exchange, at whatever moment, and its call is recorded."""

    async def scene() -> None:
        stage = Stage(scripts=[()])
        task = stage.begin(chat(stream=True))
        exchange = await stage.engine.exchange(0)
        if stage_of_answer != "before the head":
            exchange.push(Head(200, (SSE,)), Chunk(b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'))
        if stage_of_answer == "streaming":
            exchange.push(Chunk(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'))
        await asyncio.sleep(0.01)
        assert stage.reply.begun is (stage_of_answer == "streaming")
        stage.reply.leave()
        await task
        assert exchange.over
        assert stage.resources.tally.calls == {("chat", 499): 1}

    play(scene)


def test_a_429_cools_the_key_and_the_same_request_goes_on_with_the_next() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[RATE_LIMITED, OK, OK, OK])
        answer = await stage.carry(chat())
        assert [key_of(request) for request in stage.engine.requests] == ["sk-a", "sk-b"]
        assert (answer.status, answer.headers["x-monorelay-attempts"]) == (200, "2")
        assert answer.headers["x-monorelay-trail"] == "acme/a 429, acme/b 200"
        await stage.carry(chat())
        await stage.carry(chat())
        assert [key_of(request) for request in stage.engine.requests[2:]] == ["sk-b", "sk-b"]  # never a cooling key

    play(scene)


def test_a_key_comes_back_when_the_upstream_said() -> None:
    """Retry-After, not the configured cooldown."""

    async def scene() -> None:
        stage = Stage(provider(keys=keys("a"), rate_limit_cooldown=999.0), scripts=[RATE_LIMITED, OK])
        first = await stage.carry(chat())
        assert (first.status, first.error["type"]) == (503, "no_keys")
        stage.clock.advance(6.9)
        second = await stage.carry(chat())
        assert second.headers["retry-after"] == "1"
        stage.clock.advance(0.2)
        assert (await stage.carry(chat())).status == 200
        assert len(stage.engine.requests) == 2

    play(scene)


def test_429_on_every_key_is_no_keys_with_the_soonest_return() -> None:
    async def scene() -> None:
        later = reply(429, b"", [("retry-after-ms", "41000")])
        stage = Stage(scripts=[later, reply(429, b"", [("retry-after", "90")])])
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"], answer.headers["retry-after"]) == (503, "no_keys", "41")
        assert answer.error["message"] == (
            "[acme] No available keys for provider 'acme': all 2 are cooling down; the next is free in 41 s"
        )
        assert answer.headers["x-monorelay-trail"] == "acme/a 429, acme/b 429"
        assert answer.headers["x-monorelay-upstream-status"] == "429"

    play(scene)


def test_the_sentence_and_the_header_name_the_same_second() -> None:
    """Rounded up: who comes back a moment too early is refused once more."""

    async def scene() -> None:
        stage = Stage(provider(keys=keys("a")), scripts=[reply(429, b"", [("retry-after-ms", "1200")])])
        answer = await stage.carry(chat())
        assert answer.headers["retry-after"] == "2" and answer.error["message"].endswith("the next is free in 2 s")

    play(scene)


def test_keys_that_time_does_not_help_are_told_by_what_they_are() -> None:
    async def scene() -> None:
        first, second = keys("a", "b")
        both = (replace(first, expires_at=1.0), replace(second, enabled=False))
        answer = await Stage(provider(keys=both)).carry(chat())
        assert answer.error["message"].endswith("all 2 are expired or disabled")

    play(scene)


def test_the_sentence_names_what_holds_the_keys_and_nothing_else() -> None:
    """One at its limit and one that cools: nobody is told of rests."""

    async def scene() -> None:
        first, second = keys("a", "b")
        first = replace(first, limits=LimitsSpec(quota=1))
        stage = Stage(provider(keys=(first, second)), scripts=[OK, RATE_LIMITED])
        await stage.carry(chat())
        answer = await stage.carry(chat())
        assert answer.error["message"].endswith("all 2 are cooling down or at their limits; the next is free in 7 s")

    play(scene)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_is_refused_spends_no_tokens(status: int) -> None:
    """One client's request that is too long holds no key of a token limit from all others for a minute."""

    async def scene() -> None:
        (key,) = keys("a")
        limited = provider(keys=(replace(key, limits=LimitsSpec(tpm=1000)),))
        stage = Stage(limited, scripts=[reply(status, b'{"error": {"message": "too long"}}', [JSON]), OK])
        assert (await stage.carry(chat(unknown="x" * 40_000))).status == status
        assert (await stage.carry(chat())).status == 200

    play(scene)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_rests_for_long_and_the_next_is_tried(status: int, expect_logs: Any) -> None:
    expect_logs(f"provider=acme key=a was refused with {status}: it rests for 300 s")

    async def scene() -> None:
        stage = Stage(scripts=[reply(status, b'{"error": {"message": "bad key sk-a"}}'), OK, OK])
        assert (await stage.carry(chat())).status == 200
        stage.clock.advance(299)
        await stage.carry(chat())
        assert [key_of(request) for request in stage.engine.requests] == ["sk-a", "sk-b", "sk-b"]

    play(scene)


def test_the_last_key_refused_is_an_upstream_error_that_shows_no_key(expect_logs: Any) -> None:
    expect_logs("was refused with 401")

    async def scene() -> None:
        stage = Stage(provider(keys=keys("a")), scripts=[reply(401, b'{"error": {"message": "wrong key sk-a"}}', [JSON])])
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        assert "sk-a" not in answer.body.decode() and answer.headers["x-monorelay-upstream-status"] == "401"
        again = await stage.carry(chat())
        assert (again.error["type"], again.headers["retry-after"]) == ("no_keys", "300")

    play(scene)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_the_callers_fault_comes_through_unchanged_and_touches_no_key(status: int) -> None:
    """Byte for byte when it is JSON with an error object; one attempt; the key stays usable."""

    async def scene() -> None:
        body = b'{"error": {"message":"no",  "code": "x", "extra": 1.0}}'
        stage = Stage(provider(keys=keys("a")), scripts=[reply(status, body, [JSON, ("x-request-id", "up")]), OK])
        answer = await stage.carry(chat())
        assert (answer.status, answer.body, answer.headers["x-request-id"]) == (status, body, "up")
        assert answer.headers["x-monorelay-upstream-status"] == str(status)
        assert (await stage.carry(chat())).status == 200

    play(scene)


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b"<h1>Bad Request</h1>", "<h1>Bad Request</h1>"),
        (b'{"detail": "no"}', '{"detail": "no"}'),
        (b"x" * 2000, "x" * 500),
        (b"", "(an empty body)"),
    ],
)
def test_a_refusal_that_is_no_error_object_is_wrapped(body: bytes, quoted: str) -> None:
    """Its first 500 characters in the message."""

    async def scene() -> None:
        answer = await Stage(scripts=[reply(422, body)]).carry(chat())
        assert (answer.status, answer.error["type"]) == (422, "invalid_request_error")
        assert answer.error["message"] == f"[acme] The upstream refused the request with status 422: {quoted}"

    play(scene)


def test_an_upstream_that_quotes_our_key_does_not_show_it_to_the_client() -> None:
    async def scene() -> None:
        answer = await Stage(scripts=[reply(400, b'{"error": {"message": "bad header sk-a"}}', [JSON])]).carry(chat())
        assert answer.error["message"] == "bad header [key a]"

    play(scene)


@pytest.mark.parametrize(
    ("script", "said", "upstream_status"),
    [
        (reply(500, b'{"error": {"message": "boom"}}'), "The upstream answered with status 500: boom", "500"),
        (reply(502, b"<html>nginx</html>"), "The upstream answered with status 502: <html>nginx</html>", "502"),
        (reply(302, b"", [("location", "https://evil.example/")]), "redirect (302)", "302"),
        ((Failed("connect", "connection refused"),), "(connect): connection refused", None),
        ((Failed("first_byte", "nothing came for 120 s"),), "(first_byte): nothing came", None),
        ((Head(200, (JSON,)), Chunk(b'{"a": '), Failed("body", "cut")), "(body): cut", "200"),
        ((Head(200, (JSON,)), Chunk(b'{"a": '), End()), "(body): the answer ends in the middle of its JSON", "200"),
        ((Head(200, (SSE,)), End()), "(body): the upstream's stream was cut before its end", "200"),
    ],
)
def test_the_upstreams_fault_is_503_after_one_attempt(script: Any, said: str, upstream_status: str | None) -> None:
    """Whatever went wrong, the key is not to blame: no second attempt, and it stays usable."""

    async def scene() -> None:
        stage = Stage(scripts=[script])
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"], len(stage.engine.requests)) == (503, "upstream_error", 1)
        assert said in answer.error["message"] and answer.error["message"].startswith("[acme] ")
        assert answer.headers.get("x-monorelay-upstream-status") == upstream_status
        assert stage.resources.pool("acme").available(0.0) == 2

    play(scene)


def test_an_upstreams_503_hands_its_retry_after_on() -> None:
    async def scene() -> None:
        answer = await Stage(scripts=[reply(503, b"", [("retry-after", "3")])]).carry(chat())
        assert answer.headers["retry-after"] == "3"

    play(scene)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[1]", "object"),
        (b"{}", "model"),
        (b'{"model": null}', "model"),
        (b'{"model": 7}', "string"),
        (b'{"model": ""}', "string"),
        (b'{"model": "' + b"m" * 513 + b'"}', "longer than 512"),
        (b'{"model": "m", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nest"),
        (b'{"model": "m"} {}', "JSON"),
        (b'\xff{"model": "m"}', "UTF-8"),
    ],
)
def test_a_body_that_does_not_fit_is_400_and_never_goes_up(body: bytes, said: str) -> None:
    async def scene() -> None:
        stage = Stage()
        answer = await stage.carry(body)
        assert (answer.status, answer.error["type"], stage.engine.requests) == (400, "invalid_request_error", [])
        assert said in answer.error["message"]

    play(scene)


def test_an_alias_is_spliced_into_the_bytes_and_nothing_else_changes() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[OK], aliases=(("fast", "real-1"),))
        await stage.carry('{"é": 1.0, "model" :"fast" , "x":"fast"}'.encode())
        assert stage.engine.requests[0].body == '{"é": 1.0, "model" :"real-1" , "x":"fast"}'.encode()

    play(scene)


def test_a_fault_of_our_own_is_500_with_the_request_id(monkeypatch: pytest.MonkeyPatch, expect_logs: Any) -> None:
    """No traceback reaches the client."""
    expect_logs("call=call-1 generation=1 a fault in the relay")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner workings")

    async def scene() -> None:
        stage = Stage()
        monkeypatch.setattr(stage.resources, "catalogue", broken)
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"]) == (500, "proxy_error")
        assert "call-1" in answer.error["message"] and "inner workings" not in answer.body.decode()

    play(scene)


def test_requests_of_the_second_family_get_its_envelope() -> None:
    async def scene() -> None:
        messages = route("messages", "/v1/messages", needs="anthropic.messages", model="required")
        stage = Stage(provider("acme", "anthropic.messages"), routes=(messages,), scripts=[reply(500)])
        answer = await stage.carry(chat())
        assert json.loads(answer.body)["type"] == "error" and answer.error["type"] == "upstream_error"

    play(scene)


def test_the_url_carries_the_query_and_the_model() -> None:
    async def scene() -> None:
        stage = Stage(scripts=[OK])
        await stage.carry(chat(), query="beta=true&provider=acme&x=%20")
        assert stage.engine.requests[0].url.endswith("/openai/chat?beta=true&x=%20")

    play(scene)


def test_a_moderation_without_a_model_stays_without_one() -> None:
    async def scene() -> None:
        moderation = route("moderations", "/v1/moderations", needs="openai.moderations", model="optional")
        stage = Stage(provider("acme", "openai.moderations"), routes=(moderation,), scripts=[OK])
        answer = await stage.carry(b'{"input": "x"}')
        assert stage.engine.requests[0].body == b'{"input": "x"}' and "x-monorelay-model" not in answer.headers

    play(scene)
