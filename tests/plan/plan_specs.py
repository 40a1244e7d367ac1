"""Specs for tests of the plan, written as values: no YAML comes near these rooms."""

from __future__ import annotations

from typing import Any

from monorelay.config.config import Config
from monorelay.config.fields import Auth, HeaderPair, HeaderRules, Origin, Origins, Secret
from monorelay.config.keys import KeySpec
from monorelay.config.provider import OfferSpec, ProviderSpec
from monorelay.config.quirks import ToolsSpec
from monorelay.config.route import RouteSpec
from monorelay.config.routing import RoutingSpec
from monorelay.config.settings import ClientSpec, ServerSpec, StartupSpec

NO_TOOLS = ToolsSpec()
BEARER = Auth("authorization", "Bearer ")


def origins(file: str = "test.yml") -> Origins:
    return Origins(Origin(file, 1, 1))


def route(name: str = "chat", path: str = "/v1/chat/completions", **more: Any) -> RouteSpec:
    more.setdefault("methods", ("POST",))
    if not more.keys() & {"needs", "answer", "reply"}:
        more["needs"] = "openai.chat"
    more.setdefault("body", "json" if "POST" in more["methods"] else "none")
    more.setdefault("model", "required" if more.get("needs") == "openai.chat" else "none")
    return RouteSpec(name=name, path=path, origins=origins(f"routes.d/{name}.yml"), **more)


def keys(*labels: str, **enabled: bool) -> tuple[KeySpec, ...]:
    return tuple(KeySpec(label, Secret(f"sk-{label}"), enabled=enabled.get(label, True)) for label in labels)


def provider(name: str = "acme", *capabilities: str, **more: Any) -> ProviderSpec:
    more.setdefault("keys", keys("a", "b"))
    more.setdefault("base_url", f"https://{name}.example/v1")
    offers = tuple(OfferSpec(word, "/" + word.replace(".", "/")) for word in capabilities or ("openai.chat",))
    more.setdefault("offers", offers)
    more.setdefault("layer", "operator")
    return ProviderSpec(name=name, origins=origins(f"providers.d/{name}.yml"), **more)


def config(
    *providers: ProviderSpec,
    routes: tuple[RouteSpec, ...] | None = None,
    access_key: str | None = "sk-relay",
    clients: tuple[ClientSpec, ...] = (),
    tools: ToolsSpec = NO_TOOLS,
    **routing: Any,
) -> Config:
    return Config(
        startup=StartupSpec(),
        server=ServerSpec(origins("config.yml"), access_key=Secret(access_key) if access_key else None, detect_public_ip=False),
        clients=clients,
        routing=RoutingSpec(origins("config.yml"), **routing),
        tools=tools,
        providers=providers,
        routes=(route(),) if routes is None else routes,
        warnings=(),
        digest="",
    )


def headers(**rules: Any) -> HeaderPair:
    return HeaderPair(request=HeaderRules(**rules))
