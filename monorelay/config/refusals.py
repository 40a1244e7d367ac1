"""``refusals`` of a provider: the words by which it says why, beyond its dialect's own codes. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefusalsSpec:
    """Globs of an error's code, type or message, by what they mean."""

    context_length: tuple[str, ...] = ()
    content_filter: tuple[str, ...] = ()
    model_not_found: tuple[str, ...] = ()
