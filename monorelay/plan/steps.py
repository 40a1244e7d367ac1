"""What a rule did, for people: every decision of a plan about a request comes with these."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.config.fields import Origin


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to a target, or of what becomes of a body: what the rule did, and where it is written."""

    rule: str
    text: str
    origin: Origin | None = None
