"""How a provider's keys are chosen, and what a rate limit of one of them rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STRATEGIES = ("round-robin", "random", "weighted", "least-busy")
SCOPES = ("key", "key+model", "account")


@dataclass(frozen=True, slots=True)
class PoolRules:
    """``scope`` is what a 429 rests: the key, the key for that model, or all keys, which then share one account's limit.
    ``slow_start`` is for how many seconds a key is eased in after a cooldown; 0 is not at all. Raises ValueError for a word that
    there is not."""

    strategy: str
    rate_limit_cooldown: float
    scope: Literal["key", "key+model", "account"] = "key"
    slow_start: float = 0.0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"unknown strategy: {self.strategy}; there are {', '.join(STRATEGIES)}")
        if self.scope not in SCOPES:
            raise ValueError(f"unknown scope of a cooldown: {self.scope}; there are {', '.join(SCOPES)}")
