"""How hard a model is to think: words on one side, a budget of tokens on the other.

The budgets are ours: no vendor publishes what its words cost. The highest leaves room for an answer below 32,000 tokens, which is
what the smallest thinking models can write.
"""

from __future__ import annotations

SMALLEST_BUDGET = 1024  # below it a budget is refused

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 27648}

# The words of a model that decides for itself; it knows nothing below low.
ADAPTIVE = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


def budget_for(effort: str, max_tokens: int | None) -> int | None:
    """Tokens for thinking, which stay below ``max_tokens`` so that a fifth of it is left to answer with.

    None where the word is unknown, or where so few tokens are allowed that nothing could be thought.
    """
    wanted = BUDGETS.get(effort)
    if wanted is None or max_tokens is None:
        return wanted
    if max_tokens <= SMALLEST_BUDGET:
        return None
    return min(wanted, max(SMALLEST_BUDGET, max_tokens * 4 // 5))


def effort_for(budget: int) -> str:
    """The word nearest to a budget, of the three that every reasoning model knows."""
    return "low" if budget <= 4096 else "medium" if budget <= 12288 else "high"
