"""``tests`` of a provider: what it is known to send and to want, replayed offline. Schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Origin


@dataclass(frozen=True, slots=True)
class FixtureSpec:
    """One case: exactly one of ``request`` and ``answer`` is there. The mappings hold plain JSON values; nobody changes them."""

    name: str
    request: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None
    expect: Mapping[str, Any]
    origin: Origin
