"""``credits`` of a provider: where the answer of its offer ``credits`` says what is left. Schema, spec and one-line help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from monorelay.config.reading import Node
from monorelay.config.scalars import duration, number
from monorelay.config.schema import Schema, field

STALE_AFTER = 3  # looks without an answer, after which a balance says nothing any more


@dataclass(frozen=True, slots=True)
class CreditsSpec:
    """``balance`` and ``minus`` are JSON paths: names joined by dots, ``[n]`` for the n-th item, the first being 0."""

    balance: str
    minus: str | None = None
    every: float = 300.0
    skip_below: float | None = None

    def is_stale(self, age: float) -> bool:
        """Whether a balance of so many seconds ago is too old to go by."""
        return age > STALE_AFTER * self.every

    def is_too_low(self, amount: float, age: float) -> bool:
        """Whether a key that had so much so many seconds ago is left out."""
        return self.skip_below is not None and amount < self.skip_below and not self.is_stale(age)


_STEP = r"(?:[^\s.\[\]]+(?:\[[0-9]{1,6}\])*|(?:\[[0-9]{1,6}\])+)"


def json_path(value: Any) -> str:
    """``data.balances[0].total``: names, and items of lists, which are counted from 0."""
    if not re.fullmatch(rf"{_STEP}(?:\.{_STEP})*", str(value)):
        raise ValueError("is not a path into JSON: write names joined by dots, and [0] for an item, such as data[0].balance")
    return str(value)


def _every(value: Any) -> float:
    seconds = duration(value)
    if seconds < 1:
        raise ValueError("must be a second or more")
    return seconds


_AMOUNT = number(0, 10**15)

CREDITS: Schema = {
    "balance": field("string", "Where the answer has the balance.", reads=json_path, default="required", shown="JSON path"),
    "minus": field(
        "string", "What is to be taken off it: where the balance is what was ever paid.", reads=json_path, shown="JSON path"
    ),
    "every": field(["number", "string"], "How often it is asked.", reads=_every, default="5m", shown="duration"),
    "skip_below": field(
        "number", "With less than this it is left out, until there is more.", reads=_AMOUNT, nullable=True, default="never"
    ),
}


def read_credits(node: Node) -> CreditsSpec | None:
    if not isinstance(node.value, dict):
        return None
    if node["balance"].value is None:
        node.missing("balance")
    balance = node["balance"].read(json_path, None)
    minus = node["minus"].read(json_path, None)
    every = node["every"].read(_every, 300.0)
    skip_below = node["skip_below"].read(_AMOUNT, None)
    return CreditsSpec(balance, minus, every, skip_below) if balance is not None else None
