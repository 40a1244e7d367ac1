"""Calls on providers that speak another dialect: what the line and the delivery do around a translator."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from plan_specs import config, keys
from relay_stage import JSON, SSE, Stage, play, provider, route, until

from monorelay.config.payload import PayloadRule
from monorelay.config.quirks import QuirksSpec, ToolsSpec
from monorelay.plan.compile import compile_plan
from monorelay.relay import deliver
from monorelay.upstream.scripted import Chunk, End, Failed, Head, reply

MESSAGES = (
    route("messages", "/v1/messages", needs="anthropic.messages", model="required"),
    route("count_tokens", "/v1/messages/count_tokens", needs="anthropic.count_tokens", model="required"),
)
CHAT_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
).encode()
CHAT_STREAM = (
    b'data: {"id":"c","model":"gpt-x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"id":"c","model":"gpt-x","choices":[{"index":0,"delta":{"content":"hel"}}]}\n\n'
    b'data: {"id":"c","model":"gpt-x","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\n'
    b'data: {"id":"c","model":"gpt-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c","model":"gpt-x","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
    b"data: [DONE]\n\n"
)


def ask(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-x", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **more}


def stage(*scripts: Any, **more: Any) -> Stage:
    return Stage(provider(**more), routes=MESSAGES, scripts=scripts)


def test_a_request_goes_up_in_the_providers_dialect_and_its_answer_comes_back_in_the_clients() -> None:
    async def scene() -> None:
        on = stage(reply(200, CHAT_ANSWER, [JSON, ("x-request-id", "up"), ("content-length", "999")]))
        answer = await on.carry(ask(top_k=5), content_type="application/json", anthropic_version="2023-06-01", query="beta=true")
        sent = on.engine.requests[0]
        assert sent.url == "https://acme.example/v1/openai/chat"
        assert json.loads(sent.body)["messages"] == [{"role": "user", "content": "hi"}]  # type: ignore[arg-type]
        assert not any(line.startswith("anthropic-") for line in sent.headers)
        body = json.loads(answer.body)
        assert (body["type"], body["content"][0]["text"], body["usage"]["input_tokens"]) == ("message", "hello", 7)
        assert answer.headers["content-type"] == "application/json" and answer.length == len(answer.body)
        assert answer.headers["x-monorelay-lossy"] == "top_k"

    play(scene)


def test_what_is_told_of_the_way_fits_a_header_line(caplog: pytest.LogCaptureFixture) -> None:
    """A body may hold thousands of fields to lose, a provider hundreds of keys, and clients refuse lines that are too long."""

    async def scene() -> None:
        on = stage(reply(200, CHAT_ANSWER, [JSON]))
        answer = await on.carry(ask(**{f"field-{number}-ä": 1 for number in range(5000)}))
        told = answer.headers["x-monorelay-lossy"]
        assert told.startswith("field-0-%C3%A4, field-1-") and told.endswith(" more") and len(told) < 2100
        limited = [reply(429, b"{}", [JSON])] * 300
        on = Stage(provider(keys=keys(*map(str, range(300)))), routes=MESSAGES, scripts=limited)
        answer = await on.carry(ask())
        assert answer.headers["x-monorelay-attempts"] == "300"
        assert answer.headers["x-monorelay-trail"].startswith("acme/0 429, acme/1 429")
        assert answer.headers["x-monorelay-trail"].endswith(", and 200 more")

    with caplog.at_level("INFO", "monorelay.calls"):
        play(scene)
    assert max(len(line) for line in caplog.messages) < 1000
    assert " error=no_keys" in caplog.messages[-1] and "error=" not in caplog.messages[0]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_stream_is_translated_as_it_arrives(size: int) -> None:
    """Its usage is known, and its head says what it is."""

    async def scene() -> None:
        pieces = [CHAT_STREAM[at : at + size] for at in range(0, len(CHAT_STREAM), size)]
        on = stage((Head(200, (SSE,)), *map(Chunk, pieces), End()))
        answer = await on.carry(ask(stream=True))
        text = answer.body.decode()
        assert answer.headers["content-type"] == "text/event-stream" and answer.length is None
        assert text.startswith("event: message_start") and text.rstrip().endswith('"message_stop"}')
        assert text.count('"text_delta"') == 2
        assert on.resources.tally.tokens == {("acme", "input"): 7, ("acme", "output"): 3}

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_came_compressed_is_read_all_the_same(stream: bool) -> None:
    async def scene() -> None:
        body = gzip.compress(CHAT_STREAM if stream else CHAT_ANSWER)
        script = (Head(200, (SSE if stream else JSON, ("content-encoding", "gzip"))), Chunk(body[:20]), Chunk(body[20:]), End())
        answer = await stage(script).carry(ask(stream=stream))
        assert answer.status == 200 and b"hel" in answer.body and "content-encoding" not in answer.headers

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_does_not_say_what_it_is_is_read_as_what_was_asked_for(stream: bool) -> None:
    async def scene() -> None:
        answer = await stage(reply(200, CHAT_STREAM if stream else CHAT_ANSWER, [])).carry(ask(stream=stream))
        assert answer.status == 200 and b"hel" in answer.body

    play(scene)


def test_strict_leaves_out_what_the_operators_own_rules_added() -> None:
    """The client did not ask for it; what it did ask for is still refused."""

    async def scene() -> None:
        routes = (route("messages", "/v1/messages", needs="anthropic.messages", model="required", strict=True),)
        rules = (PayloadRule(override=(("top_k", 5), ("inference_geo", "eu"))),)
        on = Stage(provider(), routes=routes, payload=rules, scripts=[reply(200, CHAT_ANSWER, [JSON])])
        answer = await on.carry(ask())
        assert answer.status == 200 and set(answer.headers["x-monorelay-lossy"].split(", ")) == {"top_k", "inference_geo"}
        sent = json.loads(on.engine.requests[0].body)  # type: ignore[arg-type]
        assert "top_k" not in sent and "inference_geo" not in sent
        for asked in (ask(top_k=3), ask(inference_geo="us")):
            refused = await on.carry(asked)
            assert refused.status == 400 and refused.error["param"] in asked
        assert len(on.engine.requests) == 1

    play(scene)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([JSON, ("content-encoding", "br")], "encoded with 'br'"),
        ([JSON, ("content-encoding", "gzip")], "not in the encoding"),
        ([("content-type", "text/html")], "where JSON or an event stream was expected"),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_upstream_error(headers: list[tuple[str, str]], said: str) -> None:
    async def scene() -> None:
        answer = await stage(reply(200, CHAT_ANSWER, headers)).carry(ask())
        assert (answer.status, answer.error["type"]) == (503, "upstream_error") and said in answer.error["message"]

    play(scene)


def test_a_refusal_comes_back_in_the_clients_envelope() -> None:
    async def scene() -> None:
        error = {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}
        answer = await stage(reply(400, json.dumps({"error": error}).encode(), [JSON])).carry(ask())
        body = json.loads(answer.body)
        assert (answer.status, body["type"], body["error"]["type"]) == (400, "error", "invalid_request_error")
        assert "too long" in body["error"]["message"]

    play(scene)


def test_an_error_inside_a_success_shows_no_key_and_is_no_novel() -> None:
    """Some upstreams say 200 and quote the credential that they did not like."""

    async def scene() -> None:
        body = json.dumps({"error": {"message": "Incorrect API key provided: sk-a-very-long-key " + "x" * 5000}}).encode()
        on = stage(reply(200, body, [JSON]), keys=keys("a-very-long-key"))
        answer = await on.carry(ask())
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        assert "Incorrect API key provided: [key a-very-long-key]" in answer.error["message"] and len(answer.body) < 1000

    play(scene)


def test_a_stream_that_breaks_ends_in_the_clients_error_event() -> None:
    async def scene() -> None:
        script = (Head(200, (SSE,)), Chunk(CHAT_STREAM[:200]), Failed("idle", "silent"))
        answer = await stage(script).carry(ask(stream=True))
        assert b"event: error" in answer.body and b"message_stop" not in answer.body

    play(scene)


def test_a_stream_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Translations may keep what they have said: a stream may not grow for ever."""
    monkeypatch.setattr(deliver, "TRANSLATED_HELD", 10_000)

    async def scene() -> None:
        content = CHAT_STREAM.split(b"\n\n")[1] + b"\n\n"
        on = stage((Head(200, (SSE,)), *[Chunk(content)] * 200))
        answer = await on.carry(ask(stream=True))
        assert b"event: error" in answer.body and b"larger than the 10000 bytes" in answer.body
        assert on.engine.exchanges[0].aborted

    play(scene)


def test_a_client_that_hears_nothing_of_what_the_upstream_says_is_kept_alive() -> None:
    """An upstream's comments are not translated, so they are no sign of life to the client."""

    async def scene() -> None:
        routes = (route("messages", "/v1/messages", needs="anthropic.messages", model="required", keepalive=0.1),)
        on = Stage(provider(), routes=routes, scripts=[()])
        task = on.begin(ask(stream=True))
        exchange = await on.engine.exchange(0)
        exchange.push(Head(200, (SSE,)), Chunk(CHAT_STREAM[: CHAT_STREAM.index(b'lo"')].rpartition(b"\n\n")[0] + b"\n\n"))
        for _ in range(30):
            exchange.push(Chunk(b": still thinking\n\n"))
            await asyncio.sleep(0.02)
        assert b"event: ping" in on.reply.body
        on.reply.leave()
        await task

    play(scene)


def test_an_error_after_a_late_commit_still_reaches_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream said nothing until the client's status had to be given, then fails, and leaves the connection open."""
    monkeypatch.setattr(deliver, "COMMIT_AFTER", 0.02)

    async def scene() -> None:
        on = stage(())
        task = on.begin(ask(stream=True))
        exchange = await on.engine.exchange(0)
        exchange.push(Head(200, (SSE,)))
        await until(lambda: on.reply.begun)
        exchange.push(Chunk(b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n'))
        await task
        assert b"event: error" in on.reply.body and b"boom" in on.reply.body and on.reply.ended and exchange.over

    play(scene)


def test_an_error_before_any_content_moves_on_to_the_next_key() -> None:
    async def scene() -> None:
        error = b'data: {"error": {"message": "slow", "type": "rate_limit_error"}}\n\n'
        on = stage((Head(200, (SSE,)), Chunk(error), End()), (Head(200, (SSE,)), Chunk(CHAT_STREAM), End()))
        answer = await on.carry(ask(stream=True))
        assert answer.status == 200 and answer.headers["x-monorelay-attempts"] == "2"

    play(scene)


@pytest.mark.parametrize("where", ["route", "provider"])
def test_strict_refuses_instead_of_losing(where: str) -> None:
    """Naming the field and the provider, in the client's envelope; nothing goes up."""

    async def scene() -> None:
        routes = (route("messages", "/v1/messages", needs="anthropic.messages", model="required", strict=where == "route"),)
        on = Stage(provider(strict=where == "provider"), routes=routes)
        answer = await on.carry(ask(top_k=5))
        assert (answer.status, answer.error["type"], answer.error["param"]) == (400, "invalid_request_error", "top_k")
        assert answer.error["message"].startswith("[acme] ") and on.engine.requests == []

    play(scene)


def test_quirks_of_the_provider_reach_the_translator() -> None:
    async def scene() -> None:
        on = stage(reply(200, CHAT_ANSWER, [JSON]), quirks=QuirksSpec(max_tokens_field="max_completion_tokens"))
        await on.carry(ask())
        sent = json.loads(on.engine.requests[0].body)  # type: ignore[arg-type]
        assert sent["max_completion_tokens"] == 100 and "max_tokens" not in sent

    play(scene)


def test_quirks_may_differ_by_model() -> None:
    async def scene() -> None:
        other = QuirksSpec(max_tokens_field="max_completion_tokens")
        on = stage(*[reply(200, CHAT_ANSWER, [JSON])] * 2, model_quirks=(("o?-*", other),))
        for model, field in (("o3-mini", "max_completion_tokens"), ("gpt-x", "max_tokens")):
            await on.carry(ask(model=model))
            assert field in json.loads(on.engine.requests[-1].body)  # type: ignore[arg-type]

    play(scene)


def test_a_provider_may_refuse_to_be_translated_to() -> None:
    plan = compile_plan(config(provider("a"), provider("b", translate=False), routes=MESSAGES), 1)
    assert list(plan.routes[0].lanes) == ["a"]


def test_native_is_preferred_and_the_tables_order_next() -> None:
    plan = compile_plan(config(provider("a", "openai.chat", "anthropic.messages"), provider("b"), routes=MESSAGES), 1)
    assert [lane.translator.upstream for lane in plan.routes[0].lanes.values()] == ["anthropic.messages", "openai.chat"]


def test_tokens_are_estimated_where_nobody_counts_them() -> None:
    """Marked as an estimate; never 404, whatever the model."""

    async def scene() -> None:
        on = stage()
        for model in ("gpt-x", "gpt-x@acme", "x@nowhere-near"):
            answer = await on.carry(ask(model=model), 1)
            assert answer.status == 200 and answer.headers["x-monorelay-estimate"] == "true"
            assert json.loads(answer.body)["input_tokens"] > 0
        assert on.engine.requests == []

    play(scene)


def test_tokens_are_counted_by_who_can_and_estimated_when_it_will_not() -> None:
    async def scene() -> None:
        counted = reply(200, b'{"input_tokens": 12}', [JSON])
        on = stage(
            counted, reply(404, b"{}", [JSON]), offers=provider("acme", "anthropic.messages", "anthropic.count_tokens").offers
        )
        first = await on.carry(ask(), 1)
        assert (first.body, first.headers.get("x-monorelay-estimate")) == (b'{"input_tokens": 12}', None)
        second = await on.carry(ask(), 1)
        assert (second.status, second.headers["x-monorelay-estimate"]) == (200, "true")

    play(scene)


@pytest.mark.parametrize(("downgrade", "lossy"), [(True, True), (False, False)])
def test_tools_become_text_for_models_that_cannot_take_them(downgrade: bool, lossy: bool) -> None:
    """On native lanes too; reported as lossy; switched off, every request is left alone."""

    async def scene() -> None:
        tools = ToolsSpec(auto_downgrade=downgrade, unsupported_models=("gpt-*",))
        on = Stage(provider(), scripts=[reply(200, CHAT_ANSWER, [JSON])], tools=tools)
        function = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
        answer = await on.carry({"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}], "tools": [function]})
        sent = json.loads(on.engine.requests[0].body)  # type: ignore[arg-type]
        assert ("tools" not in sent) is lossy and ("x-monorelay-lossy" in answer.headers) is lossy
        assert "look" in json.dumps(sent)

    play(scene)
