"""config.yml ``model_routing`` and ``key_selection``: schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from monorelay.config.fields import Origins


@dataclass(frozen=True, slots=True)
class RoutingSpec:
    """How a model's name finds its provider. All three keep the order in which they were written.

    ``aliases``: exact name → another name (or ``model@provider``). ``provider_mapping``: glob → provider.
    ``model_overrides``: glob → the name that is sent.
    """

    origins: Origins
    aliases: tuple[tuple[str, str], ...] = ()
    provider_mapping: tuple[tuple[str, str], ...] = ()
    model_overrides: tuple[tuple[str, str], ...] = ()
    strategy: Literal["round-robin", "random", "weighted"] = field(default="round-robin")
