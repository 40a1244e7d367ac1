"""What one translation cannot keep: named, so that the client is told, or refused where the route or the provider is strict."""

from __future__ import annotations

from collections.abc import Mapping

from monorelay.dialects.interface import Untranslatable


class Losses:
    """The fields that a request loses on its way, each once, in the order they were met.

    Mutable: grows by ``add`` while one request is translated. ``reasons`` is the pair's table of what it drops and why.

    >>> losses = Losses(strict=False, reasons={"seed": "the upstream draws its own numbers"})
    >>> losses.add("seed"); losses.names
    ('seed',)
    """

    __slots__ = ("_names", "_reasons", "_strict")

    def __init__(self, strict: bool, reasons: Mapping[str, str]) -> None:
        self._strict = strict
        self._reasons = reasons
        self._names: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Losses {', '.join(self._names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def add(self, field: str, reason: str = "") -> None:
        """``field`` is left out. Raises Untranslatable where nothing may be lost."""
        if self._strict:
            why = reason or self._reasons.get(field) or "it has no counterpart in the upstream's dialect"
            raise Untranslatable(field, f"`{field}` would be lost, and nothing may be lost on this way (strict): {why}.")
        self._names[field] = None


def plain_word(value: object) -> str:
    """A type that a client gave, as it may stand in the header that names what was lost."""
    word = value if isinstance(value, str) else "unknown"
    return word if word.isascii() and word.replace("_", "").replace("-", "").isalnum() and len(word) <= 64 else "unknown"
