"""How hard the model is to think.

| anthropic.messages | reasoning_effort | thinking.type |
| --- | --- | --- |
| thinking: disabled | – | disabled |
| output_config.effort; that of a system message for this turn | the same word | enabled |
| thinking: enabled, with a budget | low, medium or high, by the budget | enabled |
| thinking: adaptive, between_tools | high, which is Anthropic's own default | enabled |
| neither | – | – |

The first column after the client's is for providers that take ``reasoning_effort``, the second for those that take ``thinking``.
Thinking that is disabled is not asked for: ``none`` is a word that few models know, and the rest would refuse the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.fields import DROPPED
from monorelay.dialects.anthropic_messages_to_openai_chat.turns import current_turn
from monorelay.dialects.effort import effort_for
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks

_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_UNBUDGETED = "high"


def put_thinking(body: Mapping[str, Any], quirks: Quirks, losses: Losses, chat: dict[str, Any]) -> bool:
    """Sets the provider's field. Returns whether reasoning is to be kept from the client. Raises Untranslatable."""
    thinking = body.get("thinking")
    config = body.get("output_config")
    config = config if isinstance(config, dict) else {}
    thinking = thinking if isinstance(thinking, dict) else {}
    kind = thinking.get("type")
    effort = _effort_of_turn(body.get("messages")) or config.get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise Untranslatable("output_config.effort", f"`output_config.effort` is {effort!r}, which is no effort.")
    if config.get("task_budget"):
        losses.add("output_config.task_budget")
    is_on = kind not in (None, "disabled")
    if quirks.reasoning == "thinking":
        if kind is not None or effort is not None:
            chat["thinking"] = {"type": "disabled" if kind == "disabled" else "enabled"}
        if effort is not None and kind != "disabled":
            losses.add("output_config.effort")
    elif quirks.reasoning == "none":
        if is_on or (effort is not None and kind is None):
            losses.add("thinking" if is_on else "output_config.effort", DROPPED["thinking"])
    elif kind != "disabled" and (is_on or effort is not None):
        chat["reasoning_effort"] = effort or _effort_of(thinking)
    # Where reasoning is to come back, the client must have it to return it.
    return kind == "disabled" or (thinking.get("display") == "omitted" and not quirks.echo_reasoning)


def _effort_of(thinking: Mapping[str, Any]) -> str:
    budget = thinking.get("budget_tokens")
    return effort_for(budget) if isinstance(budget, int) else _UNBUDGETED


def _effort_of_turn(messages: object) -> Any:
    """What the system messages behind the last user's say about this turn."""
    if not isinstance(messages, list):
        return None
    for message in reversed(messages[current_turn(messages) + 1 :]):
        config = message.get("output_config") if message.get("role") == "system" else None
        if isinstance(config, dict) and config.get("effort"):
            return config["effort"]
    return None
