"""What can be asked for: the merged list in both families' shapes, what each name resolves to, and credits."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from story_client import Answer
from story_process import Relay
from story_providers import SECRETS, SERVER, anthropic_like, openai_like
from story_upstream import Recorder, ok

TWO = [{"id": "shared", "object": "model", "created": 5}, {"id": "two-a", "created": 1686935002, "owned_by": "somebody"}]
TWO += [{"id": name} for name in ("two-b", "hidden-1", "Two_C", "deep/er/name", "colon:tag", "sp ace", "caf\u00e9")]
ONE = ("m-one", "shared", "vendor/x")
VERSION = ("anthropic-version", "2023-06-01")


def claude(number: int) -> dict[str, str]:
    return {"type": "model", "id": f"claude-{number:02}", "display_name": f"Claude {number}", "created_at": "2025-05-14T00:00:00Z"}


def config(origin: str) -> dict[str, Any]:
    return {
        "server": SERVER,
        "providers": {
            "one": openai_like(origin, "one", *ONE, priority=10, offers={"credits": None}),
            "two": openai_like(origin, "two", priority=20, models={"exclude": ["hidden-*"]}),
            "three": openai_like(origin, "three", "three-*", priority=30),
            "claudia": anthropic_like(origin, "claudia", priority=40, models={"include": ["claude-*"]}),
            "off": openai_like(origin, "off", "off-model", enabled=False),
        },
        "model_routing": {
            "aliases": {"al": "two-a", "bo": "m-one@one", "chain": "bo", "clau": "claude-03"},
            "provider_mapping": {"mapped-*": "three", "two-b": "two"},
            "model_overrides": {"three-over": "three-sent"},
        },
        "clients": {"near": {"sha256": hashlib.sha256(b"tok-near").hexdigest(), "provider": "three"}},
    }


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    upstream.standing("/two/v1/models", ok({"object": "list", "data": TWO}))
    upstream.standing("/three/v1/models", ok({"data": [{"id": "three-1"}, {"id": "other-9"}]}))
    pages = [claude(number) for number in range(1, 31)]
    upstream.standing("/claudia/v1/models", ok({"data": pages, "has_more": False, "first_id": "claude-01", "last_id": "claude-30"}))
    relay = start(config(upstream.origin), environ=SECRETS)
    deadline = time.monotonic() + 10
    while not {"two-a", "three-1", "claude-30"} <= set(ids(relay.ask("GET", "/v1/models"))):
        assert time.monotonic() < deadline, relay.log()
        time.sleep(0.02)
    return relay


def ids(answer: Answer) -> list[str]:
    return [model["id"] for model in answer.json["data"]]


def test_models_merges_every_enabled_provider(relay: Relay, upstream: Recorder) -> None:
    """Include lists and the providers' own lists, minus excludes, plus aliases; each once, the first provider wins."""
    answer = relay.ask("GET", "/v1/models", key=None)
    assert (answer.status, answer.json["object"], answer.header("content-type")) == (200, "list", "application/json")
    owners = {model["id"]: model["owned_by"] for model in answer.json["data"]}
    assert len(owners) == len(answer.json["data"]), "an id is listed twice"
    assert {name: owners.get(name) for name in ONE} == dict.fromkeys(ONE, "one")
    for name in ("two-a", "two-b", "Two_C", "deep/er/name", "colon:tag", "sp ace", "caf\u00e9"):
        assert owners.get(name) == "two"
    assert owners["three-1"] == "three" and owners["claude-01"] == "claudia"
    assert (owners["al"], owners["bo"], owners["chain"], owners["clau"]) == ("two", "one", "one", "claudia")
    assert not {"hidden-1", "other-9", "off-model", "three-*"} & set(owners)
    for model in answer.json["data"]:
        assert list(model) == ["id", "object", "created", "owned_by"]
        assert model["object"] == "model" and type(model["created"]) is int and model["created"] > 0
    assert next(model["created"] for model in answer.json["data"] if model["id"] == "two-a") == 1686935002


def test_the_list_is_never_fetched_on_the_request_path(relay: Relay, upstream: Recorder) -> None:
    """However often it is asked for, no provider hears of it."""
    before = len(upstream.background)
    for _ in range(30):
        assert relay.ask("GET", "/v1/models").status == 200
    assert len(upstream.background) == before and upstream.requests == []


def test_a_provider_that_names_its_models_is_not_asked_for_them(relay: Relay, upstream: Recorder) -> None:
    """Its include list says them exactly."""
    asked = {request.target.split("/")[1] for request in upstream.background}
    assert asked == {"two", "three", "claudia"}
    for request in upstream.background:
        if request.target.startswith("/claudia"):
            assert request.header("x-api-key") == "sk-up-b" and request.header("anthropic-version") == "2023-06-01"
        else:
            assert request.header("authorization") == "Bearer sk-up-a"


def test_every_listed_id_resolves_to_its_owner(relay: Relay, upstream: Recorder) -> None:
    """Whatever /v1/models lists goes to its owned_by: by chat, or by messages where that is what its owner offers."""
    for model in relay.ask("GET", "/v1/models").json["data"]:
        path = "/v1/messages" if model["owned_by"] == "claudia" else "/v1/chat/completions"
        answer = relay.ask("POST", path, body={"model": model["id"]})
        assert answer.status == 200, (model, answer)
        assert answer.header("x-monorelay-provider") == model["owned_by"], model


RESOLVED = [
    # asked, provider, sent
    ("m-one", "one", "m-one"),
    ("shared", "one", "shared"),
    ("shared@two", "two", "shared"),
    ("shared@TWO", "two", "shared"),
    ("shared@t-w_o", "two", "shared"),
    ("M_One", "one", "m-one"),
    ("VENDOR/X", "one", "vendor/x"),
    ("two_c", "two", "Two_C"),
    ("two-c", "two", "Two_C"),
    ("three-77", "three", "three-77"),
    ("three-over", "three", "three-sent"),
    ("al", "two", "two-a"),
    ("chain", "one", "m-one"),
    ("al@two", "two", "al"),
    ("brand-new-model", "two", "brand-new-model"),
    ("@cf/meta/llama", "two", "@cf/meta/llama"),
    ("meta/llama@2024-01-01", "two", "meta/llama@2024-01-01"),
    ("x@y@two", "two", "x@y"),
    ("two-b", "two", "two-b"),
    ("m-one.5", "two", "m-one.5"),
    ("m-one-2", "two", "m-one-2"),
    ("xm-one", "two", "xm-one"),
]


@pytest.mark.parametrize(("asked", "provider", "sent"), RESOLVED)
def test_a_name_finds_its_provider(relay: Relay, upstream: Recorder, asked: str, provider: str, sent: str) -> None:
    """@provider, aliases, mapping, exact names, own lists, globs, spelling, the catch-all, in that order; never substrings."""
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": asked})
    assert answer.status == 200, answer
    request = upstream.taken()
    assert (request.target.split("/")[1], request.json["model"]) == (provider, sent)
    assert (answer.header("x-monorelay-provider"), answer.header("x-monorelay-model")) == (provider, sent)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("hidden-1", []),
        ("hidden-1@two", ["two"]),
        ("mapped-9", ["three"]),
        ("nothing@one", ["one"]),
        ("other-9@three", ["three"]),
        ("two-a@twoo", ["two"]),
        ("two-a@thre", ["three"]),
    ],
)
def test_exclude_and_include_are_enforced_whatever_rule_chose(
    relay: Relay, upstream: Recorder, asked: str, names: list[str]
) -> None:
    """By @provider and by mapping: 404 in words, and nothing goes up; a misspelt provider is suggested."""
    answer = relay.ask("POST", "/v1/chat/completions", body={"model": asked})
    assert (answer.status, answer.error["type"]) == (404, "model_not_found"), answer
    for name in names:
        assert name in answer.error["message"]
    assert upstream.requests == []


def test_a_single_model(relay: Relay) -> None:
    """GET /v1/models/{id} is the list's own entry; an unknown one is 404 with a near miss."""
    listed = {model["id"]: model for model in relay.ask("GET", "/v1/models").json["data"]}
    for name, path in (
        ("m-one", "m-one"),
        ("vendor/x", "vendor/x"),
        ("deep/er/name", "deep%2Fer/name"),
        ("sp ace", "sp%20ace"),
        ("caf\u00e9", "caf%C3%A9"),
        ("al", "al"),
        ("colon:tag", "colon:tag"),
    ):
        answer = relay.ask("GET", f"/v1/models/{path}", key=None)
        assert (answer.status, answer.json) == (200, listed[name])
    answer = relay.ask("GET", "/v1/models/m-onee", key=None)
    assert (
        answer.status == 404
        and "m-one" in answer.error["message"]
        and answer.error["type"] in ("not_found_error", "model_not_found")
    )
    assert relay.ask("GET", "/v1/models/off-model", key=None).status == 404
    assert relay.ask("GET", "/v1/models/hidden-1", key=None).status == 404


# Anthropic's form


def test_models_with_an_anthropic_version_are_anthropics_list(relay: Relay) -> None:
    """All that /v1/messages can reach, in pages of 20 by default."""
    answer = relay.ask("GET", "/v1/models", VERSION, key=None)
    page = answer.json
    assert set(page) == {"data", "has_more", "first_id", "last_id"}
    assert len(page["data"]) == 20 and page["has_more"] is True
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    for model in page["data"]:
        assert set(model) == {"type", "id", "display_name", "created_at"} and model["type"] == "model"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", model["created_at"])
    every = ids(relay.ask("GET", "/v1/models?limit=1000", VERSION))
    assert every == ids(relay.ask("GET", "/v1/models")), "all that is listed can be reached, natively or by translation"
    entry = next(model for model in relay.ask("GET", "/v1/models?limit=1000", VERSION).json["data"] if model["id"] == "claude-02")
    assert entry == claude(2)


@pytest.mark.parametrize("path", ["/v1/anthropic/models", "/v1/models"])
def test_pages_follow_each_other(relay: Relay, path: str) -> None:
    """limit, after_id and before_id: forwards and backwards, each model once."""
    every = ids(relay.ask("GET", f"{path}?limit=1000", VERSION))
    assert len(every) == (31 if "anthropic" in path else 45)
    forwards: list[str] = []
    after = ""
    while True:
        page = relay.ask("GET", f"{path}?limit=7{after}", VERSION).json
        forwards += [model["id"] for model in page["data"]]
        assert len(page["data"]) <= 7
        if not page["has_more"]:
            break
        after = f"&after_id={quote(page['last_id'])}"
    assert forwards == every
    page = relay.ask("GET", f"{path}?limit=5&before_id={quote(every[10])}", VERSION).json
    assert [model["id"] for model in page["data"]] == every[5:10] and page["has_more"] is True
    page = relay.ask("GET", f"{path}?limit=5&before_id={quote(every[3])}", VERSION).json
    assert [model["id"] for model in page["data"]] == every[:3] and page["has_more"] is False
    page = relay.ask("GET", f"{path}?after_id={quote(every[-1])}", VERSION).json
    assert page == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "after_id=nobody", "after_id=claude-01&before_id=claude-05"]
)
def test_a_page_that_cannot_be_is_400(relay: Relay, query: str) -> None:
    """In Anthropic's envelope."""
    answer = relay.ask("GET", f"/v1/anthropic/models?{query}")
    assert (answer.status, answer.error["type"], answer.json["type"]) == (400, "invalid_request_error", "error")


def test_a_single_model_in_anthropics_form(relay: Relay) -> None:
    """With the header."""
    answer = relay.ask("GET", "/v1/models/claude-07", VERSION, key=None)
    assert (answer.status, answer.json) == (200, claude(7))
    other = relay.ask("GET", "/v1/models/m-one", VERSION, key=None)
    assert other.json["display_name"] == "m-one" and set(other.json) == {"type", "id", "display_name", "created_at"}
    missing = relay.ask("GET", "/v1/models/m-onee", VERSION, key=None)
    assert missing.status == 404 and missing.json["type"] == "error"


def test_anthropics_own_path_needs_a_credential(relay: Relay) -> None:
    """GET /v1/anthropic/models: the models of providers that offer messages natively; no version header needed."""
    assert relay.ask("GET", "/v1/anthropic/models", key=None).status == 401
    assert len(ids(relay.ask("GET", "/v1/anthropic/models?limit=100"))) == 31


# Credits


def test_credits_are_the_upstreams_own_answer(relay: Relay, upstream: Recorder) -> None:
    """Unmodified; ?provider= chooses, else the client's provider, else the first enabled one that offers them."""
    told = b'{ "total_credits":10.0,\n"x":1e2 }'
    for target, headers, key, provider in (
        ("/v1/credits", (), "sk-story-access-key", "two"),
        ("/v1/credits?provider=three", (), "sk-story-access-key", "three"),
        ("/v1/credits?provider=THREE&x=1", (), "sk-story-access-key", "three"),
        ("/v1/credits", (("x-monorelay-provider", "three"),), "sk-story-access-key", "three"),
        ("/v1/credits", (), "tok-near", "three"),
        ("/v1/credits?provider=two", (), "tok-near", "two"),
    ):
        upstream.reset()
        upstream.answer(ok(told))
        answer = relay.ask("GET", target, *headers, key=key)
        assert (answer.status, answer.body, answer.header("x-monorelay-provider")) == (200, told, provider), target
        request = upstream.taken()
        assert request.target == f"/{provider}/v1/credits" + ("?x=1" if "x=1" in target else "")
        assert "x-monorelay-provider" not in request.names
    assert relay.ask("GET", "/v1/credits", key=None).status == 401


def test_credits_that_nobody_offers_are_404(relay: Relay, upstream: Recorder, start: Callable[..., Relay]) -> None:
    """It says which providers would; no numbers are made up."""
    answer = relay.ask("GET", "/v1/credits?provider=one")
    assert answer.status == 404 and "two" in answer.error["message"] and "three" in answer.error["message"]
    settings = config(upstream.origin)
    for name in ("two", "three"):
        settings["providers"][name]["enabled"] = False
    settings["clients"] = {}
    relay.expect_log("which nobody serves now: two \\(is off\\)")
    relay.reload(settings)
    answer = relay.ask("GET", "/v1/credits")
    assert answer.status == 404, answer
    assert "two" in answer.error["message"] and "openrouter" in answer.error["message"]
    assert upstream.requests == []


# The lists over time


def test_lists_outlive_failures_reloads_and_restarts(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Last-good on failure, kept on disk; a provider that moved is asked anew."""
    upstream.standing("/kept/v1/models", ok({"data": [{"id": "kept-1"}, {"id": "kept-2"}]}))
    settings = {"server": SERVER, "providers": {"kept": openai_like(upstream.origin, "kept")}}
    first = start(settings, environ=SECRETS)
    until(first, "kept-1")
    upstream.standing("/kept/v1/models", ok(b"<html>", kind="text/html", status="502 Bad Gateway"))
    first.reload({**settings, "key_selection": {"strategy": "random"}})
    time.sleep(0.1)
    assert {"kept-1", "kept-2"} <= set(ids(first.ask("GET", "/v1/models")))
    first.stop()
    second = start(settings, environ=SECRETS, directory=first.directory)
    until(second, "kept-2")


def until(relay: Relay, model: str) -> None:
    deadline = time.monotonic() + 10
    while model not in ids(relay.ask("GET", "/v1/models")):
        assert time.monotonic() < deadline, relay.log()
        time.sleep(0.02)


def test_5000_models_are_listed_in_no_time(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Under 5 ms in the relay; the test allows for its own share."""
    models = [{"id": f"vendor-{number % 50}/model-{number}", "created": 1700000000 + number} for number in range(5000)]
    upstream.standing("/many/v1/models", ok({"data": models}))
    relay = start({"server": SERVER, "providers": {"many": openai_like(upstream.origin, "many")}}, environ=SECRETS)
    until(relay, "vendor-49/model-4999")
    took = []
    with relay.wire() as wire:
        for _ in range(10):
            began = time.perf_counter()
            wire.request("GET", "/v1/models")
            answer = wire.answer()
            took.append(time.perf_counter() - began)
        assert len(answer.json["data"]) == 5000
    assert min(took) < 0.015, took
