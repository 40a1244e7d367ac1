"""Several workers are one relay: what one learns of a key all of them know, and one that is born later too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from story_process import KEY, PATIENCE, Relay
from story_providers import SECRETS, SERVER, openai_like
from story_upstream import Recorder, ok

CHAT = {"model": "gpt-acme"}


def call_each_worker(relay: Relay, calls: int = 24) -> list[int]:
    """Connections of their own land at any worker: their statuses."""
    return [relay.ask("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT, key=None).status for _ in range(calls)]


def mute(upstream: Recorder) -> dict[str, Any]:
    """A provider that takes any model, and so is asked for its list."""
    return openai_like(upstream.origin, "mute", priority=90, models={"exclude": ["gpt-*"]})


def chats(upstream: Recorder) -> int:
    return sum(request.target.endswith("/chat/completions") for request in upstream.requests)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def replace(relay: Relay, worker: int) -> None:
    """Killed, and another one is born in its seat."""
    relay.expect_log("was ended by SIGKILL")
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(relay.workers()) == 2 and worker not in relay.workers())


def test_a_key_that_one_worker_cools_rests_in_all(start: Callable[..., Relay], upstream: Recorder) -> None:
    """One 429 is enough: nobody asks the provider again before its time, nor does a worker that takes a dead one's place."""
    upstream.standing("/acme/v1/models", ok(b'{"data": []}'))  # asked for in the background
    config = {"server": SERVER, "providers": {"acme": openai_like(upstream.origin, "acme", "gpt-acme")}}
    relay = start(config, environ=SECRETS, arguments=("--listen", "127.0.0.1:0", "--workers", "2"))
    upstream.answer(ok(b"{}", "Retry-After: 600", status="429 Too Many Requests"))
    assert call_each_worker(relay, 1) == [503]
    time.sleep(0.3)  # the news takes milliseconds
    assert set(call_each_worker(relay)) == {503}
    assert chats(upstream) == 1

    for dead in relay.workers():
        replace(relay, dead)
        time.sleep(0.5)  # until it serves
        assert set(call_each_worker(relay)) == {503}
    assert chats(upstream) == 1


def test_one_worker_asks_for_balances_and_speaks_for_all(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Providers are asked once, and the log says once what all workers would; whoever takes the seat of that one asks again."""
    upstream.standing("/acme/v1/credits", ok(b'{"left": 0.5}'))
    upstream.standing("/mute/v1/models", ok(b"{}", status="500 Internal Server Error"))
    credits = {"balance": "left", "every": "1h", "skip_below": 1}
    acme = openai_like(upstream.origin, "acme", "gpt-acme", credits=credits)
    relay = start({"server": {**SERVER, "workers": 2}, "providers": {"acme": acme, "mute": mute(upstream)}}, environ=SECRETS)

    def asked(path: str) -> int:
        return sum(request.target == path for request in upstream.background)

    def said(text: str) -> int:
        return relay.log().count(text)

    unread = "provider=mute its model list could not be read"
    until(lambda: asked("/mute/v1/models") == 2 and asked("/acme/v1/credits") == 1)
    until(lambda: set(call_each_worker(relay)) == {503})
    before = chats(upstream)
    until(lambda: said(unread) == 1)
    for worker in relay.workers():
        replace(relay, worker)
    until(lambda: asked("/mute/v1/models") == 4 and asked("/acme/v1/credits") == 2 and said(unread) == 2)
    assert set(call_each_worker(relay)) == {503}
    assert (asked("/acme/v1/credits"), chats(upstream)) == (2, before)
    assert said("provider=acme key=a has less than skip_below") == 2
