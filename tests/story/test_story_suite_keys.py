"""Keys from outside: what a client gets, and which key each request of the upstream carried, whatever limits and refusals do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from story_client import Answer, form
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, keys, openai_like
from story_upstream import HANG, Recorded, Recorder, Step, ok, streamed

AUTO = {"remaining": [{"remaining": "x-left", "reset": "x-reset"}], "wait": [{"header": "x-wait"}]}
THREE = keys("a", "b", "c")
STRATEGIES = ("round-robin", "random", "weighted", "least-busy")


def providers(origin: str) -> dict[str, Any]:
    """One for each test, so that no cooldown of one reaches another. ``NAME-model`` is served by NAME."""

    def one(name: str, pool: Iterable[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return openai_like(origin, name, f"{name}-model", keys=list(pool), offers={"credits": None}, **more)

    a, b, c = THREE
    past, soon = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(seconds=6)
    found: dict[str, Any] = {
        **{f"wait{number}": one(f"wait{number}", [a], rate_limits=AUTO) for number in range(len(WAITS))},
        **{f"way-{way}": one(f"way-{way}", [a, b]) for way in WAYS if way != "messages"},
        "way-messages": anthropic_like(origin, "way-messages", "way-messages-model", keys=[a, b]),
        **{f"bulk-{said}": one(f"bulk-{said}", THREE) for said in BULK},
        **{f"refused{status}": one(f"refused{status}", [a, b]) for status in (401, 402, 403)},
        **{f"limit-{name}": one(f"limit-{name}", [{**a, **limits}]) for name, limits in LIMITS.items()},
        "exact": one("exact", [a]),
        "soonest": one("soonest", THREE),
        "late": one("late", [a, b]),
        "grows": one("grows", [a]),
        "expired": one("expired", [{**a, "expires_at": past.isoformat()}, {**b, "expires_at": "2099-12-31"}]),
        "expires": one("expires", [{**a, "expires_at": soon.isoformat()}]),
        "off": one("off", [{**a, "enabled": False}, b]),
        "weighted": one("weighted", [{**a, "weight": 6}, b]),
        "busy": one("busy", [{**a, "concurrency": 2}, {**b, "concurrency": 2}, {**c, "concurrency": 2}]),
        "account": one("account", THREE, rate_limits={"cooldown_scope": "account"}),
        **{f"deadline{first}": one(f"deadline{first}", [a]) for first in ("2", "20")},
        "models": openai_like(
            origin, "models", "models-one", "models-two", keys=[a], rate_limits={"cooldown_scope": "key+model"}, offers={}
        ),
    }
    found["expired"]["keys"][0]["label"] = "old"
    return found


def soon_in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


# What a 429 says, made when it is said; how long the key then rests, in seconds.
WAITS: list[tuple[str, Callable[[], list[str]], float]] = [
    ("seconds", lambda: ["Retry-After: 7"], 7),
    ("a fraction", lambda: ["Retry-After: 2.5"], 2.5),
    ("an HTTP date", lambda: [f"Retry-After: {format_datetime(soon_in(31), usegmt=True)}"], 31),
    (
        "an HTTP date by their clock",
        lambda: ["Date: Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After: Fri, 20 Nov 2026 10:00:33 GMT"],
        33,
    ),
    ("milliseconds", lambda: ["retry-after-ms: 8500"], 8.5),
    ("the finer of two", lambda: ["retry-after-ms: 8500", "Retry-After: 90"], 8.5),
    ("nothing", lambda: [], 60),
    ("nonsense", lambda: ["Retry-After: soon"], 60),
    ("less than nothing", lambda: ["Retry-After: -5"], 60),
    ("a header of the provider's", lambda: ["x-wait: 41"], 41),
    ("reset in seconds", lambda: ["x-left: 0", "x-reset: 12"], 12),
    ("reset as a duration", lambda: ["x-left: 0", "x-reset: 1m12.5s"], 72.5),
    ("reset in ms", lambda: ["x-left: 0", "x-reset: 9500ms"], 9.5),
    ("reset as RFC 3339", lambda: ["x-left: 0", f"x-reset: {soon_in(44).isoformat()}"], 44),
    ("reset as an epoch", lambda: ["x-left: 0", f"x-reset: {time.time() + 25:.0f}"], 25),
    ("reset as an epoch in ms", lambda: ["x-left: 0", f"x-reset: {(time.time() + 26) * 1000:.0f}"], 26),
    ("reset as an HTTP date", lambda: ["x-left: 0", f"x-reset: {format_datetime(soon_in(27), usegmt=True)}"], 27),
    ("a reset of what is not used up", lambda: ["x-left: 3", "x-reset: 12"], 60),
]
LIMITED = b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}'


def limited(*headers: str) -> tuple[Step, ...]:
    return ok(LIMITED, *headers, status="429 Too Many Requests")


CHAT_429 = b'data: {"error":{"message":"slow down","type":"rate_limit_error","code":429}}\n\n'
CLAUDE_429 = b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n'
RESPONSES_429 = b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"slow down"}\n\n'
HI = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
CLAUDE_HI = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
RESPONSES_HI = b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","status":"completed"}}\n\n'
FORM = ("Content-Type", "multipart/form-data; boundary=b")

# How a client asks: method, path, headers, body; the refusal; the answer of the next key.
WAYS: dict[str, tuple[str, str, tuple[tuple[str, str], ...], Any, tuple[Step, ...], tuple[Step, ...]]] = {
    "chat": ("POST", "/v1/chat/completions", (), {}, limited(), ok(b'{"n":1}')),
    "chat-stream": ("POST", "/v1/chat/completions", (), {"stream": True}, limited(), streamed(HI)),
    "chat-event": ("POST", "/v1/chat/completions", (), {"stream": True}, streamed(CHAT_429), streamed(HI)),
    "completions": ("POST", "/v1/completions", (), {"prompt": "x"}, limited(), ok(b'{"n":1}')),
    "responses": ("POST", "/v1/responses", (), {}, limited(), ok(b'{"n":1}')),
    "responses-event": ("POST", "/v1/responses", (), {"stream": True}, streamed(RESPONSES_429), streamed(RESPONSES_HI)),
    "messages": ("POST", "/v1/messages", (), {"max_tokens": 9, "stream": True}, streamed(CLAUDE_429), streamed(CLAUDE_HI)),
    "embeddings": ("POST", "/v1/embeddings", (), {"input": "x"}, limited(), ok(b'{"n":1}')),
    "audio": ("POST", "/v1/audio/transcriptions", (FORM,), b"audio", limited(), ok(b'{"text":"hi"}')),
    "speech": ("POST", "/v1/audio/speech", (), {"input": "x"}, limited(), ok(b"\x00\x01", kind="audio/mpeg")),
    "files": ("GET", "/v1/files?provider=way-files", (), None, limited(), ok(b'{"data":[]}')),
    "delete": ("DELETE", "/v1/files/f?provider=way-delete", (), None, limited(), ok(b'{"deleted":true}')),
}
BULK = {"0": ["Retry-After: 0"], "1": ["Retry-After: 1"], "ms": ["retry-after-ms: 1"], "none": [], "30": ["Retry-After: 30"]}
LIMITS: dict[str, dict[str, Any]] = {
    "rpm": {"limits": {"rpm": 3}},
    "flat-rpm": {"rpm": 3},
    "quota": {"limits": {"quota": 3}},
    "flat-quota": {"quota_limit": 3},
    "5h": {"limits": {"5h": 3}},
    "1d": {"usage_window_limits": {"window_1d": 3}},
    "7d": {"usage_window_limits": {"window_7d": 3, "window_5h": 9}},
    "rps": {"limits": {"rps": 3}},
    "flat-rps": {"rate_limit_rps": 3},
    "tpm": {"limits": {"tpm": 60}},
    "concurrency": {"concurrency": 3},
}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    expected = ("it rests for", "has expired")
    return start({"server": SERVER, "providers": providers(upstream.origin)}, environ=SECRETS, expected=expected)


@pytest.fixture(autouse=True)
def no_rule(upstream: Recorder) -> None:
    upstream.rule(lambda request: None)


def chat(relay: Relay, name: str, **more: Any) -> Answer:
    return relay.ask("POST", "/v1/chat/completions", body={"model": f"{name}-model", **more})


def key_of(request: Recorded) -> str:
    found = request.header("authorization") or request.header("x-api-key") or ""
    return found.removeprefix("Bearer ").removeprefix("sk-up-")


def used(upstream: Recorder) -> list[str]:
    return [key_of(request) for request in upstream.requests]


def no_keys(answer: Answer) -> int:
    """It must be no_keys; the seconds that it says."""
    assert (answer.status, answer.error["type"]) == (503, "no_keys"), answer.body
    return int(answer.header("retry-after") or 0)


# ---------------------------------------------------------------------------------------------------- 429


@pytest.mark.parametrize("number", range(len(WAITS)), ids=[said for said, _, _ in WAITS])
def test_how_long_a_key_cools(relay: Relay, upstream: Recorder, number: int) -> None:
    """In every way in which an upstream says it; the client is told, in whole seconds."""
    _, says, seconds = WAITS[number]
    upstream.answer(limited(*says()))
    said = no_keys(chat(relay, f"wait{number}"))
    assert seconds - 2 <= said <= seconds + 1
    again = no_keys(chat(relay, f"wait{number}"))
    assert said - 2 <= again <= said and len(upstream.requests) == 1, "a cooling key was used"


@pytest.mark.parametrize("way", WAYS)
def test_a_429_goes_on_with_the_next_key(relay: Relay, upstream: Recorder, way: str) -> None:
    """On every endpoint, by status or by event: the client gets the answer of the next key, and the first is left alone."""
    method, path, headers, body, refusal, answer = WAYS[way]
    model = f"way-{way}-model"
    if body == b"audio":
        body = form(("model", model.encode()), ("file", b"sound"))
    elif body is not None:
        body = {"model": model, **body}
    upstream.answer(refusal, answer)
    got = relay.ask(method, path, *headers, body=body)
    assert (got.status, got.header("x-monorelay-attempts")) == (200, "2"), got.body
    assert "429" in (got.header("x-monorelay-trail") or "")
    upstream.wait(2)
    assert sorted(used(upstream)) == ["a", "b"]
    assert upstream.requests[0].body == upstream.requests[1].body, "the same body goes up again"
    upstream.answer(answer, answer)
    for _ in range(2):
        assert relay.ask(method, path, *headers, body=body).status == 200
    assert used(upstream)[2:] == [used(upstream)[1]] * 2


def test_all_keys_cooling_says_when_the_soonest_comes_back(relay: Relay, upstream: Recorder) -> None:
    """And nothing goes up until then."""
    upstream.answer(limited("Retry-After: 30"), limited("Retry-After: 12"), limited("Retry-After: 50"))
    answer = chat(relay, "soonest")
    assert no_keys(answer) in (11, 12) and answer.header("x-monorelay-attempts") == "3"
    assert answer.header("x-monorelay-upstream-status") == "429" and len(upstream.requests) == 3
    for stream in (True, False):
        assert no_keys(chat(relay, "soonest", stream=stream)) in (11, 12)
    assert len(upstream.requests) == 3
    health = relay.ask("GET", "/health").json["providers"]["soonest"]
    assert (health["keys"], health["available"]) == (3, 0)


def test_a_cooldown_ends_when_it_said(relay: Relay, upstream: Recorder) -> None:
    """Not before; and then it is over."""
    upstream.answer(limited("retry-after-ms: 2000"))
    no_keys(chat(relay, "exact"))
    began = time.monotonic()
    time.sleep(0.5)
    no_keys(chat(relay, "exact"))
    time.sleep(max(0.0, began + 2.05 - time.monotonic()))
    assert chat(relay, "exact").status == 200
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(("first", "second"), [("20", "2"), ("2", "20")])
def test_the_longest_of_two_deadlines_holds(relay: Relay, upstream: Recorder, first: str, second: str) -> None:
    """Of requests that were under way with the same key, whatever their order."""
    gates = threading.Event(), threading.Event()
    upstream.answer((gates[0], *limited(f"Retry-After: {first}")), (gates[1], *limited(f"Retry-After: {second}")))
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(chat, relay, f"deadline{first}") for _ in range(2)]
        upstream.wait(2)
        gates[0].set()
        time.sleep(0.1)
        gates[1].set()
        for call in calls:
            no_keys(call.result())
    assert no_keys(chat(relay, f"deadline{first}")) > 15


def test_a_429_inside_a_stream_that_has_begun_cools_its_key(relay: Relay, upstream: Recorder) -> None:
    """The client has its error; the next request goes to the other key."""
    begun = b'data: {"choices":[{"delta":{"content":"h"}}]}\n\n'
    upstream.answer(streamed(begun, CHAT_429))
    answer = chat(relay, "late", stream=True)
    assert (answer.status, answer.body, answer.whole) == (200, begun + CHAT_429, True)
    for _ in range(3):
        assert chat(relay, "late").status == 200
    assert len(set(used(upstream)[1:])) == 1 and used(upstream)[0] not in used(upstream)[1:]


def test_a_key_that_is_refused_again_cools_longer(relay: Relay, upstream: Recorder) -> None:
    """However short the upstream says: the second refusal in a row costs a second."""
    upstream.answer(limited("retry-after-ms: 1"), limited("retry-after-ms: 1"))
    no_keys(chat(relay, "grows"))
    time.sleep(0.15)
    no_keys(chat(relay, "grows"))
    time.sleep(0.15)
    no_keys(chat(relay, "grows"))
    time.sleep(0.9)
    assert chat(relay, "grows").status == 200 and len(upstream.requests) == 3


@pytest.mark.parametrize("said", BULK)
def test_with_one_of_three_keys_limited_nothing_fails(relay: Relay, upstream: Recorder, said: str) -> None:
    """0 of 300 requests, 10 at a time; and the upstream is asked at most 1.2 times for each."""
    upstream.rule(lambda request: limited(*BULK[said]) if key_of(request) == "a" else None)
    lock, left = threading.Lock(), [300]

    def worker() -> list[int]:
        statuses = []
        with relay.wire() as wire:
            while True:
                with lock:
                    left[0] -= 1
                    if left[0] < 0:
                        return statuses
                wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body={"model": f"bulk-{said}-model"})
                statuses.append(wire.answer().status)

    with ThreadPoolExecutor(10) as pool:
        statuses = [status for done in [pool.submit(worker) for _ in range(10)] for status in done.result()]
    assert Counter(statuses) == {200: 300}
    assert len(upstream.requests) <= 360, Counter(used(upstream))


def test_a_limit_of_the_account_cools_all_keys(relay: Relay, upstream: Recorder) -> None:
    """Asking with the next key would only make it worse."""
    upstream.answer(limited("Retry-After: 9"))
    assert no_keys(chat(relay, "account")) in (8, 9)
    assert no_keys(chat(relay, "account")) in (8, 9) and len(upstream.requests) == 1


def test_a_limit_of_a_model_leaves_the_others(relay: Relay, upstream: Recorder) -> None:
    """The same key goes on with another model."""
    upstream.answer(limited("Retry-After: 9"))
    for model, status in (("models-one", 503), ("models-two", 200), ("models-one", 503)):
        assert relay.post("/v1/chat/completions", {"model": model}).status == status
    assert len(upstream.requests) == 2


# ---------------------------------------------------------------------------------------------------- refused keys


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_rests_for_long(relay: Relay, upstream: Recorder, status: int) -> None:
    """The request goes on with the next; nothing of the refusal reaches the client, and the log is loud."""
    upstream.rule(lambda request: ok(b'{"error":{"message":"no"}}', status=f"{status} No") if key_of(request) == "a" else None)
    for _ in range(4):
        assert chat(relay, f"refused{status}").status == 200
    assert Counter(used(upstream)) == {"a": 1, "b": 4}
    assert f"provider=refused{status} key=a was refused with {status}" in relay.log()
    upstream.rule(lambda request: ok(b'{"error":{"message":"no"}}', status=f"{status} No"))
    answer = chat(relay, f"refused{status}")
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")
    assert answer.header("x-monorelay-upstream-status") == str(status)
    assert no_keys(chat(relay, f"refused{status}")) > 100


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("name", [name for name in LIMITS if name not in ("tpm", "concurrency")])
def test_a_limit_is_never_exceeded(relay: Relay, upstream: Recorder, name: str) -> None:
    """Of 12 requests at once 3 go up; the others are told when to come again."""
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: chat(relay, f"limit-{name}"), range(12)))
    assert Counter(answer.status for answer in answers) == {200: 3, 503: 9}
    assert len(upstream.requests) == 3
    for answer in answers:
        if answer.status == 503:
            assert answer.error["type"] == "no_keys"
            assert bool(answer.header("retry-after")) is ("quota" not in name)
    if "rps" in name:
        time.sleep(1.05)
        assert chat(relay, f"limit-{name}").status == 200


def test_tokens_are_counted_as_they_were_spent(relay: Relay, upstream: Recorder) -> None:
    """What an answer tells counts against the minute."""
    spent = {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 29, "total_tokens": 59}}
    upstream.answer(ok(spent), ok(spent))
    assert chat(relay, "limit-tpm").status == 200
    assert 30 < no_keys(chat(relay, "limit-tpm", max_tokens=20)) <= 60


def test_concurrency_is_a_bound_and_comes_back(relay: Relay, upstream: Recorder) -> None:
    """50 at once with three keys of two each: never more than two with one; every one is used; afterwards all are free."""
    gate = threading.Event()
    upstream.rule(lambda request: (gate, *ok(b"{}")))
    with ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(chat, relay, "busy") for _ in range(50)]
        upstream.wait(6)
        time.sleep(0.3)
        assert Counter(used(upstream)) == {"a": 2, "b": 2, "c": 2}
        gate.set()
        counts = Counter(call.result().status for call in calls)
    assert counts == {200: 6, 503: 44}
    for _ in range(6):
        assert chat(relay, "busy").status == 200


def test_a_client_that_leaves_gives_its_place_back(relay: Relay, upstream: Recorder) -> None:
    """concurrency: 3, and three that left: the next one is served."""
    upstream.rule(lambda request: (HANG,))
    wires = [relay.wire() for _ in range(3)]
    for wire in wires:
        wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body={"model": "limit-concurrency-model"})
    upstream.wait(3)
    assert no_keys(chat(relay, "limit-concurrency")) == 1
    for wire in wires:
        wire.close()
    assert all(request.gone.wait(2) for request in upstream.requests)
    upstream.rule(lambda request: None)
    assert chat(relay, "limit-concurrency").status == 200


@pytest.fixture(scope="module")
def changing(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    """A relay that is reloaded: its configuration is small."""
    return start(reloadable(upstream), environ=SECRETS)


def reloadable(upstream: Recorder, pool: list[dict[str, Any]] = THREE[:2], **more: Any) -> dict[str, Any]:
    counted = [{**key, "rpm": 20} for key in THREE[:2]]
    found = {
        "counted": openai_like(upstream.origin, "counted", "counted-model", keys=counted),
        "reloaded": openai_like(upstream.origin, "reloaded", "reloaded-model", keys=pool),
        "weighted": openai_like(upstream.origin, "weighted", "weighted-model", keys=[{**THREE[0], "weight": 6}, THREE[1]]),
        **{f"spoilt-{one}": openai_like(upstream.origin, one, f"spoilt-{one}-model", keys=THREE) for one in STRATEGIES},
    }
    return {"server": SERVER, "providers": found, **more}


def test_what_was_counted_survives_a_reload(changing: Relay, upstream: Recorder) -> None:
    """Cooldown and counters, of keys that stay and of one that goes and comes again."""
    relay = changing
    for _ in range(8):
        chat(relay, "counted")
    upstream.answer(limited("Retry-After: 40"))
    assert chat(relay, "reloaded").status == 200
    cooled = used(upstream)[-2]
    relay.reload(reloadable(upstream, THREE[2:]))
    assert chat(relay, "reloaded").status == 200
    relay.reload(reloadable(upstream))
    upstream.reset()
    statuses = Counter(chat(relay, "counted").status for _ in range(40))
    assert statuses == {200: 32, 503: 8}
    upstream.reset()
    for _ in range(3):
        assert chat(relay, "reloaded").status == 200
    assert cooled not in used(upstream)


# ---------------------------------------------------------------------------------------------------- which key


def test_expired_and_disabled_keys_are_never_used(relay: Relay, upstream: Recorder) -> None:
    """And one that expires while the relay runs is not used from then on."""
    for name in ("expired", "off"):
        for _ in range(4):
            assert chat(relay, name).status == 200
    assert used(upstream) == ["b"] * 8
    deadline = time.monotonic() + 10
    while (answer := chat(relay, "expires")).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "expired" in answer.error["message"] and "retry-after" not in answer.names()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies(changing: Relay, upstream: Recorder, strategy: str) -> None:
    """Each has its share, and a cooling key has none."""
    relay = changing
    relay.reload(reloadable(upstream, key_selection={"strategy": strategy}), outcome="taken|unchanged")
    for _ in range(70):
        assert chat(relay, "weighted").status == 200
    counts = Counter(used(upstream))
    low, high = {"random": (20, 50), "weighted": (48, 69)}.get(strategy, (35, 35))
    assert low <= counts["a"] <= high and counts["a"] + counts["b"] == 70, counts
    upstream.reset()
    upstream.rule(lambda request: limited("Retry-After: 60") if key_of(request) == "b" else None)
    for _ in range(30):
        assert chat(relay, f"spoilt-{strategy}").status == 200
    assert Counter(used(upstream))["b"] <= 1


# ---------------------------------------------------------------------------------------------------- restarts, and several workers


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_is_known_of_keys_survives_a_restart(start: Callable[..., Relay], upstream: Recorder, how: str) -> None:
    """Cooldowns, rests, quotas and windows; killed or stopped."""
    config = {
        "server": SERVER,
        "providers": {
            "cooled": openai_like(upstream.origin, "cooled", "cooled-model", keys=THREE[:2]),
            "rested": openai_like(upstream.origin, "rested", "rested-model", keys=THREE[:2]),
            "quota": openai_like(upstream.origin, "quota", "quota-model", keys=[{**THREE[0], "quota_limit": 5}]),
            "window": openai_like(upstream.origin, "window", "window-model", keys=[{**THREE[0], "limits": {"5h": 5}}]),
        },
    }
    expected = ("it rests for", "was ended by SIGKILL")
    before = start(config, environ=SECRETS, expected=expected)
    upstream.rule(
        lambda request: (
            {"/cooled": limited("Retry-After: 600"), "/rested": ok(b"{}", status="401 No")}.get(request.target[:7])
            if key_of(request) == "a"
            else None
        )
    )
    for name in ("cooled", "rested", "quota", "window"):
        for _ in range(3):
            assert chat(before, name).status == 200
    if how == "killed":
        time.sleep(1.5)  # it is written behind
        for worker in before.workers():
            os.kill(worker, signal.SIGKILL)
        after = before
        before.wait_for(r"worker=0 pid=\d+ was ended by")
        time.sleep(0.5)
    else:
        before.stop()
        after = start(config, environ=SECRETS, directory=before.directory, expected=expected)
    upstream.reset()
    for name in ("cooled", "rested"):
        for _ in range(3):
            assert chat(after, name).status == 200
    assert used(upstream) == ["b"] * 6
    for name in ("quota", "window"):
        assert Counter(chat(after, name).status for _ in range(4)) == {200: 2, 503: 2}


def test_workers_agree(start: Callable[..., Relay], upstream: Recorder) -> None:
    """What one worker was told, the others know at once; a limit is one for all of them, but for a request each."""
    providers = {
        "cooled": openai_like(upstream.origin, "cooled", "cooled-model", keys=THREE[:2]),
        "counted": openai_like(upstream.origin, "counted", "counted-model", keys=[{**THREE[0], "rpm": 10}]),
    }
    many = start({"server": {**SERVER, "workers": 3}, "providers": providers}, environ=SECRETS)
    upstream.rule(lambda request: limited("Retry-After: 600") if "cooled" in request.target and key_of(request) == "a" else None)
    while "a" not in used(upstream):
        assert chat(many, "cooled").status == 200
    time.sleep(1)
    upstream.reset()
    with ThreadPoolExecutor(10) as pool:
        assert {answer.status for answer in pool.map(lambda _: chat(many, "cooled"), range(40))} == {200}
        assert set(used(upstream)) == {"b"}
        statuses = Counter(answer.status for answer in pool.map(lambda _: chat(many, "counted"), range(40)))
    assert 10 <= statuses[200] <= 13 and statuses[200] + statuses[503] == 40


# ---------------------------------------------------------------------------------------------------- holding


def test_a_call_is_held_as_long_as_it_may_be(changing: Relay, upstream: Recorder) -> None:
    """For the soonest key, streamed or not; a wait that is too long is told at once; each call behind it has its turn."""
    relay = changing
    providers = {
        name: openai_like(upstream.origin, name, f"{name}-model", keys=THREE[:1], rate_limits=AUTO)
        for name in ("held", "held-stream", "not-held", "crowd")
    }
    providers["crowd"]["keys"] = [{**THREE[0], "limits": {"rps": 5}}]
    relay.reload({"server": SERVER, "providers": providers, "key_selection": {"hold": 3}})
    for name, stream in (("held", False), ("held-stream", True)):
        upstream.answer(limited("retry-after-ms: 600"), streamed(HI) if stream else ok(b'{"n":1}'))
        began = time.monotonic()
        answer = chat(relay, name, stream=stream)
        assert (answer.status, answer.header("x-monorelay-attempts")) == (200, "2") and time.monotonic() - began >= 0.6
    upstream.answer(limited("Retry-After: 20"))
    began = time.monotonic()
    assert no_keys(chat(relay, "not-held")) in (19, 20) and time.monotonic() - began < 2.5  # not held
    upstream.reset()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: chat(relay, "crowd"), range(12)))
    assert {answer.status for answer in answers} == {200}
    times = sorted(request.at for request in upstream.requests)
    # At the upstream: one that waited for a processor on its way comes closer to the one five behind it.
    assert all(later - earlier > 0.5 for earlier, later in zip(times, times[5:], strict=False)), "more than 5 in a second"


def test_least_busy_spreads_what_is_in_flight(changing: Relay, upstream: Recorder) -> None:
    """30 at once over three keys: ten each."""
    relay = changing
    providers = {"spread": openai_like(upstream.origin, "spread", "spread-model", keys=THREE)}
    relay.reload({"server": SERVER, "providers": providers, "key_selection": {"strategy": "least-busy"}})
    gate = threading.Event()
    upstream.rule(lambda request: (gate, *ok(b"{}")))
    with ThreadPoolExecutor(30) as pool:
        calls = [pool.submit(chat, relay, "spread") for _ in range(30)]
        upstream.wait(30)
        gate.set()
        assert Counter(used(upstream)) == {"a": 10, "b": 10, "c": 10}
        assert {call.result().status for call in calls} == {200}
