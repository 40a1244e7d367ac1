"""A provider drop-in: schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monorelay.config.fields import Auth, HeaderPair, Origins, QueryRules, Secret, TimeoutRules


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One credential. ``label`` is what logs, errors and trails say; unique within its provider."""

    label: str
    secret: Secret
    weight: int = 1
    enabled: bool = True


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
    layer: Literal["vendor", "operator", "runtime"]
    origins: Origins
    enabled: bool | Literal["auto"] = "auto"
    priority: int = 50
    auth: Auth | None = Auth("authorization", "Bearer ")
    keys: tuple[KeySpec, ...] = ()
    offers: tuple[OfferSpec, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rate_limit_cooldown: float = 60.0
    timeouts: TimeoutRules | None = None
    headers: HeaderPair = HeaderPair()
