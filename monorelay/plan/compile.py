"""Config → Plan, or every problem that only shows when routes meet providers.

For each route and each provider: does the provider offer what the route needs? Exactly → passthrough; through a translator of
``dialects/table.py`` → translated; else that provider has no lane on the route. Everything that can be rendered, compiled or
refused without a request is done here.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping

from monorelay import __version__
from monorelay.config.config import Config
from monorelay.config.fields import Auth, HeaderRules, Origin, Origins, Secret
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.provider import OfferSpec, ProviderSpec
from monorelay.config.quirks import QuirksSpec
from monorelay.config.retry import RetrySpec
from monorelay.config.route import RouteSpec
from monorelay.config.settings import ServerSpec
from monorelay.dialects.demanded_headers import DEMANDED
from monorelay.dialects.envelopes import family_of
from monorelay.dialects.interface import Translator
from monorelay.dialects.local import LOCAL, LocalAnswer
from monorelay.dialects.model_lists import LISTS
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.table import has_event_stream, known_capabilities, translator_for, upstreams_for
from monorelay.plan.dead_ends import dead_ends
from monorelay.plan.globs import compile_glob, compile_globs, is_glob
from monorelay.plan.headers import ALWAYS_DOWN, RequestHeaders, ResponseHeaders, compile_steps
from monorelay.plan.near import near_miss
from monorelay.plan.payload import compile_payload
from monorelay.plan.plan import Admission, Key, Lane, Plan, Provider, Route, Timeouts, Words
from monorelay.plan.secure import CertificateError, server_context
from monorelay.plan.table import RouteTable
from monorelay.plan.template_faults import lane_faults, lane_variables, once_per_place, route_faults
from monorelay.plan.templates import Scrubber, TemplateError, credential, key_values, token_digest
from monorelay.plan.urls import compile_query, compile_url

_OWN_TIMEOUTS = {"connect": 10.0, "first_byte": 20.0, "idle": 20.0, "total": 60.0}


def compile_plan(config: Config, generation: int) -> Plan:
    """Raises ConfigError with all problems found; what is only odd is in ``Plan.warnings``."""
    problems: list[Problem] = []
    providers = {spec.name: _provider(spec, config.routing.retry) for spec in config.providers}
    routes = [_route(spec, providers, problems) for spec in config.routes]
    list_lanes = _list_lanes(providers, problems)
    credit_lanes = _credit_lanes(providers, problems)
    problems += _unused(config, routes)
    problems += dead_ends(config, routes, providers)
    tls = _tls(config.server, problems)
    errors = tuple(once_per_place(problem for problem in problems if problem.severity == "error"))
    if errors:
        raise ConfigError(errors)
    return Plan(
        generation=generation,
        config=config,
        admission=_admission(config),
        providers=providers,
        table=RouteTable(routes),
        routes=tuple(routes),
        toolless=compile_globs(config.tools.unsupported_models) if config.tools.auto_downgrade else None,
        list_lanes=list_lanes,
        payload=compile_payload(config),
        credit_lanes=credit_lanes,
        warnings=(*config.warnings, *sorted(problems)),
        compares_pace=any(spec.strategy == "latency" for spec in config.routing.balancing),
        tls=tls,
    )


def _tls(server: ServerSpec, problems: list[Problem]) -> ssl.SSLContext | None:
    if server.tls is None:
        return None
    try:
        return server_context(server.tls)
    except CertificateError as error:
        place = server.origins.of(*server.tls.key_path)
        problems.append(Problem(place.file, place.line, place.column, ".".join(server.tls.key_path), str(error)))
        return None


def _admission(config: Config) -> Admission:
    key = token_digest(config.server.access_key) if config.server.access_key is not None else None
    clients = {bytes.fromhex(client.sha256): client for client in config.clients}
    return Admission(open=key is None and not clients, access_key=key, clients=clients)


def _provider(spec: ProviderSpec, usual: RetrySpec) -> Provider:
    keys = tuple(Key(key.secret.fingerprint, key.label, key.weight, key.enabled, key.expires_at, key.limits) for key in spec.keys)
    if spec.auth is None:
        # Nothing to rotate, but the same way for every request: one key without a credential.
        keys = (Key(spec.name, "none", 1, True, None, spec.limits),)
    dormant = spec.enabled == "auto" and not keys
    return Provider(
        name=spec.name,
        spec=spec,
        enabled=spec.enabled is not False and not dormant,
        dormant=dormant,
        keys=keys,
        included=frozenset(name for name in spec.include if not is_glob(name)),
        include=compile_globs(name for name in spec.include if is_glob(name)),
        exclude=compile_globs(spec.exclude),
        offers=frozenset(offer.capability for offer in spec.offers),
        scrubber=Scrubber({key.label: key.secret for key in spec.keys}),
        retry=usual if spec.retry is None else spec.retry,
        words=Words(
            ignored=compile_globs(spec.ignore.errors),
            context_length=compile_globs(spec.refusals.context_length),
            content_filter=compile_globs(spec.refusals.content_filter),
            model_not_found=compile_globs(spec.refusals.model_not_found),
        ),
        counts_tokens=any(key.limits.tpm for key in keys),
        fingerprints=frozenset(key.fingerprint for key in keys),
        telling=frozenset(rule.remaining for rule in spec.rate_limits.remaining),
    )


def _route(spec: RouteSpec, providers: Mapping[str, Provider], problems: list[Problem]) -> Route:
    lanes: dict[str, Lane] = {}
    problems += route_faults(spec)
    for provider in providers.values() if spec.needs is not None else ():
        needs = spec.needs or ""
        match, local = _best_offer(needs, provider), None
        if match is None and (local := LOCAL.get(needs)) is not None:
            match = _best_offer(local.follows, provider)
        if match is None:
            continue
        offer, translator = match
        try:
            lanes[provider.name] = _lane(spec, provider, offer, translator, local)
        except TemplateError:
            problems += lane_faults(spec, provider.spec, offer)
    return Route(
        spec=spec,
        path=spec.path,
        methods=spec.methods,
        family=family_of(spec.needs or spec.answer, False),
        streams=spec.needs is not None and has_event_stream(spec.needs),
        lanes=lanes,
    )


def _list_lanes(providers: Mapping[str, Provider], problems: list[Problem]) -> dict[str, Lane]:
    """The way to each provider's own model list."""
    lanes: dict[str, Lane] = {}
    for provider in providers.values():
        for capability in LISTS:
            if provider.name not in lanes and (lane := _own_lane("roster", capability, provider, problems)) is not None:
                lanes[provider.name] = lane
    return lanes


def _credit_lanes(providers: Mapping[str, Provider], problems: list[Problem]) -> dict[str, Lane]:
    """The way to what is left of each key, where a provider's file says how to read it."""
    lanes: dict[str, Lane] = {}
    for provider in providers.values():
        if provider.spec.credits is None:
            continue
        lane = _own_lane("balances", "credits", provider, problems)
        if lane is not None:
            lanes[provider.name] = lane
        elif "credits" not in provider.offers:
            text = "has nowhere to ask: the provider offers no 'credits'; say its path in `offers`"
            problems.append(_problem(provider.spec.origins.of("credits"), "credits", text, warning=True))
    return lanes


def _own_lane(purpose: str, capability: str, provider: Provider, problems: list[Problem]) -> Lane | None:
    """A route that no client calls, but the relay itself does."""
    match = _best_offer(capability, provider)
    if match is None:
        return None
    name = f"{purpose}:{capability}"
    spec = RouteSpec(name, "/", ("GET",), Origins(Origin("built in")), needs=capability, timeouts=_OWN_TIMEOUTS)
    try:
        return _lane(spec, provider, *match)
    except TemplateError:
        problems += lane_faults(spec, provider.spec, match[0])
        return None


def _best_offer(needs: str, provider: Provider) -> tuple[OfferSpec, Translator] | None:
    """The native offer, else the one that comes first in the table of translators."""
    offers = {offer.capability: offer for offer in provider.spec.offers}
    for upstream in upstreams_for(needs) if provider.spec.translate else (needs,):
        translator = translator_for(needs, upstream) if upstream in offers else None
        if translator is not None:
            return offers[upstream], translator
    return None


def _lane(spec: RouteSpec, provider: Provider, offer: OfferSpec, translator: Translator, local: LocalAnswer | None = None) -> Lane:
    """Raises TemplateError; ``template_faults.py`` knows which template it was."""
    # A route's rules are about its own dialect: what they forward, an upstream of another one would not understand.
    parties = [provider.spec.headers, offer.headers]
    queries = [offer.query]
    if translator.native:
        parties.insert(0, spec.headers)
        queries.insert(0, spec.query)
    variables = lane_variables(spec)
    request = [pair.request for pair in parties]
    if not translator.native:
        request.append(HeaderRules(default=DEMANDED.get(translator.upstream, ())))
    if spec.body == "json" and not _decides_encoding(request):
        request.append(HeaderRules(default=(("accept-encoding", "identity"),)))
    auth = provider.spec.auth if offer.auth is None else None if offer.auth == "none" else offer.auth
    secrets: dict[str, Secret | None] = {key.secret.fingerprint: key.secret for key in provider.spec.keys} or {provider.name: None}
    labels = {key.fingerprint: key.label for key in provider.keys}
    return Lane(
        provider=provider,
        translator=translator,
        url=compile_url(
            offer.base_url or provider.spec.base_url,
            offer.path,
            spec.upstream,
            compile_query(queries, keep=translator.native),
        ),
        request=RequestHeaders(
            compile_steps(request, variables),
            {mark: key_values(provider.name, __version__, labels.get(mark, ""), secret) for mark, secret in secrets.items()},
            {mark: _credential(auth, secret) for mark, secret in secrets.items()},
        ),
        response=ResponseHeaders(compile_steps([pair.response for pair in parties], frozenset(), ALWAYS_DOWN)),
        timeouts=_timeouts(spec, provider.spec, offer),
        quirks=_quirks(provider.spec.quirks),
        model_quirks=tuple((compile_glob(models), _quirks(quirks)) for models, quirks in provider.spec.model_quirks),
        strict=spec.strict or provider.spec.strict,
        local=local,
    )


def _quirks(spec: QuirksSpec) -> Quirks:
    # Not asdict(): its deep copies were a third of a reload, once for each of the hundreds of lanes.
    return Quirks(**{name: getattr(spec, name) for name in Quirks.__dataclass_fields__})


def _decides_encoding(rules: list[HeaderRules]) -> bool:
    """Whether some rule already says which encodings the upstream may use; a JSON body's route otherwise asks for identity."""
    return any("accept-encoding" in dict(rule.set) or "accept-encoding" in dict(rule.default) for rule in rules)


def _credential(auth: Auth | None, secret: Secret | None) -> tuple[str, str] | None:
    return (auth.header, credential(auth, secret)) if auth is not None and secret is not None else None


def _timeouts(route: RouteSpec, provider: ProviderSpec, offer: OfferSpec) -> Timeouts:
    said: dict[str, float | None] = {}
    for rules in (provider.timeouts, offer.timeouts, route.timeouts):
        said.update(rules or {})
    return Timeouts(**said)


def _unused(config: Config, routes: list[Route]) -> Iterator[Problem]:
    """Routes that nobody serves, offers that no route needs."""
    needed = {route.spec.needs for route in routes}
    offered = {offer.capability for spec in config.providers for offer in spec.offers}
    known = set(known_capabilities()) | {name for name in needed if name is not None}
    for route in routes:
        origins = route.spec.origins
        needs = route.spec.needs
        if needs is None or route.lanes:
            continue
        hint = near_miss(needs, sorted(offered.union(known_capabilities())))
        if needs not in known_capabilities() and hint is not None:
            yield _problem(origins.of("needs"), "needs", f"no provider offers '{needs}', did you mean {hint}?", warning=True)
        elif route.spec.layer != "vendor":  # shipped routes wait for whoever will offer what they need
            text = f"no provider offers '{needs}': route '{route.spec.name}' cannot be served"
            yield _problem(origins.of("needs"), "needs", text, warning=True)
    upstream_only = {name for name in known if name.endswith(".models")}
    for spec in config.providers:
        for offer in spec.offers:
            if offer.capability not in known | upstream_only:
                near = near_miss(offer.capability, sorted(known))
                hint = f", did you mean {near}?" if near else ""
                place = spec.origins.of("offers", offer.capability)
                text = f"no route needs '{offer.capability}'{hint}"
                yield _problem(place, f"offers.{offer.capability}", text, warning=True)


def _problem(origin: Origin, path: str, message: str, *, warning: bool = False) -> Problem:
    return Problem(origin.file, origin.line, origin.column, path, message, "warning" if warning else "error")
