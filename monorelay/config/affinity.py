"""``model_routing.affinity``: a conversation stays where it was answered last. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AffinitySpec:
    """``headers``, in lower case, name the conversation; ``content`` lets its first words do so where none of them was sent."""

    enabled: bool = False
    ttl: float = 3600.0
    headers: tuple[str, ...] = ()
    content: bool = True
