"""The request body, field by field, in the order of OpenAI's reference; what is dropped, and why, comes first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from monorelay.dialects.effort import ADAPTIVE, BUDGETS, budget_for
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.messages_settings import put_sampling, put_stop, put_user
from monorelay.dialects.openai_chat_to_anthropic_messages.parts import text_block
from monorelay.dialects.openai_chat_to_anthropic_messages.tools import Tools, answer_tool, translate_tools
from monorelay.dialects.openai_chat_to_anthropic_messages.turns import Turns
from monorelay.dialects.output_schema import closed_schema

# What a client loses, and is told of; unknown fields too. A neutral value (null, false, 0, an empty list) loses nothing, so is not.
DROPPED: Mapping[str, str] = MappingProxyType(
    {
        "audio": "the upstream answers in text only",
        "modalities": "the upstream answers in text only",
        "frequency_penalty": "the upstream has no such setting",
        "presence_penalty": "the upstream has no such setting",
        "logit_bias": "it names tokens of another vocabulary",
        "logprobs": "the upstream tells no probabilities",
        "top_logprobs": "the upstream tells no probabilities",
        "seed": "the upstream cannot repeat an answer",
        "verbosity": "the upstream has no such setting; say it in the instructions",
        "moderation": "the upstream moderates in its own way",
        "store": "the upstream keeps no completions to be fetched again",
        "metadata": "only its user_id has a counterpart",
        "messages.name": "turns have no names",
        "messages.content": "a content part must be an object",
        "messages.content.<type>": "the upstream's dialect has no such part",
        "messages.tool_calls.function.arguments": "they are no JSON object, and are sent as text inside one",
        "messages.audio": "an earlier spoken answer cannot be referred to",
        "messages.reasoning_content": "thinking without its signature is refused; thinking_blocks carries both",
        "tools.function.strict": "the upstream cannot be held to this schema, or knows no strict tools",
        "tools.custom.format": "a grammar is described to the model, not enforced",
        "web_search_options.search_context_size": "the upstream decides how much it reads",
        "stop": "a stop sequence must hold a visible character",
        "temperature": "the highest is 1, and thinking allows no other value",
        "top_p": "thinking allows nothing below 0.95",
        "top_k": "thinking does not allow it",
        "tool_choice": "a model that thinks cannot be forced to call a tool",
        "reasoning_effort": "the conversation, the limit of tokens or the forced answer leaves no room for thinking",
        "response_format": "the model is told to answer in JSON; nothing holds it to that",
    }
)
# What only hints at how to serve the same answer. Nothing is lost, so nothing is reported.
_IGNORED = frozenset({"prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "stream_options"})
# Fields of the upstream's own dialect that clients put beside OpenAI's.
_OWN = (
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "speed",
    "thinking",
    "top_k",
)
_TRANSLATED = frozenset(
    "model messages max_completion_tokens max_tokens n stop stream temperature top_p tools tool_choice functions function_call"
    " parallel_tool_calls web_search_options reasoning_effort response_format user safety_identifier metadata service_tier".split()
)
# auto may use capacity that was paid for in advance. The other tiers have no counterpart, and cost is no part of an answer.
_TIERS = {"auto": "auto", "priority": "auto", "fast": "auto", "default": "standard_only"}
_JSON_ONLY = "Answer with one valid JSON object, and with nothing before or after it: no explanation, no Markdown."


@dataclass(frozen=True, slots=True)
class Asked:
    """What the way back must know of the request. ``answer_tool`` is the tool whose input is the answer, if there is one."""

    hints: Hints
    include_usage: bool
    answer_tool: str | None
    custom: frozenset[str]
    legacy: bool


def translate_request(body: Mapping[str, Any], hints: Hints) -> tuple[bytes, tuple[str, ...], Asked]:
    """The upstream's body, the names of what was lost, and what to remember. Raises Untranslatable."""
    losses = Losses(hints.strict, DROPPED)
    if body.get("n") not in (None, 1):
        raise Untranslatable(
            "n", "Only one choice can be asked for in anthropic.messages: send n = 1, or the request several times."
        )
    try:
        out, asked = _translate(body, hints, losses)
        return as_json(out), losses.names, asked
    except RecursionError:
        raise Untranslatable("messages", "The request is nested too deeply.") from None


def _translate(body: Mapping[str, Any], hints: Hints, losses: Losses) -> tuple[dict[str, Any], Asked]:
    quirks = hints.quirks
    turns = _turns(body, losses, hints)
    tools = translate_tools(body, losses, strict_tools=quirks.json_schema)
    out: dict[str, Any] = {"model": hints.model, "max_tokens": _limit(body)}
    out |= {name: body[name] for name in _OWN if body.get(name) is not None}
    answer = None
    native, schema, name = _response_format(body, turns, losses, hints)
    if native:
        out["output_config"] = {**_mapping(out.get("output_config")), "format": {"type": "json_schema", "schema": schema}}
    elif schema is not None:
        tools, answer = answer_tool(name, schema, tools)
    amid_calls = turns.awaits_thinking()
    out["messages"] = turns.finish()
    if turns.system:
        out["system"] = turns.system
    _put_tools(out, tools, turns)
    put_stop(out, body, losses)
    put_sampling(out, body, losses)
    _put_thinking(out, body, losses, hints, may_think=answer is None, may_budget=not amid_calls)
    if out["max_tokens"] is None:
        out["max_tokens"] = quirks.max_tokens
    put_user(out, body, losses)
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        out["service_tier"] = _TIERS[tier]
    if body.get("stream"):
        out["stream"] = True
    for field in quirks.drop:
        if out.pop(field, None) is not None:
            losses.add(field, "this provider does not take it")
    _report_unknown(body, losses)
    options = _mapping(body.get("stream_options"))
    return out, Asked(hints, options.get("include_usage") is True, answer, tools.custom, tools.legacy)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _turns(body: Mapping[str, Any], losses: Losses, hints: Hints) -> Turns:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise Untranslatable("messages", "`messages` must be a list.")
    turns = Turns(losses, hints.quirks)
    for message in messages:
        turns.add(message)
    return turns


def _limit(body: Mapping[str, Any]) -> Any:
    limit = body.get("max_completion_tokens")
    return body.get("max_tokens") if limit is None else limit


def _put_tools(out: dict[str, Any], tools: Tools, turns: Turns) -> None:
    """The upstream refuses a history of tool calls without tools: then those that were called are named, and none may be used."""
    if tools.tools:
        out["tools"] = list(tools.tools)
        if tools.choice is not None:
            out["tool_choice"] = tools.choice
    elif turns.called:
        out["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in turns.called]
        out["tool_choice"] = {"type": "none"}


def _put_thinking(
    out: dict[str, Any], body: Mapping[str, Any], losses: Losses, hints: Hints, *, may_think: bool, may_budget: bool
) -> None:
    """Thinking by effort, and what it rules out. Thinking asked for in the upstream's own words stays as it is."""
    effort, kind = body.get("reasoning_effort"), hints.quirks.thinking
    if "thinking" in out or effort is None:
        pass
    elif effort == "none":
        if kind != "none":
            out["thinking"] = {"type": "disabled"}
    elif not isinstance(effort, str) or effort not in BUDGETS or kind == "none" or not may_think:
        losses.add("reasoning_effort")
    elif kind == "adaptive":
        out["thinking"] = {"type": "adaptive"}
        out["output_config"] = {"effort": ADAPTIVE[effort], **_mapping(out.get("output_config"))}
        if out["max_tokens"] is None:
            out["max_tokens"] = hints.quirks.max_tokens + BUDGETS[effort]
    elif not may_budget or not _put_budget(out, effort, hints):
        losses.add("reasoning_effort")
    if _mapping(out.get("thinking")).get("type") in ("enabled", "adaptive"):
        _drop_what_thinking_rules_out(out, losses)


def _put_budget(out: dict[str, Any], effort: str, hints: Hints) -> bool:
    """False where so few tokens are allowed that none are left to think with."""
    limit = out["max_tokens"]
    budget = budget_for(effort, limit if type(limit) is int else None)
    if budget is None:
        return False
    out["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if limit is None:
        out["max_tokens"] = hints.quirks.max_tokens + budget
    return True


def _drop_what_thinking_rules_out(out: dict[str, Any], losses: Losses) -> None:
    if out.get("temperature", 1) != 1:
        losses.add("temperature")
        del out["temperature"]
    top_p = out.get("top_p")
    if isinstance(top_p, int | float) and top_p < 0.95:
        losses.add("top_p")
        del out["top_p"]
    if out.pop("top_k", None) is not None:
        losses.add("top_k")
    choice = _mapping(out.get("tool_choice"))
    if choice.get("type") in ("any", "tool"):
        losses.add("tool_choice")
        out["tool_choice"] = {**{key: value for key, value in choice.items() if key != "name"}, "type": "auto"}


def _response_format(
    body: Mapping[str, Any], turns: Turns, losses: Losses, hints: Hints
) -> tuple[bool, dict[str, Any] | None, str]:
    """Whether the schema goes up as the native format; the schema, if it is one; its name.

    The native format takes closed schemas only; any other object is asked for by a tool, and what is no object in words.
    """
    form = body.get("response_format")
    kind = _mapping(form).get("type")
    if form is None or kind == "text":
        return False, None, ""
    inner = _mapping(_mapping(form).get("json_schema", form))
    schema = inner.get("schema") if kind == "json_schema" else None
    if isinstance(schema, dict):
        if isinstance(inner.get("description"), str) and "description" not in schema:
            schema = {**schema, "description": inner["description"]}
        closed = closed_schema(schema) if hints.quirks.json_schema else None
        if closed is not None:
            return True, closed, ""
        if schema.get("type") == "object":
            return False, schema, re.sub(r"[^A-Za-z0-9_-]", "_", str(inner.get("name") or "answer"))[:60]
    losses.add("response_format")
    words = _JSON_ONLY if kind in ("json_object", "json_schema") else ""
    if isinstance(schema, dict):
        words = f"{words.replace('JSON object', 'JSON value')} It must follow this schema: {as_json(schema).decode()}"
    if words:
        turns.system.append(text_block(words))
    return False, None, ""


def _report_unknown(body: Mapping[str, Any], losses: Losses) -> None:
    """Every field that nobody above has read, unless it says nothing."""
    for field, value in body.items():
        if field in _TRANSLATED or field in _IGNORED or field in _OWN or not value:
            continue
        if field == "modalities" and value == ["text"]:
            continue
        losses.add(field)
