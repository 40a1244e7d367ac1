"""Upstreams that cannot be reached or take too long, and cascades over everything that can go wrong."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fault_scripts import DIALECTS, Case, is_broken_stream, json_cases, stream_cases
from story_client import Answer
from story_errors import is_error
from story_process import Relay
from story_providers import SECRETS, SERVER, keys
from story_upstream import CLOSE, HANG, Recorded, Recorder, Step, ok, streamed

OFFERS = {
    "chat": {"openai.chat": "/chat/completions"},
    "messages": {"anthropic.messages": "/messages"},
    "responses": {"openai.responses": "/responses"},
}
CASES = [
    case
    for pair in (("chat", "chat"), ("messages", "chat"), ("responses", "messages"))
    for cases in (json_cases, stream_cases)
    for case in cases(*pair)
    if case.how not in ("silent", "silent of chunks", "silent without framing") or case.place == "in the body"
]
STATUSES = (301, 404, 500, 502, 503, 529, 401, 403, 429)


@pytest.fixture(scope="module")
def black_hole() -> Iterator[int]:
    """A port whose queue is full: connections to it are neither taken nor refused."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listening.getsockname()[1]
    callers = [socket.socket() for _ in range(4)]
    for caller in callers:
        caller.setblocking(False)
        caller.connect_ex(("127.0.0.1", port))
    yield port
    for each in (*callers, listening):
        each.close()


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder, black_hole: int) -> Relay:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    times = {"connect": 0.25, "first_byte": 0.4, "idle": 0.4}
    calm = {"connect": 20, "first_byte": 20, "idle": 20}  # nobody is silent there
    patient = {"connect": 5, "first_byte": 2, "idle": 2}  # where many ask at once, a busy machine must not look like a fault

    def one(url: str, name: str = "chat", **more: Any) -> dict[str, Any]:
        return {"base_url": url, "keys": keys("a"), "offers": OFFERS[name], **{"timeouts": times, **more}}

    origin = upstream.origin
    providers = {
        "refused": one(f"http://127.0.0.1:{closed}"),
        "hole": one(f"http://127.0.0.1:{black_hole}"),
        "unknown": one("http://no-such-host.invalid"),
        "tls": one(origin.replace("http:", "https:")),
        "plain": one(origin),
        "talking": one(origin, timeouts=patient),
        "halting": one(origin, timeouts={"connect": 5, "first_byte": 20, "idle": 0.4}),
        "late": one(origin),
        "total": one(origin, timeouts={"connect": 1, "first_byte": 5, "idle": 5, "total": 1.5}),
        "stubborn": one(origin, timeouts=calm, retry={"max_retries": 1, "retry_on_status": [408, 409, 425], "backoff": 0.05}),
        "tried": one(origin, timeouts=patient, retry={"max_retries": 2, "backoff": 0.05}),
        **{f"bad-{name}": one(f"{origin}/bad/{name}", name, timeouts=patient) for name in OFFERS},
        **{f"good-{name}": one(f"{origin}/good/{name}", name, timeouts=patient) for name in OFFERS},
        **{f"spoilt{status}": one(f"{origin}/spoilt/{status}", timeouts=calm) for status in STATUSES},
    }
    cascades: dict[str, Any] = {
        f"case-{number}": [f"{number}@bad-{case.upstream}", f"{number}@good-{case.upstream}"] for number, case in enumerate(CASES)
    }
    cascades |= {f"status-{status}": [f"x@spoilt{status}", "x@good-chat"] for status in STATUSES}
    cascades |= {f"dead-{name}": [f"x@{name}", "x@good-chat"] for name in UNREACHABLE}
    cascades |= {
        "all-dead": ["x@refused", "y@hole", "z@spoilt500"],
        "slow": ["x@hole", "x@good-chat"],
        "late": ["x@late", "x@good-chat"],
    }
    config = {"server": SERVER, "providers": providers, "model_routing": {"cascades": cascades, "circuit": {"failures": 2}}}
    return start(config, environ=SECRETS, expected=("it rests for",))


@pytest.fixture(autouse=True)
def no_rule(upstream: Recorder) -> None:
    upstream.rule(lambda request: None)


UNREACHABLE = {"refused": "connect", "hole": "connect", "unknown": "connect", "tls": "tls"}


def ask(relay: Relay, client: str, model: str, stream: bool = False, *headers: tuple[str, str]) -> Answer:
    body = {"model": model, "stream": stream, **DIALECTS[client].body}
    return relay.ask("POST", DIALECTS[client].path, *headers, body=body)


# ---------------------------------------------------------------------------------------------------- nobody there


@pytest.mark.parametrize("client", ["chat", "messages", "responses"])
@pytest.mark.parametrize("name", UNREACHABLE)
def test_who_cannot_be_reached_is_told_so(relay: Relay, name: str, client: str) -> None:
    """Within the connect time-out, streamed or not, native or translated; with no upstream status."""
    for stream in (False, True):
        began = time.monotonic()
        answer = ask(relay, client, f"m@{name}", stream)
        message = is_error(answer, 503, "upstream_error", DIALECTS[client].family)
        assert message.startswith(f"[{name}] ") and f"({UNREACHABLE[name]})" in message
        assert "x-monorelay-upstream-status" not in answer.names() and answer.header("x-monorelay-attempts") == "1"
        assert time.monotonic() - began < 5  # where the connect time-out is not kept it is 10 s


@pytest.mark.parametrize(
    ("provider", "steps", "phase"),
    [
        ("plain", (HANG,), "first_byte"),
        ("plain", (b"HTTP/1.1 100 Continue\r\n\r\n", HANG), "first_byte"),
        ("halting", (b"HTTP/1.1 200 OK\r\nContent-Type: app", HANG), "idle"),
        ("halting", streamed(b'{"id"', HANG, kind="application/json"), "idle"),
        ("halting", streamed(b": one\n\n", HANG), "idle"),
        ("total", streamed(b'{"id"', *(0.2, b" ") * 20, kind="application/json"), "total"),
        ("total", streamed(*(0.2, b": wait\n\n") * 20), "total"),
        ("total", (HANG,), "total"),
    ],
)
def test_each_time_out_has_its_name(relay: Relay, upstream: Recorder, provider: str, steps: Any, phase: str) -> None:
    """first_byte until the head, idle inside the body, total over all; and the upstream is let go."""
    upstream.answer(steps)
    began = time.monotonic()
    answer = ask(relay, "chat", f"m@{provider}", b"event-stream" in steps[0] if isinstance(steps[0], bytes) else False)
    assert time.monotonic() - began < 4
    assert f"({phase})" in is_error(answer, 503, "upstream_error")
    assert upstream.taken().gone.wait(5)


def test_slow_is_not_silent(relay: Relay, upstream: Recorder) -> None:
    """A body that comes in drops is whole in the end, however long it takes."""
    whole = DIALECTS["chat"].whole
    drops: list[Step] = []
    for at in range(0, len(whole), len(whole) // 5):
        drops += [0.45, whole[at : at + len(whole) // 5]]
    upstream.answer(streamed(*drops, kind="application/json"))
    answer = ask(relay, "chat", "m@talking")
    assert (answer.status, answer.body) == (200, whole)


def test_total_counts_after_the_commit_too(relay: Relay, upstream: Recorder) -> None:
    """Then it is an error in the stream."""
    upstream.answer(streamed(*DIALECTS["chat"].events[:3], *(0.2, b": wait\n\n") * 20))
    answer = ask(relay, "chat", "m@total", True)
    assert answer.status == 200 and answer.whole
    is_broken_stream("chat", answer.body, "total")


# ---------------------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize("steps", [(CLOSE,), ok(b"{}", status="503 Oh"), streamed(b": x\n\n", end=False), (HANG,)])
def test_a_retry_where_it_was_asked_for(relay: Relay, upstream: Recorder, steps: tuple[Step, ...]) -> None:
    """Until the commit; and no more than were allowed."""
    whole = DIALECTS["chat"].whole
    upstream.answer(steps, ok(whole))
    answer = ask(relay, "chat", "m@tried")
    assert (answer.status, answer.body) == (200, whole)
    upstream.reset()
    upstream.rule(lambda request: ok(b"{}", status="500 Oh"))
    answer = ask(relay, "chat", "m@tried")
    is_error(answer, 503, "upstream_error")
    assert len(upstream.requests) == 3 and answer.header("x-monorelay-attempts") == "3"


@pytest.mark.parametrize("status", [408, 409, 425])
def test_a_refusal_is_tried_again_where_it_was_asked_for(relay: Relay, upstream: Recorder, status: int) -> None:
    """Some of 4xx pass by themselves; in the end they are the upstream's own words. The others are never tried again."""
    body = b'{"error":{"message":"not now","type":"conflict"}}'
    upstream.answer(ok(body, status=f"{status} Said"), ok(DIALECTS["chat"].whole))
    assert ask(relay, "chat", "m@stubborn").status == 200
    upstream.rule(lambda request: ok(body, status=f"{status} Said"))
    answer = ask(relay, "chat", "m@stubborn")
    assert (answer.status, answer.body, answer.header("x-monorelay-attempts")) == (status, body, "2")
    answer = ask(relay, "chat", "m@talking")
    assert (answer.status, answer.body, answer.header("x-monorelay-attempts")) == (status, body, "1")


def test_no_retry_after_the_commit(relay: Relay, upstream: Recorder) -> None:
    """What was said cannot be said again."""
    upstream.answer(streamed(*DIALECTS["chat"].events[:3], end=False))
    is_broken_stream("chat", ask(relay, "chat", "m@tried", True).body, "tried")
    assert len(upstream.requests) == 1


def test_no_retry_before_retry_after(relay: Relay, upstream: Recorder) -> None:
    """A second is waited for; a minute is told to the client instead."""
    upstream.answer(ok(b"{}", "Retry-After: 1", status="503 Oh"), ok(DIALECTS["chat"].whole))
    began = time.monotonic()
    assert ask(relay, "chat", "m@tried").status == 200 and time.monotonic() - began >= 1
    upstream.answer(ok(b"{}", "Retry-After: 60", status="503 Oh"))
    answer = ask(relay, "chat", "m@tried")
    assert (answer.status, answer.header("retry-after")) == (503, "60") and len(upstream.requests) == 3


# ---------------------------------------------------------------------------------------------------- cascades


def test_a_cascade_over_every_fault(relay: Relay, upstream: Recorder) -> None:
    """Before the commit the next target answers, and the client sees nothing of it; after it the error stands."""

    def script(request: Recorded) -> tuple[Step, ...]:
        case = CASES[int(request.json["model"])]
        if request.target.startswith("/bad/"):
            return case.steps
        dialect = DIALECTS[case.upstream]
        return streamed(*dialect.events) if case.stream else ok(dialect.whole)

    upstream.rule(script)
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda number: ask(relay, CASES[number].client, f"case-{number}", CASES[number].stream), range(len(CASES)))
        )
    for case, answer in zip(CASES, answers, strict=True):
        is_right(case, answer)


def is_right(case: Case, answer: Answer) -> None:
    assert answer.status == 200 and answer.whole, case.name
    dialect = DIALECTS[case.client]
    if case.begun:
        assert answer.header("x-monorelay-attempts") == "1"
        return is_broken_stream(case.client, answer.body, f"bad-{case.upstream}")
    assert answer.header("x-monorelay-attempts") == "2" and answer.header("x-monorelay-provider") == f"good-{case.upstream}"
    trail = answer.header("x-monorelay-trail") or ""
    assert re.fullmatch(rf"bad-{case.upstream}/a \w[\w, ]*, good-{case.upstream}/a 200", trail), trail
    if case.client == case.upstream:
        assert answer.body == (b"".join(dialect.events) if case.stream else dialect.whole)
    assert b"error" not in answer.body.replace(b'"error":null', b"").replace(b'"error": null', b""), case.name


@pytest.mark.parametrize("name", UNREACHABLE)
def test_a_cascade_over_who_cannot_be_reached(relay: Relay, upstream: Recorder, name: str) -> None:
    """The next target answers; once the circuit is open nobody waits for the dead one any more."""
    upstream.rule(lambda request: ok(DIALECTS["chat"].whole))
    for _ in range(3):
        answer = ask(relay, "chat", f"dead-{name}")
        assert (answer.status, answer.header("x-monorelay-provider")) == (200, "good-chat")
    assert answer.header("x-monorelay-attempts") == "1"
    assert answer.header("x-monorelay-trail") == f"{name} circuit open, good-chat/a 200"


@pytest.mark.parametrize("status", STATUSES)
def test_a_cascade_over_statuses(relay: Relay, upstream: Recorder, status: int) -> None:
    """What another target can cure goes on: redirects, 5xx, refused and limited keys, a model that is not there."""
    body = b'{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}'
    upstream.answer(ok(body, status=f"{status} Said"), ok(DIALECTS["chat"].whole))
    answer = ask(relay, "chat", f"status-{status}")
    assert answer.status == 200
    trail = answer.header("x-monorelay-trail") or ""
    assert re.fullmatch(rf"spoilt{status}/a {status}( model_not_found)?, (spoilt429 no_keys, )?good-chat/a 200", trail)


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_cascade_does_not_go_on_with_a_bad_request(relay: Relay, upstream: Recorder, status: int) -> None:
    """Another target would say the same; its answer is the upstream's own."""
    body = b'{"error":{"message":"no such thing","type":"invalid_request_error"}}'
    upstream.answer(ok(body, status=f"{status} Said"))
    answer = ask(relay, "chat", "case-0")
    assert (answer.status, answer.body) == (status, body) and len(upstream.requests) == 1


def test_a_cascade_of_which_all_fail_tells_each(relay: Relay, upstream: Recorder) -> None:
    """cascade_error, in the client's envelope, streamed or not."""
    upstream.rule(lambda request: ok(b'{"error":{"message":"the sea"}}', status="500 Oh"))
    for client in ("chat", "messages"):
        for stream in (False, True):
            answer = ask(relay, client, "all-dead", stream)
            message = is_error(answer, 503, "cascade_error", DIALECTS[client].family)
            assert all(f"@{name}: upstream_error" in message for name in ("refused", "hole", "spoilt500"))
            assert "the sea" in message and answer.header("x-monorelay-upstream-status") == "500"


def test_circuits_open_under_load(relay: Relay, upstream: Recorder) -> None:
    """50 requests at once with a dead primary: all are answered, and those that come later do not wait."""
    upstream.rule(lambda request: ok(DIALECTS["chat"].whole))
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(relay, "chat", "slow"), range(50)))
    assert {answer.status for answer in answers} == {200}
    began = time.monotonic()
    for _ in range(20):
        assert ask(relay, "chat", "slow").header("x-monorelay-attempts") == "1"
    assert time.monotonic() - began < 4  # not 20 times the connect time-out


def test_events_of_a_slow_first_target_never_mix_with_the_second(relay: Relay, upstream: Recorder) -> None:
    """An attempt that was given up is closed, whatever it says later."""
    gate = threading.Event()
    late = b'data: {"choices":[{"delta":{"content":"late"}}]}\n\n'
    upstream.answer(streamed(b": wait\n\n", gate, late), streamed(*DIALECTS["chat"].events[:2], 0.2, *DIALECTS["chat"].events[2:]))
    timer = threading.Timer(0.6, gate.set)
    timer.start()
    answer = ask(relay, "chat", "late", True)
    timer.join()
    assert answer.body == b"".join(DIALECTS["chat"].events) and answer.header("x-monorelay-attempts") == "2"
    assert upstream.requests[0].gone.wait(5)
