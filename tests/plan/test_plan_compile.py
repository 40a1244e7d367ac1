"""Specs become a plan, or problems."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from plan_specs import BEARER, config, keys, origins, provider, route

from monorelay.config.credits import CreditsSpec
from monorelay.config.fields import Auth, HeaderPair, HeaderRules, Secret
from monorelay.config.problems import ConfigError
from monorelay.config.provider import OfferSpec
from monorelay.config.quirks import QuirksSpec
from monorelay.config.route import ReplySpec
from monorelay.config.settings import ClientSpec
from monorelay.dialects.quirks import Quirks
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan, Timeouts
from monorelay.plan.templates import token_digest


def lines(plan: Plan, route_name: str = "chat", provider_name: str = "acme", key: int = 0, **fields: str) -> dict[str, str]:
    found = next(one for one in plan.routes if one.spec.name == route_name)
    lane = found.lanes[provider_name]
    made = lane.request.lines(fields, lane.provider.keys[key].fingerprint, {"model": "m", "request_id": "r", "client": ""})
    return {name: value.strip() for name, _, value in (line.partition(":") for line in made)}


def test_a_route_meets_the_providers_that_offer_what_it_needs() -> None:
    """In priority order, which is the order of the configuration."""
    plan = compile_plan(config(provider("one"), provider("two", "openai.embeddings"), provider("three")), 1)
    assert list(plan.routes[0].lanes) == ["one", "three"]


def test_the_url_is_base_path_and_upstream() -> None:
    files = route("content", "/v1/files/{file_id}/content", methods=("GET",), needs="openai.files", upstream="/{file_id}/content")
    acme = provider(offers=(OfferSpec("openai.files", "/files"), OfferSpec("acme.ocr", "/ocr", base_url="https://ocr.example")))
    ocr = route("ocr", "/v1/ocr", needs="acme.ocr", model="none")
    plan = compile_plan(config(acme, routes=(files, ocr)), 1)
    urls = [one.lanes["acme"].url.render({"file_id": "f"}, "a=1", "") for one in plan.routes]
    assert urls == ["https://acme.example/v1/files/f/content?a=1", "https://ocr.example/ocr?a=1"]


@pytest.mark.parametrize(
    ("auth", "offered", "sent"),
    [
        (BEARER, None, {"authorization": "Bearer sk-a"}),
        (Auth("x-api-key"), None, {"x-api-key": "sk-a"}),
        (Auth("api-key"), None, {"api-key": "sk-a"}),
        (BEARER, Auth("x-api-key"), {"x-api-key": "sk-a"}),
        (BEARER, "none", {}),
    ],
)
def test_the_credential_goes_where_the_provider_or_the_offer_says(auth: Auth, offered: Auth | None, sent: dict[str, str]) -> None:
    acme = provider(auth=auth, offers=(OfferSpec("openai.chat", "/chat", auth=offered),))
    assert lines(compile_plan(config(acme), 1)) == {**sent, "accept-encoding": "identity"}


def test_each_key_has_its_own_lines() -> None:
    plan = compile_plan(config(provider()), 1)
    assert [lines(plan, key=index)["authorization"] for index in (0, 1)] == ["Bearer sk-a", "Bearer sk-b"]


@pytest.mark.parametrize(
    ("rules", "version"),
    [
        ({}, "2023-06-01"),
        ({"default": (("anthropic-version", "2026-10-21"),)}, "2026-10-21"),
        ({"remove": (("anthropic-version", None),)}, None),
    ],
)
def test_a_translated_request_has_the_headers_that_its_upstream_demands(rules: dict[str, Any], version: str | None) -> None:
    """A provider file need not know what belongs to the dialect alone; what it does say holds."""
    acme = provider("acme", "anthropic.messages", headers=HeaderPair(HeaderRules(**rules)))
    messages = route("messages", "/v1/messages", needs="anthropic.messages")
    plan = compile_plan(config(acme, routes=(route(), messages)), 1)
    assert lines(plan).get("anthropic-version") == version
    if not rules:
        assert "anthropic-version" not in lines(plan, "messages"), "a client of the dialect says it itself"


def test_a_json_route_asks_for_identity_and_another_does_not() -> None:
    """Encodings: routes with a JSON body ask for identity unless a rule says otherwise; others forward what rules forward."""
    forms = route("forms", "/f", needs="openai.audio.translations", body="multipart", model="none")
    picky = provider("picky", headers=HeaderPair(HeaderRules(set=(("accept-encoding", "br"),))))
    plan = compile_plan(config(provider("acme", "openai.chat", "openai.audio.translations"), picky, routes=(route(), forms)), 1)
    assert lines(plan)["accept-encoding"] == "identity"
    assert lines(plan, provider_name="picky")["accept-encoding"] == "br"
    assert "accept-encoding" not in lines(plan, "forms")


def test_time_outs_come_from_the_nearest_that_says_so() -> None:
    """Built in < provider < offer < route; null switches off."""
    acme = provider(
        timeouts={"first_byte": 30.0, "idle": 31.0, "total": 32.0},
        offers=(OfferSpec("openai.chat", "/c", timeouts={"idle": 41.0, "total": 42.0}),),
    )
    plan = compile_plan(config(acme, routes=(route(timeouts={"total": None}),)), 1)
    assert plan.routes[0].lanes["acme"].timeouts == Timeouts(connect=10.0, first_byte=30.0, idle=41.0, total=None)


@pytest.mark.parametrize(
    ("more", "enabled", "dormant"),
    [
        ({}, True, False),
        ({"keys": ()}, False, True),
        ({"keys": (), "enabled": True}, True, False),
        ({"keys": (), "auth": None}, True, False),
        ({"enabled": False}, False, False),
        ({"keys": keys("a", a=False)}, True, False),
    ],
)
def test_a_provider_is_on_as_soon_as_it_has_a_key(more: dict[str, object], enabled: bool, dormant: bool) -> None:
    compiled = compile_plan(config(provider(**more)), 1).providers["acme"]  # type: ignore[arg-type]
    assert (compiled.enabled, compiled.dormant) == (enabled, dormant)


def test_problems_of_all_lanes_come_at_once_with_their_place() -> None:
    """Each template at fault is told where it was written, once, however many lanes it spoils."""
    bad = HeaderPair(HeaderRules(set=(("x", "{{ kye }}"),)))
    with pytest.raises(ConfigError) as caught:
        routes = (
            route(),
            route("embeddings", "/e", needs="openai.embeddings"),
            route("own", "/o/{id}", needs="acme.x", headers=bad),
        )
        offers = ("openai.chat", "openai.embeddings", "openai.models")
        one = provider("one", *offers, headers=bad)
        two = provider("two", *offers, base_url="https://{{ nothing }}/")
        compile_plan(config(one, two, routes=routes), 1)
    assert [str(problem) for problem in caught.value.problems] == [
        "providers.d/one.yml:1:1: headers.request.set.x: unknown variable 'kye' in the template, did you mean key?",
        "providers.d/two.yml:1:1: base_url: unknown variable 'nothing' in the template, known are model",
        "routes.d/own.yml:1:1: headers.request.set.x: unknown variable 'kye' in the template, did you mean key?",
    ]


def test_a_route_that_nobody_serves_and_an_offer_that_nobody_needs_are_warnings() -> None:
    """Now, not at the first request."""
    routes = (route(), route("ocr", "/ocr", needs="acme.ocr"), route("chatt", "/chatt", needs="openai.chatt"))
    plan = compile_plan(config(provider("acme", "openai.chat", "openai.embedings"), routes=routes), 1)
    assert [str(warning) for warning in plan.warnings] == [
        "providers.d/acme.yml:1:1: offers.openai.embedings: no route needs 'openai.embedings', did you mean openai.embeddings?",
        "routes.d/chatt.yml:1:1: needs: no provider offers 'openai.chatt', did you mean openai.chat?",
        "routes.d/ocr.yml:1:1: needs: no provider offers 'acme.ocr': route 'ocr' cannot be served",
    ]


def test_admission_holds_digests_and_nothing_else() -> None:
    """The access key and the clients' tokens are known by their SHA-256 only."""
    digest = token_digest("token").hex()
    plan = compile_plan(config(clients=(ClientSpec("ci", digest),)), 1)
    assert (plan.admission.open, plan.admission.access_key) == (False, token_digest("sk-relay"))
    assert plan.admission.clients[token_digest("token")].name == "ci"
    assert compile_plan(config(access_key=None), 1).admission.open


def test_the_envelope_of_a_route_is_its_dialects() -> None:
    messages = route("messages", "/m", needs="anthropic.messages")
    reply = replace(route("gone", "/g", answer="health"), answer=None, reply=ReplySpec(426, (), "e", "m"))
    plan = compile_plan(config(routes=(route(), messages, reply)), 1)
    assert [one.family for one in plan.routes] == ["openai", "anthropic", "openai"]


def test_every_quirk_a_drop_in_may_name_reaches_the_translators() -> None:
    """Config and dialects are islands: the two records of quirks are kept alike here."""
    assert [(one.name, one.default) for one in fields(QuirksSpec)] == [(one.name, one.default) for one in fields(Quirks)]


def test_no_secret_is_in_the_repr_of_a_plan() -> None:
    plan = compile_plan(
        config(provider(headers=HeaderPair(HeaderRules(set=(("x", Secret("sk-hidden")),)))), access_key="sk-access"), 1
    )
    text = repr(plan) + repr(plan.routes[0].lanes) + repr(plan.providers)
    assert not any(secret in text for secret in ("sk-a", "sk-b", "sk-hidden", "sk-access"))
    assert origins().of("a", "b") == origins().root


def test_a_balance_has_a_lane_of_its_own_where_the_file_says_how_to_read_it() -> None:
    """With each key's own credential. Without the offer there is nowhere to ask, which is warned about."""
    watched = provider("watched", "openai.chat", "credits", credits=CreditsSpec("left"))
    offered = provider("offered", "openai.chat", "credits")
    lost = provider("lost", credits=CreditsSpec("left"))
    plan = compile_plan(config(watched, offered, lost), 1)
    assert list(plan.credit_lanes) == ["watched"]
    lane = plan.credit_lanes["watched"]
    assert lane.url.render({}, "", "") == "https://watched.example/v1/credits"
    values = {"model": "", "request_id": "", "client": ""}
    assert [lane.request.lines({}, key.fingerprint, values) for key in lane.provider.keys] == [
        ("authorization: Bearer sk-a",),
        ("authorization: Bearer sk-b",),
    ]
    assert [(warning.path, warning.message) for warning in plan.warnings if warning.file == "providers.d/lost.yml"] == [
        ("credits", "has nowhere to ask: the provider offers no 'credits'; say its path in `offers`")
    ]
