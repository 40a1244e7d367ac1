"""Flow: who leaves cancels, who reads slowly slows down, and large bodies pass in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from story_client import Wire
from story_events import (
    CHAT_EVENTS,
    STREAM,
)
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import HANG, Recorder, streamed

PATIENCE = 5.0  # the promise is a second; tests/web/test_web_leaving.py holds it, where a busy machine does not count
AUTH = ("Authorization", f"Bearer {KEY}")


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start({"server": SERVER, "providers": both(upstream.origin)}, environ=SECRETS)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("when", ["before the head", "after the first byte"])
def test_a_client_that_goes_away_cancels_the_upstream_call(relay: Relay, upstream: Recorder, stream: bool, when: str) -> None:
    """Soon, streamed or not; the call is still recorded, as 499."""
    body = {"model": "gpt-acme", "stream": stream}
    if when == "before the head":
        upstream.answer((HANG,))
    elif stream:
        upstream.answer(streamed(*CHAT_EVENTS[:4], HANG))
    else:
        upstream.answer(
            (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 2_000_000, HANG)
        )
    name = f"leaver-{stream}-{when.split()[0]}"
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, ("x-request-id", name), body=body)
        if when != "before the head":
            assert wire.head()[0] == 200
        (request,) = upstream.wait(1)
        left = time.monotonic()
    assert request.gone.wait(5)
    assert time.monotonic() - left < PATIENCE
    status = relay.wait_for(rf"call={name} .*status=(\d+)")[1]
    assert status == "499"


def test_a_client_that_leaves_in_its_upload_cancels_it(relay: Relay, upstream: Recorder) -> None:
    """The upstream sees the end of a body that will not be completed."""
    with relay.wire() as wire:
        wire.request("POST", "/v1/files", AUTH, ("Content-Type", "application/octet-stream"), ("Content-Length", "1000000"))
        wire.send(b"x" * 300_000)
        deadline = time.monotonic() + 20
        while not (senders := [peer for peer in list(upstream.peers) if peer.unread > 200_000]):
            assert time.monotonic() < deadline, "the upload does not arrive"
            time.sleep(0.01)
        (sender,) = senders
    deadline = time.monotonic() + PATIENCE
    while sender in upstream.peers:
        assert time.monotonic() < deadline, "the upstream still waits for the rest"
        time.sleep(0.01)
    assert upstream.requests == []
    assert relay.ask("GET", "/v1/files").status == 200


def test_a_client_that_reads_slowly_slows_the_upstream_down(relay: Relay, upstream: Recorder) -> None:
    """The relay holds 256 KiB at most: of 64 MB only little leaves the upstream while the client does not read."""
    piece = b'data: {"choices":[{"delta":{"content":"' + b"y" * 16_000 + b'"}}]}\n\n'
    upstream.answer(streamed(*([piece] * 4000), *CHAT_EVENTS[7:]))
    with Wire(relay.host, relay.port, receive_buffer=32 * 1024) as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, body=STREAM)
        (request,) = upstream.wait(1)
        time.sleep(0.5)
        before = sum(request.written)
        time.sleep(0.2)
        assert sum(request.written) == before, "the upstream still writes"
        assert before < 24_000_000  # the kernel's buffers, twice, are the most of it
        assert wire.head()[0] == 200
        total = 0
        while chunk := wire.chunk():
            total += len(chunk)
        assert total == 4000 * len(piece) + len(b"".join(CHAT_EVENTS[7:]))


def test_a_download_of_200_mb_keeps_the_relay_small(relay: Relay, upstream: Recorder) -> None:
    """Constant memory, byte-exact, both ways."""
    size = 200 * 1024 * 1024
    block = bytes(range(256)) * 4096
    upstream.answer(
        (f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n".encode(), *([block] * 200))
    )
    before = resident(relay)
    with relay.wire() as wire:
        wire.request("GET", "/v1/files/f/content", AUTH)
        status, headers, _ = wire.head()
        assert status == 200 and dict(headers)["content-length"] == str(size)
        most = 0
        for _ in range(200):
            assert wire.exactly(len(block)) == block
            most = max(most, resident(relay))
    assert most - before < 24_000, f"{before} KiB grew to {most} KiB"


def test_an_upload_of_100_mb_keeps_the_relay_small(relay: Relay, upstream: Recorder) -> None:
    """The body streams through while it arrives; what came back is the upstream's answer."""
    size = 100 * 1024 * 1024
    block = bytes(range(256)) * 4096
    before = resident(relay)
    most = 0
    with relay.wire() as wire:
        wire.request("POST", "/v1/files", AUTH, ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", str(size)))
        for _ in range(100):
            wire.send(block)
            most = max(most, resident(relay))
        assert wire.answer().status == 200
    assert upstream.taken().body == block * 100
    assert upstream.taken().header("content-length") == str(size)
    assert most - before < 24_000, f"{before} KiB grew to {most} KiB"


def resident(relay: Relay) -> int:
    """KiB of the worker."""
    (worker,) = relay.workers()
    with open(f"/proc/{worker}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
