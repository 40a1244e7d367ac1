"""Several workers are one relay: what one learns of a key all of them know, and one that is born later too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from story_process import KEY, PATIENCE, Relay
from story_providers import SECRETS, SERVER, openai_like
from story_upstream import Recorder, ok

CHAT = {"model": "gpt-acme"}


def call_each_worker(relay: Relay, calls: int = 24) -> list[int]:
    """Connections of their own land at any worker: their statuses."""
    return [relay.ask("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT, key=None).status for _ in range(calls)]


def chats(upstream: Recorder) -> int:
    return sum(request.target.endswith("/chat/completions") for request in upstream.requests)


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

    relay.expect_log("was ended by SIGKILL")
    for dead in relay.workers():
        os.kill(dead, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while len(relay.workers()) < 2 or dead in relay.workers():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)  # until it serves
        assert set(call_each_worker(relay)) == {503}
    assert chats(upstream) == 1
