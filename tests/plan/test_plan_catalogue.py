"""Model name → target: renaming, choosing, and the rules of the catalogue."""

from __future__ import annotations

import re
from typing import Any

import pytest
from plan_specs import config, keys, provider, route

from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.compile import compile_plan
from monorelay.plan.near import fold, near_miss, near_misses

ROUTES = (
    route(),
    route("embeddings", "/v1/embeddings", needs="openai.embeddings"),
    route("files", "/v1/files", methods=("GET",), needs="openai.files"),
    route("credits", "/v1/credits", methods=("GET",), needs="credits"),
)
PROVIDERS = (
    provider("first", "openai.chat", "openai.files", include=("exact-1", "glob-*", "Llama-3.1"), exclude=("glob-x*",), priority=10),
    provider("second", "openai.chat", "openai.embeddings", include=("exact-1", "listed-1", "only-second"), priority=20),
    provider("lister", "openai.chat", include=(), exclude=("hidden*",), priority=30),
    provider("off", "openai.chat", enabled=False),
    provider("asleep", "openai.chat", keys=(), include=("dreams",)),
    provider("vendor-asleep", "openai.chat", "openai.files", keys=(), layer="vendor"),
    provider("embedder", "openai.embeddings", include=("embed-1",)),
)
LISTS = {
    "lister": (
        ModelEntry("listed-1"),
        ModelEntry("Mixed_Case-1"),
        ModelEntry("hidden-1"),
        ModelEntry("vendor/model"),
        ModelEntry("odd@off"),
    ),
    "second": (ModelEntry("not-included"),),
}


def catalogue(*providers: Any, lists: Any = None, **routing: Any) -> Catalogue:
    plan = compile_plan(config(*(providers or PROVIDERS), routes=ROUTES, **routing), 1)
    return Catalogue(plan, LISTS if lists is None else lists, 1_700_000_000)


def aim(requested: str, route_index: int = 0, pinned: str | None = None, book: Catalogue | None = None, **routing: Any) -> str:
    """``provider:model`` of the first target, or the error's type."""
    book = book or catalogue(**routing)
    try:
        target = book.resolve(book.plan.routes[route_index], requested, pinned).targets[0]
    except RelayError as error:
        return error.body.type
    return f"{target.provider.name}:{target.model}"


@pytest.mark.parametrize(
    ("requested", "target"),
    [
        ("exact-1", "first:exact-1"),  # (a), the first in priority order
        ("only-second", "second:only-second"),
        ("listed-1", "second:listed-1"),  # (a) before (b), whatever the priority
        ("vendor/model", "lister:vendor/model"),  # (b)
        ("glob-7", "first:glob-7"),  # (c)
        ("glob-x7", "lister:glob-x7"),  # excluded there, so a catch-all
        ("llama_3.1", "first:Llama-3.1"),  # (d): case, - and _
        ("llama-31", "lister:llama-31"),  # never the dot
        ("mixed-case_1", "lister:Mixed_Case-1"),
        ("exact", "lister:exact"),  # never substrings
        ("anything", "lister:anything"),  # (e)
        ("hidden-1", "model_not_found"),  # excluded wherever
        ("not-included", "lister:not-included"),  # its own list does not overrule include
        ("exact-1@second", "second:exact-1"),
        ("exact-1@SECOND", "second:exact-1"),
        ("glob-1@second", "model_not_found"),  # include is enforced whatever rule chose
        ("hidden-2@lister", "model_not_found"),
        ("x@off", "provider_disabled"),
        ("x@asleep", "no_keys"),
        ("x@vendor-asleep", "no_keys"),
        ("dreams", "lister:dreams"),
        ("@cf/meta/llama", "lister:@cf/meta/llama"),  # names no provider: part of the name
        ("a@b@second", "model_not_found"),
        ("m@secnod", "model_not_found"),  # a near miss of a provider is no model's name
        ("m@unrelated-thing", "lister:m@unrelated-thing"),
        ("exact-1@", "lister:exact-1@"),
        ("@second", "model_not_found"),
        ("embed-1@embedder", "model_not_found"),  # does not serve chat
    ],
)
def test_a_name_finds_its_provider(requested: str, target: str) -> None:
    """The rules (a) to (e) of the contract, and ``@provider``."""
    assert aim(requested) == target


@pytest.mark.parametrize(
    ("requested", "target"),
    [
        ("fast", "first:exact-1"),
        ("quick", "first:exact-1"),  # chained
        ("there", "second:listed-1"),
        ("nowhere", "provider_disabled"),
        ("fast@lister", "lister:fast"),  # an explicit provider skips aliases
        ("mapped-1", "lister:mapped-1"),
        ("mapped-2", "second:listed-1"),  # an alias is followed first
        ("sent-as-x", "lister:x"),
        ("glob-sent", "first:y"),  # chosen by the name before the override
    ],
)
def test_renaming_and_choosing_run_in_their_order(requested: str, target: str) -> None:
    """@provider → aliases → provider_mapping → catalogue; model_overrides only change what is sent."""
    found = aim(
        requested,
        aliases=(("fast", "exact-1"), ("quick", "fast"), ("there", "listed-1@second"), ("nowhere", "x@off"), ("mapped-2", "there")),
        provider_mapping=(("mapped-*", "lister"), ("mapped-1", "first")),
        model_overrides=(("sent-as-*", "x"), ("glob-sent", "y")),
    )
    assert found == target


def test_a_provider_named_beside_the_model_counts_like_one_in_it() -> None:
    assert aim("exact-1", pinned="second") == "second:exact-1"
    assert aim("exact-1@second", pinned="second") == "second:exact-1"
    assert aim("exact-1@first", pinned="second") == "invalid_request_error"


def test_only_a_missing_key_keeps_an_operators_provider_away() -> None:
    """no_keys tells more than model_not_found; a shipped provider that nobody enabled is not blamed."""
    only = (provider("mine", keys=(), include=("m-1",)), provider("shipped", keys=(), layer="vendor"))
    assert aim("m-1", book=catalogue(*only)) == "no_keys"
    assert aim("m-2", book=catalogue(*only)) == "model_not_found"


@pytest.mark.parametrize(
    ("requested", "said"),
    [
        ("exactly-1@first", "Provider 'first' does not include the model 'exactly-1'."),
        ("m@secnod", "did you mean 'second'?"),
        ("hidden-1", "No provider serves the model 'hidden-1'."),
        ("x@off", "[off] Provider 'off' is not enabled"),
        ("x@asleep", "[asleep] No available keys for provider 'asleep': none is configured"),
        ("embed-1@embedder", "Provider 'embedder' does not serve this route; first, second, lister would."),
    ],
)
def test_a_refusal_says_what_to_do(requested: str, said: str) -> None:
    book = catalogue()
    with pytest.raises(RelayError) as caught:
        book.resolve(book.plan.routes[0], requested)
    assert said in caught.value.body.message
    assert not caught.value.curable


def test_an_alias_that_leads_nowhere_is_told_with_what_it_stands_for() -> None:
    """Who reads the refusal knows the alias and not its end, or the other way round."""
    asleep = provider("shipped", keys=(), layer="vendor")
    book = catalogue(provider(include=("gpt-4o",)), asleep, lists={}, aliases=(("fast", "gpt-4.1"),))
    with pytest.raises(RelayError, match="No provider serves the model 'gpt-4.1', for which 'fast' stands.*Did you mean 'gpt-4o'"):
        book.resolve(book.plan.routes[0], "fast")


def test_a_near_miss_is_named() -> None:
    """Without a catch-all an unknown name is 404 with the names that were probably meant."""
    book = catalogue(provider(include=("gpt-4o-mini", "gpt-4o")), lists={})
    with pytest.raises(RelayError, match="Did you mean 'gpt-4o-mini'"):
        book.resolve(book.plan.routes[0], "gpt-4-mini")


def test_a_request_without_a_model_goes_to_the_first_that_offers() -> None:
    book = catalogue()
    _, _, files, credits = book.plan.routes
    assert book.without_model(files, None).targets[0].provider.name == "first"
    with pytest.raises(RelayError) as caught:
        book.without_model(credits, None)
    assert (caught.value.status, caught.value.body.type) == (404, "not_found_error")
    with pytest.raises(RelayError, match="does not offer openai.files; these would: first"):
        book.without_model(files, "second")


def test_what_would_offer_it_once_enabled_is_said() -> None:
    book = catalogue(provider("a", "credits", keys=()), provider("b", "credits", enabled=False), provider("c"))
    with pytest.raises(RelayError, match="these would, once enabled: a, b"):
        book.without_model(book.plan.routes[3], None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-1", "no provider of this route is on. bigone would take it: `monorelay enable bigone` switches one on."),
        ("x-1", "no provider of this route is on. a, c, d and 2 others would take it: `monorelay enable a` switches one on."),
        ("gpt-1@bigonne", "`monorelay enable bigone` switches one on. Did you mean provider 'bigone'?"),
    ],
)
def test_who_would_serve_a_model_once_on(name: str, said: str) -> None:
    """Those who name the model before those who take any, a few of them, and the command that helps."""
    waiting = [provider(one, keys=(), layer="vendor") for one in ("a", "c", "d", "e", "f")]
    book = catalogue(provider("bigone", enabled=False, include=("gpt-*",), layer="vendor"), *waiting)
    with pytest.raises(RelayError, match=re.escape(said) + "$"):
        book.resolve(book.plan.routes[0], name)


def test_nobody_would_serve_a_model() -> None:
    """Then nothing is promised of switching one on."""
    book = catalogue(provider("b", enabled=False, include=("gpt-*",)))
    with pytest.raises(RelayError, match=r"no provider of this route is on, and none of them would take this name\.$"):
        book.resolve(book.plan.routes[0], "x-1")


def test_whatever_the_list_names_resolves_to_its_owner() -> None:
    """The promise of /v1/models: for every id, a request for it reaches ``owned_by``."""
    book = catalogue(
        aliases=(("fast", "exact-1"), ("there", "vendor/model"), ("broken", "hidden-1"), ("listed-1", "only-second")),
        provider_mapping=(("vendor/*", "lister"),),
    )
    owners = {entry.id: entry.owned_by for entry in book.models()}
    assert owners == {
        "fast": "first",
        "there": "lister",
        "listed-1": "second",
        "exact-1": "first",
        "Llama-3.1": "first",
        "only-second": "second",
        "Mixed_Case-1": "lister",
        "vendor/model": "lister",
        "embed-1": "embedder",
    }
    everywhere = {name: lane for one in book.plan.routes for name, lane in one.lanes.items()}
    for name, owner in owners.items():
        assert book._resolver.resolve(everywhere, name).targets[0].provider.name == owner


def test_a_route_lists_what_it_can_reach_whoever_comes_first_elsewhere() -> None:
    """A model that a provider of another dialect owns first is still served here by the second."""
    book = catalogue(
        provider("chatter", "openai.chat", include=("both", "chat-only")),
        provider("embedder", "openai.embeddings", include=("both",)),
    )
    embeddings = book.plan.routes[1]
    assert [(entry.id, entry.owned_by) for entry in book.reachable(embeddings)] == [("both", "embedder")]
    assert [(entry.id, entry.owned_by) for entry in book.models()] == [("both", "chatter"), ("chat-only", "chatter")]


def test_a_resolution_tells_its_steps_and_their_place() -> None:
    book = catalogue(aliases=(("fast", "exact-1"),))
    steps = book.resolve(book.plan.routes[0], "fast").steps
    assert [(step.rule, str(step.origin)) for step in steps] == [("alias", "config.yml:1"), ("include", "providers.d/first.yml:1")]


def test_five_thousand_models_are_listed_once_and_then_remembered() -> None:
    """The list is merged when it changes, not when it is asked for."""
    book = catalogue(provider(), lists={"acme": tuple(ModelEntry(f"m-{index}") for index in range(5000))})
    assert len(book.models()) == 5000
    assert book.models() is book.models()


def test_resolutions_are_remembered_within_a_bound() -> None:
    """Names come from clients: the memory of them must not grow with what clients invent."""
    book = catalogue(provider(keys=keys("a")), lists={})
    for index in range(9000):
        book.resolve(book.plan.routes[0], f"m-{index}")
    assert len(book._memory) <= 8192


@pytest.mark.parametrize(("a", "b", "same"), [("GPT-4o", "gpt_4O", True), ("gpt-4.1", "gpt-41", False)])
def test_folding_forgets_case_and_dashes_but_not_dots(a: str, b: str, same: bool) -> None:
    assert (fold(a) == fold(b)) is same


def test_a_near_miss_is_close_or_none() -> None:
    assert near_miss("opnai", ["openai", "anthropic"]) == "openai"
    assert near_miss("zzz", ["openai"]) is None


def test_the_likeliest_of_thousands_is_found() -> None:
    """Few of them are compared letter by letter: a stranger's typing error must not keep the relay busy."""
    known = [f"vendor/model-{number}-instruct" for number in range(5000)] + ["vendor/gpt-4o-mini", "claude-sonnet"]
    assert near_misses("vendor/gpt-4o-mnii", known)[0] == "vendor/gpt-4o-mini"
    assert near_misses("claude_sonet", known)[0] == "claude-sonnet"
    assert near_misses("Vendor/Model-4711-instrct", known)[0] == "vendor/model-4711-instruct"
    assert near_misses("a" * 500, ["a" * 499]) == []


def test_a_list_is_made_without_wondering_what_was_meant() -> None:
    """Names that nobody serves on a route are left out of its list; looking for near misses of each would take minutes."""
    lists = {"embedder": tuple(ModelEntry(f"vendor/embed-{number}") for number in range(3000))}
    embedder = provider("embedder", "openai.embeddings", include=("vendor/*",))
    book = catalogue(provider("chatter", "openai.chat", include=("chat-1",)), embedder, lists=lists)
    assert [entry.id for entry in book.reachable(book.plan.routes[0])] == ["chat-1"]
    assert len(book.reachable(book.plan.routes[1])) == 3000
