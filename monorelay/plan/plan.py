"""The compiled whole: what a request carries from its head to its end, whatever is reloaded meanwhile."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from monorelay.config.config import Config
from monorelay.config.limits import LimitsSpec
from monorelay.config.problems import Problem
from monorelay.config.provider import ProviderSpec
from monorelay.config.retry import RetrySpec
from monorelay.config.route import RouteSpec
from monorelay.config.settings import ClientSpec
from monorelay.dialects.envelopes import Family
from monorelay.dialects.interface import Translator
from monorelay.dialects.local import LocalAnswer
from monorelay.dialects.quirks import Quirks
from monorelay.plan.headers import RequestHeaders, ResponseHeaders
from monorelay.plan.payload import PayloadProgram
from monorelay.plan.table import RouteTable
from monorelay.plan.templates import Scrubber
from monorelay.plan.urls import UrlProgram


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Four limits in seconds; None = off. The built-in ones, unless somebody nearer to the request said otherwise."""

    connect: float | None = 10.0
    first_byte: float | None = 120.0
    idle: float | None = 120.0
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One credential of a provider, without the credential. ``fingerprint`` of a provider without keys is its own name."""

    fingerprint: str
    label: str
    weight: int
    enabled: bool
    expires_at: float | None = None  # seconds since 1970
    limits: LimitsSpec = LimitsSpec()


@dataclass(frozen=True, slots=True)
class Words:
    """What a provider's own words in an error mean, as patterns for its type, code or message; None where nothing was written."""

    ignored: re.Pattern[str] | None = None
    context_length: re.Pattern[str] | None = None
    content_filter: re.Pattern[str] | None = None
    model_not_found: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """``enabled``: takes calls. ``dormant``: would, but for a key: it is ``auto`` and has none."""

    name: str
    spec: ProviderSpec
    enabled: bool
    dormant: bool
    keys: tuple[Key, ...]
    included: frozenset[str]
    include: re.Pattern[str] | None  # the globs of ``models.include``
    exclude: re.Pattern[str] | None
    offers: frozenset[str]
    scrubber: Scrubber
    retry: RetrySpec = RetrySpec()
    words: Words = Words()
    counts_tokens: bool = False  # whether some key has a limit of tokens
    fingerprints: frozenset[str] = frozenset()  # of all keys
    telling: frozenset[str] = frozenset()  # header fields by which an answer says what remains of a limit

    @property
    def state(self) -> str:
        """Why it takes calls, or does not: on, off (somebody said so), or no key; "on, no key" takes calls and refuses each."""
        if self.enabled:
            return "on" if any(key.enabled for key in self.keys) else "on, no key"
        return "no key" if self.dormant else "off"

    @property
    def takes_all(self) -> bool:
        """Whether it is a catch-all: an empty include."""
        return not self.spec.include


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One route on one provider: all that is known before a request comes."""

    provider: Provider
    translator: Translator
    url: UrlProgram
    request: RequestHeaders
    response: ResponseHeaders
    timeouts: Timeouts
    quirks: Quirks
    model_quirks: tuple[tuple[re.Pattern[str], Quirks], ...]
    strict: bool  # a translation that would lose something refuses instead
    local: LocalAnswer | None  # the relay answers this itself: the provider does not offer it, but would be asked

    def quirks_of(self, model: str) -> Quirks:
        return next((quirks for models, quirks in self.model_quirks if models.fullmatch(model)), self.quirks)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """``lanes``: provider name → lane, in priority order, dormant and disabled providers too (they explain a refusal)."""

    spec: RouteSpec
    path: str
    methods: tuple[str, ...]
    family: Family  # whose error envelope it speaks
    streams: bool  # whether its capability has event streams
    lanes: Mapping[str, Lane]

    def __repr__(self) -> str:
        return f"<Route {self.spec.name}>"


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may call, as digests of tokens. ``open``: nothing is configured, everybody on this machine may."""

    open: bool
    access_key: bytes | None
    clients: Mapping[bytes, ClientSpec]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Immutable; ``generation`` is in every log line and in /health."""

    generation: int
    config: Config
    admission: Admission
    providers: Mapping[str, Provider]  # in priority order
    table: RouteTable[Route]
    routes: tuple[Route, ...]
    toolless: re.Pattern[str] | None  # models whose tools become text
    list_lanes: Mapping[str, Lane]  # provider name → the way to its own model list, for the roster
    payload: PayloadProgram
    credit_lanes: Mapping[str, Lane]  # provider name → the way to what its keys have left
    warnings: tuple[Problem, ...] = field(default=())
    compares_pace: bool = False  # whether some model goes to the quickest of its providers
    tls: ssl.SSLContext | None = None  # new connections are made with it; None = plain HTTP
