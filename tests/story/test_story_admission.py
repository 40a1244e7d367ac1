"""Who may call: three fields for one credential, deny by default, the open mode, and client tokens kept as digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from story_client import ask
from story_process import KEY, Relay, refused
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder
from test_story_endpoints import OWN, PUBLIC, ROWS

TOKEN = "tok-story-ci"
CLIENTS = {
    "ci": {"sha256": hashlib.sha256(TOKEN.encode()).hexdigest()},
    "night": {"sha256": hashlib.sha256(b"tok-night").hexdigest().upper()},
}
CHAT = {"model": "gpt-acme", "messages": []}
GOOD = [
    (("Authorization", f"Bearer {KEY}"),),
    (("authorization", f"bearer {KEY}"),),
    (("AUTHORIZATION", f"BEARER  {KEY} "),),
    (("x-api-key", KEY),),
    (("X-Api-Key", KEY),),
    (("X-Access-Key", KEY),),
    (("x-access-key", f" {KEY}"),),
    (("Authorization", f"Bearer {TOKEN}"),),
    (("x-api-key", TOKEN),),
    (("X-Access-Key", "tok-night"),),
    (("Authorization", "Bearer wrong"), ("x-api-key", KEY)),
    (("Authorization", "Basic dXNlcjpwYXNz"), ("X-Access-Key", KEY)),
    (("x-api-key", "wrong"), ("Authorization", f"Bearer {KEY}")),
    (("x-api-key", ""), ("Authorization", f"Bearer {KEY}")),
    (("x-api-key", "wrong"), ("X-Access-Key", TOKEN), ("Authorization", "Bearer wrong")),
]
BAD = [
    (),
    (("Authorization", f"Bearer {KEY}x"),),
    (("Authorization", f"Bearer {KEY[:-1]}"),),
    (("Authorization", f"Bearer {KEY.upper()}"),),
    (("Authorization", "Bearer"),),
    (("Authorization", "Bearer "),),
    (("Authorization", ""),),
    (("Authorization", KEY),),
    (("Authorization", f"Basic {KEY}"),),
    (("Authorization", f"Token {KEY}"),),
    (("x-api-key", ""),),
    (("x-api-key", " "),),
    (("X-Access-Key", "wrong"),),
    (("x-api-key", f"Bearer {KEY}"),),
    (("api-key", KEY),),
    (("Cookie", f"access_key={KEY}"),),
    (("Authorization", "Bearer sk-up-a"),),
    (("Authorization", f"Bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}"),),
    (("Authorization", f"Bearer {hashlib.sha256(KEY.encode()).hexdigest()}"),),
    (("Authorization", "Bearer caf\xe9"),),
    (("Authorization", "Bearer " + "x" * 20_000),),
]


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start({"server": SERVER, "clients": CLIENTS, "providers": both(upstream.origin)}, environ=SECRETS)


@pytest.mark.parametrize("headers", GOOD, ids=str)
@pytest.mark.parametrize(("path", "model"), [("/v1/chat/completions", "gpt-acme"), ("/v1/messages", "claude-acme")])
def test_every_way_to_say_the_credential_works_on_every_family(
    relay: Relay, upstream: Recorder, path: str, model: str, headers: tuple[tuple[str, str], ...]
) -> None:
    """Of several, one valid one suffices; none of them, valid or not, goes upstream."""
    answer = relay.ask("POST", path, *headers, body={"model": model}, key=None)
    assert answer.status == 200
    request = upstream.taken()
    assert request.names & {"authorization", "x-api-key", "x-access-key"} == {
        "authorization" if model == "gpt-acme" else "x-api-key"
    }
    for secret in (KEY, TOKEN, "tok-night", "wrong", "dXNlcjpwYXNz"):
        assert secret.encode() not in request.head


@pytest.mark.parametrize("headers", BAD, ids=lambda headers: str(headers)[:60])
def test_whatever_is_no_credential_is_401(relay: Relay, upstream: Recorder, headers: tuple[tuple[str, str], ...]) -> None:
    """auth_error, x-should-retry: false, no WWW-Authenticate; nothing goes up and nothing of the credential is repeated."""
    answer = relay.ask("POST", "/v1/chat/completions", *headers, body=CHAT, key=None)
    assert (answer.status, answer.error["type"]) == (401, "auth_error")
    assert answer.header("x-should-retry") == "false" and answer.header("content-type") == "application/json"
    assert "www-authenticate" not in answer.names()
    assert KEY.encode() not in answer.body and b"sk-up" not in answer.body
    assert upstream.requests == []


@pytest.mark.parametrize("twice", [("wrong", KEY), (KEY, "wrong")])
@pytest.mark.parametrize("name", ["x-api-key", "Authorization"])
def test_a_field_that_comes_twice_counts_twice(relay: Relay, upstream: Recorder, name: str, twice: tuple[str, str]) -> None:
    """Of several credentials one valid one suffices, also when they share a field's name."""
    prefix = "Bearer " if name == "Authorization" else ""
    answer = relay.ask("POST", "/v1/chat/completions", *((name, prefix + value) for value in twice), body=CHAT, key=None)
    assert answer.status == 200
    assert KEY.encode() not in upstream.taken().head and b"wrong" not in upstream.taken().head


REFUSED_IN_THE_FAMILY = [
    ("POST", "/v1/messages", (), None, 401),
    ("GET", "/v1/messages", (), None, 401),
    ("POST", "/v1/messages/beta", (), None, 401),
    ("POST", "/v1/messages/count_tokens", (), None, 401),
    ("GET", "/v1/anthropic/models", (), None, 401),
    ("GET", "/v1/nothing", (("anthropic-version", "2023-06-01"),), None, 401),
    ("GET", "/v1/nothing", (("anthropic-version", "2023-06-01"),), KEY, 404),
    ("POST", "/v1/models", (("anthropic-version", "2023-06-01"),), KEY, 405),
    ("GET", "/v1/messages", (), KEY, 405),
    ("DELETE", "/v1/messages/count_tokens", (), KEY, 405),
    ("POST", "/v1/messages", (("X-Big", "x" * 70_000),), KEY, 431),
    ("POST", "/v1/messages", (("Content-Length", "999999999"),), KEY, 413),
    ("POST", "/v1/messages", (("Content-Length", "1x"),), KEY, 400),
    ("POST", "/v1/messages", (("Content-Length", "1"), ("Transfer-Encoding", "chunked")), KEY, 400),
]


@pytest.mark.parametrize(("method", "path", "headers", "key", "status"), REFUSED_IN_THE_FAMILY)
def test_every_refusal_in_the_anthropic_family_carries_its_type_too(
    relay: Relay, method: str, path: str, headers: tuple[tuple[str, str], ...], key: str | None, status: int
) -> None:
    """A superset, so that both SDKs parse it: by the path's dialect, or by anthropic-version where the path has none."""
    answer = relay.ask(method, path, *headers, key=key)
    assert answer.status == status, answer
    assert answer.json["type"] == "error" and answer.error


def test_refusals_of_the_other_family_are_plain(relay: Relay) -> None:
    """Also when a client of the one SDK happens to send the other's header."""
    for headers in ((), (("anthropic-version", "2023-06-01"),)):
        for method, key in (("POST", None), ("GET", KEY)):
            assert set(relay.ask(method, "/v1/chat/completions", *headers, key=key).json) == {"error"}


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("headers", [(), (("Authorization", "Bearer wrong"),)], ids=["none", "wrong"])
def test_public_answers_need_no_credential(relay: Relay, path: str, headers: tuple[tuple[str, str], ...]) -> None:
    """GET / and /health, /v1/models, /v1/models/{id}, /api/info: a wrong credential does not hurt them."""
    assert relay.ask("GET", path, *headers, key=None).status == 200


PROTECTED = sorted(
    {(method, path) for method, path, _, _ in ROWS}
    | {("GET", path) for path in OWN if path not in PUBLIC}
    | {("HEAD", path) for path in OWN if path not in PUBLIC}
    | {("POST", "/v1/messages/beta")}
)
NEIGHBOURS = [
    ("GET", "/v1/nothing"),
    ("POST", "/v1/nothing"),
    ("GET", "/nothing"),
    ("GET", "/metrics/"),
    ("GET", "/health/"),
    ("GET", "/health/x"),
    ("GET", "//health"),
    ("GET", "//"),
    ("GET", "/HEALTH"),
    ("GET", "/%68ealth"),
    ("GET", "/health%2F"),
    ("GET", "/health/../metrics"),
    ("GET", "/v1/models/../credits"),
    ("GET", "/v1/models/..%2Fcredits"),
    ("GET", "/v1/models/%2e%2e/credits"),
    ("GET", "/api/info/x"),
    ("GET", "/api/keys"),
    ("POST", "/api/auth/login"),
    ("POST", "/health"),
    ("DELETE", "/v1/models/gpt-acme"),
    ("POST", "/v1/models"),
    ("PUT", "/"),
    ("OPTIONS", "/v1/chat/completions"),
    ("GET", "/v1/chat/completions"),
    ("HEAD", "/v1/files"),
    ("DELETE", "/v1/responses"),
    ("PUT", "/v1/responses"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED + NEIGHBOURS)
def test_everything_else_is_401_before_404_and_405(relay: Relay, upstream: Recorder, method: str, path: str) -> None:
    """Deny by default: without a valid credential nobody learns which paths and methods exist."""
    for headers in ((), (("x-api-key", "wrong"),)):
        answer = relay.ask(method, path, *headers, key=None)
        assert answer.status == 401, (method, path, answer)
        assert "allow" not in answer.names() and answer.header("x-should-retry") == "false"
    assert upstream.requests == []


def test_an_absolute_target_is_admitted_by_its_path(relay: Relay) -> None:
    """http://any/metrics is /metrics, and no public path."""
    assert relay.ask("GET", "http://health/metrics", key=None).status == 401
    assert relay.ask("GET", "http://x/health", key=None).status == 200


@pytest.fixture(scope="module")
def changing(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    """A relay whose configuration the tests change."""
    return start({"server": SERVER, "providers": both(upstream.origin)}, environ=SECRETS)


def test_models_can_be_made_private(changing: Relay, upstream: Recorder) -> None:
    """A copy of the shipped file that says ``access: required`` puts the list behind the credential."""
    shipped = Path(__file__).resolve().parents[2] / "routes.d"
    name = next(path.name for path in shipped.iterdir() if "answer: models" in path.read_text())
    one = {"route": "models", "path": "/v1/models", "methods": ["GET"], "answer": "models"}
    other = {"route": "model", "path": "/v1/models/{id...}", "methods": ["GET"], "answer": "model", "access": "required"}
    changing.afresh({"server": SERVER, "providers": both(upstream.origin)})
    changing.reload(files={f"routes.d/{name}": {"routes": [one, other]}})
    for path in ("/v1/models", "/v1/models/gpt-acme"):
        assert changing.ask("GET", path, key=None).status == 401
        assert changing.ask("HEAD", path, key=None).status == 401
        assert changing.ask("GET", path).status == 200


def test_the_access_key_can_be_switched_off(changing: Relay, upstream: Recorder) -> None:
    """access_key_enabled: false leaves client tokens only; /api/info says so."""
    server = {**SERVER, "access_key_enabled": False}
    relay = changing
    relay.afresh({"server": server, "clients": CLIENTS, "providers": both(upstream.origin)})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 401
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT, key="").status == 401
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT, key=TOKEN).status == 200
    assert relay.ask("GET", "/api/info", key=None).json["access_key_enabled"] is False
    relay.reload({"server": SERVER, "clients": CLIENTS, "providers": both(upstream.origin)})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 200
    assert relay.ask("GET", "/api/info", key=None).json["access_key_enabled"] is True
    relay.reload({"server": SERVER, "providers": both(upstream.origin)})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT, key=TOKEN).status == 401


def test_an_empty_access_key_matches_nothing(changing: Relay, upstream: Recorder) -> None:
    """With client tokens configured the relay is not open, and the empty key is no key."""
    relay = changing
    relay.afresh({"server": {**SERVER, "access_key": ""}, "clients": CLIENTS, "providers": both(upstream.origin)})
    for headers in (
        (),
        (("Authorization", "Bearer "),),
        (("x-api-key", ""),),
        (("X-Access-Key", ""),),
        (("Authorization", "Bearer x"),),
    ):
        assert relay.ask("POST", "/v1/chat/completions", *headers, body=CHAT, key=None).status == 401
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT, key=TOKEN).status == 200


def test_a_token_may_hold_any_printable_character(changing: Relay, upstream: Recorder) -> None:
    """Commas, blanks, quotes, equals signs: all three fields take it."""
    token = 'a,b c="d"; e=='
    clients = {"odd": {"sha256": hashlib.sha256(token.encode()).hexdigest()}}
    relay = changing
    relay.afresh({"server": SERVER, "clients": clients, "providers": both(upstream.origin)})
    for name, value in (("Authorization", f"Bearer {token}"), ("x-api-key", token), ("X-Access-Key", token)):
        assert relay.ask("POST", "/v1/chat/completions", (name, value), body=CHAT, key=None).status == 200, name
        assert relay.ask("POST", "/v1/chat/completions", (name, value[:-1]), body=CHAT, key=None).status == 401, name


# The open mode


@pytest.fixture(scope="module")
def open_relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start({"providers": both(upstream.origin)}, environ=SECRETS, expected=("^warning open: ",))


def test_an_open_relay_says_so(open_relay: Relay) -> None:
    """In the log, in /health, and by asking nobody for a credential."""
    assert "warning open: " in open_relay.log()
    assert open_relay.ask("GET", "/health", key=None).json["open"] is True
    assert open_relay.ask("GET", "/metrics", key=None).status == 200
    assert open_relay.ask("GET", "/v1/nothing", key=None).status == 404
    assert open_relay.ask("PUT", "/v1/chat/completions", key=None).status == 405


@pytest.mark.parametrize("headers", [*GOOD, *BAD], ids=lambda headers: str(headers)[:60])
def test_an_open_relay_ignores_credentials_and_sends_none_up(
    open_relay: Relay, upstream: Recorder, headers: tuple[tuple[str, str], ...]
) -> None:
    """A placeholder key that an SDK insists on is neither judged nor forwarded."""
    answer = open_relay.ask("POST", "/v1/chat/completions", *headers, body=CHAT, key=None)
    assert answer.status == 200
    request = upstream.taken()
    assert request.header("authorization") == "Bearer sk-up-a"
    assert not request.names & {"x-api-key", "x-access-key", "cookie"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8787",
        "localhost",
        "LocalHost:8787",
        "localhost.",
        "app.localhost:1",
        "[::1]:8787",
        "[::1]",
        "127.9.9.9",
    ],
)
def test_an_open_relay_answers_to_loopback_names(open_relay: Relay, host: str) -> None:
    """Whatever a program on this machine may call it."""
    assert open_relay.ask("POST", "/v1/chat/completions", ("Host", host), body=CHAT, key=None).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1:8787",
        "0.0.0.0",
        "192.168.1.5",
        "[fe80::1]:8787",
        "[::]:80",
        "evil.example:127.0.0.1",
        "127.0.0.1@evil.example",
        "2130706433",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/health"), ("GET", "/"), ("GET", "/nothing")],
)
def test_an_open_relay_refuses_a_foreign_host(open_relay: Relay, upstream: Recorder, method: str, path: str, host: str) -> None:
    """403 for any other name, on every path, so that no web page reaches it by DNS rebinding."""
    answer = open_relay.ask(method, path, ("Host", host), body=CHAT if method == "POST" else None, key=None)
    assert answer.status in ((400, 403) if "@" in host or host.count(":") == 2 and "[" not in host else (403,))
    assert upstream.requests == []


def test_a_foreign_host_is_refused_in_the_absolute_form_too(open_relay: Relay, upstream: Recorder) -> None:
    """The target's authority counts instead of Host (RFC 9112 section 3.2.2)."""
    answer = open_relay.ask("POST", "http://evil.example/v1/chat/completions", ("Host", "evil.example"), body=CHAT, key=None)
    assert answer.status == 403 and upstream.requests == []


def test_a_closed_relay_answers_to_any_host(relay: Relay) -> None:
    """The Host check is the open mode's alone."""
    assert relay.ask("POST", "/v1/chat/completions", ("Host", "relay.example.com"), body=CHAT).status == 200


def test_an_open_relay_binds_loopback_only(tmp_path: Path) -> None:
    """A wider address is refused with exit code 78 and a sentence, whatever made the relay open."""
    wide = ("--listen", "0.0.0.0:0")
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({}, wide),
        ({}, ("--listen", "[::]:0")),
        ({"server": {"access_key": ""}}, wide),
        ({"server": {"access_key": "k", "access_key_enabled": False}}, wide),
        ({"server": {"host": "0.0.0.0", "port": 0}}, ()),
        ({"server": {"access_key": "${UNSET_VARIABLE:-}", "host": "0.0.0.0", "port": 0}}, ()),
    ]
    for (code, said), case in zip(refused(tmp_path, *cases), cases, strict=True):
        assert code == 78 and "access" in said and "Traceback" not in said, (case, said)


def test_a_closed_relay_may_bind_wider_and_cannot_be_opened_then(start: Callable[..., Relay], upstream: Recorder) -> None:
    """With an access key any address will do; taking the key away there is refused, and the old generation goes on, closed."""
    relay = start({"server": SERVER, "providers": both(upstream.origin)}, environ=SECRETS, arguments=("--listen", "0.0.0.0:0"))
    relay.reload({"providers": both(upstream.origin)}, outcome="refused")
    assert ask("127.0.0.1", relay.port, "POST", "/v1/chat/completions", body=CHAT).status == 401
    assert ask("127.0.0.1", relay.port, "POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT).status == 200
