"""What an upstream's fault, and its refusal of the caller, become for the client: status, envelope, headers, and no key."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Callable

import pytest
from story_errors import FAMILIES, is_error
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, openai_like
from story_upstream import CLOSE, Recorder, ok


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    providers = {
        **both(origin),
        "dead": openai_like(closed, "dead", "dead-model"),
        "claudead": anthropic_like(closed, "claudead", "dead-claude"),
        "nowhere": openai_like("http://no-such-host.invalid", "x", "nowhere-model"),
        "tls": openai_like(origin.replace("http:", "https:"), "tls", "tls-model", timeouts={"connect": 0.5}),
        "claurested": anthropic_like(origin, "claurested", "rested-claude"),
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS, expected=("it rests for",))


# ---------------------------------------------------------------------------------------------------- the upstream's fault

FAULTS = [
    ("500 Internal Server Error", b'{"error": {"message": "boom", "type": "server_error"}}', "boom"),
    ("502 Bad Gateway", b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
    ("503 Service Unavailable", b"", "503"),
    ("504 Gateway Timeout", b"upstream request timeout", "upstream request timeout"),
    ("529 Overloaded", b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', "Overloaded"),
    ("599 Odd", b"\xff\xfe\x00", "599"),
    ("301 Moved Permanently", b"", "redirect"),
    ("302 Found", b"", "redirect"),
    ("307 Temporary Redirect", b"", "redirect"),
    ("308 Permanent Redirect", b"", "redirect"),
]


@pytest.mark.parametrize(("status", "body", "said"), FAULTS, ids=[status for status, _, _ in FAULTS])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_upstreams_fault_is_503(
    relay: Relay, upstream: Recorder, family: str, status: str, body: bytes, said: str, stream: bool
) -> None:
    """5xx and redirects: upstream_error, one attempt, the upstream's status in a header and its words in the message."""
    path, model, provider = FAMILIES[family]
    upstream.answer(ok(body, f"Location: {upstream.origin}/elsewhere", kind="text/html", status=status))
    answer = relay.post(path, {"model": model, "stream": stream})
    message = is_error(answer, 503, "upstream_error", family)
    assert message.startswith(f"[{provider}] ") and said in message and len(message) < 800
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    assert "location" not in answer.names()
    assert len(upstream.requests) == 1, "one attempt, and no redirect is followed"


def test_retry_after_of_a_fault_comes_back(relay: Relay, upstream: Recorder) -> None:
    """So that a client waits as long as the upstream asks it to."""
    upstream.answer(ok(b"{}", "Retry-After: 17", "retry-after-ms: 17000", status="503 Service Unavailable"))
    answer = relay.post("/v1/chat/completions", {"model": "gpt-acme"})
    is_error(answer, 503, "upstream_error")
    assert (answer.header("retry-after"), answer.header("retry-after-ms")) == ("17", "17000")


@pytest.mark.parametrize(
    ("path", "model", "family", "name"),
    [
        ("/v1/chat/completions", "dead-model", "openai", "dead"),
        ("/v1/messages", "dead-claude", "anthropic", "claudead"),
        ("/v1/chat/completions", "nowhere-model", "openai", "nowhere"),
        ("/v1/chat/completions", "tls-model", "openai", "tls"),
    ],
)
def test_an_upstream_that_cannot_be_reached_is_503(relay: Relay, path: str, model: str, family: str, name: str) -> None:
    """Refused, unknown, or no TLS where TLS was expected; there is no upstream status to tell."""
    for stream in (False, True):
        answer = relay.post(path, {"model": model, "stream": stream})
        message = is_error(answer, 503, "upstream_error", family)
        assert message.startswith(f"[{name}] ")
        assert "x-monorelay-upstream-status" not in answer.names()
        assert answer.header("x-monorelay-attempts") == "1"


def test_a_fault_says_nothing_about_the_key(relay: Relay, upstream: Recorder) -> None:
    """After a 500 or a broken connection the same key is used at once."""
    upstream.answer(ok(b"{}", status="500 Internal Server Error"), (CLOSE,), (CLOSE,))
    for _ in range(2):
        assert relay.post("/v1/chat/completions", {"model": "gpt-acme"}).status == 503
    upstream.reset()
    assert relay.post("/v1/chat/completions", {"model": "gpt-acme"}).status == 200


# ---------------------------------------------------------------------------------------------------- the caller's fault

OPENAI_ERROR = (
    b'{ "error":{"message":"bad \\u00e9 \xc3\xa9","type":"invalid_request_error","param":null,"code":"x","n":1.0},\n"more":[1] }'
)
CLAUDE_ERROR = b'{"type":"error","error":{"type":"invalid_request_error","message":"bad"},"request_id":"req_1"}'
CALLERS = [
    "400 Bad Request",
    "404 Not Found",
    "405 Method Not Allowed",
    "409 Conflict",
    "410 Gone",
    "413 Payload Too Large",
    "415 Unsupported",
    "418 Teapot",
    "422 Unprocessable Entity",
    "424 Failed Dependency",
    "431 Large",
    "451 Legal",
    "499 Odd",
]


@pytest.mark.parametrize("status", CALLERS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_upstreams_refusal_of_the_caller_is_unchanged(
    relay: Relay, upstream: Recorder, family: str, status: str, stream: bool
) -> None:
    """The upstream's status and its own error body, byte for byte; never retried, and the key is fine."""
    path, model, _ = FAMILIES[family]
    body = OPENAI_ERROR if family == "openai" else CLAUDE_ERROR
    upstream.answer(ok(body, "x-request-id: up-9", "x-ratelimit-remaining-requests: 3", status=status))
    answer = relay.post(path, {"model": model, "stream": stream})
    assert (answer.status, answer.body) == (int(status[:3]), body)
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    assert (answer.header("x-request-id"), answer.header("x-ratelimit-remaining-requests")) == ("up-9", "3")
    assert len(upstream.requests) == 1
    upstream.reset()
    assert relay.post(path, {"model": model}).status == 200


FOREIGN = [
    (b"<html><body>Not Found</body></html>", "text/html", "Not Found"),
    (b'{"detail": "Method not understood"}', "application/json", "Method not understood"),
    (b'{"detail":[{"loc":["body","n"],"msg":"field required"}]}', "application/json", "field required"),
    (b'{"error": "model is loading"}', "application/json", "model is loading"),
    (b'{"message": "plain message"}', "application/json", "plain message"),
    (b"just words", "text/plain", "just words"),
    (b"[1, 2]", "application/json", "1"),
    (b"", "text/plain", ""),
    (b'{"error": {"message": "cut', "application/json", "cut"),
    (b"\xff\xfe binary \x00", "application/octet-stream", "binary"),
    (b"x" * 100_000, "text/plain", "x" * 400),
]


@pytest.mark.parametrize(("body", "kind", "said"), FOREIGN, ids=[repr(body[:30]) for body, _, _ in FOREIGN])
@pytest.mark.parametrize("family", FAMILIES)
def test_any_other_refusal_is_wrapped(relay: Relay, upstream: Recorder, family: str, body: bytes, kind: str, said: str) -> None:
    """HTML, {"detail": …}, text: the envelope, the upstream's status, and the first 500 characters in the message."""
    path, model, provider = FAMILIES[family]
    upstream.answer(ok(body, kind=kind, status="422 Unprocessable Entity"))
    answer = relay.post(path, {"model": model})
    message = is_error(answer, 422, "invalid_request_error", family)
    assert message.startswith(f"[{provider}] ") and said in message
    assert message.count("x") < 600
    assert answer.header("x-monorelay-upstream-status") == "422"


@pytest.mark.parametrize(("encoding", "press"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_refusal_can_be_read(relay: Relay, upstream: Recorder, encoding: str, press: Callable[[bytes], bytes]) -> None:
    """A CDN compresses what nobody asked it to; the client gets the words."""
    upstream.answer(ok(press(OPENAI_ERROR), f"Content-Encoding: {encoding}", status="400 Bad Request"))
    answer = relay.post("/v1/chat/completions", {"model": "gpt-acme"})
    assert answer.status == 400 and "content-encoding" not in answer.names()
    assert answer.json == json.loads(OPENAI_ERROR)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files/f"),
        ("DELETE", "/v1/files/f"),
        ("GET", "/v1/files/f/content"),
        ("GET", "/v1/credits"),
        ("POST", "/v1/files"),
    ],
)
def test_refusals_of_routes_without_a_model_are_alike(relay: Relay, upstream: Recorder, method: str, path: str) -> None:
    """404 of a file is the upstream's own; its 500 is 503."""
    body = b"x" * 1000 if method == "POST" else None
    upstream.answer(ok(OPENAI_ERROR, status="404 Not Found"), ok(b"<html>", status="500 Oh"))
    answer = relay.ask(method, path, body=body)
    assert (answer.status, answer.body) == (404, OPENAI_ERROR)
    is_error(relay.ask(method, path, body=body), 503, "upstream_error")


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Nope", "500 Oh", "401 Unauthorized"])
def test_no_answer_holds_a_key(relay: Relay, upstream: Recorder, status: str) -> None:
    """An upstream that repeats the key it was sent does not make the relay tell it."""
    told = [
        b'{"error": {"message": "Incorrect key: sk-up-b", "type": "x"}}',
        b"<html>Bearer sk-up-b</html>",
    ]
    for body in told:
        upstream.answer(ok(body, status=status))
        answer = relay.post("/v1/messages", {"model": "rested-claude" if status[:3] == "401" else "claude-acme"})
        assert answer.status in (400, 422, 503)
        assert b"sk-up-b" not in answer.body


def test_the_log_holds_no_key_and_no_prompt(relay: Relay, upstream: Recorder) -> None:
    """Whatever happened in this module."""
    relay.post("/v1/chat/completions", {"model": "gpt-acme", "messages": [{"role": "user", "content": "my secret prompt"}]})
    log = relay.log()
    for secret in ("sk-up-", KEY, "my secret prompt", "Traceback"):
        assert secret not in log
