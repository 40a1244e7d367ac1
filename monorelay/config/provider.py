"""A provider drop-in: schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.affinity import session_header
from monorelay.config.credits import CREDITS, CreditsSpec, read_credits
from monorelay.config.faults import FAULT, FaultSpec, read_faults
from monorelay.config.fields import Auth, HeaderPair, Layer, Origins, Path, QueryRules, TimeoutRules
from monorelay.config.fixtures import FIXTURE, FixtureSpec, read_fixtures
from monorelay.config.fragments import (
    QUERY,
    auth_field,
    read_auth,
    read_query,
    read_timeouts,
    timeout_fields,
    unfold_timeout,
)
from monorelay.config.globs import tell_shadowed
from monorelay.config.headers import HEADERS, fold_case, read_headers
from monorelay.config.keys import KEY, KeySpec, label_of, read_keys, unfold_key
from monorelay.config.limits import LIMITS, LimitsSpec, read_limits
from monorelay.config.prices import PRICES, PriceSpec, read_prices
from monorelay.config.problems import Problem
from monorelay.config.quirks import PROVIDER_QUIRKS, QuirksSpec, read_model_quirks, read_quirks
from monorelay.config.rate_limits import RATE_LIMITS, RateLimitsSpec, read_rate_limits
from monorelay.config.reading import Node, Place, Reading, Sheet
from monorelay.config.references import References
from monorelay.config.refusals import REFUSALS, RefusalsSpec, read_refusals
from monorelay.config.retry import IGNORE, RETRY, IgnoreSpec, RetrySpec, read_ignore, read_retry
from monorelay.config.scalars import base_url, capability, duration, flag, glob, name, offer_path, whole
from monorelay.config.schema import Schema, field

BEARER = Auth("authorization", "Bearer ")


@dataclass(frozen=True, slots=True)
class OfferSpec:
    """A capability at a path below the provider's base URL (or its own); path and base_url may be Jinja2 templates."""

    capability: str
    path: str
    base_url: str | None = None
    auth: Auth | Literal["none"] | None = None  # None = the provider's
    query: QueryRules = QueryRules()
    headers: HeaderPair = HeaderPair()
    timeouts: TimeoutRules | None = None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """An upstream vendor, whole: ``extends`` is already merged in.

    ``keys`` holds only keys whose secret is not empty (disabled ones too). ``include`` and ``exclude`` are globs of model names.
    """

    name: str
    base_url: str
    layer: Layer
    origins: Origins
    enabled: bool | Literal["auto"] = "auto"
    priority: int = 50
    auth: Auth | None = BEARER
    keys: tuple[KeySpec, ...] = ()
    offers: tuple[OfferSpec, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rate_limit_cooldown: float = 60.0
    timeouts: TimeoutRules | None = None
    headers: HeaderPair = HeaderPair()
    translate: bool = True
    strict: bool = False
    quirks: QuirksSpec = QuirksSpec()
    model_quirks: tuple[tuple[str, QuirksSpec], ...] = ()
    weight: int = 1
    limits: LimitsSpec = LimitsSpec()
    rate_limits: RateLimitsSpec = RateLimitsSpec()
    prices: tuple[tuple[str, PriceSpec], ...] = ()
    retry: RetrySpec | None = None  # None = as config.yml says
    ignore: IgnoreSpec = IgnoreSpec()
    refusals: RefusalsSpec = RefusalsSpec()
    session_header: str | None = None
    credits: CreditsSpec | None = None
    faults: tuple[FaultSpec, ...] = ()
    tests: tuple[FixtureSpec, ...] = ()


# ---------------------------------------------------------------------------------------------------- schema


Enabled = bool | Literal["auto"]


def _enabled(value: Any) -> Enabled:
    if value == "auto":
        return "auto"
    try:
        return flag(value)
    except ValueError:
        raise ValueError("must be true, false or auto") from None


OFFER: Schema = {
    "path": field("string", "What follows the base URL.", reads=offer_path, default="required"),
    "base_url": field("string", "Another base URL for this capability alone.", reads=base_url, default="the provider's"),
    "auth": auth_field("Another way to send the key.", "the provider's"),
    "query": field("dict", "Changes to the query string.", schema=QUERY),
    "headers": field("dict", "Runs after the provider's header program.", schema=HEADERS),
    **timeout_fields(),
}
PROVIDER: Schema = {
    "provider": field("string", "Its name.", reads=name, default="required"),
    "extends": field(
        "string", "A template, or this same provider in a lower layer: what is not said here is taken from it.", reads=name
    ),
    "template": field("boolean", "`true`: only for others to extend, never a provider itself.", reads=flag, default="false"),
    "enabled": field(
        ["boolean", "string"],
        "`auto` = as soon as it has a usable key, or needs none.",
        reads=_enabled,
        default="auto",
        shown="auto, true or false",
    ),
    "priority": field("integer", "Lower goes first; ties by file name.", reads=whole(), default="50"),
    "base_url": field("string", "Where it is, without a slash at the end.", reads=base_url, default="required"),
    "auth": auth_field("How it wants its key.", "bearer"),
    "keys": field(
        "list",
        "Its credentials; plain text in the list is short for `{secret: …}`.",
        shown="list of keys",
        schema=field(["dict", "string"], schema=KEY),
    ),
    "offers": field(
        "dict",
        "What it can do, and at which path; text is short for `{path: …}`, `null` takes an inherited one away.",
        shown="capability → path, offer or null",
        keysrules=field("string", reads=capability),
        valuesrules=field(
            ["string", "dict"],
            reads=lambda value: offer_path(value) if isinstance(value, str) else value,
            nullable=True,
            schema=OFFER,
        ),
    ),
    "models": field(
        "dict",
        "Which models it is asked for.",
        schema={
            "include": field(
                "list",
                "These; without any, all that it lists, and any other name that nobody claims.",
                shown="list of globs",
                texts=field("string", reads=glob),
            ),
            "exclude": field("list", "Never these.", shown="list of globs", texts=field("string", reads=glob)),
        },
    ),
    "rate_limit_cooldown": field(
        ["number", "string"],
        "A key's rest after a 429 that does not say how long.",
        reads=duration,
        default="60",
        shown="duration",
    ),
    **timeout_fields(),
    "headers": field("dict", "Its header program; see *Headers*.", schema=HEADERS),
    "translate": field("boolean", "`false`: it serves only clients that speak a dialect it offers.", reads=flag, default="true"),
    "strict": field("boolean", "`true`: refused if a translation would lose what the client wrote.", reads=flag, default="false"),
    "quirks": field("dict", "What it does differently from its dialect's reference.", schema=PROVIDER_QUIRKS),
    "weight": field("integer", "Its share where providers are balanced by weight.", reads=whole(1, 1000), default="1"),
    "limits": field("dict", "How much each of its keys may be used that does not say otherwise.", schema=LIMITS),
    "rate_limits": field("dict", "How it speaks of its limits.", schema=RATE_LIMITS),
    "prices": PRICES,
    "retry": field("dict", "Further attempts after a failure; what is not said is as in config.yml.", schema=RETRY),
    "ignore": field(
        "dict", "Refusals that no client gets to see: the next key is asked, then the next model of a cascade.", schema=IGNORE
    ),
    "refusals": field(
        "dict", "How it says why, beyond its dialect's codes: globs of an error's code, type or message.", schema=REFUSALS
    ),
    "session_header": field("string", "The header by which it keeps a conversation on one cache.", reads=session_header),
    "credits": field("dict", "Where the answer of its offer `credits` says what is left.", schema=CREDITS, nullable=True),
    "faults": field(
        "list",
        "Failures made on purpose, to see what becomes of them; only with `server.allow_faults`.",
        shown="list of faults",
        schema=field("dict", schema=FAULT),
    ),
    "tests": field(
        "list",
        "What is known of it, and checked offline by `monorelay check --fixtures`.",
        shown="list of tests",
        schema=field("dict", schema=FIXTURE),
    ),
}
INLINE: Schema = {name: rules for name, rules in PROVIDER.items() if name not in ("provider", "template")}


def unfold(provider: dict[str, Any], places: dict[Path, Place], at: Path = ()) -> None:
    """Write the short forms out, before anything is merged: an offer that adds a header keeps the path it inherits."""
    unfold_timeout(provider, places, at)
    fold_case(provider.get("headers"), places, (*at, "headers"))
    keys: Any = provider.get("keys")
    for index, key in enumerate(keys) if isinstance(keys, list) else ():
        if isinstance(key, dict):
            unfold_key(key, places, (*at, "keys", index))
    offers: Any = provider.get("offers")
    for word, offer in offers.items() if isinstance(offers, dict) else ():
        place = (*at, "offers", word)
        if isinstance(offer, str):
            offers[word] = {"path": offer}
            places[(*place, "path")] = places[place]
        elif isinstance(offer, dict):
            unfold_timeout(offer, places, place)
            fold_case(offer.get("headers"), places, (*place, "headers"))


# ---------------------------------------------------------------------------------------------------- reader


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider's reader must know beyond its own file. ``now``: seconds since 1970, for keys that have expired."""

    references: References
    now: float
    retry: RetrySpec = RetrySpec()
    allow_faults: bool = False


def read_provider(
    sheet: Sheet, own_name: str, layer: Layer, around: Surroundings, hint: str = ""
) -> tuple[ProviderSpec | None, list[Problem]]:
    """The spec of a merged sheet, or None where there is no base URL; and what was found wrong on the way.

    ``hint`` ends the sentence about a missing base URL, which is what one gets who misspells a provider that exists.
    """
    reading = Reading(sheet, around.references)
    top = reading.top
    usual: Enabled = "auto"
    enabled = top["enabled"].read(_enabled, usual)
    reading.lenient = enabled is False
    if top["base_url"].value is None:
        top.missing("base_url", hint)
    url = top["base_url"].read(base_url, None)
    auth = read_auth(top["auth"], BEARER)
    models = top["models"]
    quirks = read_quirks(top["quirks"], QuirksSpec())
    limits = read_limits(top["limits"], LimitsSpec())
    tell_shadowed(top["prices"], "warning")
    tell_shadowed(top["quirks"]["models"], "warning")
    labels = tuple(label_of(entry) for entry in top["keys"].items())
    spec = ProviderSpec(
        name=own_name,
        base_url=url or "",
        layer=layer,
        origins=sheet.origins(),
        enabled=enabled,
        priority=top["priority"].read(whole(), 50),
        auth=None if auth == "none" else auth,
        keys=read_keys(top["keys"], limits, around.now),
        offers=tuple(offer for word, node in top["offers"].entries() if (offer := _read_offer(word, node)) is not None),
        include=_read_all(models["include"], glob),
        exclude=_read_all(models["exclude"], glob),
        rate_limit_cooldown=top["rate_limit_cooldown"].read(duration, 60.0),
        timeouts=read_timeouts(top["timeouts"]),
        headers=read_headers(top["headers"]),
        translate=top["translate"].read(flag, True),
        strict=top["strict"].read(flag, False),
        quirks=quirks,
        model_quirks=read_model_quirks(top["quirks"], quirks),
        weight=top["weight"].read(whole(1, 1000), 1),
        limits=limits,
        rate_limits=read_rate_limits(top["rate_limits"]),
        prices=read_prices(top["prices"]),
        retry=read_retry(top["retry"], around.retry) if top["retry"].value is not None else None,
        ignore=read_ignore(top["ignore"]),
        refusals=read_refusals(top["refusals"]),
        session_header=top["session_header"].read(session_header, None),
        credits=read_credits(top["credits"]),
        faults=read_faults(top["faults"], labels, around.allow_faults),
        tests=read_fixtures(top["tests"]),
    )
    if enabled is True and spec.auth is not None and not spec.keys and not reading.problems:
        top["keys"].wrong("is enabled, but has no key: each call will end with no_keys", "warning")
    if not top["offers"].value:
        top["offers"].wrong("offers nothing, so that no route can use it: extend a template, or write `offers`", "warning")
    return (spec if url is not None else None), reading.problems


def _read_all(node: Node, reads: Callable[[Any], str]) -> tuple[str, ...]:
    values = (entry.read(reads, None) for entry in node.items())
    return tuple(value for value in values if value is not None)


def _read_offer(word: str, node: Node) -> OfferSpec | None:
    if not isinstance(node.value, dict):
        return None
    if node["path"].value is None:
        node.missing("path")
    path = node["path"].read(offer_path, None)
    if path is None:
        return None
    auth = read_auth(node["auth"], None)
    return OfferSpec(
        capability=word,
        path=path,
        base_url=node["base_url"].read(base_url, None),
        auth=auth,
        query=read_query(node["query"]),
        headers=read_headers(node["headers"]),
        timeouts=read_timeouts(node["timeouts"]),
    )
