"""Refusals that the head alone decides: written when the head arrives, the body swallowed within bounds, the connection kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from story_client import Wire
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder, ok

MIB = 1024 * 1024
AUTH = f"Authorization: Bearer {KEY}\r\n"
# method and target, further head lines, status: every refusal of the head
REFUSALS = [
    ("POST /v1/chat/completions", "", 401),
    ("POST /v1/files", "x-api-key: wrong\r\n", 401),
    ("POST /v1/messages", "", 401),
    ("POST /v1/nothing", AUTH, 404),
    ("PUT /v1/chat/completions", AUTH, 405),
    ("POST /health", AUTH, 405),
    ("GET /v1/responses", "", 426),
    ("POST /v1/chat/completions", AUTH + "X-Long: " + "x" * 66_000 + "\r\n", 431),
]
IDS = [f"{line} {status}" for line, _, status in REFUSALS]


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    routes = {
        "route": "small",
        "path": "/v1/small",
        "methods": ["POST"],
        "needs": "openai.chat",
        "body": "json",
        "model": "required",
        "max_body": 1000,
    }
    config = {"server": {**SERVER, "body_timeout": 2}, "providers": both(upstream.origin)}
    return start(config, files={"routes.d/70-small.yml": routes}, environ=SECRETS)


@pytest.fixture(scope="module")
def silent(relay: Relay) -> Iterator[tuple[Wire, float]]:
    """A client that announces a body, is refused, and neither sends it nor leaves; and since when."""
    with relay.wire() as wire:
        wire.send(head("POST /v1/chat/completions", "", 100))
        yield wire, time.monotonic()


def test_silence_begins(silent: tuple[Wire, float]) -> None:
    """Its answer came at once; what becomes of it is looked at when the other tests are through."""
    assert silent[0].answer().status == 401


def head(line: str, fields: str, length: int | None, more: str = "") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n{fields}{more}\r\n".encode()


def goes_on(wire: Wire) -> None:
    """The connection serves the next request."""
    wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body={"model": "gpt-acme"})
    assert wire.answer().status == 200


@pytest.mark.parametrize(("line", "fields", "status"), REFUSALS, ids=IDS)
def test_a_refusal_is_written_before_the_body_comes(relay: Relay, upstream: Recorder, line: str, fields: str, status: int) -> None:
    """Not a byte of the body has to be sent to read the answer; then the body may follow, and the connection goes on."""
    with relay.wire() as wire:
        wire.send(head(line, fields, 5000))
        answer = wire.answer(line.split()[0])
        assert answer.status == status and answer.error
        assert "close" not in (answer.header("connection") or "")
        wire.send(b"x" * 5000)
        goes_on(wire)
    assert [request.target for request in upstream.requests] == ["/acme/v1/chat/completions"]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("line", "fields", "status"), REFUSALS, ids=IDS)
def test_a_refused_body_of_5_mb_is_swallowed(relay: Relay, line: str, fields: str, status: int, chunked: bool) -> None:
    """A client that sends all of it before it reads finds its answer, and its connection goes on."""
    with relay.wire() as wire:
        body = b"x" * (5 * MIB)
        wire.send(head(line, fields, None if chunked else len(body)))
        wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        assert wire.answer().status == status
        goes_on(wire)


@pytest.mark.parametrize(("line", "fields", "status"), REFUSALS, ids=IDS)
def test_a_refused_body_of_20_mb_ends_the_connection(relay: Relay, line: str, fields: str, status: int) -> None:
    """Beyond 8 MiB the answer can still be read by whoever looks, and the rest is not taken."""
    with relay.wire() as wire:
        wire.send(head(line, fields, 20 * MIB))
        answer = wire.answer()
        assert answer.status == status
        sent = 0
        try:
            while sent < 20 * MIB:
                wire.send(b"x" * 65_536)
                sent += 65_536
        except OSError:
            pass
        assert sent < 20 * MIB, "all of it was taken"
        assert wire.is_closed()


@pytest.mark.parametrize(("line", "fields", "status"), REFUSALS, ids=IDS)
def test_no_100_is_sent_to_whom_is_refused(relay: Relay, line: str, fields: str, status: int) -> None:
    """With Expect: 100-continue the refusal comes at once, alone, and the connection closes."""
    with relay.wire() as wire:
        wire.send(head(line, fields, 5000, "Expect: 100-continue\r\n"))
        answer = wire.answer()
        assert answer.status == status and answer.header("connection") == "close"
        assert wire.is_closed()


def test_who_is_admitted_gets_its_100(relay: Relay, upstream: Recorder) -> None:
    """Expect: 100-continue is answered, and does not go up."""
    for path in ("/v1/chat/completions", "/v1/files"):
        with relay.wire() as wire:
            body = b'{"model": "gpt-acme"}'
            wire.send(head(f"POST {path}", AUTH, len(body), "Expect: 100-continue\r\n"))
            assert wire.head()[0] == 100
            wire.send(body)
            assert wire.answer().status == 200
        assert upstream.requests[-1].body == body and "expect" not in upstream.requests[-1].names


def test_an_announced_body_over_the_limit_is_413_at_once(relay: Relay, upstream: Recorder) -> None:
    """The head says how long it is; 413 is for the announced as for the chunked, which is noticed on its way."""
    with relay.wire() as wire:
        wire.send(head("POST /v1/small", AUTH, 1001))
        answer = wire.answer()
        assert (answer.status, answer.error["type"]) == (413, "invalid_request_error")
        assert "1000" in answer.error["message"]
        wire.send(b"x" * 1001)
        goes_on(wire)
    with relay.wire() as wire:
        wire.send(head("POST /v1/small", AUTH, None))
        wire.send(b"258\r\n" + b"x" * 600 + b"\r\n258\r\n" + b"x" * 600 + b"\r\n")
        assert wire.answer().status == 413
        wire.send(b"0\r\n\r\n")
        goes_on(wire)
    with relay.wire() as wire:
        wire.send(head("POST /v1/chat/completions", AUTH, 65 * MIB))
        assert wire.answer().status == 413
    assert all(request.target == "/acme/v1/chat/completions" for request in upstream.requests)
    exactly = b'{"model": "gpt-acme", "x": "%b"}' % (b"y" * (1000 - 30))
    assert len(exactly) == 1000
    assert relay.ask("POST", "/v1/small", ("Content-Type", "application/json"), body=exactly).status == 200


def test_a_client_that_stalls_in_its_body_is_408(relay: Relay) -> None:
    """After server.body_timeout seconds without a byte; the connection is of no more use."""
    stalled = [
        (path, sent, relay.wire())
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/audio/transcriptions", "/v1/files")
        for sent in (b"", b'{"model": ')
    ]
    began = time.monotonic()
    for path, sent, wire in stalled:
        wire.send(head(f"POST {path}", AUTH, 500))
        wire.send(sent)
    for path, _, wire in stalled:
        with wire:
            answer = wire.answer()
            assert (answer.status, answer.error["type"]) == (408, "invalid_request_error"), path
            assert wire.is_closed()
            assert (answer.json.get("type") == "error") is (path == "/v1/messages")
    assert 1.9 < time.monotonic() - began < 20


def test_a_slow_body_is_no_stalled_one(relay: Relay) -> None:
    """The limit is between two bytes, not for the whole."""
    body = b'{"model": "gpt-acme"}'
    with relay.wire() as wire:
        wire.send(head("POST /v1/chat/completions", AUTH, len(body)))
        for at in range(0, len(body), 6):
            time.sleep(0.6)  # 2.4 s in all; a busy machine has the rest of two seconds between two of them
            wire.send(body[at : at + 6])
        assert wire.answer().status == 200


@pytest.mark.parametrize("size", [60_000, 100_000, 900_000])
@pytest.mark.parametrize("many", [False, True], ids=["one field", "many fields"])
def test_a_head_over_64_kib_is_431(relay: Relay, upstream: Recorder, size: int, many: bool) -> None:
    """In the envelope, decided before the credential; a large head below that is served."""
    fields = [("X-Big", "x" * size)] if not many else [(f"X-{number}", "y" * 90) for number in range(size // 100)]
    answer = relay.ask("POST", "/v1/chat/completions", *fields, body={"model": "gpt-acme"})
    if size < 65_536:
        assert answer.status == 200
    else:
        assert (answer.status, answer.error["type"]) == (431, "invalid_request_error")
        assert upstream.requests == []


def test_an_upload_is_refused_before_its_body_when_no_key_is_usable(relay: Relay, upstream: Recorder) -> None:
    """Where the body streams through, the key is chosen, and the request refused if none is usable, before the body is taken."""
    upstream.answer(ok(b'{"error": {"message": "slow down"}}', "Retry-After: 4", status="429 Too Many Requests"))
    assert relay.ask("GET", "/v1/files").status == 503
    limited = time.monotonic()
    with relay.wire() as wire:
        wire.send(head("POST /v1/files", AUTH, 5000))
        answer = wire.answer()
        assert (answer.status, answer.error["type"]) == (503, "no_keys")
        assert answer.header("retry-after") in ("1", "2", "3", "4")
        wire.send(b"x" * 5000)
        wire.request("GET", "/health")
        assert wire.answer().status == 200
    assert len(upstream.requests) == 1
    time.sleep(max(0.0, limited + 4.05 - time.monotonic()))


def test_100_refusals_side_by_side_leave_nothing_behind(relay: Relay) -> None:
    """Clients that are refused, leave in the middle or stay: all get their answer, and afterwards nothing is in flight."""
    failed: list[object] = []

    def refuse(number: int) -> None:
        try:
            with relay.wire() as wire:
                wire.send(head("POST /v1/chat/completions", "", 3 * MIB))
                if number % 3:
                    wire.send(b"x" * (3 * MIB if number % 2 else MIB))
                if wire.answer().status != 401:
                    failed.append(number)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=refuse, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert b"\nmonorelay_calls_in_flight 0\n" in relay.ask("GET", "/metrics").body


def test_a_refused_body_that_never_comes_ends_the_connection(silent: tuple[Wire, float]) -> None:
    """Five seconds after the answer."""
    wire, began = silent
    if time.monotonic() - began < 4:
        assert wire.is_open()
    assert wire.is_closed(8) and time.monotonic() - began > 4
