"""``quirks`` of a provider and ``tool_calling`` of config.yml: what translations must know. Schema, spec and one-line help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.reading import Node
from monorelay.config.scalars import choice, filled, flag, glob, whole
from monorelay.config.schema import Schema, field

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
IncludeUsage = Literal["ask", "refuse"]
SystemRole = Literal["system", "developer", "user"]
Reasoning = Literal["effort", "thinking", "none"]
Thinking = Literal["budget", "adaptive", "none"]
LateSystem = Literal["user", "system"]


@dataclass(frozen=True, slots=True)
class QuirksSpec:
    """What a provider does differently from its dialect's reference."""

    max_tokens_field: MaxTokensField = "max_tokens"
    max_tokens: int = 4096
    include_usage: IncludeUsage = "ask"
    echo_reasoning: bool = False
    system_role: SystemRole = "system"
    reasoning: Reasoning = "effort"
    drop: tuple[str, ...] = ()
    json_schema: bool = True
    thinking: Thinking = "budget"
    late_system: LateSystem = "user"


@dataclass(frozen=True, slots=True)
class ToolsSpec:
    """``unsupported_models``: globs of models whose tools are turned into text, unless ``auto_downgrade`` is off."""

    auto_downgrade: bool = True
    unsupported_models: tuple[str, ...] = ()


_MAX_TOKENS_FIELD: Callable[[Any], MaxTokensField] = choice("max_tokens", "max_completion_tokens")
_INCLUDE_USAGE: Callable[[Any], IncludeUsage] = choice("ask", "refuse")
_SYSTEM_ROLE: Callable[[Any], SystemRole] = choice("system", "developer", "user")
_REASONING: Callable[[Any], Reasoning] = choice("effort", "thinking", "none")
_THINKING: Callable[[Any], Thinking] = choice("budget", "adaptive", "none")
_LATE_SYSTEM: Callable[[Any], LateSystem] = choice("user", "system")

QUIRKS: Schema = {
    "max_tokens_field": field(
        "string",
        "Which field limits a chat answer here.",
        reads=_MAX_TOKENS_FIELD,
        default="max_tokens",
        shown="max_tokens, max_completion_tokens",
    ),
    "max_tokens": field(
        "integer", "The limit where a dialect demands one and the client set none.", reads=whole(1), default="4096"
    ),
    "include_usage": field(
        "string",
        "`ask` = translated chat streams ask for usage; `refuse` = this provider knows no such field.",
        reads=_INCLUDE_USAGE,
        default="ask",
        shown="ask or refuse",
    ),
    "echo_reasoning": field(
        "boolean", "Earlier thinking goes back as `reasoning_content` of assistant turns.", reads=flag, default="false"
    ),
    "system_role": field(
        "string",
        "The role that carries instructions in a chat.",
        reads=_SYSTEM_ROLE,
        default="system",
        shown="system, developer, user",
    ),
    "reasoning": field(
        "string",
        "How a chat asks for thinking: `reasoning_effort`, `thinking: {type}`, or not at all.",
        reads=_REASONING,
        default="effort",
        shown="effort, thinking, none",
    ),
    "drop": field(
        "list",
        "Fields of a translated request that this provider rejects.",
        shown="list of fields",
        texts=field("string", reads=filled),
    ),
    "json_schema": field("boolean", "`false`: structured output by schema is not offered.", reads=flag, default="true"),
    "thinking": field(
        "string",
        "How messages ask for thinking: by a budget of tokens, by effort alone, or not at all.",
        reads=_THINKING,
        default="budget",
        shown="budget, adaptive, none",
    ),
    "late_system": field(
        "string",
        "What instructions in mid-conversation become in messages: a user's text, or system messages where they stood.",
        reads=_LATE_SYSTEM,
        default="user",
        shown="user or system",
    ),
}
PROVIDER_QUIRKS: Schema = {
    **QUIRKS,
    "models": field(
        "dict",
        "The same again for some models only; the first glob that matches counts.",
        shown="glob → quirks",
        keysrules=field("string", reads=glob),
        valuesrules=field("dict", schema=QUIRKS),
    ),
}
TOOL_CALLING: Schema = {
    "auto_downgrade": field(
        "boolean", "Tools become text for the models below; `false` leaves every request alone.", reads=flag, default="true"
    ),
    "unsupported_models": field("list", "Models that cannot take tools.", shown="list of globs", texts=field("string", reads=glob)),
}


def read_model_quirks(node: Node, usual: QuirksSpec) -> tuple[tuple[str, QuirksSpec], ...]:
    """By glob of models; what is not said there is as it is for the provider's other models."""
    return tuple((models, read_quirks(entry, usual)) for models, entry in node["models"].entries())


def read_quirks(node: Node, usual: QuirksSpec) -> QuirksSpec:
    return QuirksSpec(
        max_tokens_field=node["max_tokens_field"].read(_MAX_TOKENS_FIELD, usual.max_tokens_field),
        max_tokens=node["max_tokens"].read(whole(1), usual.max_tokens),
        include_usage=node["include_usage"].read(_INCLUDE_USAGE, usual.include_usage),
        echo_reasoning=node["echo_reasoning"].read(flag, usual.echo_reasoning),
        system_role=node["system_role"].read(_SYSTEM_ROLE, usual.system_role),
        reasoning=node["reasoning"].read(_REASONING, usual.reasoning),
        drop=tuple(word for entry in node["drop"].items() if (word := entry.read(filled, None)) is not None) or usual.drop,
        json_schema=node["json_schema"].read(flag, usual.json_schema),
        thinking=node["thinking"].read(_THINKING, usual.thinking),
        late_system=node["late_system"].read(_LATE_SYSTEM, usual.late_system),
    )


def read_tools(node: Node) -> ToolsSpec:
    models = (entry.read(glob, None) for entry in node["unsupported_models"].items())
    return ToolsSpec(
        auto_downgrade=node["auto_downgrade"].read(flag, True),
        unsupported_models=tuple(model for model in models if model is not None),
    )
