"""What goes up and what comes back: the header program, request ids, and what the relay adds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, anthropic_like, both, keys, openai_like
from story_upstream import Recorder, ok

Pair = tuple[str, str]
CHAT = {"model": "gpt-acme"}
ODD = {
    "forward": ["x-one", "x-glob-*", "x-list", "X-Gone", "x-only-list"],
    "rename": {"x-old": "x-new", "X-Swap-A": "x-swap-b"},
    "default": {"x-def": "default", "x-one": "not this"},
    "set": {
        "x-set": "set",
        "x-said": "{{ model }} {{ label }} {{ provider }} {{ request_id }} {{ client }}",
        "x-secret": "${UP_C}",
    },
    "remove": {"x-gone": None, "x-list": ["bad*", "worse"], "x-glob-secret": None},
}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    origin = upstream.origin
    providers = {
        **both(origin),
        "odd": openai_like(
            origin,
            "odd",
            "odd-model",
            keys=keys("a", "b"),
            headers={
                "request": ODD,
                "response": {
                    "forward": ["x-up-*"],
                    "rename": {"x-was": "x-is"},
                    "default": {"x-told": "by us"},
                    "set": {"cache-control": "no-store"},
                    "remove": {"x-up-gone": None, "x-up-list": ["internal-*"]},
                },
            },
        ),
        "narrow": openai_like(
            origin,
            "narrow",
            "narrow-model",
            headers={"request": {"forward": ["x-a", "x-b"], "only": ["content-type", "x-a", "authorization", "accept-encoding"]}},
        ),
        "beta": anthropic_like(
            origin, "beta", "beta-model", headers={"request": {"only": {"anthropic-beta": ["keep-*", "exact"]}}}
        ),
        "plain": openai_like(origin, "plain", "plain-model", auth={"header": "api-key"}),
        "free": openai_like(origin, "free", "free-model", auth="none", keys=[]),
        "bearer": anthropic_like(origin, "bearer", "bearer-model", auth="bearer"),
    }
    clients = {"ci": {"sha256": "8c0bd4b2f8f8f4b4d8b0c5f0e6c0a6b8f6a1f3b1f3d0d7e2a0b9c8d7e6f5a4b3"}}
    return start({"server": SERVER, "providers": providers, "clients": clients}, environ=SECRETS)


# ---------------------------------------------------------------------------------------------------- upwards

NEVER: list[Pair] = [
    ("Cookie", "session=1"),
    ("Cookie2", "x"),
    ("Proxy-Authorization", "Basic eA=="),
    ("Proxy-Connection", "keep-alive"),
    ("Keep-Alive", "timeout=5"),
    ("TE", "trailers"),
    ("Trailer", "x-end"),
    ("Upgrade", "h2c"),
    ("x-api-key", "wrong-key"),
    ("X-Access-Key", "wrong-key"),
    ("X-Forwarded-For", "10.0.0.7"),
    ("Forwarded", "for=10.0.0.7"),
    ("Origin", "https://page.example"),
    ("Referer", "https://page.example/chat"),
    ("Sec-Fetch-Mode", "cors"),
    ("Accept-Language", "*"),
    ("X-Stainless-Lang", "python"),
    ("x-stainless-retry-count", "0"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("x-app", "cli"),
    ("x-monorelay-provider", "acme"),
    ("x-unknown", "1"),
]


def test_what_no_rule_forwards_is_not_sent(relay: Relay, upstream: Recorder) -> None:
    """Hop-by-hop fields, cookies, credentials, proxies' and SDKs' chatter stay here; libcurl adds nothing of its own."""
    answer = relay.ask(
        "POST", "/v1/chat/completions", *NEVER, ("Connection", "keep-alive, x-one"), ("Host", "relay.example"), body=CHAT
    )
    assert answer.status == 200
    request = upstream.taken()
    assert request.names == {"host", "authorization", "content-type", "content-length", "accept-encoding", "user-agent"}
    assert request.header("host") == f"127.0.0.1:{upstream.port}"
    assert request.header("authorization") == "Bearer sk-up-a"
    assert request.header("user-agent") == "monorelay"
    for secret in (KEY, "wrong-key", "session=1"):
        assert secret.encode() not in request.head


FORWARDED = [
    ("/v1/chat/completions", "gpt-acme", ("Accept", "text/event-stream")),
    ("/v1/chat/completions", "gpt-acme", ("OpenAI-Beta", "assistants=v2, other")),
    ("/v1/chat/completions", "gpt-acme", ("User-Agent", "OpenAI/Python 3.52.0")),
    ("/v1/chat/completions", "gpt-acme", ("Idempotency-Key", "stainless-python-retry-1")),
    ("/v1/responses", "gpt-acme", ("openai-beta", "responses=x")),
    ("/v1/messages", "claude-acme", ("anthropic-version", "2026-10-21")),
    ("/v1/messages", "claude-acme", ("anthropic-version", "2023-06-01")),
    ("/v1/messages", "claude-acme", ("Anthropic-Beta", "a-2025-01-01,b-2025-02-02")),
    ("/v1/messages", "claude-acme", ("anthropic-beta", "  a ,, b;q=1\t")),
    ("/v1/messages/count_tokens", "claude-acme", ("anthropic-beta", "token-counting-2024-11-01")),
]


@pytest.mark.parametrize(("path", "model", "header"), FORWARDED, ids=str)
def test_what_a_rule_forwards_is_sent_unchanged(relay: Relay, upstream: Recorder, path: str, model: str, header: Pair) -> None:
    """The value as the client wrote it, once."""
    assert relay.ask("POST", path, header, body={"model": model}).status == 200
    assert upstream.taken().header(header[0].lower()) == header[1].strip()


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/beta", "/v1/messages/count_tokens"])
def test_anthropic_version_is_supplied_only_where_it_is_missing(relay: Relay, upstream: Recorder, path: str) -> None:
    """2023-06-01 by default; no anthropic-beta is made up."""
    assert relay.ask("POST", path, body={"model": "claude-acme"}).status == 200
    request = upstream.taken()
    assert request.header("anthropic-version") == "2023-06-01" and "anthropic-beta" not in request.names
    assert request.header("x-api-key") == "sk-up-b" and "authorization" not in request.names


def test_a_beta_field_that_comes_twice_keeps_all_its_tokens(relay: Relay, upstream: Recorder) -> None:
    """Repeated list fields mean the same as one with commas (RFC 9110 section 5.2)."""
    relay.ask("POST", "/v1/messages", ("anthropic-beta", "a"), ("anthropic-beta", "b,c"), body={"model": "claude-acme"})
    assert re.split(r",\s*", upstream.taken().header("anthropic-beta") or "") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("model", "path", "header", "value"),
    [
        ("plain-model", "/v1/chat/completions", "api-key", "sk-up-a"),
        ("bearer-model", "/v1/messages", "authorization", "Bearer sk-up-b"),
        ("free-model", "/v1/chat/completions", "authorization", None),
    ],
)
def test_a_provider_says_how_it_wants_its_key(
    relay: Relay, upstream: Recorder, model: str, path: str, header: str, value: str | None
) -> None:
    """bearer, x-api-key, a header of its own, or none."""
    assert relay.ask("POST", path, body={"model": model}).status == 200
    request = upstream.taken()
    assert request.header(header) == value
    assert len(request.names & {"authorization", "x-api-key", "api-key"}) == (value is not None)


def test_the_header_program_runs_in_order(relay: Relay, upstream: Recorder) -> None:
    """forward → rename → default → set → remove; templates know the model, the key's label, the provider and the request."""
    sent: list[Pair] = [
        ("X-ONE", "1"),
        ("x-glob-a", "a"),
        ("X-Glob-B", "b"),
        ("x-glob-secret", "no"),
        ("x-old", "renamed"),
        ("x-swap-a", "swapped"),
        ("x-gone", "no"),
        ("x-list", "good, bad1, fine ,worse,bad"),
        ("x-set", "client's"),
        ("x-request-id", "req-7"),
        ("x-not", "no"),
    ]
    assert relay.ask("POST", "/v1/chat/completions", *sent, body={"model": "odd-model"}).status == 200
    request = upstream.taken()
    got = {name.lower(): value for name, value in request.headers}
    expected = {
        "x-one": "1",
        "x-glob-a": "a",
        "x-glob-b": "b",
        "x-new": "renamed",
        "x-swap-b": "swapped",
        "x-list": "good, fine",
        "x-def": "default",
        "x-set": "set",
        "x-said": "odd-model a odd req-7",
        "x-secret": "sk-up-c",
    }
    assert {name: value.strip() for name, value in got.items() if name.startswith("x-")} == expected
    upstream.reset()
    assert (
        relay.ask("POST", "/v1/chat/completions", ("x-list", "bad, worse"), ("x-def", "mine"), body={"model": "odd-model"}).status
        == 200
    )
    request = upstream.taken()
    assert "x-list" not in request.names and request.header("x-def") == "default" and request.header("x-one") == "not this"


def test_a_model_name_cannot_write_a_header(relay: Relay, upstream: Recorder) -> None:
    """A name with a line break, put into a header by a template, stays one header; the body keeps it as it is."""
    model = "odd-model@odd"
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": model + "\r\nx-evil: 1"})
    assert answer.status == 404 and "x-evil" not in answer.names()
    upstream.reset()
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": "free\u20ac\r\nx-evil: 1@free"})
    assert answer.status == 404 and "x-evil" not in answer.names() and b"\r\nx-evil" not in answer.head


def test_only_keeps_what_it_names_and_nothing_else(relay: Relay, upstream: Recorder) -> None:
    """Whole fields, or the tokens of a list-valued one."""
    relay.ask("POST", "/v1/chat/completions", ("x-a", "1"), ("x-b", "2"), ("Accept", "x/y"), body={"model": "narrow-model"})
    assert upstream.taken().names == {"host", "content-length", "content-type", "authorization", "x-a", "accept-encoding"}
    upstream.reset()
    relay.ask("POST", "/v1/messages", ("anthropic-beta", "keep-1,drop,exact , exactly,keep-2"), body={"model": "beta-model"})
    request = upstream.taken()
    assert request.header("anthropic-beta") == "keep-1, exact, keep-2" and request.header("anthropic-version") == "2023-06-01"
    upstream.reset()
    relay.ask("POST", "/v1/messages", ("anthropic-beta", "drop"), body={"model": "beta-model"})
    assert "anthropic-beta" not in upstream.taken().names


ENCODINGS = [
    ("POST", "/v1/chat/completions", True),
    ("POST", "/v1/messages", True),
    ("POST", "/v1/embeddings", True),
    ("GET", "/v1/files", False),
    ("GET", "/v1/files/f/content", False),
    ("GET", "/v1/credits", False),
]


@pytest.mark.parametrize(("method", "path", "json_body"), ENCODINGS)
def test_json_routes_ask_for_identity_and_others_pass_the_clients_wish_on(
    relay: Relay, upstream: Recorder, method: str, path: str, json_body: bool
) -> None:
    """Accept-Encoding is the relay's where it has to look inside, and the client's where it does not."""
    body = {"model": "claude-acme" if "messages" in path else "gpt-acme"} if json_body else None
    wish = "gzip;q=0.9, br, zstd"
    assert relay.ask(method, path, ("Accept-Encoding", wish), body=body).status == 200
    assert upstream.taken().header("accept-encoding") == ("identity" if json_body else wish)
    upstream.reset()
    relay.ask(method, path, body=body)
    assert upstream.taken().header("accept-encoding") == ("identity" if json_body else None)


def test_multipart_and_upload_routes_pass_the_clients_encodings_on(relay: Relay, upstream: Recorder) -> None:
    """Nothing of their answers has to be read."""
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-acme\r\n--b--\r\n'
    for path in ("/v1/audio/transcriptions", "/v1/images/edits", "/v1/files"):
        upstream.reset()
        relay.ask("POST", path, ("Content-Type", "multipart/form-data; boundary=b"), ("Accept-Encoding", "br"), body=form)
        assert upstream.taken().header("accept-encoding") == "br", path


# ---------------------------------------------------------------------------------------------------- back

BACK = [
    ("X-Request-Id", "req_up"),
    ("request-id", "req_claude"),
    ("Retry-After", "3"),
    ("retry-after-ms", "3000"),
    ("x-ratelimit-limit-requests", "10"),
    ("X-RateLimit-Reset-Tokens", "6m0s"),
    ("anthropic-ratelimit-requests-remaining", "5"),
    ("OpenAI-Processing-Ms", "12"),
    ("openai-version", "2020-10-01"),
    ("x-should-retry", "true"),
    ("Content-Disposition", 'attachment; filename="a"'),
    ("Cache-Control", "no-cache"),
]
HIDDEN = [
    ("Set-Cookie", "__cf_bm=secret"),
    ("Server", "cloudflare"),
    ("CF-RAY", "abc"),
    ("Strict-Transport-Security", "max-age=1"),
    ("Alt-Svc", 'h3=":443"'),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authenticate", "Basic"),
    ("WWW-Authenticate", "Bearer"),
    ("x-internal", "1"),
    ("Access-Control-Allow-Origin", "*"),
]


def test_response_fields_come_back_by_the_same_kind_of_program(relay: Relay, upstream: Recorder) -> None:
    """Request ids, retry-after and rate limits by default; cookies, hop-by-hop fields and what no rule names never."""
    upstream.answer(ok(b"{}", *(f"{name}: {value}" for name, value in (*BACK, *HIDDEN)), kind="application/json; charset=utf-8"))
    answer = relay.ask("POST", "/v1/chat/completions", body=CHAT)
    for name, value in BACK:
        assert answer.header(name.lower()) == value, name
    assert answer.header("content-type") == "application/json; charset=utf-8"
    assert not answer.names() & {name.lower() for name, _ in HIDDEN}
    assert answer.header("x-monorelay-request-id") != "req_up"


def test_an_operator_rules_the_response_fields(relay: Relay, upstream: Recorder) -> None:
    """forward, rename, default, set and remove work on the way back too."""
    told = ["X-Up-One: 1", "x-up-gone: 1", "x-up-list: a, internal-1, b", "x-was: old", "Cache-Control: public", "x-other: 1"]
    upstream.answer(ok(b"{}", *told))
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": "odd-model"})
    assert (answer.header("x-up-one"), answer.header("x-is"), answer.header("x-told")) == ("1", "old", "by us")
    assert (answer.header("cache-control"), answer.header("x-up-list")) == ("no-store", "a, b")
    assert not answer.names() & {"x-up-gone", "x-was", "x-other"}


def test_the_relay_tells_who_answered(relay: Relay, upstream: Recorder) -> None:
    """On every relayed answer: request id, provider, model, attempts and the upstream's status; no trail of one attempt."""
    answer = relay.ask("POST", "/v1/chat/completions", body=CHAT)
    assert answer.header("x-monorelay-provider") == "acme" and answer.header("x-monorelay-model") == "gpt-acme"
    assert answer.header("x-monorelay-attempts") == "1" and answer.header("x-monorelay-upstream-status") == "200"
    assert "x-monorelay-trail" not in answer.names()
    assert answer.header("x-request-id") == answer.header("x-monorelay-request-id")
    files = relay.ask("GET", "/v1/files")
    assert files.header("x-monorelay-provider") == "acme" and "x-monorelay-model" not in files.names()
    for method, path, key in (
        ("GET", "/health", None),
        ("GET", "/v1/models", None),
        ("GET", "/nothing", KEY),
        ("GET", "/nothing", None),
        ("PUT", "/health", KEY),
    ):
        own = relay.ask(method, path, key=key)
        assert own.header("x-monorelay-request-id") and own.header("x-request-id")


def test_the_trail_tells_every_attempt(relay: Relay, upstream: Recorder) -> None:
    """``odd/a 429, odd/b 200``, only when there was more than one."""
    upstream.answer(ok(b'{"error": {}}', "retry-after-ms: 50", status="429 Too Many Requests"), ok())
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": "odd-model"})
    assert answer.status == 200 and answer.header("x-monorelay-attempts") == "2"
    trail = answer.header("x-monorelay-trail") or ""
    assert re.fullmatch(r"odd/[ab] 429, odd/[ab] 200", trail) and trail.split(" ")[0] != trail.split(" ")[2]


@pytest.mark.parametrize("sane", ["abc", "0f8fad5b-d9cb-469f-a165-70867728950e", "A.b_c:1", "x" * 128])
def test_a_sane_request_id_of_the_client_is_taken_over(relay: Relay, upstream: Recorder, sane: str) -> None:
    """On relayed answers, on the relay's own, on refusals; and in the log."""
    for method, path, key, body in (
        ("POST", "/v1/chat/completions", KEY, CHAT),
        ("GET", "/health", None, None),
        ("GET", "/x", None, None),
    ):
        answer = relay.ask(method, path, ("X-Request-Id", sane), key=key, body=body)
        assert answer.header("x-monorelay-request-id") == sane == answer.header("x-request-id")
    relay.wait_for(rf"call={re.escape(sane)} ")


@pytest.mark.parametrize("insane", ["", "two words", "x" * 129, "caf\xe9", 'a"b', "a\tb", "<script>", "a,b", "${jndi:x}"])
def test_an_insane_request_id_is_replaced(relay: Relay, upstream: Recorder, insane: str) -> None:
    """It is neither repeated nor logged."""
    answer = relay.ask("POST", "/v1/chat/completions", ("X-Request-Id", insane), body=CHAT)
    made = answer.header("x-monorelay-request-id")
    assert answer.status == 200 and made and made != insane and re.fullmatch(r"[A-Za-z0-9._:-]{8,64}", made)


def test_the_upstreams_request_id_stays_its_own(relay: Relay, upstream: Recorder) -> None:
    """x-request-id is the upstream's where it sent one; ours is beside it."""
    upstream.answer(
        ok(b"{}", "x-request-id: up-1"), ok(b'{"error": {"message": "no"}}', "x-request-id: up-2", status="400 Bad Request")
    )
    for number in ("up-1", "up-2"):
        answer = relay.ask("POST", "/v1/chat/completions", ("x-request-id", "mine"), body=CHAT)
        assert (answer.header("x-request-id"), answer.header("x-monorelay-request-id")) == (number, "mine")


def test_request_ids_do_not_repeat(relay: Relay) -> None:
    """Each call has its own."""
    made = {relay.ask("GET", "/health").header("x-monorelay-request-id") for _ in range(50)}
    assert len(made) == 50


def test_a_response_field_that_comes_twice_comes_back_twice(relay: Relay, upstream: Recorder) -> None:
    """Nothing is merged or lost on the way."""
    upstream.answer(ok(b"{}", "x-ratelimit-policy: a", "x-ratelimit-policy: b"))
    answer = relay.ask("POST", "/v1/chat/completions", body=CHAT)
    values = [value for name, value in answer.headers if name == "x-ratelimit-policy"]
    assert values == ["a", "b"]
