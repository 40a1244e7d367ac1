"""Odd upstreams, odd clients: what must not hang, leak, or spoil the next request."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from story_client import Wire
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, openai_like
from story_upstream import CLOSE, HANG, Recorder, Step, ok, streamed

AUTH = ("x-api-key", KEY)
CHAT = {"model": "gpt-acme"}
CONTENT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    providers = {
        **both(origin),
        "slow": openai_like(origin, "slow", "slow-model", timeouts={"first_byte": 0.4}),
        "idle": openai_like(origin, "idle", "idle-model", timeouts={"idle": 0.4}),
        "total": openai_like(origin, "total", "total-model", timeouts={"total": 0.6}),
        "deaf": openai_like("http://192.0.2.1:9", "deaf", "deaf-model", timeouts={"connect": 0.3}),
        "claudia2": anthropic_like(origin, "claudia2", "claude-2"),
    }
    routes = {
        "routes.d/90-chatty.yml": {
            "routes": [
                {
                    "route": "chatty",
                    "path": "/chatty",
                    "methods": ["POST"],
                    "needs": "openai.chat",
                    "body": "json",
                    "model": "required",
                    "stream": {"keepalive": 0.3},
                },
                {
                    "route": "pingy",
                    "path": "/pingy",
                    "methods": ["POST"],
                    "needs": "anthropic.messages",
                    "body": "json",
                    "model": "required",
                    "stream": {"keepalive": 0.3},
                },
                {
                    "route": "mute",
                    "path": "/mute",
                    "methods": ["POST"],
                    "needs": "openai.chat",
                    "body": "json",
                    "model": "required",
                    "stream": {"keepalive": 0},
                },
            ]
        }
    }
    return start({"server": SERVER, "providers": providers}, files=routes, environ=SECRETS)


def chat(relay: Relay, model: str = "gpt-acme", **more: Any) -> Any:
    return relay.ask("POST", "/v1/chat/completions", body={"model": model, **more})


ODD_HEADS: list[tuple[str, tuple[Step, ...]]] = [
    ("100 before", (b"HTTP/1.1 100 Continue\r\n\r\n", *ok(b'{"a":1}'))),
    ("103 before", (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", *ok(b'{"a":1}'))),
    ("no reason", (b"HTTP/1.1 200\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}',)),
    ("http 1.0", (b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":1}', CLOSE)),
    ("bare lf", (b'HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 7\n\n{"a":1}',)),
    ("shouting", (b'HTTP/1.1 200 OK\r\nCONTENT-TYPE: application/json\r\nCONTENT-LENGTH: 7\r\n\r\n{"a":1}',)),
    ("no type", (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',)),
    (
        "trailers",
        (*streamed(kind="application/json", headers=["Trailer: x"])[:1], b'7;e=1\r\n{"a":1}\r\n0\r\nx: 1\r\n\r\n'),
    ),
    (
        "byte by byte",
        tuple(bytes([byte]) for byte in b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'),
    ),
    ("many headers", ok(b'{"a":1}', *(f"x-{number}: {'v' * 100}" for number in range(400)))),
    ("slow body", (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n", 0.05, b'{"a"', 0.05, b":1}")),
]


@pytest.mark.parametrize(("steps"), [steps for _, steps in ODD_HEADS], ids=[name for name, _ in ODD_HEADS])
def test_an_odd_head_is_read(relay: Relay, upstream: Recorder, steps: tuple[Step, ...]) -> None:
    """Informational answers are passed over, old and sloppy forms understood."""
    upstream.answer(steps)
    answer = chat(relay)
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.header("content-type") in ("application/json", None)


def test_more_bytes_than_promised_spoil_nothing(relay: Relay, upstream: Recorder) -> None:
    """The answer ends where its length says; what follows is neither relayed nor taken for the next one's head."""
    for _ in range(3):
        (whole,) = ok(b'{"a":1}')
        assert isinstance(whole, bytes)
        upstream.answer((whole + b"EXTRA\r\nHTTP/1.1 200 OK\r\n\r\n",))
        assert chat(relay).body == b'{"a":1}'
    assert chat(relay).body == b"{}"


def test_an_upstream_that_closes_between_requests(relay: Relay, upstream: Recorder) -> None:
    """A kept connection that died is not the client's trouble."""
    for _ in range(4):
        upstream.answer((*ok(b'{"a":1}'), CLOSE))
        assert chat(relay).body == b'{"a":1}'
        time.sleep(0.02)


def test_an_upstream_may_stream_unasked(relay: Relay, upstream: Recorder) -> None:
    """What comes is relayed as what it is. (test_story_unrolled.py has what is whole where a stream was asked for.)"""
    upstream.answer(ok(CONTENT + DONE, kind="text/event-stream"))
    answer = chat(relay, stream=False)
    assert (answer.status, answer.body, answer.header("content-type")) == (200, CONTENT + DONE, "text/event-stream")


def test_an_early_refusal_of_a_large_body(relay: Relay, upstream: Recorder) -> None:
    """An upstream that answers 413 to the head and closes: its words reach the client, not a broken pipe."""
    told = b'{"error": {"message": "too large", "type": "invalid_request_error"}}'
    refusal = (*ok(told, "Connection: close", status="413 Payload Too Large"), 0.3)
    upstream.answer_early(*refusal)
    answer = relay.post("/v1/chat/completions", b'{"model": "gpt-acme", "x": "' + b"y" * 8_000_000 + b'"}')
    assert (answer.status, answer.body) == (413, told)
    upstream.answer_early(*refusal)
    with relay.wire() as wire:
        wire.request("POST", "/v1/files", AUTH, ("Content-Type", "a/b"), ("Content-Length", "7000000"))
        wire.send(b"z" * 7_000_000)
        answer = wire.answer()
        assert (answer.status, answer.body) == (413, told)
        wire.request("GET", "/health")
        assert wire.answer().status == 200


def test_an_upload_is_slowed_down_by_its_upstream(relay: Relay, upstream: Recorder) -> None:
    """What the upstream does not take is not taken from the client either; a client that gives up is noticed meanwhile."""
    upstream.answer_early(HANG)
    with relay.wire() as wire:
        wire.request("POST", "/v1/files", AUTH, ("Content-Type", "a/b"), ("Content-Length", "500000000"))
        wire.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 500_000_000:
                sent += wire.socket.send(b"z" * 65_536)
        assert sent < 40_000_000
        # An end would stand in the queue behind bytes that nobody takes; a reset does not.
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left = time.monotonic()
    relay.wait_for(r"route=file_upload .*status=499")
    assert time.monotonic() - left < 8


@pytest.mark.parametrize(
    ("model", "steps", "low", "high"),
    [
        ("slow-model", (HANG,), 0.3, 8.0),
        ("idle-model", (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{", HANG), 0.3, 8.0),
        ("total-model", streamed(*([b'{"a": ', 0.1] * 20), kind="application/json"), 0.5, 8.0),
        ("deaf-model", (), 0.2, 8.0),
    ],
    ids=["first_byte", "idle", "total", "connect"],
)
def test_the_four_time_outs(relay: Relay, upstream: Recorder, model: str, steps: tuple[Step, ...], low: float, high: float) -> None:
    """503 upstream_error that says which one."""
    upstream.answer(steps)
    began = time.monotonic()
    answer = chat(relay, model)
    took = time.monotonic() - began
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")
    assert took < high, took
    if model == "deaf-model":
        assert "connect" in answer.error["message"]  # a machine without a route out knows it at once
    else:
        assert took > low


# Keep-alives


def test_a_silent_stream_is_kept_alive(relay: Relay, upstream: Recorder) -> None:
    """After the commit: a comment, or a ping event on messages; nothing when it is switched off; only between events."""
    delta = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h"}}\n\n'
    )
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    half, rest = b'data: {"choices":[{"del', b'ta":{}}]}\n\n'
    wires = []
    for path, model, pieces in (
        ("/chatty", "gpt-acme", (CONTENT, 0.75, CONTENT, DONE)),
        ("/pingy", "claude-acme", (delta, 0.45, stop)),
        ("/mute", "gpt-acme", (CONTENT, 0.75, DONE)),
        ("/chatty", "gpt-acme", (CONTENT, half, 0.75, rest, DONE)),
    ):
        upstream.answer(streamed(*pieces))
        wires.append(relay.wire())
        wires[-1].request("POST", path, AUTH, body={"model": model, "stream": True})
        upstream.wait(len(wires))
    chatty, pingy, mute, halved = (wire.answer().body for wire in wires)
    for wire in wires:
        wire.close()
    sign = b": keepalive\n\n"
    assert 1 <= chatty.count(sign) <= 5  # two, where nobody has to wait for a processor
    assert chatty.replace(sign, b"") == CONTENT + CONTENT + DONE
    ping = pingy.removeprefix(delta).removesuffix(stop)
    pings = ping.removesuffix(b"\n\n").split(b"\n\n")
    assert all(one.startswith(b"event: ping\ndata: ") for one in pings)
    assert all(json.loads(one.split(b"data: ")[1]) == {"type": "ping"} for one in pings)
    assert mute == CONTENT + DONE
    assert half + rest in halved and halved.replace(sign, b"") == CONTENT + half + rest + DONE


def test_before_the_commit_nothing_keeps_a_stream_alive(relay: Relay, upstream: Recorder) -> None:
    """A status is still possible, so nothing is sent."""
    upstream.answer(streamed(0.7, b'data: {"error":{"message":"late","code":500}}\n\n'))
    answer = relay.ask("POST", "/chatty", body={**CHAT, "stream": True})
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")


# Odd clients


@pytest.mark.parametrize("query", ["a=%e9%C3%a9", 'a=|^`{}\\<>"', "a=" + "x" * 20_000, "a=b;c=d&&&=&", "a[]=1&a[]=2"])
def test_an_odd_query_goes_up_byte_for_byte(relay: Relay, upstream: Recorder, query: str) -> None:
    """Raw bytes, lower-case escapes, characters that a URL should not have."""
    answer = relay.ask("GET", f"/v1/files?{query}")
    assert answer.status == 200, answer
    assert upstream.taken().line.encode("latin-1") == b"GET /acme/v1/files?" + query.encode("latin-1") + b" HTTP/1.1"


def test_raw_bytes_in_a_target_go_up_as_their_escapes(relay: Relay, upstream: Recorder) -> None:
    """No URL may hold them, but curl sends what it is given: the same bytes arrive, escaped."""
    assert relay.ask("GET", "/v1/files/caf\xc3\xa9?q=\xe9\xff&r=\xe2\x82\xac").status == 200
    assert upstream.taken().target == "/acme/v1/files/caf%C3%A9?q=%E9%FF&r=%E2%82%AC"


@pytest.mark.parametrize("size", [66_000, 200_000])
def test_a_request_line_counts_as_head(relay: Relay, upstream: Recorder, size: int) -> None:
    """431 for a head over 64 KiB, wherever its bytes are."""
    answer = relay.ask("GET", "/v1/files?x=" + "y" * size)
    assert (answer.status, answer.error["type"]) == (431, "invalid_request_error")
    assert upstream.requests == []


def test_connection_close_is_honoured(relay: Relay, upstream: Recorder) -> None:
    """By relayed answers, streams, own answers and refusals."""
    for target, method, body in (("/v1/chat/completions", "POST", CHAT), ("/health", "GET", None), ("/nothing", "GET", None)):
        with relay.wire() as wire:
            wire.request(method, target, AUTH, ("Connection", "close"), body=body)
            assert wire.answer().header("connection") == "close"
            assert wire.is_closed()
    upstream.answer(streamed(CONTENT, DONE))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, ("Connection", "close"), body={**CHAT, "stream": True})
        assert wire.answer().body == CONTENT + DONE
        assert wire.is_closed()


def test_a_connection_serves_many_requests(relay: Relay, upstream: Recorder) -> None:
    """Relayed, own, refused and streamed answers in turn, on one connection; upstream connections are reused too."""
    with relay.wire() as wire:
        for _ in range(5):
            wire.request("POST", "/v1/chat/completions", AUTH, body=CHAT)
            assert wire.answer().status == 200
            wire.request("GET", "/v1/files/x/content", AUTH)
            assert wire.answer().status == 200
            upstream.answer(streamed(CONTENT, DONE))
            wire.request("POST", "/v1/chat/completions", AUTH, body={**CHAT, "stream": True})
            assert wire.answer().body == CONTENT + DONE
            wire.request("POST", "/v1/chat/completions", body=CHAT)
            assert wire.answer().status == 401
            wire.request("GET", "/health")
            assert wire.answer().status == 200
    assert len({request.connection for request in upstream.requests}) <= 3


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_old_client(relay: Relay, upstream: Recorder, version: str) -> None:
    """HTTP/1.0, without a Host, with and without keep-alive."""
    with relay.wire() as wire:
        host = "Host: x\r\n" if version == "1.1" else ""
        wire.send(f"GET /v1/files HTTP/{version}\r\n{host}x-api-key: {KEY}\r\nConnection: keep-alive\r\n\r\n".encode())
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, b"{}")
        wire.send(f"GET /health HTTP/{version}\r\n{host}\r\n".encode())
        assert wire.answer().status == 200
        assert wire.is_closed() if version == "1.0" else wire.is_open()


def test_a_body_on_a_route_without_one_is_not_in_the_way(relay: Relay, upstream: Recorder) -> None:
    """GET and DELETE with a body: it is read, and the connection goes on."""
    with relay.wire() as wire:
        for method in ("GET", "DELETE"):
            wire.request(method, "/v1/files/f", AUTH, body={"x": 1})
            assert wire.answer().status == 200
        wire.request("GET", "/health", body=b"x" * 100_000)
        assert wire.answer().status == 200


def test_a_client_that_closes_its_sending_side_still_gets_its_answer_or_is_let_go(relay: Relay, upstream: Recorder) -> None:
    """Whichever: nothing hangs, and the upstream call ends."""
    upstream.answer((0.2, *ok(b'{"a":1}')))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", AUTH, body=CHAT)
        wire.socket.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        while wire.more():
            pass
        assert time.monotonic() - began < 5


def test_many_connections_side_by_side(relay: Relay, upstream: Recorder) -> None:
    """200 clients at once, each with its own answer."""
    wires = [Wire(relay.host, relay.port) for _ in range(200)]
    try:
        for number, wire in enumerate(wires):
            wire.request("POST", "/v1/chat/completions", AUTH, ("x-request-id", f"n{number}"), body={**CHAT, "n": number})
        for number, wire in enumerate(wires):
            answer = wire.answer()
            assert (answer.status, answer.header("x-monorelay-request-id")) == (200, f"n{number}")
    finally:
        for wire in wires:
            wire.close()
    assert sorted(request.json["n"] for request in upstream.wait(200)) == list(range(200))


# Two workers


def test_two_workers_share_their_memory(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Who made an object is known to the worker that did not see it made, also when it was asked for it before."""
    providers = {
        name: openai_like(upstream.origin, name, f"{name}-m", priority=number) for number, name in enumerate(("near", "far"))
    }
    relay = start({"server": {**SERVER, "workers": 2}, "providers": providers}, environ=SECRETS)
    assert len(relay.workers()) == 2
    for _ in range(12):
        assert relay.ask("GET", "/v1/files/made").header("x-monorelay-provider") == "near"
    upstream.answer(ok({"id": "made", "object": "file"}))
    assert relay.ask("POST", "/v1/files?provider=far", body=b"x").status == 200
    deadline = time.monotonic() + 5
    while {relay.ask("GET", "/v1/files/made").header("x-monorelay-provider") for _ in range(24)} != {"far"}:
        assert time.monotonic() < deadline, "a worker still thinks that it is near"
