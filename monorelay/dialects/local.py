"""Answers that need no upstream: where a provider does not offer them, the relay gives them itself.

Only token counting so far: clients plan their context by it, and an estimate that says what it is serves them better than a 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.token_estimate import estimate


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """``follows``: the capability whose providers are asked first. ``mark``: the header that says where the answer comes from."""

    follows: str
    answer: Callable[[Mapping[str, Any]], bytes]
    mark: tuple[str, str]


def _count_tokens(body: Mapping[str, Any]) -> bytes:
    return as_json({"input_tokens": estimate(body)})


LOCAL: Mapping[str, LocalAnswer] = {
    "anthropic.count_tokens": LocalAnswer("anthropic.messages", _count_tokens, ("x-monorelay-estimate", "true"))
}
