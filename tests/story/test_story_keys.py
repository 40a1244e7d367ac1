"""A provider's keys: who goes next, who rests, and what the client sees of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from story_client import Answer
from story_process import Relay
from story_providers import SECRETS, SERVER, anthropic_like, keys, openai_like
from story_upstream import CLOSE, HANG, Recorder, ok, streamed

POOLS = {
    "turns": keys("a", "b", "c"),
    "some": [
        *keys("a"),
        {"label": "b", "secret": "${UP_B}", "enabled": False},
        *keys("c"),
        {"label": "none", "secret": "${UNSET:-}"},
    ],
    "spent": keys("a", "b", "c"),
    "brief": keys("a"),
    "longer": keys("a"),
    "short": keys("a"),
    "inband": keys("a", "b"),
    "mixed": keys("a", "b"),
    "fault": keys("a", "b"),
    "upload": keys("a", "b"),
}


@pytest.fixture(scope="module")
def lonely() -> Iterator[Recorder]:
    """Another upstream, whose connections nothing else has used."""
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder, lonely: Recorder) -> Relay:
    providers: dict[str, Any] = {
        name: openai_like(upstream.origin, name, f"{name}-model", keys=pool, priority=number, offers={"credits": None})
        for number, (name, pool) in enumerate(POOLS.items())
    }
    providers["short"]["rate_limit_cooldown"] = 5
    providers["lonely"] = openai_like(lonely.origin, "lonely", "lonely-model", keys=keys("a", "b"), offers={"credits": None})
    providers["claude"] = anthropic_like(upstream.origin, "claude", "claude-model", keys=keys("a", "b"))
    return start({"server": SERVER, "providers": providers}, environ=SECRETS, expected=("it rests for",))


def chat(relay: Relay, name: str, **more: Any) -> Answer:
    return relay.ask("POST", "/v1/chat/completions", body={"model": f"{name}-model", **more})


def used(upstream: Recorder) -> list[str]:
    return [(request.header("authorization") or "").removeprefix("Bearer sk-up-") for request in upstream.requests]


def limited(*headers: str) -> Any:
    return ok(b'{"error": {"message": "slow down"}}', *headers, status="429 Too Many Requests")


def test_keys_take_turns(relay: Relay, upstream: Recorder) -> None:
    """round-robin is the default."""
    for _ in range(9):
        assert chat(relay, "turns").status == 200
    assert used(upstream) == ["a", "b", "c"] * 3


def test_a_disabled_or_empty_key_is_never_used(relay: Relay, upstream: Recorder) -> None:
    """The others take its turns; /health counts what may be used."""
    for _ in range(4):
        assert chat(relay, "some").status == 200
    assert used(upstream) == ["a", "c"] * 2
    assert relay.ask("GET", "/health").json["providers"]["some"]["available"] == 2


def test_a_429_goes_on_with_the_next_key_in_the_same_request(relay: Relay, upstream: Recorder) -> None:
    """The client never sees it; each key is tried once; a cooling key is left alone."""
    upstream.answer(limited("Retry-After: 30"), limited("Retry-After: 40"), ok(b'{"n": 1}'))
    answer = chat(relay, "spent")
    assert (answer.status, answer.json, answer.header("x-monorelay-attempts")) == (200, {"n": 1}, "3")
    assert answer.header("x-monorelay-trail") == "spent/a 429, spent/b 429, spent/c 200"
    bodies = {request.body for request in upstream.requests}
    assert used(upstream) == ["a", "b", "c"] and len(bodies) == 1, "the same body goes up again"
    for _ in range(3):
        chat(relay, "spent")
    assert used(upstream)[3:] == ["c", "c", "c"]
    metrics = relay.ask("GET", "/metrics").body.decode()
    assert 'monorelay_key_usable{provider="spent",key="a"} 0' in metrics
    assert 'monorelay_key_usable{provider="spent",key="c"} 1' in metrics


def test_a_429_of_a_stream_goes_on_too(relay: Relay, upstream: Recorder) -> None:
    """As a status, and as an error event before the first content."""
    event = b'data: {"error":{"message":"slow down","type":"rate_limit_error","code":429}}\n\n'
    good = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
    upstream.answer(streamed(event), streamed(good))
    answer = chat(relay, "inband", stream=True)
    assert (answer.status, answer.body, answer.header("x-monorelay-attempts")) == (200, good, "2")
    assert sorted(used(upstream)) == ["a", "b"]
    told = b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n'
    upstream.answer(streamed(told), limited("retry-after: 9"))
    answer = relay.ask("POST", "/v1/messages", body={"model": "claude-model", "stream": True})
    assert (answer.status, answer.error["type"], answer.json["type"]) == (503, "no_keys", "error")
    assert answer.header("retry-after") in ("8", "9")


def test_a_key_comes_back_when_its_rest_is_over(relay: Relay, upstream: Recorder) -> None:
    """Not a moment before."""
    upstream.answer(limited("retry-after-ms: 400"))
    assert chat(relay, "brief").error["type"] == "no_keys"
    began = time.monotonic()
    while (answer := chat(relay, "brief")).status != 200:
        assert answer.header("retry-after") == "1" and time.monotonic() - began < 5
        time.sleep(0.02)
    assert 0.3 < time.monotonic() - began < 1.5 and len(upstream.requests) == 2


def test_a_new_deadline_never_shortens_an_old_one(relay: Relay, upstream: Recorder) -> None:
    """Of two requests in flight with one key, the longer rest stays."""
    gate = threading.Event()
    upstream.answer((gate, *limited("Retry-After: 2")), limited("Retry-After: 50"))
    answers: list[Answer] = []
    slow = threading.Thread(target=lambda: answers.append(chat(relay, "longer")))
    slow.start()
    upstream.wait(1)
    assert chat(relay, "longer").error["type"] == "no_keys"
    gate.set()
    slow.join()
    assert int(answers[0].header("retry-after") or 0) > 40
    assert int(chat(relay, "longer").header("retry-after") or 0) > 40


def test_rate_limit_cooldown_is_the_providers(relay: Relay, upstream: Recorder) -> None:
    """Where the upstream says nothing."""
    upstream.answer(limited())
    assert chat(relay, "short").header("retry-after") in ("4", "5")


def test_a_cooling_and_a_refused_key_are_told_apart(relay: Relay, upstream: Recorder) -> None:
    """401 on one, 429 on the other: no_keys with the wait of the soonest."""
    upstream.answer(ok(b'{"error": {"message": "bad key"}}', status="401 Unauthorized"), limited("Retry-After: 20"))
    answer = chat(relay, "mixed")
    assert (answer.status, answer.error["type"]) == (503, "no_keys")
    assert answer.header("retry-after") in ("19", "20") and answer.header("x-monorelay-attempts") == "2"
    relay.wait_for(r"provider=mixed key=a was refused with 401")


def test_a_fault_is_not_tried_with_another_key(relay: Relay, upstream: Recorder, lonely: Recorder) -> None:
    """retry is off by default: one attempt, 503; libcurl repeats it once where a kept connection had died."""
    upstream.answer(ok(b"{}", status="502 Bad"))
    answer = chat(relay, "fault")
    assert (answer.status, answer.header("x-monorelay-attempts")) == (503, "1") and len(upstream.requests) == 1
    lonely.answer((CLOSE,), ok(), (CLOSE,), (CLOSE,))
    for status, count in ((503, 1), (200, 2), (503, 4)):
        answer = chat(relay, "lonely")
        assert (answer.status, answer.header("x-monorelay-attempts")) == (status, "1")
        assert len(lonely.requests) == count


def test_a_429_on_an_upload_that_has_begun(relay: Relay, upstream: Recorder) -> None:
    """What went up is not kept, so it cannot be sent again: no_keys with Retry-After, and the next upload takes the other key."""
    upstream.answer(limited("Retry-After: 30"))
    answer = relay.ask("POST", "/v1/files?provider=upload", body=b"x" * 200_000)
    assert (answer.status, answer.error["type"]) == (503, "no_keys") and answer.header("retry-after")
    assert relay.ask("POST", "/v1/files?provider=upload", body=b"x" * 200_000).status == 200
    assert used(upstream) == ["a", "b"]


def test_strategies(start: Callable[..., Relay], upstream: Recorder) -> None:
    """weighted by weight, random evenly; a reload changes from one to the other."""
    pool = [{**key, "weight": weight} for key, weight in zip(keys("a", "b", "c"), (8, 1, 1), strict=True)]
    config = {"server": SERVER, "providers": {"acme": openai_like(upstream.origin, "acme", "m", keys=pool)}}
    relay = start({**config, "key_selection": {"strategy": "weighted"}}, environ=SECRETS)

    def count() -> Counter[str]:
        upstream.reset()
        with relay.wire() as wire:
            for _ in range(180):
                wire.request("POST", "/v1/chat/completions", ("x-api-key", "sk-story-access-key"), body={"model": "m"})
                assert wire.answer().status == 200
        return Counter(used(upstream))

    counts = count()
    assert counts["a"] > 110 and 2 <= counts["b"] <= 45 and 2 <= counts["c"] <= 45, counts
    relay.reload({**config, "key_selection": {"strategy": "random"}})
    counts = count()
    assert all(30 <= counts[name] <= 95 for name in "abc"), counts


def test_one_key_for_all_in_flight(relay: Relay, upstream: Recorder) -> None:
    """A client that leaves gives its key back: nothing is learned about it."""
    for _ in range(3):
        upstream.answer((HANG,))
        with relay.wire() as wire:
            wire.request("POST", "/v1/chat/completions", ("x-api-key", "sk-story-access-key"), body={"model": "turns-model"})
            upstream.wait(1)
        assert upstream.requests[0].gone.wait(2)
        upstream.reset()
    assert relay.ask("GET", "/health").json["providers"]["turns"]["available"] == 3
    assert chat(relay, "turns").status == 200
