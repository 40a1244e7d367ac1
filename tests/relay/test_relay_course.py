"""Several targets: who is asked first, who is next, when the course turns, and what is said when all failed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from plan_specs import keys
from relay_stage import JSON, SSE, Stage, chat, play, provider, route

from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.circuit import CircuitSpec
from monorelay.config.fields import Secret
from monorelay.config.keys import KeySpec
from monorelay.config.limits import LimitsSpec
from monorelay.config.refusals import RefusalsSpec
from monorelay.config.retry import IgnoreSpec, RetrySpec
from monorelay.upstream.scripted import Chunk, End, Head, failing, reply

OK = reply(200, b'{"id": "chatcmpl-1"}', [JSON])
DOWN = reply(503, b'{"error": {"message": "down"}}', [JSON])
LIMITED = reply(429, b'{"error": {"message": "slow"}}', [JSON, ("retry-after", "30")])
NO_MODEL = reply(
    404, b'{"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}', [JSON]
)
TOO_LONG = reply(
    400, b'{"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}', [JSON]
)
FILTERED = reply(400, b'{"error": {"message": "no", "type": "invalid_request_error", "code": "content_filter"}}', [JSON])
WRONG = reply(400, b'{"error": {"message": "bad field", "type": "invalid_request_error"}}', [JSON])
REFUSED_KEY = reply(401, b'{"error": {"message": "bad key"}}', [JSON])

PROVIDERS = tuple(provider(name, keys=keys(f"{name}-key"), include=(f"{name}-model", "m")) for name in ("one", "two", "three"))
CASCADES = (
    CascadeSpec("all", ("one-model", "two-model", "three-model")),
    CascadeSpec(
        "turning", ("one-model", "two-model"), context_length=("three-model",), content_filter=("off-model", "three-model")
    ),
    CascadeSpec("pair", ("one-model", "two-model")),
    CascadeSpec("holed", ("x@gone", "two-model")),
)
GONE = provider("gone", enabled=False, include=("x", "off-model"))


def stage_of(*scripts: Any, **more: Any) -> Stage:
    more.setdefault("cascades", CASCADES)
    return Stage(*PROVIDERS, GONE, scripts=scripts, **more)


def asked(stage: Stage) -> list[str]:
    """Whom the exchanges went to, in order."""
    return [request.url.partition("//")[2].partition(".")[0] for request in stage.engine.requests]


FAILOVERS = {
    "an outage": (DOWN, True),
    "no connection": (failing("connect"), True),
    "a rate limit on the only key": (LIMITED, True),
    "no such model": (NO_MODEL, True),
    "no such endpoint": (reply(404, b"<html>404 Not Found</html>", [("content-type", "text/html")]), True),
    "a framework's own 404": (reply(404, b'{"detail": "Not Found"}', [JSON]), True),
    "a time-out": (failing("first_byte"), True),
    "a stream that begins with an error": (
        (Head(200, (SSE,)), Chunk(b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'), End()),
        True,
    ),
    "a stream that ends before it begins": ((Head(200, (SSE,)), Chunk(b": hello\n\ndata: [DONE]\n\n"), End()), True),
    "the caller's own fault": (WRONG, False),
    "a request that is too long": (TOO_LONG, False),  # nobody wrote what to do then
    "a filter": (FILTERED, False),
}


@pytest.mark.parametrize("case", FAILOVERS)
def test_the_next_target_is_asked_where_it_could_do_better(case: str) -> None:
    """And nowhere else: the caller's own fault is the answer."""
    script, goes_on = FAILOVERS[case]

    async def scene() -> None:
        stage = stage_of(script, OK)
        answer = await stage.carry(chat(model="all"))
        assert asked(stage) == (["one", "two"] if goes_on else ["one"])
        assert answer.status == (200 if goes_on else 400)
        if goes_on:
            assert json.loads(stage.engine.requests[1].body or b"")["model"] == "two-model"
            assert answer.headers["x-monorelay-provider"] == "two"
            assert answer.headers["x-monorelay-attempts"] == "2"
            assert answer.headers["x-monorelay-trail"].startswith("one/one-key ")

    play(scene)


def test_a_refused_key_goes_on_too(expect_logs: Any) -> None:
    expect_logs("it rests for")

    async def scene() -> None:
        stage = stage_of(REFUSED_KEY, OK)
        assert (await stage.carry(chat(model="all"))).status == 200
        assert asked(stage) == ["one", "two"]

    play(scene)


def test_a_provider_without_a_usable_key_is_told_on_the_way() -> None:
    """No attempt was made there, and yet it is why somebody else answered."""

    async def scene() -> None:
        stage = stage_of(LIMITED, OK, OK)
        first = await stage.carry(chat(model="all"))
        assert first.headers["x-monorelay-trail"] == "one/one-key 429, two/two-key 200"
        answer = await stage.carry(chat(model="all"))
        assert answer.headers["x-monorelay-attempts"] == "1"
        assert answer.headers["x-monorelay-trail"] == "one no_keys, two/two-key 200"

    play(scene)


def test_after_the_commit_there_is_no_other_target() -> None:
    """A stream that breaks after its first content ends in-band."""

    async def scene() -> None:
        begun = Chunk(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')
        stage = stage_of((Head(200, (SSE,)), begun, *failing("idle")))
        answer = await stage.carry(chat(model="all", stream=True))
        assert asked(stage) == ["one"] and b"upstream_error" in answer.body

    play(scene)


def test_a_client_that_left_is_not_carried_on() -> None:
    async def scene() -> None:
        stage = stage_of(())
        task = stage.begin(chat(model="all"))
        await stage.engine.exchange(0)
        stage.reply.leave()
        await asyncio.wait_for(task, 2)
        assert asked(stage) == ["one"] and stage.engine.exchanges[0].aborted

    play(scene)


def test_half_a_character_in_an_error_is_no_fault_of_the_relay() -> None:
    """JSON may hold a surrogate on its own, which no text in UTF-8 can: the next target is asked all the same."""

    async def scene() -> None:
        broken = reply(200, b'{"error": {"message": "down \\ud800", "code": "\\ud800", "type": "server_error"}}', [JSON])
        stage = stage_of(broken, OK)
        assert (await stage.carry(chat(model="all"))).status == 200
        stage = stage_of(broken)
        answer = await stage.carry(chat(model="one-model"))
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")

    play(scene)


def test_when_all_fail_every_attempt_is_told() -> None:
    """cascade_error names each model, what it said, and when to come again."""

    async def scene() -> None:
        stage = stage_of(reply(503, b'{"error": {"message": "Down."}}', [JSON]), LIMITED, failing("connect", "Refused."))
        answer = await stage.carry(chat(model="all"))
        assert (answer.status, answer.error["type"]) == (503, "cascade_error")
        message = answer.error["message"]
        assert "'all' failed (3)" in message and ".;" not in message
        for part in ("one-model@one: upstream_error", "two-model@two: no_keys", "three-model@three: upstream_error"):
            assert part in message
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-monorelay-attempts"] == "3"

    play(scene)


def test_the_target_that_is_told_is_the_last_one_that_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    """Not one that was passed over since: a key and a status of another provider would stand beside its name."""

    async def scene() -> None:
        stage = stage_of(LIMITED, DOWN)
        assert (await stage.carry(chat(model="two-model"))).error["type"] == "no_keys"
        answer = await stage.carry(chat(model="pair"))
        assert answer.error["type"] == "cascade_error"
        told = [answer.headers[f"x-monorelay-{name}"] for name in ("provider", "model", "upstream-status", "trail")]
        assert told == ["one", "one-model", "503", "one/one-key 503, two no_keys"]

    with caplog.at_level("INFO", "monorelay.calls"):
        play(scene)
    assert " target=one/one-key/one-model status=503 " in caplog.messages[-1]


@pytest.mark.parametrize(("last", "told"), [(NO_MODEL, "false"), (DOWN, None)])
def test_models_that_nobody_has_are_no_reason_to_come_again(last: Any, told: str | None) -> None:
    """An outage among them is."""

    async def scene() -> None:
        answer = await stage_of(NO_MODEL, last).carry(chat(model="pair"))
        assert answer.error["type"] == "cascade_error" and answer.headers.get("x-should-retry") == told

    play(scene)


def test_a_leg_that_leads_nowhere_is_passed_over() -> None:
    """A disabled provider in a cascade costs nothing; when the rest fails it is told, too."""

    async def scene() -> None:
        stage = stage_of(OK, DOWN)
        assert (await stage.carry(chat(model="holed"))).status == 200
        answer = await stage.carry(chat(model="holed"))
        assert answer.error["type"] == "cascade_error"
        assert "x@gone: provider_disabled" in answer.error["message"] and "two-model@two" in answer.error["message"]
        assert answer.headers["x-monorelay-trail"] == "x@gone provider_disabled, two/two-key 503"

    play(scene)


@pytest.mark.parametrize("script", [TOO_LONG, FILTERED], ids=["too long", "filtered"])
def test_the_course_turns_for_length_and_for_content(script: Any) -> None:
    """To the models written for that, once; a second refusal is the answer."""

    async def scene() -> None:
        stage = stage_of(script, OK, script, script)
        answer = await stage.carry(chat(model="turning"))
        assert answer.status == 200 and asked(stage) == ["one", "three"]
        kind = "context_length" if script is TOO_LONG else "content_filter"
        trail = answer.headers["x-monorelay-trail"]
        assert trail.startswith(f"one/one-key 400 {kind}, ") and trail.endswith("three/three-key 200")
        assert (await stage.carry(chat(model="turning"))).status == 400
        assert asked(stage) == ["one", "three", "one", "three"]

    play(scene)


def test_an_answer_that_is_nothing_but_filtered_turns_the_course() -> None:
    """Where somebody was named for that; else it is the answer, as it came."""

    async def scene() -> None:
        choice = b'{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}'
        empty = reply(200, b'{"id": "c", "object": "chat.completion", "choices": [' + choice + b"]}", [JSON])
        stage = stage_of(empty, OK, empty, empty, empty)
        assert (await stage.carry(chat(model="turning"))).body == b'{"id": "chatcmpl-1"}'
        assert asked(stage) == ["one", "three"]
        assert b"content_filter" in (await stage.carry(chat(model="turning"))).body
        assert asked(stage)[2:] == ["one", "three"]
        assert b"content_filter" in (await stage.carry(chat(model="all"))).body
        assert asked(stage)[4:] == ["one"]

    play(scene)


def test_a_stream_that_is_nothing_but_filtered_turns_the_course() -> None:
    """In whatever pieces it comes; one that has said something is the client's."""

    async def scene() -> None:
        begin = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}\n\n'
        word = b'data: {"choices": [{"index": 0, "delta": {"content": "I"}, "finish_reason": null}]}\n\n'
        end = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}\n\ndata: [DONE]\n\n'

        def stream(*pieces: bytes) -> Any:
            return (Head(200, (SSE,)), *map(Chunk, pieces), End())

        fine = stream(word + end)
        stage = stage_of(stream(begin, end), fine, stream(begin + end.rstrip()), fine, stream(begin, word, end), stream(begin, end))
        for asks in (["one", "three"], ["one", "three"]):
            before = len(stage.engine.requests)
            answer = await stage.carry(chat(model="turning", stream=True))
            assert answer.body == word + end
            assert asked(stage)[before:] == asks
            assert answer.headers["x-monorelay-trail"].startswith("one/one-key 200 then 400 content_filter, ")
        assert (await stage.carry(chat(model="turning", stream=True))).body == begin + word + end
        assert (await stage.carry(chat(model="all", stream=True))).body == begin + end
        assert asked(stage)[4:] == ["one", "one"]

    play(scene)


def test_a_key_without_this_model_is_not_rested() -> None:
    """403 that says model_not_found: the next key may have it, and with none left the next target."""

    async def scene() -> None:
        not_here = reply(403, b'{"error": {"message": "no access", "type": "x", "code": "model_not_found"}}', [JSON])
        one = provider("one", keys=keys("k1", "k2"), include=("one-model",))
        stage = Stage(one, *PROVIDERS[1:], GONE, scripts=[not_here, not_here, OK], cascades=CASCADES)
        assert (await stage.carry(chat(model="all"))).status == 200
        assert asked(stage) == ["one", "one", "two"]
        assert stage.resources.pool("one").available(0.0) == 2

    play(scene)


FLAGGED = b'{"error": {"code": 403, "message": "m requires moderation. Your input was flagged", "metadata": {}}}'


@pytest.mark.parametrize("stream", [False, True])
def test_a_403_for_the_content_rests_no_key(stream: bool) -> None:
    """Its caller is told, or somebody else is asked where that was written; the keys serve the next client. Also where the answer
    had begun.
    """

    async def scene() -> None:
        words = RefusalsSpec(content_filter=("*requires moderation*",))
        one = provider("one", keys=keys("a", "b"), include=("m",), refusals=words)
        begun = [
            Head(200, (SSE,)),
            Chunk(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'),
            Chunk(b"data: %b\n\n" % FLAGGED),
        ]
        flagged = (*begun, End()) if stream else reply(403, FLAGGED, [JSON])
        stage = Stage(one, scripts=[flagged, OK])
        answer = await stage.carry(chat(stream=stream))
        assert (answer.status, b"flagged" in answer.body) == (200 if stream else 403, True)
        assert all(state.usable for state in stage.resources.pool("one").states(stage.clock.monotonic()))
        assert (await stage.carry(chat())).status == 200

    play(scene)


def test_a_providers_own_words_turn_the_course() -> None:
    """``refusals`` of its file: globs of what its errors say."""

    async def scene() -> None:
        odd = reply(400, b'{"error": {"message": "Your prompt has too many pages", "type": "oops"}}', [JSON])
        providers = (
            provider("one", keys=keys("k1"), include=("one-model",), refusals=RefusalsSpec(context_length=("*too many pages*",))),
            *PROVIDERS[1:],
        )
        stage = Stage(*providers, GONE, scripts=[odd, OK], cascades=CASCADES)
        assert (await stage.carry(chat(model="turning"))).status == 200
        assert asked(stage) == ["one", "three"]

    play(scene)


def test_what_is_ignored_is_nobodys_business() -> None:
    """Neither by status nor by words does such a refusal reach the client: the next key, the next target, upstream_error."""

    async def scene() -> None:
        ignore = IgnoreSpec(status=(418,), errors=("*glitch*",))
        glitch = reply(400, b'{"error": {"message": "a weird glitch", "type": "x"}}', [JSON])
        one = provider("one", keys=keys("k1", "k2"), include=("one-model",), ignore=ignore)
        stage = Stage(one, *PROVIDERS[1:], GONE, scripts=[reply(418, b"tea"), glitch, OK, glitch, glitch], cascades=CASCADES)
        assert (await stage.carry(chat(model="all"))).status == 200
        assert asked(stage) == ["one", "one", "two"]
        answer = await stage.carry(chat(model="one-model"))
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")

    play(scene)


# ---------------------------------------------------------------------------------------------------- circuits


def test_a_dead_target_is_asked_last_until_its_time_is_over() -> None:
    """After so many failures in a row it costs nobody anything; then one call probes it, and its success closes the circuit."""

    async def scene() -> None:
        stage = stage_of(*[failing("connect"), OK] * 2, OK, OK, OK, OK)
        stage.resources.circuits.adopt(CircuitSpec(failures=2, open=30.0))
        for _ in range(2):
            await stage.carry(chat(model="all"))
        answer = await stage.carry(chat(model="all"))
        assert asked(stage) == ["one", "two", "one", "two", "two"]
        assert answer.headers["x-monorelay-attempts"] == "1"
        assert answer.headers["x-monorelay-trail"] == "one circuit open, two/two-key 200"
        stage.clock.advance(30.0)
        await stage.carry(chat(model="all"))  # the probe
        await stage.carry(chat(model="all"))
        assert asked(stage)[5:] == ["one", "one"]

    play(scene)


def test_a_probe_that_fails_opens_the_circuit_again() -> None:
    """And while it is under way nobody else pays for it."""

    async def scene() -> None:
        stage = stage_of(*[failing("connect"), OK] * 2, (), OK, OK)
        stage.resources.circuits.adopt(CircuitSpec(failures=2, open=30.0))
        for _ in range(2):
            await stage.carry(chat(model="all"))
        stage.clock.advance(30.0)
        probe = stage.begin(chat(model="all"))
        probing = await stage.engine.exchange(4)
        await stage.carry(chat(model="all"))
        assert asked(stage)[4:] == ["one", "two"]
        probing.push(*failing("connect"))
        await asyncio.wait_for(probe, 5)
        stage.engine.scripts.append(OK)
        await stage.carry(chat(model="all"))
        assert asked(stage)[-1] == "two"

    play(scene)


def test_the_last_resort_is_always_asked() -> None:
    """An open circuit is a reason to ask others first, not to ask nobody."""

    async def scene() -> None:
        stage = stage_of(*[failing("connect")] * 8, OK)
        stage.resources.circuits.adopt(CircuitSpec(failures=1, open=30.0))
        for _ in range(2):
            await stage.carry(chat(model="all"))
        assert asked(stage) == ["one", "two", "three"] * 2
        await stage.carry(chat(model="one-model"))  # alone, it is its own last resort
        assert asked(stage)[-1] == "one"

    play(scene)


@pytest.mark.parametrize("script", [WRONG, LIMITED, NO_MODEL], ids=["a refusal", "a rate limit", "no such model"])
def test_what_an_upstream_says_proves_that_it_is_there(script: Any) -> None:
    """Only its own faults open a circuit."""

    async def scene() -> None:
        one = provider("one", keys=keys(*"abcdef"), include=("one-model",))
        stage = Stage(one, *PROVIDERS[1:], GONE, scripts=[failing("connect"), OK, script, *[OK] * 20], cascades=CASCADES)
        stage.resources.circuits.adopt(CircuitSpec(failures=2, open=30.0))
        await stage.carry(chat(model="all"))
        await stage.carry(chat(model="all"))
        assert "Circuits of 0" in repr(stage.resources.circuits)

    play(scene)


# ---------------------------------------------------------------------------------------------------- retries


def retrying(max_retries: int = 2, **more: Any) -> Any:
    more.setdefault("backoff_max", 0.2)
    return provider("one", keys=keys("k1"), include=("m",), retry=RetrySpec(max_retries, backoff=0.01, **more))


def test_retries_are_off_by_default() -> None:
    async def scene() -> None:
        stage = stage_of(DOWN)
        assert (await stage.carry(chat(model="one-model"))).status == 503
        assert asked(stage) == ["one"]

    play(scene)


@pytest.mark.parametrize("script", [DOWN, failing("connect"), failing("idle"), reply(529, b"", [JSON])])
def test_a_failure_is_retried_as_often_as_configured(script: Any) -> None:
    """With the same key, for nothing was wrong with it."""

    async def scene() -> None:
        stage = Stage(retrying(), scripts=[script, script, OK])
        answer = await stage.carry(chat())
        assert (answer.status, answer.headers["x-monorelay-attempts"]) == (200, "3")
        stage = Stage(retrying(), scripts=[script] * 3)
        assert (await stage.carry(chat())).status == 503

    play(scene)


@pytest.mark.parametrize("script", [WRONG, reply(500, b"", [JSON]), failing("first_byte")])
def test_what_is_not_configured_is_not_retried(script: Any) -> None:
    async def scene() -> None:
        stage = Stage(retrying(on_status=(503,), on_error=("connect",)), scripts=[script])
        await stage.carry(chat())
        assert len(stage.engine.requests) == 1

    play(scene)


def test_a_retry_never_comes_before_retry_after() -> None:
    """What is longer than the configured patience is no reason to wait at all."""

    async def scene() -> None:
        soon = reply(503, b"", [JSON, ("retry-after-ms", "15")])
        late = reply(503, b"", [JSON, ("retry-after", "60")])
        stage = Stage(retrying(), scripts=[soon, OK, late])
        began = asyncio.get_running_loop().time()
        assert (await stage.carry(chat())).status == 200
        assert asyncio.get_running_loop().time() - began >= 0.1  # a wait is never shorter than that
        assert (await stage.carry(chat())).status == 503
        assert len(stage.engine.requests) == 3

    play(scene)


def test_an_outage_is_not_multiplied() -> None:
    """Retries stay within their budget: a fifth of what was asked lately, and a few."""

    async def scene() -> None:
        stage = Stage(retrying(5), scripts=[lambda request: DOWN])
        for _ in range(200):
            await stage.carry(chat())
        assert 200 < len(stage.engine.requests) <= 200 * 1.2 + 10

    play(scene)


def test_no_retry_for_a_client_that_left() -> None:
    async def scene() -> None:
        patient = provider("one", keys=keys("k1"), include=("m",), retry=RetrySpec(3, backoff=60.0, backoff_max=60.0))
        stage = Stage(patient, scripts=[DOWN])
        stage.resources.draw = lambda: 0.9
        task = stage.begin(chat())
        while not stage.reply.on_gone or len(stage.engine.requests) < 1 or not stage.engine.exchanges[0].over:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        stage.reply.leave()
        await asyncio.wait_for(task, 2)
        assert len(stage.engine.requests) == 1 and not stage.reply.begun

    play(scene)


# ---------------------------------------------------------------------------------------------------- holding


def test_a_call_may_wait_for_the_soonest_key() -> None:
    """Within ``hold``; beyond it, or without it, the answer is no_keys at once."""

    async def scene() -> None:
        brief = reply(429, b"", [JSON, ("retry-after-ms", "50")])
        one = provider("one", keys=keys("k1"), include=("m",))
        stage = Stage(one, scripts=[brief, OK], hold=5.0)
        ticking = asyncio.ensure_future(_tick(stage))
        answer = await stage.carry(chat())
        assert (answer.status, answer.headers["x-monorelay-attempts"]) == (200, "2")
        ticking.cancel()
        stage = Stage(one, scripts=[LIMITED], hold=5.0)
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"]) == (503, "no_keys")
        stage = Stage(one, scripts=[brief])
        assert (await stage.carry(chat())).status == 503

    play(scene)


def test_those_who_wait_do_not_all_go_at_once() -> None:
    """Of forty that wait for one key a few find out that it is limited still, and the others hear of it."""

    async def scene() -> None:
        one = provider("one", keys=keys("k1"), include=("m",))
        brief = reply(429, b"", [JSON, ("retry-after-ms", "50")])
        stage = Stage(one, scripts=[*[brief] * 40, lambda request: LIMITED], hold=5.0)
        draws = cycle(number / 40 for number in range(40))
        stage.resources.draw = lambda: next(draws)
        ticking = asyncio.ensure_future(_tick(stage))
        await asyncio.wait_for(asyncio.gather(*(stage.begin(chat()) for _ in range(40))), 5)
        assert len(stage.engine.requests) < 50
        ticking.cancel()

    play(scene)


def test_the_wait_is_for_a_key_that_takes_this_request() -> None:
    """Where a limit of tokens leaves room for a smaller one only, the call waits until there is room for it."""

    async def scene() -> None:
        limited = tuple(replace(key, limits=LimitsSpec(tpm=1000)) for key in keys("k1"))
        stage = Stage(provider("one", keys=limited, include=("m",)), scripts=[lambda request: OK], hold=100.0)
        assert (await stage.carry(chat(max_tokens=900))).status == 200
        task = stage.begin(chat(max_tokens=900))
        for _ in range(5):
            await asyncio.sleep(0.02)
            assert not task.done()
        task.cancel()
        stage = Stage(provider("one", keys=limited, include=("m",)), scripts=[lambda request: OK], hold=10.0)
        await stage.carry(chat(max_tokens=900))
        answer = await stage.carry(chat(max_tokens=900))
        assert (answer.error["type"], answer.headers["retry-after"]) == ("no_keys", "60")
        assert "at its limits" in answer.error["message"]

    play(scene)


def test_a_call_waits_where_one_key_was_refused_and_another_is_busy(expect_logs: Any) -> None:
    """That somebody refused a key says nothing of the others: the next is free in a moment."""
    expect_logs("it rests for")

    async def scene() -> None:
        limited = tuple(replace(key, limits=LimitsSpec(rps=1)) for key in keys("k1", "k2"))
        stage = Stage(provider("one", keys=limited, include=("m",)), scripts=[OK, REFUSED_KEY, OK], hold=5.0)
        ticking = asyncio.ensure_future(_tick(stage))
        assert [(await stage.carry(chat())).status for _ in range(2)] == [200, 200]
        assert len(stage.engine.requests) == 3
        ticking.cancel()

    play(scene)


def test_a_key_that_became_free_meanwhile_is_asked() -> None:
    """Without any patience too: nobody waits for it. Once; then the answer stands."""

    async def scene() -> None:
        for last, status in ((OK, 200), (LIMITED, 503)):
            stage = stage_of(reply(429, b"", [JSON, ("retry-after", "5")]), (), DOWN, last)
            task = stage.begin(chat(model="all"))
            second = await stage.engine.exchange(1)
            stage.clock.advance(6.0)
            second.push(*failing("first_byte"))
            await asyncio.wait_for(task, 2)
            assert asked(stage) == ["one", "two", "three", "one"] and stage.reply.status == status

    play(scene)


def test_a_key_that_comes_back_wakes_who_waits_for_it() -> None:
    """Of ten calls one goes at a time: each when the one before it has ended, well or not, and not when a second has passed."""

    async def scene() -> None:
        one = provider("one", keys=(KeySpec("k1", Secret("sk-1"), limits=LimitsSpec(concurrency=1)),), include=("m",))
        stage = Stage(one, scripts=[OK, DOWN] * 5, hold=5.0)
        calls, replies = [], []
        for _ in range(10):
            calls.append(stage.begin(chat()))
            replies.append(stage.reply)
        await asyncio.wait_for(asyncio.gather(*calls), 0.9)
        assert sorted(reply.status for reply in replies) == [200] * 5 + [503] * 5
        assert stage.resources.holding.count == 0

    play(scene)


def test_little_patience_is_enough_for_a_key_that_comes_back() -> None:
    """When a request in flight will end is not known: who may be held for less than a second waits that long, and no longer."""

    async def scene() -> None:
        one = provider("one", keys=(KeySpec("k1", Secret("sk-1"), limits=LimitsSpec(concurrency=1)),), include=("m",))
        stage = Stage(one, scripts=[(), OK], hold=0.9)
        first = stage.begin(chat())
        busy = await stage.engine.exchange(0)
        second, reply = stage.begin(chat()), stage.reply
        while not stage.resources.holding.count:
            await asyncio.sleep(0)
            assert not second.done()
        busy.push(*OK)
        await asyncio.wait_for(asyncio.gather(first, second), 5)
        assert reply.status == 200 and len(stage.engine.requests) == 2
        stage = Stage(one, scripts=[()], hold=0.05)
        first = stage.begin(chat())
        await stage.engine.exchange(0)
        ticking = asyncio.ensure_future(_tick(stage))
        assert (await stage.carry(chat())).status == 503
        ticking.cancel()
        first.cancel()

    play(scene)


async def _tick(stage: Stage) -> None:
    """The stage's clock goes with the loop's."""
    while True:
        await asyncio.sleep(0.01)
        stage.clock.advance(0.01)


# ---------------------------------------------------------------------------------------------------- balancing


def balanced(strategy: str, *scripts: Any, **more: Any) -> Stage:
    providers = more.pop("providers", PROVIDERS)
    return Stage(*providers, scripts=scripts or [lambda request: OK], balancing=(BalancingSpec("m", strategy),), **more)  # type: ignore[arg-type]


def test_balanced_targets_stand_in_for_each_other() -> None:
    """Whatever the strategy: the next provider of the model is asked when the first fails."""

    async def scene() -> None:
        for strategy in ("priority", "weighted", "least-busy", "latency", "cheapest"):
            stage = balanced(strategy, DOWN, OK)
            assert (await stage.carry(chat())).status == 200
            assert len(set(asked(stage))) == 2, strategy

    play(scene)


def test_weights_share_the_calls() -> None:
    """Drawn by weight: of ten draws nine hit the heavy one."""

    async def scene() -> None:
        providers = (provider("one", keys=keys("a"), include=("m",), weight=9), provider("two", keys=keys("b"), include=("m",)))
        stage = balanced("weighted", providers=providers)
        for number in range(10):
            stage.resources.draw = lambda number=number: (number + 0.5) / 10  # type: ignore[misc]
            await stage.carry(chat())
        assert (asked(stage).count("one"), asked(stage).count("two")) == (9, 1)

    play(scene)


def test_the_least_busy_goes_first() -> None:
    async def scene() -> None:
        stage = balanced("least-busy", (), (), (), OK)
        held = [stage.begin(chat()) for _ in range(3)]
        await stage.engine.exchange(2)
        assert sorted(asked(stage)) == ["one", "three", "two"]
        for exchange in stage.engine.exchanges:
            exchange.push(*OK)
        await asyncio.gather(*held)

    play(scene)


def test_the_quicker_one_of_two_goes_first() -> None:
    """By the moving average of the time to the first byte; who is unknown is tried."""

    async def scene() -> None:
        stage = balanced("latency")
        targets = stage.resources.catalogue(stage.plan).resolve(stage.plan.routes[0], "m").legs[0].targets
        for target, seconds in zip(targets, (0.5, 0.1, 0.9), strict=True):
            stage.resources.pace.observe(target, seconds)
        await stage.carry(chat())
        assert asked(stage) == ["two"]  # drawn were one and two

    play(scene)


def test_the_pace_of_answers_is_noted_for_those_who_are_compared_by_it() -> None:
    async def scene() -> None:
        stage = balanced("latency")
        await stage.carry(chat())
        (target, *_) = stage.resources.catalogue(stage.plan).resolve(stage.plan.routes[0], "m").legs[0].targets
        assert stage.resources.pace.of(target) > 0.0

    play(scene)


# ---------------------------------------------------------------------------------------------------- what is not there


def test_an_endpoint_that_is_not_there_is_not_asked_again_and_again() -> None:
    """Tokens are estimated here when a provider has no counting endpoint, and only that one is left alone."""

    async def scene() -> None:
        routes = (
            route("count", "/v1/messages/count_tokens", needs="anthropic.count_tokens", model="required"),
            route("messages", "/v1/messages", needs="anthropic.messages", model="required"),
        )
        one = provider("one", "anthropic.messages", "anthropic.count_tokens", include=("m",))
        message = reply(200, b'{"type": "message", "content": []}', [JSON])
        stage = Stage(one, routes=routes, scripts=[reply(404, b"", []), message])
        body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(3):
            answer = await stage.carry(body)
            assert answer.status == 200 and answer.headers["x-monorelay-estimate"] == "true"
        assert (await stage.carry(body, 1)).status == 200
        assert len(stage.engine.requests) == 2

    play(scene)


def test_a_model_that_is_not_there_says_nothing_about_the_endpoint() -> None:
    """Tokens are estimated for the client that asked for it, and counted upstream for all others."""

    async def scene() -> None:
        routes = (route("count", "/v1/messages/count_tokens", needs="anthropic.count_tokens", model="required"),)
        nobody = b'{"type": "error", "error": {"type": "not_found_error", "message": "model: misspelt"}}'
        stage = Stage(
            provider("one", "anthropic.messages", "anthropic.count_tokens"),
            routes=routes,
            scripts=[reply(404, nobody, [JSON]), reply(200, b'{"input_tokens": 5}', [JSON])],
        )
        messages = [{"role": "user", "content": "hi"}]
        assert (await stage.carry({"model": "misspelt", "messages": messages})).headers["x-monorelay-estimate"] == "true"
        answer = await stage.carry({"model": "m", "messages": messages})
        assert answer.body == b'{"input_tokens": 5}' and "x-monorelay-estimate" not in answer.headers

    play(scene)
