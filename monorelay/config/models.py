"""``model_routing.models``: what is different for some models. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import TimeoutRules


@dataclass(frozen=True, slots=True)
class SystemSpec:
    """Instructions: ``replace`` takes the place of the client's own, ``prepend`` stands before them."""

    prepend: str | None = None
    replace: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """``models`` is a glob. ``parameters`` are added where the client said nothing: name and plain JSON value."""

    models: str
    timeouts: TimeoutRules | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    system: SystemSpec | None = None
