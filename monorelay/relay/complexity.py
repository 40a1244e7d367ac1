"""tmp"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    value: float
    parts: tuple[tuple[str, float, str], ...]
    chosen: str


def score_of(conversation: Any, spec: Any) -> Score:
    return Score(0.0, (), "simple")
