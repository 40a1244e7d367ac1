"""What an operator sees and does: health, info, metrics, the welcome page, CORS, drop-ins of their own, reloads, restarts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder, ok

CHAT = {"model": "gpt-acme"}
PAGE = "https://chat.example.com"


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start(settings(upstream), environ=SECRETS)


@pytest.fixture(scope="module")
def another(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start(settings(upstream), environ=SECRETS)


@pytest.fixture
def changing(another: Relay, upstream: Recorder) -> Relay:
    """A relay whose configuration a test may change as it likes."""
    another.afresh(settings(upstream))
    return another


def settings(upstream: Recorder, **server: Any) -> dict[str, Any]:
    return {"server": {**SERVER, **server}, "providers": both(upstream.origin)}


def all_secrets() -> list[bytes]:
    return [secret.encode() for secret in (*SECRETS.values(), "sk-up")]


def test_health(relay: Relay, upstream: Recorder) -> None:
    """status, generation, every provider's state and the last reload, public, with no upstream call, in no time."""
    answer = relay.ask("GET", "/health", key=None)
    health = answer.json
    assert (answer.status, health["status"]) == (200, "ok") and health["generation"] >= 1
    acme = health["providers"]["acme"]
    assert acme["enabled"] is True and acme["keys"] == 1 and acme["available"] == 1
    assert acme["base_url"] == f"{upstream.origin}/acme/v1"
    assert health["providers"]["openai"]["enabled"] is False
    assert {"ok", "at", "attempt"} <= set(health["last_reload"])
    assert not any(secret in answer.body for secret in all_secrets()) and upstream.requests == []
    took = []
    with relay.wire() as wire:
        for _ in range(20):
            began = time.perf_counter()
            wire.request("GET", "/health")
            assert wire.answer().status == 200
            took.append(time.perf_counter() - began)
    assert min(took) < 0.005


def test_info(relay: Relay, upstream: Recorder) -> None:
    """Every field that is promised, of its type; never a key."""
    answer = relay.ask("GET", "/api/info", key=None)
    info = answer.json
    assert set(info) >= {"local_ip", "host", "port", "base_url", "access_key_enabled", "version", "system"}
    assert (info["host"], info["port"], info["local_ip"]) == ("127.0.0.1", relay.port, "127.0.0.1")
    assert info["base_url"] == f"{relay.url}/v1" and info["access_key_enabled"] is True
    assert isinstance(info["version"], str) and info["version"]
    deadline = time.monotonic() + 5
    while relay.ask("GET", "/api/info", key=None).json["system"]["memory_total"] in (None, 0):
        assert time.monotonic() < deadline
    system = relay.ask("GET", "/api/info", key=None).json["system"]
    assert set(system) == {
        "cpu_percent",
        "memory_total",
        "memory_used",
        "memory_percent",
        "disk_total",
        "disk_used",
        "disk_percent",
    }
    assert all(isinstance(value, int | float) and value >= 0 for value in system.values())
    assert 0 < system["memory_used"] < system["memory_total"] and 0 <= system["disk_percent"] <= 100
    assert not any(secret in answer.body for secret in all_secrets())


def test_base_url_of_a_public_host(changing: Relay, upstream: Recorder) -> None:
    """A bare host means https and no port; an origin is kept; /v1 is not doubled."""
    relay = changing
    for written, told in (
        ("relay.example.com", "https://relay.example.com/v1"),
        ("http://relay.example.com:8080", "http://relay.example.com:8080/v1"),
        ("https://relay.example.com/v1/", "https://relay.example.com/v1"),
        ("https://example.com/llm", "https://example.com/llm/v1"),
        ("relay.example.com:9000", "https://relay.example.com:9000/v1"),
        ("", f"{relay.url}/v1"),
    ):
        relay.reload(settings(upstream, public_host=written, body_timeout=30 + len(written)))
        assert relay.ask("GET", "/api/info", key=None).json["base_url"] == told


def test_metrics(relay: Relay, upstream: Recorder) -> None:
    """Prometheus text, with a credential only; calls are counted, and no key is told."""
    assert relay.ask("GET", "/metrics", key=None).status == 401
    relay.ask("POST", "/v1/chat/completions", body=CHAT)
    answer = relay.ask("GET", "/metrics")
    assert answer.status == 200 and (answer.header("content-type") or "").startswith("text/plain")
    text = answer.body.decode()
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ", "monorelay_")), line
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])
    assert "monorelay_calls_total{" in text and 'route="chat"' in text and 'provider="acme"' in text
    assert not any(secret in answer.body for secret in all_secrets())


def test_the_welcome_page_holds_nothing_secret(relay: Relay, upstream: Recorder) -> None:
    """How to point clients here; no key, no provider, no path of a file."""
    answer = relay.ask("GET", "/", key=None)
    assert answer.status == 200 and (answer.header("content-type") or "").startswith("text/html")
    text = answer.body.decode()
    assert relay.url in text and "ANTHROPIC_BASE_URL" in text and "OPENAI_BASE_URL" in text
    for secret in (*all_secrets(), b"acme", b"claudia", str(relay.directory).encode(), upstream.origin.encode(), b"<script"):
        assert secret not in answer.body
    hostile = relay.ask("GET", "/?<script>alert(1)</script>", ("Host", "<script>alert(1)</script>"), key=None)
    assert b"<script" not in hostile.body


# CORS


def test_without_cors_origins_nothing_is_said(relay: Relay) -> None:
    """A preflight is any other request without a credential: 401."""
    preflight = (("Origin", PAGE), ("Access-Control-Request-Method", "POST"))
    refused = relay.ask("OPTIONS", "/v1/chat/completions", *preflight, key=None)
    assert refused.status == 401
    for answer in (refused, relay.ask("GET", "/v1/models", ("Origin", PAGE))):
        assert not any(name.startswith("access-control-") for name in answer.names())


@pytest.mark.parametrize("origins", [[PAGE, "http://localhost:3000"], "*"])
def test_cors(changing: Relay, upstream: Recorder, origins: Any) -> None:
    """Preflights are public; every answer to a listed page carries its origin, refusals too; other pages get nothing."""
    relay = changing
    relay.reload(settings(upstream, cors_origins=origins))
    asks = ("Access-Control-Request-Headers", "authorization, content-type, x-stainless-os")
    for path, method in (
        ("/v1/chat/completions", "POST"),
        ("/v1/files/f", "DELETE"),
        ("/v1/models", "GET"),
        ("/v1/nothing", "POST"),
    ):
        answer = relay.ask("OPTIONS", path, ("Origin", PAGE), ("Access-Control-Request-Method", method), asks, key=None)
        assert answer.status in (200, 204), path
        assert answer.header("access-control-allow-origin") in (PAGE, "*")
        assert method in (answer.header("access-control-allow-methods") or "")
        allowed = (answer.header("access-control-allow-headers") or "").lower()
        assert "authorization" in allowed and "x-stainless-os" in allowed
        assert "access-control-allow-credentials" not in answer.names()
    for method, path, key, body in (
        ("POST", "/v1/chat/completions", KEY, CHAT),
        ("POST", "/v1/chat/completions", None, CHAT),
        ("GET", "/v1/models", None, None),
        ("GET", "/nothing", KEY, None),
        ("PUT", "/health", KEY, None),
    ):
        answer = relay.ask(method, path, ("Origin", PAGE), key=key, body=body)
        assert answer.header("access-control-allow-origin") in (PAGE, "*"), (method, path)
        assert answer.header("access-control-expose-headers")
        if origins != "*":
            assert "origin" in (answer.header("vary") or "").lower()
    if origins != "*":
        for page in ("https://evil.example", "https://chat.example.com.evil.example", "null", "http://chat.example.com"):
            answer = relay.ask("POST", "/v1/chat/completions", ("Origin", page), body=CHAT)
            assert answer.status == 200 and "access-control-allow-origin" not in answer.names()
            answer = relay.ask(
                "OPTIONS", "/v1/chat/completions", ("Origin", page), ("Access-Control-Request-Method", "POST"), key=None
            )
            assert answer.status == 401 and "access-control-allow-origin" not in answer.names()
    assert relay.ask("OPTIONS", "/v1/chat/completions", key=None).status == 401


# Drop-ins of one's own


OCR_ROUTE = """\
route: ocr
path: /v1/ocr/{kind}
methods: [POST, GET]
needs: acme.ocr
upstream: /{kind}
body: json
model: optional
query: {set: {v: "2"}, remove: [debug]}
headers:
  request: {forward: [content-type, x-page], set: {x-kind: "{{ kind }}"}}
  response: {forward: [x-pages]}
"""
OCR_PROVIDER = """\
provider: cellar
extends: openai-compatible
base_url: ORIGIN/cellar
auth: {header: x-cellar-key}
keys: [{label: main, secret: "${UP_C}"}]
models: {include: ["scan-*"]}
translate: false
offers:
  acme.ocr: {path: /ocr, query: {set: {from: offer}}, headers: {request: {default: {x-page: "1"}}}}
  openai.chat: null
"""


def test_an_operators_own_route_and_provider(changing: Relay, upstream: Recorder) -> None:
    """A capability of their own word, dropped in and reloaded: path, query, headers, key, model and errors all work."""
    relay = changing
    assert relay.ask("POST", "/v1/ocr/table", body={}).status == 404
    upstream.standing("/cellar/models", ok({"data": []}))
    relay.reload(
        files={"routes.d/50-ocr.yml": OCR_ROUTE, "providers.d/50-cellar.yml": OCR_PROVIDER.replace("ORIGIN", upstream.origin)}
    )
    answer = relay.ask("POST", "/v1/ocr/t%C3%A4ble?a=1&debug=x&v=1&provider=cellar", ("X-Page", "7"), body={"any": 1.0})
    assert (answer.status, answer.header("x-monorelay-provider")) == (200, "cellar")
    request = upstream.taken()
    assert request.target.startswith("/cellar/ocr/t%C3%A4ble?a=1&")
    assert set(request.target.partition("?")[2].split("&")) == {"a=1", "v=2", "from=offer"}
    assert (request.header("x-cellar-key"), request.header("x-page")) == ("sk-up-c", "7")
    assert request.header("x-kind") and "authorization" not in request.names
    upstream.reset()
    assert relay.ask("POST", "/v1/ocr/x", body={"model": "scan-1"}).header("x-monorelay-model") == "scan-1"
    assert upstream.taken().header("x-page") == "1"
    assert relay.ask("POST", "/v1/ocr/x", key=None, body={}).status == 401
    assert relay.ask("PUT", "/v1/ocr/x", body={}).header("allow") == "POST, GET"
    assert relay.ask("POST", "/v1/ocr/x", body={"model": "gpt-acme"}).status == 404
    assert relay.ask("POST", "/v1/chat/completions", body={"model": "scan-1"}).status == 404
    relay.reload(files={"routes.d/50-ocr.yml": None, "providers.d/50-cellar.yml": None})
    assert relay.ask("POST", "/v1/ocr/table", body={}).status == 404


def test_a_shipped_route_can_be_replaced_masked_and_added_to(changing: Relay, upstream: Recorder) -> None:
    """The same name replaces, an empty file takes away, another name adds."""
    relay = changing
    upstream.reset()
    chat = {
        "route": "chat",
        "path": "/v1/chat/completions",
        "methods": ["POST"],
        "needs": "openai.chat",
        "body": "json",
        "model": "required",
    }
    changed = {**chat, "headers": {"request": {"forward": ["x-mine"]}}}
    relay.reload(
        files={"routes.d/10-chat.yml": changed, "routes.d/90-alias.yml": {**chat, "route": "chat2", "path": "/openai/chat"}}
    )
    relay.ask("POST", "/v1/chat/completions", ("x-mine", "1"), ("openai-beta", "x"), body=CHAT)
    assert upstream.taken().header("x-mine") == "1" and "openai-beta" not in upstream.taken().names
    upstream.reset()
    relay.ask("POST", "/openai/chat", body=CHAT)
    assert upstream.taken().target == "/acme/v1/chat/completions"
    relay.reload(files={"routes.d/10-chat.yml": ""})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 404
    assert relay.ask("POST", "/openai/chat", body=CHAT).status == 200


SHIPPED = [
    ("OPENAI_API_KEY", "openai", "/v1/chat/completions", "gpt-4o", ("authorization", "Bearer sk-env"), "/chat/completions"),
    ("ANTHROPIC_API_KEY", "anthropic", "/v1/messages", "claude-x", ("x-api-key", "sk-env"), "/v1/messages"),
    ("OPENROUTER_API_KEY", "openrouter", "/v1/chat/completions", "any/m", ("authorization", "Bearer sk-env"), "/chat/completions"),
]


def test_a_shipped_provider_is_enabled_by_its_usual_variable(start: Callable[..., Relay], upstream: Recorder) -> None:
    """No file but a base_url of the test's: the rest is as shipped, and a name finds its vendor."""
    providers = {}
    for _, provider, *_ in SHIPPED:
        upstream.standing(f"/{provider}/models", ok({"data": []}))
        upstream.standing(f"/{provider}/v1/models", ok({"data": []}))
        for balance in ("credits", "user/balance"):
            upstream.standing(f"/{provider}/{balance}", ok({}))
        providers[provider] = {"base_url": f"{upstream.origin}/{provider}"}
    environ = {**SECRETS, **{variable: "sk-env" for variable, *_ in SHIPPED}}
    relay = start({"server": SERVER, "providers": providers}, environ=environ, expected=("no provider offers",))
    health = relay.ask("GET", "/health").json["providers"]
    assert {name for name, state in health.items() if state["enabled"]} == set(providers)
    for _, provider, path, model, (header, value), up in SHIPPED:
        upstream.reset()
        assert relay.ask("POST", path, body={"model": model}).status == 200
        request = upstream.taken()
        assert (request.target, request.header(header)) == (f"/{provider}{up}", value)
