"""Clients that leave, at every moment: the upstream is let go within a second, the key is free again, the call is recorded once.

Every case runs on a provider whose one key takes one request at a time (or two): that a later request is served shows that the key
was given back.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_scripts import DIALECTS
from story_client import Wire, request_bytes
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, keys
from story_upstream import HANG, Recorded, Recorder, Step, ok, streamed

AUTH = ("Authorization", f"Bearer {KEY}")
# The promise is a second; tests/web/test_web_leaving.py holds it, where a busy machine does not count. Here it is far below every
# limit by which a call that nobody let go would end: 20 s for a key, 30 s for a retry, more for an answer.
PATIENCE = 5.0
OFFERS = {"openai.chat": "/chat/completions", "openai.files": "/files", "openai.audio.transcriptions": "/transcriptions"}


@pytest.fixture(scope="module")
def black_hole() -> Iterator[str]:
    """Connections to it are neither taken nor refused."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    callers = [socket.socket() for _ in range(4)]
    for caller in callers:
        caller.setblocking(False)
        caller.connect_ex(listening.getsockname())
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    for each in (*callers, listening):
        each.close()


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder, black_hole: str) -> Relay:
    one = {**keys("a")[0], "concurrency": 1}

    def provider(name: str, **more: Any) -> dict[str, Any]:
        return {"base_url": f"{upstream.origin}/{name}", "keys": [one], "offers": OFFERS, **more}

    providers = {
        "chat": provider("chat"),
        "claude": provider("claude", offers={"anthropic.messages": "/messages"}),
        "responses": provider("responses", offers={"openai.responses": "/responses"}),
        "retrying": provider("retrying", retry={"max_retries": 3, "backoff": 30, "backoff_max": 60}),
        "patient": provider("patient", retry={"max_retries": 3, "retry_on_status": [503], "backoff": 0.01, "backoff_max": 60}),
        "hole": provider("hole", base_url=black_hole),
        "tls": provider("tls", base_url=upstream.origin.replace("http:", "https:")),
        "first": provider("first"),
        "second": provider("second"),
        "spare": provider("spare", keys=[one, {**keys("b")[0], "concurrency": 1}]),
    }
    config = {
        "server": SERVER,
        "providers": providers,
        "key_selection": {"hold": 20},
        "model_routing": {"cascades": {"both": ["m@first", "m@second"]}},
    }
    return start(config, environ=SECRETS)


@pytest.fixture(autouse=True)
def no_rule(upstream: Recorder) -> None:
    upstream.rule(lambda request: None)


# ---------------------------------------------------------------------------------------------------- ways to leave


def close(wire: Wire) -> None:
    wire.close()


def reset(wire: Wire) -> None:
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def half_close(wire: Wire) -> None:
    """A client that will say nothing more is taken for one that has left."""
    wire.socket.shutdown(socket.SHUT_WR)


WAYS = [close, reset, half_close]
ways = pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
_NUMBERS: Iterator[int] = iter(range(10_000))


def begin(wire: Wire, client: str, provider: str, stream: bool) -> str:
    """Asks; the id of the call."""
    name = f"leaver-{next(_NUMBERS)}"
    body = {"model": f"m@{provider}" if provider != "both" else provider, "stream": stream, **DIALECTS[client].body}
    wire.request("POST", DIALECTS[client].path, AUTH, ("x-request-id", name), body=body)
    return name


def is_let_go(
    relay: Relay, upstream: Recorder, request: Recorded, left: float, name: str, provider: str, client: str = "chat"
) -> None:
    """The upstream sees it leave in time; one row; nothing more is tried; and the key takes the next request at once."""
    assert request.gone.wait(PATIENCE), "the upstream still waits"
    assert time.monotonic() - left < PATIENCE
    assert row_of(relay, name) == "499"
    count = len(upstream.requests)
    is_served(relay, upstream, provider, client)
    assert len(upstream.requests) == count + 1, "somebody else was asked for a client that had left"
    assert len(re.findall(rf"call={name} ", relay.log())) == 1


def row_of(relay: Relay, name: str) -> str:
    return relay.wait_for(rf"call={name} .*status=(\d+)")[1]


def is_served(relay: Relay, upstream: Recorder, provider: str, client: str = "chat") -> None:
    native = {"claude": "messages", "responses": "responses"}.get(provider, "chat")
    upstream.answer(ok(DIALECTS[native].whole))
    body = {"model": f"m@{provider}", **DIALECTS[client].body}
    began = time.monotonic()
    answer = relay.post(DIALECTS[client].path, body)
    assert answer.status == 200, answer.body
    assert time.monotonic() - began < PATIENCE, "it had to wait for a key that nobody uses"


# ---------------------------------------------------------------------------------------------------- when

COMMITTED = {
    "chat": DIALECTS["chat"].events[:2],
    "messages": DIALECTS["messages"].events[:4],
    "responses": DIALECTS["responses"].events[:4],
}
SERVED_BY = {"chat": "chat", "messages": "claude", "responses": "responses"}
JSON_BEGUN: tuple[Step, ...] = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{", HANG)
MOMENTS: dict[str, tuple[bool, Callable[[str], tuple[Step, ...]]]] = {
    "before the head": (False, lambda client: (HANG,)),
    "before the head of a stream": (True, lambda client: (HANG,)),
    "in the head": (False, lambda client: (b"HTTP/1.1 200 OK\r\nContent-", HANG)),
    "in a body that is held": (False, lambda client: JSON_BEGUN),
    "before the content": (True, lambda client: streamed(*DIALECTS[client].events[:1], HANG)),
    "in silence after the content": (True, lambda client: streamed(*COMMITTED[client], HANG)),
    "in mid-stream": (True, lambda client: streamed(*COMMITTED[client], *(0.02, b": more\n\n") * 500)),
    "in mid-event": (True, lambda client: streamed(*COMMITTED[client], b'data: {"half', HANG)),
}


@ways
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("client", SERVED_BY)
def test_whenever_a_client_leaves(
    relay: Relay, upstream: Recorder, client: str, moment: str, leave: Callable[[Wire], None]
) -> None:
    """Streamed or not, before and after the first byte, in every dialect."""
    stream, steps = MOMENTS[moment]
    provider = SERVED_BY[client]
    upstream.answer(steps(client))
    with relay.wire() as wire:
        name = begin(wire, client, provider, stream)
        request = upstream.taken()
        if moment in ("in silence after the content", "in mid-stream", "in mid-event"):
            assert wire.head()[0] == 200 and wire.chunk()
        else:
            time.sleep(0.05)
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, provider, client)


@pytest.mark.parametrize(
    ("client", "provider"), [("messages", "chat"), ("chat", "claude"), ("responses", "chat"), ("chat", "responses")]
)
@pytest.mark.parametrize("moment", ["before the head", "in a body that is held", "in silence after the content"])
def test_across_dialects_too(relay: Relay, upstream: Recorder, client: str, provider: str, moment: str) -> None:
    """A translation holds on to nobody."""
    stream, steps = MOMENTS[moment]
    upstream.answer(steps({"chat": "chat", "claude": "messages", "responses": "responses"}[provider]))
    with relay.wire() as wire:
        name = begin(wire, client, provider, stream)
        request = upstream.taken()
        if stream:
            assert wire.head()[0] == 200
        left = time.monotonic()
    is_let_go(relay, upstream, request, left, name, provider, client)


@ways
def test_a_client_that_does_not_read_and_then_leaves(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """The exchange is paused; it is let go all the same."""
    piece = b'data: {"choices":[{"delta":{"content":"' + b"y" * 16_000 + b'"}}]}\n\n'
    upstream.answer(streamed(*[piece] * 4000))
    wire = Wire(relay.host, relay.port, receive_buffer=16 * 1024)
    name = begin(wire, "chat", "chat", True)
    request = upstream.taken()
    deadline = time.monotonic() + 5
    written = -1
    while written != sum(request.written) and time.monotonic() < deadline:
        written = sum(request.written)
        time.sleep(0.15)
    left = time.monotonic()
    leave(wire)
    is_let_go(relay, upstream, request, left, name, "chat")
    wire.close()


@pytest.mark.parametrize("client", SERVED_BY)
def test_who_leaves_after_the_last_event_has_its_answer(relay: Relay, upstream: Recorder, client: str) -> None:
    """Some hang up as soon as they have read the terminal marker: that is a success, though the upstream has not ended yet."""
    upstream.answer(streamed(*DIALECTS[client].events, HANG))
    with relay.wire() as wire:
        name = begin(wire, client, SERVED_BY[client], True)
        request = upstream.taken()
        wire.head()
        received = b""
        while len(received) < len(b"".join(DIALECTS[client].events)):
            received += wire.chunk() or b""
        left = time.monotonic()
    assert request.gone.wait(5) and time.monotonic() - left < PATIENCE
    assert row_of(relay, name) == "200"
    is_served(relay, upstream, SERVED_BY[client], client)


# ---------------------------------------------------------------------------------------------------- while the relay waits


@ways
@pytest.mark.parametrize("provider", ["hole", "tls"])
def test_before_there_is_a_connection(relay: Relay, provider: str, leave: Callable[[Wire], None]) -> None:
    """While the relay knocks, or waits for the handshake: the attempt is over, and no other is made."""
    with relay.wire() as wire:
        name = begin(wire, "chat", provider, False)
        time.sleep(0.1)
        left = time.monotonic()
        leave(wire)
        assert row_of(relay, name) == "499" and time.monotonic() - left < PATIENCE
    assert relay.ask("GET", "/health").json["providers"][provider]["available"] == 1


@ways
def test_in_the_pause_before_a_retry(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """There is no retry for a client that left."""
    upstream.answer(ok(b"{}", "Retry-After: 20", status="503 Oh"))
    with relay.wire() as wire:
        name = begin(wire, "chat", "retrying", False)
        upstream.wait(1)
        time.sleep(0.1)
        left = time.monotonic()
        leave(wire)
        assert row_of(relay, name) == "499" and time.monotonic() - left < PATIENCE
    time.sleep(0.1)
    is_served(relay, upstream, "retrying")
    assert len(upstream.requests) == 2


@ways
def test_while_it_is_held_for_a_key(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """A call in the queue for a key leaves the queue; who waits behind it is served."""
    gate = threading.Event()
    upstream.answer((gate, *ok(DIALECTS["chat"].whole)))
    with relay.wire() as busy, relay.wire() as wire:
        begin(busy, "chat", "chat", False)
        upstream.wait(1)
        name = begin(wire, "chat", "chat", False)
        time.sleep(0.2)
        left = time.monotonic()
        leave(wire)
        assert row_of(relay, name) == "499" and time.monotonic() - left < PATIENCE
        gate.set()
        assert busy.answer().status == 200
    is_served(relay, upstream, "chat")
    assert len(upstream.requests) == 2


def test_a_held_call_is_served_when_the_key_comes_free(relay: Relay, upstream: Recorder) -> None:
    """Which is what it waited for."""
    gate = threading.Event()
    upstream.answer((gate, *ok(DIALECTS["chat"].whole)), ok(DIALECTS["chat"].whole))
    with relay.wire() as busy, relay.wire() as wire:
        begin(busy, "chat", "chat", False)
        upstream.wait(1)
        begin(wire, "chat", "chat", False)
        time.sleep(0.1)
        gate.set()
        assert busy.answer().status == 200 and wire.answer().status == 200


@ways
@pytest.mark.parametrize("stream", [False, True])
def test_with_the_second_target_of_a_cascade(relay: Relay, upstream: Recorder, stream: bool, leave: Callable[[Wire], None]) -> None:
    """And with the first: nobody else is asked then."""
    upstream.answer(ok(b"{}", status="500 Oh"), (HANG,))
    with relay.wire() as wire:
        name = begin(wire, "chat", "both", stream)
        request = upstream.wait(2)[1]
        assert request.target.startswith("/second")
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, "second")
    upstream.reset()
    upstream.answer((HANG,))
    with relay.wire() as wire:
        name = begin(wire, "chat", "both", stream)
        request = upstream.taken()
        assert request.target.startswith("/first")
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, "first")


@ways
def test_with_the_second_key(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """After a 429 of the first."""
    upstream.answer(ok(b"{}", "retry-after-ms: 100", status="429 Oh"), (HANG,))
    with relay.wire() as wire:
        name = begin(wire, "chat", "spare", False)
        request = upstream.wait(2)[1]
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, "spare")


# ---------------------------------------------------------------------------------------------------- uploads


@pytest.mark.parametrize("leave", [close, reset], ids=lambda way: way.__name__)
@pytest.mark.parametrize("path", ["/v1/files?provider=chat", "/v1/audio/transcriptions", "/v1/chat/completions"])
def test_in_its_own_upload(relay: Relay, upstream: Recorder, path: str, leave: Callable[[Wire], None]) -> None:
    """A streamed body is broken off upstream; a body that is read first never gets there. The key is free."""
    name = f"leaver-{next(_NUMBERS)}"
    head = request_bytes("POST", path, AUTH, ("x-request-id", name), ("Content-Type", "multipart/form-data; boundary=b"))
    before = set(upstream.peers)
    with relay.wire() as wire:
        wire.send(head[:-2] + b"Content-Length: 1000000\r\n\r\n" + b"x" * 300_000)
        time.sleep(0.15)
        senders = [peer for peer in upstream.peers if peer not in before or peer.unread]
        left = time.monotonic()
        leave(wire)
        while any(peer in upstream.peers and peer.unread for peer in senders):
            assert time.monotonic() - left < PATIENCE, "the upstream still waits for the rest"
            time.sleep(0.01)
    assert upstream.requests == []
    is_served(relay, upstream, "chat")


@ways
def test_in_a_chunked_upload(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """Nobody knows how long it would have become: half of it is no whole."""
    name = f"leaver-{next(_NUMBERS)}"
    with relay.wire() as wire:
        head = request_bytes("POST", "/v1/files?provider=chat", AUTH, ("x-request-id", name), ("Transfer-Encoding", "chunked"))
        wire.send(head + b"10000\r\n" + b"x" * 65536 + b"\r\n")
        time.sleep(0.1)
        left = time.monotonic()
        leave(wire)
        assert row_of(relay, name) in ("499", "400") and time.monotonic() - left < PATIENCE
    deadline = time.monotonic() + 1
    while any(peer.unread for peer in upstream.peers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert upstream.requests == [] and not any(peer.unread for peer in upstream.peers)
    is_served(relay, upstream, "chat")


@ways
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "not reading"])
def test_in_a_download(relay: Relay, upstream: Recorder, reads: bool, leave: Callable[[Wire], None]) -> None:
    """Of a file that is large."""
    block = b"z" * 1_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 200000000\r\n\r\n"
    upstream.answer((head, *(0.005, block) * 200))
    name = f"leaver-{next(_NUMBERS)}"
    with Wire(relay.host, relay.port, receive_buffer=32 * 1024) as wire:
        wire.request("GET", "/v1/files/f/content?provider=chat", AUTH, ("x-request-id", name))
        request = upstream.taken()
        if reads:
            wire.head()
            wire.exactly(3_000_000)
        else:
            time.sleep(0.5)
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, "chat")


@ways
def test_after_its_upload(relay: Relay, upstream: Recorder, leave: Callable[[Wire], None]) -> None:
    """While the upstream thinks about the file."""
    upstream.answer((HANG,))
    name = f"leaver-{next(_NUMBERS)}"
    with relay.wire() as wire:
        wire.request("POST", "/v1/files?provider=chat", AUTH, ("x-request-id", name), body=b"x" * 300_000)
        request = upstream.taken()
        left = time.monotonic()
        leave(wire)
        is_let_go(relay, upstream, request, left, name, "chat")


def test_in_an_upload_that_the_upstream_does_not_take(relay: Relay, upstream: Recorder) -> None:
    """Its client is held back, and leaves: that is seen within a second or so."""
    upstream.answer_early(b"HTTP/1.1 100 Continue\r\n\r\n", HANG)
    name = f"leaver-{next(_NUMBERS)}"
    wire = relay.wire()
    wire.socket.settimeout(0.3)
    head = request_bytes("POST", "/v1/files?provider=chat", AUTH, ("x-request-id", name), ("Content-Length", "50000000"))
    try:
        wire.send(head + b"x" * 40_000_000)
    except TimeoutError:
        pass
    upstream.wait(1)
    left = time.monotonic()
    reset(wire)
    assert row_of(relay, name) == "499" and time.monotonic() - left < PATIENCE
    is_served(relay, upstream, "chat")


# ---------------------------------------------------------------------------------------------------- old and hasty clients


def test_an_http_1_0_client(relay: Relay, upstream: Recorder) -> None:
    """Leaves like any other."""
    body = json.dumps({"model": "m@chat", "stream": True, **DIALECTS["chat"].body}).encode()
    for steps in ((HANG,), streamed(*COMMITTED["chat"], HANG)):
        upstream.reset()
        upstream.answer(steps)
        name = f"leaver-{next(_NUMBERS)}"
        with relay.wire() as wire:
            head = f"POST /v1/chat/completions HTTP/1.0\r\nx-api-key: {KEY}\r\nx-request-id: {name}\r\n"
            wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            request = upstream.taken()
            left = time.monotonic()
        is_let_go(relay, upstream, request, left, name, "chat")


def test_a_client_that_asked_for_more_already(relay: Relay, upstream: Recorder) -> None:
    """A second request in the pipe: neither it nor the first one goes on when the client leaves."""
    upstream.answer((HANG,))
    with relay.wire() as wire:
        name = begin(wire, "chat", "chat", False)
        begin(wire, "chat", "chat", False)
        request = upstream.taken()
        left = time.monotonic()
    is_let_go(relay, upstream, request, left, name, "chat")


def test_a_client_on_a_kept_connection(relay: Relay, upstream: Recorder) -> None:
    """That was served before on it."""
    with relay.wire() as wire:
        upstream.answer(ok(DIALECTS["chat"].whole))
        begin(wire, "chat", "chat", False)
        assert wire.answer().status == 200
        upstream.reset()
        upstream.answer((HANG,))
        name = begin(wire, "chat", "chat", False)
        request = upstream.taken()
        left = time.monotonic()
    is_let_go(relay, upstream, request, left, name, "chat")


def test_many_that_leave_at_once(relay: Relay, upstream: Recorder) -> None:
    """Half of them before the head, half in their streams; none leaves anything behind."""
    upstream.rule(lambda request: (HANG,) if request.connection % 2 else streamed(*COMMITTED["chat"], HANG))
    for _ in range(8):
        upstream.reset()
        wires = [relay.wire() for _ in range(3)]
        for wire, provider in zip(wires, ("chat", "first", "second"), strict=True):
            begin(wire, "chat", provider, True)
        requests = upstream.wait(3)
        for wire in wires:
            reset(wire)
        assert all(request.gone.wait(PATIENCE) for request in requests)
    upstream.rule(lambda request: None)
    for provider in ("chat", "first", "second"):
        is_served(relay, upstream, provider)
    for state in relay.ask("GET", "/health").json["providers"].values():
        assert state["available"] == state["keys"]
