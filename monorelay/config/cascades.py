"""``model_routing.cascades`` and ``fallbacks``: models that stand in for each other. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CascadeSpec:
    """An ordered list of models (each may be ``model@provider``).

    ``name`` is the virtual model's own, or, of a fallback, a glob of the models it is for. The other two lists are what is tried
    instead when a model refuses for that reason; none = the list goes on as usual.
    """

    name: str
    models: tuple[str, ...]
    context_length: tuple[str, ...] = ()
    content_filter: tuple[str, ...] = ()
