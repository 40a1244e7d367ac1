"""What the compiled plan says about routes and providers, as plain values: ``routes``, ``providers`` and ``explain`` print them."""

from __future__ import annotations

from typing import Any

from monorelay.config.fields import Origin
from monorelay.plan.plan import Lane, Provider, Route


def upstream_url(route: Route, lane: Lane) -> str:
    """Where the lane leads, with {path parameters} and templates as they are written; "" where the relay answers itself."""
    if lane.local is not None:
        return ""
    offers = {offer.capability: offer for offer in lane.provider.spec.offers}
    offer = offers[lane.translator.upstream]
    return (offer.base_url or lane.provider.spec.base_url) + offer.path + route.spec.upstream


def purpose(route: Route) -> str:
    """What the route needs of a provider, or does by itself."""
    spec = route.spec
    if spec.needs is not None:
        return spec.needs
    return f"(answer: {spec.answer})" if spec.reply is None else f"(reply: {spec.reply.status})"


def route_value(route: Route) -> dict[str, Any]:
    spec = route.spec
    return {
        "route": spec.name,
        "methods": list(spec.methods),
        "path": spec.path,
        "needs": spec.needs,
        "answer": spec.answer,
        "reply": spec.reply.status if spec.reply is not None else None,
        "access": spec.access,
        "body": spec.body,
        "model": spec.model,
        "origin": place(spec.origins.root),
        "providers": [lane_value(route, lane) for lane in route.lanes.values()],
    }


def lane_value(route: Route, lane: Lane) -> dict[str, Any]:
    return {
        "provider": lane.provider.name,
        "state": lane.provider.state,
        "native": lane.translator.native,
        "local": lane.local is not None,
        "offer": lane.translator.upstream,
        "url": upstream_url(route, lane),
    }


def provider_value(provider: Provider) -> dict[str, Any]:
    spec = provider.spec
    return {
        "provider": spec.name,
        "state": provider.state,
        "priority": spec.priority,
        "base_url": spec.base_url,
        "keys": [{"label": key.label, "fingerprint": key.secret.fingerprint, "enabled": key.enabled} for key in spec.keys],
        "needs_key": spec.auth is not None,
        "offers": {offer.capability: (offer.base_url or spec.base_url) + offer.path for offer in spec.offers},
        "include": list(spec.include),
        "exclude": list(spec.exclude),
        "origin": place(spec.origins.root),
        "keys_origin": place(spec.origins.of("keys")),
    }


def place(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line}
