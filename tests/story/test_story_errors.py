"""Every row of the error table, in both envelopes, and what an upstream's refusal becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from story_client import form
from story_errors import FAMILIES, is_error
from story_process import Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, keys, openai_like
from story_upstream import Recorder, ok

# What a 429 says, and between how many seconds the wait for the key then lies.
WAITS: list[tuple[tuple[str, ...], int, int]] = [
    (("Retry-After: 7",), 6, 7),
    (("retry-after-ms: 8500",), 8, 9),
    (("retry-after-ms: 8500", "Retry-After: 90"), 8, 9),
    (("Date: Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After: Fri, 20 Nov 2026 10:00:33 GMT"), 32, 33),
    ((), 59, 60),
    (("Retry-After: soon",), 59, 60),
]


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    providers = {
        **both(origin),
        "off": openai_like(origin, "off", "off-model", enabled=False),
        "clauoff": anthropic_like(origin, "clauoff", "off-claude", enabled=False),
        "keyless": openai_like(origin, "keyless", "keyless-model", keys=[]),
        "claukeyless": anthropic_like(origin, "claukeyless", "keyless-claude", keys=[]),
        "idle": openai_like(
            origin, "idle", "idle-model", keys=[{"label": "x", "secret": "${UP_A}", "enabled": False}], enabled=True
        ),
        "nochat": openai_like(origin, "nochat", "nochat-model", offers={"openai.chat": None}, translate=False),
        **{
            name: openai_like(origin, name, f"{name}-model", keys=keys("a", "b"))
            for name in ("cool", "rest401", "rest402", "rest403")
        },
        **{f"cool{number}": openai_like(origin, f"cool{number}", f"cool{number}-model") for number in range(len(WAITS))},
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS, expected=("it rests for",))


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
    answer = relay.post(path, body)
    message = is_error(answer, 400, "invalid_request_error", family)
    assert len(message) < 500
    assert upstream.requests == []
    if body.startswith((b'{"model": null', b'{"model": 1', b'{"model": ""', b"{}", b'{"messages')):
        assert answer.error["param"] == "model" and "model" in message


FORM = form(("model", b"%b"), ("file", b"x"))


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
        answer = relay.post(path, {"model": asked})
        message = is_error(answer, 404, "model_not_found", family)
        assert answer.header("x-should-retry") == "false"
        if family == ("anthropic" if "claude" in hint else "openai"):
            assert hint in message and asked.strip() in message
    assert upstream.requests == []


def test_a_long_or_odd_model_name_is_quoted_with_care(relay: Relay) -> None:
    """Neither the message nor a header becomes a vehicle."""
    for asked in ("x" * 500, "<script>alert(1)</script>", "a\r\nb: c", "\u202e\u0000", "%s{0}", "😀" * 50):
        answer = relay.post("/v1/chat/completions", {"model": asked})
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
    answer = relay.post(path, {"model": model})
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
    answer = relay.post(path, {"model": model})
    message = is_error(answer, 503, "no_keys", family)
    assert message.startswith(f"[{name}] No available keys for provider '{name}'")
    assert upstream.requests == []


def test_a_provider_that_does_not_serve_the_route_says_who_would(relay: Relay, upstream: Recorder) -> None:
    """model@provider on an endpoint that this provider has not."""
    message = is_error(relay.post("/v1/chat/completions", {"model": "nochat-model@nochat"}), 404, "model_not_found")
    assert "[nochat]" in message and upstream.requests == []


# ---------------------------------------------------------------------------------------------------- keys

LIMITED = b'{"error": {"message": "slow down", "type": "rate_limit_error"}}'


def limited(*headers: str) -> Any:
    return ok(LIMITED, *headers, status="429 Too Many Requests")


def test_no_usable_key_left_says_when_to_come_again(relay: Relay, upstream: Recorder) -> None:
    """Also when this very request used up the last one by a 429: 503, and Retry-After of the soonest key."""
    upstream.answer(limited("Retry-After: 90"), limited("Retry-After: 41"))
    answer = relay.post("/v1/chat/completions", {"model": "cool-model"})
    message = is_error(answer, 503, "no_keys")
    assert message.startswith("[cool] No available keys for provider 'cool': all 2 are cooling down; the next is free in 4")
    assert answer.header("retry-after") in ("41", "40") and answer.header("x-monorelay-attempts") == "2"
    assert answer.header("x-monorelay-upstream-status") == "429"
    assert "x-should-retry" not in answer.names()
    assert len(upstream.requests) == 2
    again = relay.post("/v1/chat/completions", {"model": "cool-model"})
    is_error(again, 503, "no_keys")
    assert 30 < int(again.header("retry-after") or 0) <= 41 and len(upstream.requests) == 2, "a cooling key was used"
    files = relay.ask("GET", "/v1/files?provider=cool")
    is_error(files, 503, "no_keys")


@pytest.mark.parametrize("number", range(6))
def test_a_429_cools_the_key_for_as_long_as_the_upstream_said(relay: Relay, upstream: Recorder, number: int) -> None:
    """Seconds, an HTTP date, milliseconds, else rate_limit_cooldown (60 s)."""
    headers, low, high = WAITS[number]
    upstream.answer(limited(*headers))
    answer = relay.post("/v1/chat/completions", {"model": f"cool{number}-model"})
    is_error(answer, 503, "no_keys")
    assert low <= int(answer.header("retry-after") or 0) <= high


@pytest.mark.parametrize("status", ["401 Unauthorized", "402 Payment Required", "403 Forbidden"])
def test_a_refused_key_rests_and_the_next_one_goes_on(relay: Relay, upstream: Recorder, status: str) -> None:
    """The client never sees its provider's 401, and the key is not used again; when all are refused it is an upstream_error."""
    name = f"rest{status[:3]}"
    refusal = ok(b'{"error": {"message": "Incorrect API key provided: sk-up-a"}}', status=status)
    upstream.answer(refusal, ok(b'{"ok": 1}'))
    assert relay.post("/v1/chat/completions", {"model": f"{name}-model"}).json == {"ok": 1}
    bad, good = (request.header("authorization") for request in upstream.wait(2))
    assert {bad, good} == {"Bearer sk-up-a", "Bearer sk-up-b"}
    for _ in range(3):
        relay.post("/v1/chat/completions", {"model": f"{name}-model"})
    assert [request.header("authorization") for request in upstream.wait(5)[2:]] == [good] * 3
    upstream.answer(refusal)
    answer = relay.post("/v1/chat/completions", {"model": f"{name}-model"})
    is_error(answer, 503, "upstream_error")
    assert answer.header("x-monorelay-upstream-status") == status[:3]
    upstream.reset()
    answer = relay.post("/v1/chat/completions", {"model": f"{name}-model"})
    message = is_error(answer, 503, "no_keys")
    assert "resting" in message and 200 < int(answer.header("retry-after") or 0) <= 600 and upstream.requests == []
