"""What an operator sees and does: health, info, metrics, the welcome page, CORS, drop-ins of their own, reloads, restarts."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both, keys, openai_like
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
        ("https://relay.example.com/", "https://relay.example.com/v1"),
        ("https://relay.example.com/v1", "https://relay.example.com/v1"),
        ("https://relay.example.com/v1/", "https://relay.example.com/v1"),
        ("relay.example.com/v1", "https://relay.example.com/v1"),
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
    answer = relay.ask("OPTIONS", "/v1/chat/completions", *preflight, key=None)
    assert answer.status == 401
    for answer in (answer, relay.ask("GET", "/v1/models", ("Origin", PAGE))):
        assert not any(name.startswith("access-control-") for name in answer.names())


@pytest.mark.parametrize("origins", [[PAGE, "http://localhost:3000"], "*"])
def test_cors(changing: Relay, upstream: Recorder, origins: Any) -> None:
    """Preflights are public; every answer to a listed page carries its origin, refusals and streams too; other pages get nothing."""
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


@pytest.mark.parametrize(
    ("variable", "provider", "path", "model", "header", "up"),
    [
        ("OPENAI_API_KEY", "openai", "/v1/chat/completions", "gpt-4o", ("authorization", "Bearer sk-env"), "/chat/completions"),
        ("ANTHROPIC_API_KEY", "anthropic", "/v1/messages", "claude-x", ("x-api-key", "sk-env"), "/v1/messages"),
        (
            "OPENROUTER_API_KEY",
            "openrouter",
            "/v1/chat/completions",
            "any/model",
            ("authorization", "Bearer sk-env"),
            "/chat/completions",
        ),
    ],
)
def test_a_shipped_provider_is_enabled_by_its_usual_variable(
    start: Callable[..., Relay], upstream: Recorder, variable: str, provider: str, path: str, model: str, header: Any, up: str
) -> None:
    """No file but a base_url of the test's: the rest is as shipped."""
    upstream.standing(f"/{provider}/models", ok({"data": []}))
    upstream.standing(f"/{provider}/v1/models", ok({"data": []}))
    config = {"server": SERVER, "providers": {provider: {"base_url": f"{upstream.origin}/{provider}"}}}
    relay = start(config, environ={**SECRETS, variable: "sk-env"}, expected=("no provider offers",))
    upstream.reset()
    assert relay.ask("GET", "/health").json["providers"][provider]["enabled"] is True
    assert relay.ask("POST", path, body={"model": model}).status == 200
    request = upstream.taken()
    assert (request.target, request.header(header[0])) == (f"/{provider}{up}", header[1])
    other = "claude-x" if path != "/v1/messages" else "gpt-4o"
    if provider != "openrouter":
        assert relay.ask("POST", path, body={"model": other}).status == 404


# Reload


def test_a_reload_serves_the_new_configuration_and_drops_nothing(relay: Relay, upstream: Recorder) -> None:
    """A request under way ends as it began; an idle connection is kept; the next request takes the new generation."""
    gate = threading.Event()
    upstream.answer((gate, *ok(b'{"old": 1}')))
    before = relay.ask("GET", "/health").json["generation"]
    with relay.wire() as busy, relay.wire() as idle:
        idle.request("GET", "/health")
        idle.answer()
        busy.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        upstream.wait(1)
        moved = settings(upstream)
        moved["providers"]["acme"]["base_url"] = f"{upstream.origin}/moved/v1"
        relay.reload(moved)
        idle.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        assert idle.answer().status == 200
        assert upstream.wait(2)[1].target == "/moved/v1/chat/completions"
        gate.set()
        assert busy.answer().json == {"old": 1}
        busy.request("GET", "/health")
        assert busy.answer().json["generation"] == before + 1
    relay.reload(settings(upstream))


BAD = [
    ("config.yml", "server: {access_key: k\n", ":"),
    ("config.yml", "server:\n  acess_key: k\n", "2:3: server.acess_key: unknown field, did you mean access_key?"),
    ("config.yml", "server: {}\nserver: {}\n", "2:1"),
    ("config.yml", "server:\n\taccess_key: k\n", "2:"),
    ("config.yml", "server: [1]\n", "1:1: server"),
    ("config.yml", "server: {access_key: '${NOT_SET_ANYWHERE}'}\n", "NOT_SET_ANYWHERE"),
    ("config.yml", "- a\n", "1:1"),
    ("providers.d/x.yml", "provider: x\nextends: openai-compatibel\nbase_url: http://x\n", ":2:1: extends"),
    ("providers.d/x.yml", "provider: x\nextends: openai-compatible\nbase_url: ftp://x\nauth: none\n", ":3:1: base_url"),
    ("providers.d/x.yml", "provider: x\nextends: openai-compatible\nbase_url: http://x/{{ nope }}\nauth: none\n", "nope"),
    ("routes.d/x.yml", "route: x\npath: /x\nmethods: [POST]\nneds: openai.chat\n", "4:1: neds: unknown field, did you mean needs?"),
    ("routes.d/x.yml", "route: x\npath: /x/{a\nmethods: [FETCH]\nneeds: openai.chat\n", ":2:1: path"),
    ("routes.d/x.yml", "route: x\npath: /v1/chat/completions\nmethods: [POST]\nneeds: openai.chat\n", "x.yml"),
    ("routes.d/x.yml", "route: x\npath: /x\nmethods: [GET]\nneeds: a.b\nheaders: {request: {set: {x: '{{ nope }}'}}}\n", ""),
    ("config.d/x.yml", "model_routing: {aliases: {a: b, b: a}}\n", "alias"),
    ("config.d/x.yml", "server: &a [*a]\n", "x.yml"),
    ("config.d/x.yml", "server: !!python/object:os.system {}\n", "x.yml"),
    ("config.d/x.yml", "\x00\x01\x02", "x.yml"),
]


def test_a_bad_file_changes_nothing_and_is_reported_with_its_place(changing: Relay, upstream: Recorder) -> None:
    """file:line:col: dotted.path: text, in the log and in /health; the old generation goes on serving."""
    relay = changing
    good = (relay.etc / "config.yml").read_text()
    before = relay.ask("GET", "/health").json["generation"]
    for name, text, said in BAD:
        log = relay.reload(files={name: text}, outcome="refused")
        problems = [line for line in log.splitlines() if line.startswith("error ") and "reload attempt" not in line]
        assert problems and all(str(relay.etc) in line for line in problems), (name, text, log)
        assert said in "\n".join(problems), (text, problems)
        assert "Traceback" not in log
        health = wait_for_attempt(relay, log)
        assert health["generation"] == before and health["last_reload"]["ok"] is False
        assert health["last_reload"]["problems"], text
        assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 200
        relay.write(files={name: good if name == "config.yml" else None})
    assert wait_for_attempt(relay, relay.reload(outcome="unchanged"))["last_reload"]["ok"] is True


def wait_for_attempt(relay: Relay, log: str) -> Any:
    attempt = int(log.partition("attempt=")[2].split()[0])
    deadline = time.monotonic() + 5
    while (health := relay.ask("GET", "/health").json)["last_reload"]["attempt"] != attempt:
        assert time.monotonic() < deadline
    return health


def test_cooldowns_survive_a_reload(changing: Relay, upstream: Recorder) -> None:
    """The same key keeps its rest, also over a change of its provider; a new key beside it is used at once."""
    provider = openai_like(upstream.origin, "acme", "gpt-acme", keys=keys("c"))
    relay = changing
    relay.reload({"server": SERVER, "providers": {"acme": provider}})
    upstream.answer(ok(b'{"error": {}}', "Retry-After: 50", status="429 Too Many Requests"))
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).error["type"] == "no_keys"
    relay.reload({"server": SERVER, "providers": {"acme": {**provider, "priority": 7}}})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).error["type"] == "no_keys"
    assert len(upstream.requests) == 1
    relay.reload({"server": SERVER, "providers": {"acme": {**provider, "keys": keys("c", "b")}}})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 200
    assert upstream.wait(2)[1].header("authorization") == "Bearer sk-up-b"
    assert relay.ask("GET", "/health").json["providers"]["acme"]["available"] == 1


def test_reloads_under_load_drop_nothing(relay: Relay, upstream: Recorder) -> None:
    """30 SIGHUPs that alternate between good, bad and unchanged, while clients ask without a pause."""
    stop = time.monotonic() + 2.0

    def ask_on() -> int:
        count = 0
        with relay.wire() as wire:
            while time.monotonic() < stop:
                wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
                assert wire.answer().status == 200
                count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(ask_on) for _ in range(6)]
        number = 0
        while time.monotonic() < stop:
            number += 1
            relay.write(
                files={
                    "config.d/90.yml": ("logging: {level: info}\n", "logging: {level: shout}\n", f"server: {{drain: {number}}}\n")[
                        number % 3
                    ]
                }
            )
            os.kill(relay.pid, signal.SIGHUP)
            time.sleep(0.06)
        counts = [client.result() for client in clients]
    assert min(counts) > 20
    relay.expect_log(r"level")
    relay.expect_log(r"outcome=refused")
    relay.write(files={"config.d/90.yml": None})
    deadline = time.monotonic() + 10
    while relay.ask("GET", "/health").json["last_reload"]["problems"]:
        os.kill(relay.pid, signal.SIGHUP)
        assert time.monotonic() < deadline
        time.sleep(0.3)


# Memory, and the end


def test_ids_are_remembered_over_a_restart(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Who made a file, a batch, a response, a thread: the provider, and its key, also after a restart with the same state_dir."""
    names = ("near", "far")
    providers = {
        name: openai_like(
            upstream.origin, name, f"{name}-model", keys=keys("a", "b", "c"), priority=number, offers={"credits": None}
        )
        for number, name in enumerate(names)
    }
    config = {"server": SERVER, "providers": providers}
    first = start(config, environ=SECRETS)
    made: list[tuple[str, str, str | None]] = []
    for number, (path, target) in enumerate(
        [
            ("/v1/files?provider=far", "/v1/files/{}"),
            ("/v1/files?provider=far", "/v1/files/{}/content"),
            ("/v1/batches?provider=far", "/v1/batches/{}"),
            ("/v1/assistants?provider=far", "/v1/assistants/{}"),
            ("/v1/threads?provider=far", "/v1/threads/{}/messages"),
        ]
    ):
        upstream.reset()
        upstream.answer(ok({"id": f"made-{number}", "object": "x"}))
        assert first.ask("POST", path, ("Content-Type", "application/json"), body=b"{}").status == 200
        made.append((f"made-{number}", target, upstream.taken().header("authorization")))
    upstream.reset()
    upstream.answer(ok({"id": "resp-9", "object": "response"}))
    first.ask("POST", "/v1/responses", body={"model": "far-model"})
    made.append(("resp-9", "/v1/responses/{}", upstream.taken().header("authorization")))
    assert len({key for _, _, key in made}) == 3, "the keys took turns"

    def finds_its_way(relay: Relay) -> None:
        for name, target, key in made:
            upstream.reset()
            assert relay.ask("GET", target.format(name)).header("x-monorelay-provider") == "far", (name, target)
            assert upstream.taken().header("authorization") == key, name
        upstream.reset()
        for field, path in (
            ("input_file_id", "/v1/batches"),
            ("training_file", "/v1/fine_tuning/jobs"),
            ("previous_response_id", "/v1/responses"),
            ("assistant_id", "/v1/threads/runs"),
        ):
            name, _, key = next(
                one for one in made if one[0] == {"assistant_id": "made-3", "previous_response_id": "resp-9"}.get(field, "made-0")
            )
            upstream.reset()
            answer = relay.ask("POST", path, body={field: name, **({"model": "far-model"} if "batch" not in path else {})})
            assert answer.header("x-monorelay-provider") == "far", field
            assert upstream.taken().header("authorization") == key, field
        upstream.reset()
        answer = relay.ask("POST", "/v1/fine_tuning/jobs", body={"training_file": "made-0", "model": "near-model@near"})
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error") and upstream.requests == []
        assert relay.ask("GET", "/v1/files/unknown").header("x-monorelay-provider") == "near"

    finds_its_way(first)
    time.sleep(0.3)
    assert first.stop() == 0
    second = start(config, environ=SECRETS, directory=first.directory)
    finds_its_way(second)
    assert second.ask("DELETE", "/v1/files/made-0").header("x-monorelay-provider") == "far"
    assert second.ask("GET", "/v1/files/made-0").header("x-monorelay-provider") == "near"


def test_a_stop_finishes_what_is_in_flight(start: Callable[..., Relay], upstream: Recorder) -> None:
    """SIGTERM: newcomers are refused, the answer under way is completed, the exit code is 0."""
    relay = start(settings(upstream), environ=SECRETS)
    upstream.answer((0.6, *ok(b'{"late": 1}')))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        upstream.wait(1)
        os.kill(relay.pid, signal.SIGTERM)
        assert wire.answer().json == {"late": 1}
    assert relay.stop() == 0
    with pytest.raises(OSError):
        relay.wire()


def test_the_state_directory_is_private_and_holds_no_secret(relay: Relay) -> None:
    """Whatever is written there is the relay's own business."""
    time.sleep(0.2)
    for path in relay.state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in all_secrets()), path
            assert path.stat().st_mode & 0o077 == 0, f"{path} is readable by others"
