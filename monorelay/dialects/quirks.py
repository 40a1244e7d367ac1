"""What a provider does differently from its dialect's reference: the part of a provider file that translators read.

Data, never a vendor's name: a provider file says ``quirks: {max_tokens_field: max_completion_tokens}``, and whoever translates to
that provider obeys. The native path reads only ``include_usage``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """``max_tokens_field``   which field limits the answer in openai.chat: max_tokens or max_completion_tokens
    ``max_tokens``         what is asked for where the client set no limit and the dialect demands one
    ``include_usage``      ask (translated chat streams ask for usage), refuse (the upstream does not know the field)
    ``echo_reasoning``     earlier thinking goes back: as ``reasoning_content``; in anthropic.messages, as unsigned thinking blocks
    ``system_role``        the role that carries instructions in openai.chat: system, developer, or user
    ``reasoning``          how openai.chat is asked to think: effort (``reasoning_effort``), thinking (``thinking: {type}``), none
    ``drop``               fields of the translated request that this provider rejects
    ``json_schema``        whether structured output by schema is offered natively; in anthropic.messages, strict tools too
    ``thinking``           how anthropic.messages is asked to think: budget (``budget_tokens``), adaptive (by effort alone), none
    ``late_system``        what instructions in mid-conversation become there: a user's text, or system messages where they stood
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    max_tokens: int = 4096
    include_usage: Literal["ask", "refuse"] = "ask"
    echo_reasoning: bool = False
    system_role: Literal["system", "developer", "user"] = "system"
    reasoning: Literal["effort", "thinking", "none"] = "effort"
    drop: tuple[str, ...] = ()
    json_schema: bool = True
    thinking: Literal["budget", "adaptive", "none"] = "budget"
    late_system: Literal["user", "system"] = "user"


NO_QUIRKS = Quirks()
