"""Every row of the error table, in both envelopes, and what an upstream's refusal becomes."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from story_client import Answer
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, keys, openai_like
from story_upstream import CLOSE, Recorder, ok

JSON = ("Content-Type", "application/json")
# What a 429 says, and between how many seconds the wait for the key then lies.
WAITS: list[tuple[tuple[str, ...], int, int]] = [
    (("Retry-After: 7",), 6, 7),
    (("retry-after-ms: 8500",), 8, 9),
    (("retry-after-ms: 8500", "Retry-After: 90"), 8, 9),
    (("Date: Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After: Fri, 20 Nov 2026 10:00:33 GMT"), 32, 33),
    ((), 59, 60),
    (("Retry-After: soon",), 59, 60),
]
FAMILIES = {"openai": ("/v1/chat/completions", "gpt-acme", "acme"), "anthropic": ("/v1/messages", "claude-acme", "claudia")}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    providers = {
        **both(origin),
        "off": openai_like(origin, "off", "off-model", enabled=False),
        "clauoff": anthropic_like(origin, "clauoff", "off-claude", enabled=False),
        "keyless": openai_like(origin, "keyless", "keyless-model", keys=[]),
        "claukeyless": anthropic_like(origin, "claukeyless", "keyless-claude", keys=[]),
        "idle": openai_like(
            origin, "idle", "idle-model", keys=[{"label": "x", "secret": "${UP_A}", "enabled": False}], enabled=True
        ),
        "dead": openai_like(closed, "dead", "dead-model"),
        "claudead": anthropic_like(closed, "claudead", "dead-claude"),
        "nowhere": openai_like("http://no-such-host.invalid", "x", "nowhere-model"),
        "tls": openai_like(origin.replace("http:", "https:"), "tls", "tls-model", timeouts={"connect": 0.5}),
        "claurested": anthropic_like(origin, "claurested", "rested-claude"),
        "nochat": openai_like(origin, "nochat", "nochat-model", offers={"openai.chat": None}),
        **{
            name: openai_like(origin, name, f"{name}-model", keys=keys("a", "b"))
            for name in ("cool", "rest401", "rest402", "rest403")
        },
        **{f"cool{number}": openai_like(origin, f"cool{number}", f"cool{number}-model") for number in range(len(WAITS))},
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS, expected=("it rests for",))


def post(relay: Relay, path: str, body: Any, *headers: tuple[str, str]) -> Answer:
    return relay.ask("POST", path, *((JSON,) if isinstance(body, bytes) else ()), *headers, body=body)


def is_error(answer: Answer, status: int, kind: str, family: str = "openai") -> str:
    """The one envelope, in either family; its message."""
    assert (answer.status, answer.error["type"]) == (status, kind), answer
    assert answer.header("content-type") == "application/json"
    assert set(answer.json) == ({"error"} if family == "openai" else {"type", "error"})
    assert family == "openai" or answer.json["type"] == "error"
    assert set(answer.error) <= {"message", "type", "code", "param"}
    assert answer.header("x-monorelay-request-id")
    message = answer.error["message"]
    for secret in ("sk-up", KEY, "Traceback", "/work", "pycurl", "tornado"):
        assert secret not in message
    return str(message)


# ---------------------------------------------------------------------------------------------------- the caller's body

DEEP = b'{"model": "gpt-acme", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
BAD_BODIES = [
    b"",
    b" \n",
    b"not json",
    b"{",
    b'{"model": "gpt-acme"',
    b'{"model": "gpt-acme",}',
    b'{"model": "gpt-acme"} trailing',
    b'{"model": "gpt-acme"}{"model": "gpt-acme"}',
    b"{'model': 'gpt-acme'}",
    b'{"model": NaN}',
    b'{"model": "gpt-acme", "x": NaN}',
    b'{"model": "gpt-acme", "x": Infinity}',
    b'{"model": "gpt-acme", "x": 01}',
    b'{"model": "gpt-acme", "x": "\x01"}',
    b'{"model": "gpt-acme", "x": "\xff"}',
    b'{"model": "gpt-acme", "x": "\\x"}',
    b"[]",
    b'["gpt-acme"]',
    b'"gpt-acme"',
    b"null",
    b"1",
    b"true",
    b"{}",
    b'{"model": null}',
    b'{"model": ""}',
    b'{"model": 1}',
    b'{"model": ["gpt-acme"]}',
    b'{"model": {"id": "gpt-acme"}}',
    b'{"Model": "gpt-acme"}',
    b'{"messages": []}',
    b"model=gpt-acme",
    b"\xff\xfe{\x00}\x00",
    DEEP,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_body_that_cannot_be_read_is_400(relay: Relay, upstream: Recorder, family: str, body: bytes) -> None:
    """Not JSON, no object, no model or one of a wrong type: invalid_request_error, and nothing goes up."""
    path = FAMILIES[family][0]
    answer = post(relay, path, body)
    message = is_error(answer, 400, "invalid_request_error", family)
    assert len(message) < 500
    assert upstream.requests == []
    if body.startswith((b'{"model": null', b'{"model": 1', b'{"model": ""', b"{}", b'{"messages')):
        assert answer.error["param"] == "model" and "model" in message


FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"nothing"),
        ("multipart/form-data; boundary=b", FORM.replace(b"--b--\r\n", b"") % b"gpt-acme"),
        ("multipart/form-data; boundary=b", (FORM % b"gpt-acme")[:60]),
        ("multipart/form-data; boundary=other", FORM % b"gpt-acme"),
        ("multipart/form-data", FORM % b"gpt-acme"),
        ("multipart/form-data; boundary=", FORM % b"gpt-acme"),
        ("application/json", b'{"model": "gpt-acme"}'),
        ("", FORM % b"gpt-acme"),
        ("multipart/form-data; boundary=b", FORM % b""),
        ("multipart/form-data; boundary=b", FORM % b"\xff"),
        ("multipart/form-data; boundary=b", FORM.replace(b'"model"', b'"modal"') % b"gpt-acme"),
    ],
)
def test_a_form_that_cannot_be_read_is_400(relay: Relay, upstream: Recorder, kind: str, body: bytes) -> None:
    """Truncated, without a boundary, or without the model that its route needs."""
    answer = relay.ask("POST", "/v1/audio/transcriptions", *((("Content-Type", kind),) if kind else ()), body=body)
    is_error(answer, 400, "invalid_request_error")
    assert upstream.requests == []


# ---------------------------------------------------------------------------------------------------- which model, which provider


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("gpt-acmee", "gpt-acme"),
        ("gtp-acme", "gpt-acme"),
        ("claude-acmo", "claude-acme"),
        ("vendor/gpt-acm", "vendor/gpt-acme"),
        ("gpt-acme@acmee", "acme"),
        ("nothing-like-it", ""),
        ("gpt-acme ", "gpt-acme"),
        ("", ""),
    ],
)
def test_a_model_that_nothing_serves_is_404_naming_near_misses(relay: Relay, upstream: Recorder, asked: str, hint: str) -> None:
    """model_not_found, which no retry of the client's can cure."""
    if not asked:
        return
    for family, (path, _, _) in FAMILIES.items():
        answer = post(relay, path, {"model": asked})
        message = is_error(answer, 404, "model_not_found", family)
        assert answer.header("x-should-retry") == "false"
        if family == ("anthropic" if "claude" in hint else "openai"):
            assert hint in message and asked.strip() in message
    assert upstream.requests == []


def test_a_long_or_odd_model_name_is_quoted_with_care(relay: Relay) -> None:
    """Neither the message nor a header becomes a vehicle."""
    for asked in ("x" * 100_000, "<script>alert(1)</script>", "a\r\nb: c", "\u202e\u0000", "%s{0}", "😀" * 50):
        answer = post(relay, "/v1/chat/completions", {"model": asked})
        assert len(is_error(answer, 404, "model_not_found")) < 1000
        assert "b" not in answer.names()


@pytest.mark.parametrize("provider", ["nobody", "acmee", "", "a,b"])
def test_a_provider_that_nobody_knows_is_404(relay: Relay, upstream: Recorder, provider: str) -> None:
    """By ?provider= and by x-monorelay-provider."""
    if provider:
        for answer in (
            relay.ask("GET", f"/v1/files?provider={provider}"),
            relay.ask("GET", "/v1/files", ("x-monorelay-provider", provider)),
        ):
            message = is_error(answer, 404, "model_not_found")
            assert provider in message and answer.header("x-should-retry") == "false"
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "model", "family"),
    [
        ("/v1/chat/completions", "off-model@off", "openai"),
        ("/v1/chat/completions", "anything@off", "openai"),
        ("/v1/messages", "off-claude@clauoff", "anthropic"),
    ],
)
def test_a_disabled_provider_is_503(relay: Relay, upstream: Recorder, path: str, model: str, family: str) -> None:
    """The seeds' own sentence, with the provider in brackets; no retry cures it."""
    name = model.partition("@")[2]
    answer = post(relay, path, {"model": model})
    message = is_error(answer, 503, "provider_disabled", family)
    assert message.startswith(f"[{name}] Provider '{name}' is not enabled")
    assert answer.header("x-should-retry") == "false" and upstream.requests == []
    pinned = relay.ask("GET", "/v1/files?provider=off")
    is_error(pinned, 503, "provider_disabled")


@pytest.mark.parametrize(
    ("path", "model", "family"),
    [
        ("/v1/chat/completions", "keyless-model", "openai"),
        ("/v1/chat/completions", "keyless-model@keyless", "openai"),
        ("/v1/chat/completions", "idle-model", "openai"),
        ("/v1/chat/completions", "idle-model@idle", "openai"),
        ("/v1/messages", "keyless-claude", "anthropic"),
    ],
)
def test_a_provider_without_a_usable_key_is_no_keys(relay: Relay, upstream: Recorder, path: str, model: str, family: str) -> None:
    """None configured, or all disabled: 503 no_keys, in the seeds' words."""
    name = {"keyless-claude": "claukeyless"}.get(model, model.partition("@")[2] or model.removesuffix("-model"))
    answer = post(relay, path, {"model": model})
    message = is_error(answer, 503, "no_keys", family)
    assert message.startswith(f"[{name}] No available keys for provider '{name}'")
    assert upstream.requests == []


def test_a_provider_that_does_not_serve_the_route_says_who_would(relay: Relay, upstream: Recorder) -> None:
    """model@provider on an endpoint that this provider has not."""
    message = is_error(post(relay, "/v1/chat/completions", {"model": "nochat-model@nochat"}), 404, "model_not_found")
    assert "[nochat]" in message and upstream.requests == []


# ---------------------------------------------------------------------------------------------------- keys

LIMITED = b'{"error": {"message": "slow down", "type": "rate_limit_error"}}'


def limited(*headers: str) -> Any:
    return ok(LIMITED, *headers, status="429 Too Many Requests")


def test_no_usable_key_left_says_when_to_come_again(relay: Relay, upstream: Recorder) -> None:
    """Also when this very request used up the last one by a 429: 503, and Retry-After of the soonest key."""
    upstream.answer(limited("Retry-After: 90"), limited("Retry-After: 41"))
    answer = post(relay, "/v1/chat/completions", {"model": "cool-model"})
    message = is_error(answer, 503, "no_keys")
    assert message.startswith("[cool] No available keys for provider 'cool': all 2 are cooling down; the next is free in 4")
    assert answer.header("retry-after") in ("41", "40") and answer.header("x-monorelay-attempts") == "2"
    assert answer.header("x-monorelay-upstream-status") == "429"
    assert "x-should-retry" not in answer.names()
    assert len(upstream.requests) == 2
    again = post(relay, "/v1/chat/completions", {"model": "cool-model"})
    is_error(again, 503, "no_keys")
    assert 30 < int(again.header("retry-after") or 0) <= 41 and len(upstream.requests) == 2, "a cooling key was used"
    files = relay.ask("GET", "/v1/files?provider=cool")
    is_error(files, 503, "no_keys")


@pytest.mark.parametrize("number", range(6))
def test_a_429_cools_the_key_for_as_long_as_the_upstream_said(relay: Relay, upstream: Recorder, number: int) -> None:
    """Seconds, an HTTP date, milliseconds, else rate_limit_cooldown (60 s)."""
    headers, low, high = WAITS[number]
    upstream.answer(limited(*headers))
    answer = post(relay, "/v1/chat/completions", {"model": f"cool{number}-model"})
    is_error(answer, 503, "no_keys")
    assert low <= int(answer.header("retry-after") or 0) <= high


@pytest.mark.parametrize("status", ["401 Unauthorized", "402 Payment Required", "403 Forbidden"])
def test_a_refused_key_rests_and_the_next_one_goes_on(relay: Relay, upstream: Recorder, status: str) -> None:
    """The client never sees its provider's 401, and the key is not used again; when all are refused it is an upstream_error."""
    name = f"rest{status[:3]}"
    refusal = ok(b'{"error": {"message": "Incorrect API key provided: sk-up-a"}}', status=status)
    upstream.answer(refusal, ok(b'{"ok": 1}'))
    assert post(relay, "/v1/chat/completions", {"model": f"{name}-model"}).json == {"ok": 1}
    bad, good = (request.header("authorization") for request in upstream.wait(2))
    assert {bad, good} == {"Bearer sk-up-a", "Bearer sk-up-b"}
    for _ in range(3):
        post(relay, "/v1/chat/completions", {"model": f"{name}-model"})
    assert [request.header("authorization") for request in upstream.wait(5)[2:]] == [good] * 3
    upstream.answer(refusal)
    answer = post(relay, "/v1/chat/completions", {"model": f"{name}-model"})
    is_error(answer, 503, "upstream_error")
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    upstream.reset()
    answer = post(relay, "/v1/chat/completions", {"model": f"{name}-model"})
    message = is_error(answer, 503, "no_keys")
    assert "resting" in message and 200 < int(answer.header("retry-after") or 0) <= 600 and upstream.requests == []


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
    answer = post(relay, path, {"model": model, "stream": stream})
    message = is_error(answer, 503, "upstream_error", family)
    assert message.startswith(f"[{provider}] ") and said in message and len(message) < 800
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    assert "location" not in answer.names()
    assert len(upstream.requests) == 1, "one attempt, and no redirect is followed"


def test_retry_after_of_a_fault_comes_back(relay: Relay, upstream: Recorder) -> None:
    """So that a client waits as long as the upstream asks it to."""
    upstream.answer(ok(b"{}", "Retry-After: 17", "retry-after-ms: 17000", status="503 Service Unavailable"))
    answer = post(relay, "/v1/chat/completions", {"model": "gpt-acme"})
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
        answer = post(relay, path, {"model": model, "stream": stream})
        message = is_error(answer, 503, "upstream_error", family)
        assert message.startswith(f"[{name}] ")
        assert "x-monorelay-upstream-status" not in answer.names()
        assert answer.header("x-monorelay-attempts") == "1"


def test_a_fault_says_nothing_about_the_key(relay: Relay, upstream: Recorder) -> None:
    """After a 500 or a broken connection the same key is used at once."""
    upstream.answer(ok(b"{}", status="500 Internal Server Error"), (CLOSE,), (CLOSE,))
    for _ in range(2):
        assert post(relay, "/v1/chat/completions", {"model": "gpt-acme"}).status == 503
    upstream.reset()
    assert post(relay, "/v1/chat/completions", {"model": "gpt-acme"}).status == 200


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
    answer = post(relay, path, {"model": model, "stream": stream})
    assert (answer.status, answer.body) == (int(status[:3]), body)
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    assert (answer.header("x-request-id"), answer.header("x-ratelimit-remaining-requests")) == ("up-9", "3")
    assert len(upstream.requests) == 1
    upstream.reset()
    assert post(relay, path, {"model": model}).status == 200


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
    answer = post(relay, path, {"model": model})
    message = is_error(answer, 422, "invalid_request_error", family)
    assert message.startswith(f"[{provider}] ") and said in message
    assert message.count("x") < 600
    assert answer.header("x-monorelay-upstream-status") == "422"


@pytest.mark.parametrize(("encoding", "press"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_refusal_can_be_read(relay: Relay, upstream: Recorder, encoding: str, press: Callable[[bytes], bytes]) -> None:
    """A CDN compresses what nobody asked it to; the client gets the words."""
    upstream.answer(ok(press(OPENAI_ERROR), f"Content-Encoding: {encoding}", status="400 Bad Request"))
    answer = post(relay, "/v1/chat/completions", {"model": "gpt-acme"})
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
        answer = post(relay, "/v1/messages", {"model": "rested-claude" if status[:3] == "401" else "claude-acme"})
        assert answer.status in (400, 422, 503)
        assert b"sk-up-b" not in answer.body


def test_the_log_holds_no_key_and_no_prompt(relay: Relay, upstream: Recorder) -> None:
    """Whatever happened in this module."""
    post(relay, "/v1/chat/completions", {"model": "gpt-acme", "messages": [{"role": "user", "content": "my secret prompt"}]})
    log = relay.log()
    for secret in ("sk-up-", KEY, "my secret prompt", "Traceback"):
        assert secret not in log
