"""Names that lead to several targets: cascades, fallbacks, balancing, auto, and what single models are given."""

from __future__ import annotations

from typing import Any

import pytest
from plan_specs import config, keys, provider, route

from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import ComplexitySpec
from monorelay.config.models import ModelSpec
from monorelay.config.prices import PriceSpec
from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.compile import compile_plan
from monorelay.plan.resolution import Resolution
from monorelay.plan.resolving import LevelWanted

PROVIDERS = (
    provider("first", include=("big", "shared", "Shared-Two"), priority=10),
    provider("second", include=("small", "shared", "shared-*"), priority=20),
    provider("lister", include=(), exclude=("hidden",), priority=30),
    provider("off", enabled=False),
    provider("asleep", keys=(), include=("y",)),
)
LISTS = {"lister": (ModelEntry("shared"), ModelEntry("shared_two"))}


def catalogue(*providers: Any, **routing: Any) -> Catalogue:
    plan = compile_plan(config(*(providers or PROVIDERS), routes=(route(),), **routing), 1)
    return Catalogue(plan, LISTS, 1_700_000_000)


def resolve(book: Catalogue, requested: str, level: str | None = None, pinned: str | None = None) -> Resolution:
    return book.resolve(book.plan.routes[0], requested, pinned, level)


def told(legs: Any) -> str:
    """``model@provider model@provider | …``, a leg that leads nowhere as the type of its refusal."""
    return " | ".join(
        leg.refusal.body.type if leg.refusal else " ".join(f"{target.model}@{target.provider.name}" for target in leg.targets)
        for leg in legs
    )


CASCADES = (
    CascadeSpec("smart", ("big", "small@second", "anything")),
    CascadeSpec("careful", ("big",), context_length=("small",), content_filter=("hidden", "shared")),
    CascadeSpec("nested", ("smart", "shared")),
    CascadeSpec("broken", ("x@off", "y@asleep", "hidden", "big")),
    CascadeSpec("lost", ("x@off",)),
    CascadeSpec("twice", ("big", "quick", "big@first")),
    CascadeSpec("looks", ("auto", "big")),
)
ALIASES = (("quick", "big"), ("clever", "smart"), ("away", "big@first"), ("look", "auto"))
FALLBACKS = (
    CascadeSpec("small", ("smart",), context_length=("big",)),
    CascadeSpec("*", ("shared@second",)),
)
AUTO = ComplexitySpec(True, simple="small", moderate="quick", complex="smart")


@pytest.mark.parametrize(
    ("requested", "legs"),
    [
        ("smart", "big@first | small@second | anything@lister"),
        ("clever", "big@first | small@second | anything@lister"),  # an alias of a cascade
        ("nested", "big@first | small@second | anything@lister | shared@first"),
        ("broken", "provider_disabled | no_keys | model_not_found | big@first"),  # what leads nowhere is passed over
        ("lost", "provider_disabled"),
        ("twice", "big@first"),  # nobody is asked the same twice
        ("smart@lister", "smart@lister"),  # a provider named in the request is asked for a model of that name
        ("big", "big@first"),
    ],
)
def test_a_cascade_is_a_line_of_legs(requested: str, legs: str) -> None:
    assert told(resolve(catalogue(cascades=CASCADES, aliases=ALIASES), requested).legs) == legs


def test_a_cascade_has_lines_for_length_and_content() -> None:
    """Each name of them is resolved like any other."""
    found = resolve(catalogue(cascades=CASCADES), "careful")
    assert (found.cascade, told(found.legs)) == ("careful", "big@first")
    assert told(found.context_length) == "small@second"
    assert told(found.content_filter) == "model_not_found | shared@first"


@pytest.mark.parametrize(
    ("requested", "legs"),
    [
        ("small", "small@second | big@first | anything@lister"),  # the cascade's own small@second stands there already
        ("quick", "big@first | shared@second"),  # fallbacks are found by the name after aliases
        ("away", "big@first | shared@second"),  # an alias may name its provider
        ("big@first", "big@first"),  # who names the provider gets no other
        ("smart", "big@first | small@second | anything@lister"),  # a cascade says for itself what comes next
    ],
)
def test_fallbacks_follow_a_model(requested: str, legs: str) -> None:
    """By the first glob that matches."""
    assert told(resolve(catalogue(cascades=CASCADES, aliases=ALIASES, fallbacks=FALLBACKS), requested).legs) == legs


@pytest.mark.parametrize(
    ("requested", "legs"),
    [
        ("waits", "no_keys | shared@first"),  # an alias of one whose provider waits for its key
        ("hidden", "model_not_found | shared@first"),  # no provider has it, now
        ("gone", "provider_disabled | shared@first"),  # an alias that names one which is off
        ("mapped", "model_not_found | shared@first"),  # a rule chose one that does not have it
    ],
)
def test_a_fallback_stands_in_where_nobody_serves_the_model_itself(requested: str, legs: str) -> None:
    """As in a cascade: a provider that is switched off is what a fallback is for."""
    book = catalogue(
        aliases=(("gone", "x@off"), ("waits", "y@asleep")),
        provider_mapping=(("mapped", "second"),),
        fallbacks=(CascadeSpec("*", ("shared@first",)),),
    )
    assert told(resolve(book, requested).legs) == legs


def test_a_misspelt_provider_has_no_fallback() -> None:
    book = catalogue(fallbacks=(CascadeSpec("*", ("shared@first",)),))
    with pytest.raises(RelayError, match="No provider is called 'frist'; did you mean 'first'"):
        resolve(book, "big@frist")


def test_a_provider_without_a_model_is_told_as_that() -> None:
    with pytest.raises(RelayError, match="'@first' names provider 'first' and no model; write MODEL@first"):
        resolve(catalogue(), "@first")


def test_a_provider_named_beside_the_model_has_no_fallback() -> None:
    book = catalogue(cascades=CASCADES, fallbacks=FALLBACKS)
    assert told(resolve(book, "small", pinned="second").legs) == "small@second"


@pytest.mark.parametrize(
    ("requested", "pinned", "legs"),
    [
        ("quick", "first", "big@first"),  # an alias, by whatever means the provider was named
        ("smart", "second", "small@second"),  # of a cascade what is there
        ("nested", "first", "big@first | shared@first"),
        ("away", "lister", "big@lister"),  # what it leads to elsewhere, if this provider has it too
        ("lost", "second", "model_not_found"),
        ("smart", "off", "provider_disabled"),
        ("auto", "second", "small@second"),
        ("looks", "first", "big@first"),
        ("quick", "second", "model_not_found"),
        ("smart@lister", "lister", "smart@lister"),
    ],
)
def test_a_virtual_name_at_a_provider_named_beside_it(requested: str, pinned: str, legs: str) -> None:
    """By an object that it made, or by a header: the name stays what it is, and of its targets those at that provider count."""
    book = catalogue(cascades=CASCADES, aliases=ALIASES, fallbacks=FALLBACKS[:1], complexity=AUTO)
    try:
        found = told(resolve(book, requested, "simple", pinned).legs)
    except RelayError as error:
        found = error.body.type
    assert found == legs


def test_auto_at_a_provider_named_beside_it_looks_at_the_request() -> None:
    with pytest.raises(LevelWanted):
        resolve(catalogue(complexity=AUTO), "auto", pinned="second")


def test_what_stands_in_for_length_is_at_the_named_provider_too() -> None:
    book = catalogue(cascades=(CascadeSpec("both", ("big", "small"), context_length=("shared@second", "shared@first")),))
    found = resolve(book, "both", pinned="second")
    assert (told(found.legs), told(found.context_length), found.cascade) == ("small@second", "shared@second", "both")


def test_fallbacks_bring_their_other_lines() -> None:
    assert told(resolve(catalogue(cascades=CASCADES, fallbacks=FALLBACKS), "small").context_length) == "big@first"


@pytest.mark.parametrize(
    ("spec", "requested", "leg"),
    [
        (BalancingSpec("*", "latency"), "shared", "shared@first shared@second shared@lister"),
        (BalancingSpec("*", "latency"), "shared-two", "Shared-Two@first shared-two@second shared_two@lister"),
        (BalancingSpec("*", "weighted"), "unknown", "unknown@lister"),  # a catch-all only where nobody knows it
        (BalancingSpec("shared", "priority", ("lister", "first")), "shared", "shared@lister shared@first"),
        (BalancingSpec("big", "priority", ("first", "lister")), "big", "big@first big@lister"),  # unless it is named
        (BalancingSpec("shared", "priority", ("off", "asleep", "second")), "shared", "shared@second"),
        (BalancingSpec("shared", "priority", ("off",)), "shared", "shared@first"),  # none of the listed: as without the rule
        (BalancingSpec("other", "priority"), "shared", "shared@first"),
        (BalancingSpec("*", "priority"), "shared@second", "shared@second"),
    ],
)
def test_balancing_gathers_all_that_serve_a_model(spec: BalancingSpec, requested: str, leg: str) -> None:
    """Each under its own spelling; without a rule only the first one."""
    assert told(resolve(catalogue(balancing=(spec,)), requested).legs) == leg


def test_the_cheapest_comes_first_and_who_names_no_price_last() -> None:
    """By what is sent and what comes back together."""
    providers = (
        provider("dear", include=("m",), prices=(("m", PriceSpec(3.0, 15.0)),)),
        provider("unknown", include=("m",)),
        provider("cheap", include=("m",), prices=(("other", PriceSpec(9, 9)), ("*", PriceSpec(0.5, 1.5)))),
    )
    book = catalogue(*providers, balancing=(BalancingSpec("m", "cheapest"),))
    assert told(resolve(book, "m").legs) == "m@cheap m@dear m@unknown"


def test_auto_wants_the_request_to_be_looked_at() -> None:
    """Without a level there is no answer, each time anew; with one there is; and the list of models names it."""
    book = catalogue(cascades=CASCADES, aliases=ALIASES, complexity=AUTO)
    for requested in ("auto", "look", "looks", "auto"):
        with pytest.raises(LevelWanted):
            resolve(book, requested)
    assert told(resolve(book, "auto", "simple").legs) == "small@second"
    assert told(resolve(book, "look", "moderate").legs) == "big@first"
    assert told(resolve(book, "auto", "complex").legs) == "big@first | small@second | anything@lister"
    assert told(resolve(book, "looks", "simple").legs) == "small@second | big@first"
    assert {"auto", "smart", "look"} <= {entry.id for entry in book.models()}


def test_without_complexity_auto_is_a_model_like_any_other() -> None:
    assert told(resolve(catalogue(), "auto").legs) == "auto@lister"


def test_every_virtual_name_is_listed_with_whom_it_reaches_first() -> None:
    """A cascade none of whose models can be served is not listed."""
    book = catalogue(cascades=CASCADES, aliases=ALIASES, complexity=AUTO)
    owners = {entry.id: entry.owned_by for entry in book.models()}
    assert (owners["smart"], owners["broken"], owners["clever"], owners["auto"]) == ("first", "first", "first", "second")
    assert "lost" not in owners


def test_models_have_time_outs_of_their_own() -> None:
    """All that match, the last one that says something wins; what nobody says is the lane's."""
    specs = (ModelSpec("*", {"first_byte": 5.0, "idle": 6.0}), ModelSpec("big*", {"first_byte": None, "total": 70.0}))
    found = resolve(catalogue(models=specs), "big").targets[0].timeouts
    assert (found.connect, found.first_byte, found.idle, found.total) == (10.0, None, 6.0, 70.0)
    assert resolve(catalogue(models=specs), "small").targets[0].timeouts.first_byte == 5.0


def test_every_rule_says_what_it_did_and_where_it_is_written() -> None:
    """So that ``explain`` can tell the whole story."""
    book = catalogue(cascades=CASCADES, aliases=ALIASES, fallbacks=FALLBACKS, complexity=AUTO, model_overrides=(("big", "BIG"),))
    found = resolve(book, "look", "moderate")
    rules = [step.rule for step in found.steps]
    assert rules == ["alias", "complexity", "alias", "include", "model_overrides", "fallbacks", "@provider", "include"]
    assert all(step.origin is not None for step in found.steps if step.rule != "@provider")
    assert found.targets[0].model == "BIG" and found.targets[0].asked == "big"


def test_refusals_of_whole_names_are_raised() -> None:
    """Only inside a cascade does a name that leads nowhere not matter."""
    book = catalogue(provider("only", include=("m",), keys=keys("k")), provider("off", enabled=False), aliases=(("gone", "x@off"),))
    for requested in ("unknown", "gone", "x@only"):
        with pytest.raises(RelayError):
            resolve(book, requested)
